"""Sign one proposal, exactly as it was shown."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from escalations import lifecycle
from escalations.errors import AlreadySettled, ChangedSinceSeen, Conflict, CountersignError, Invalid, NotAllowed
from escalations.floors import text as eye
from escalations.models import Proposal
from escalations.states import State, Verdict

from .. import deciding, dossier, held, inbox, veil
from ..access import proposal_for
from ..forms import IN_FIELDS, DecisionForm
from ..partials import leave, page, part
from ..sentences import asked
from ..templatetags.deciding import UNDO
from .drawing import PAGE, drawn
from .inbox import number

DONE = {
    Verdict.APPROVE: "approved",
    Verdict.EDIT: "approved with your changes",
    Verdict.REJECT: "rejected",
    Verdict.RESPOND: "answered",
}
LONGEST = 140  # characters of what was asked that are said again after signing



def sign(request: HttpRequest, proposal: Proposal) -> HttpResponse:
    """Sign what the form says, or show it again with why not."""
    options: dict[str, Any] = {"reasons": deciding.reasons_of(proposal), "masked": veil.covers(request.user, proposal)}
    if proposal.state != State.PENDING:
        return moved_on(request, proposal, AlreadySettled(), options)
    if request.POST.get("show") == "again":
        return moved_on(request, proposal, ChangedSinceSeen(), options)
    if "show" in request.POST:
        form = deciding.switched(request.POST, request.POST["show"], proposal, **options)
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form, switched=True), status=422 if form.errors else 200)
    form = DecisionForm(request.POST, proposal=proposal, **options)
    if not form.is_valid():
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form), status=422)
    try:
        outcome = lifecycle.decide(proposal.pk, person=request.user, **form.signature())
    except Conflict as error:
        return moved_on(request, proposal_for(request.user, proposal.pk), error, options)
    except NotAllowed as error:
        return not_yours(request, proposal, form, error)
    except CountersignError as error:
        put(form, error)
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form), status=422)
    say(request, proposal, Verdict(form.cleaned_data["type"]), outcome)
    return leave(request, onwards(request, proposal))


def say(request: HttpRequest, proposal: Proposal, verdict: Verdict, outcome: lifecycle.Outcome) -> None:
    """Say in one line what was done, on the page that comes next; a signature that can be taken back is tagged so."""
    if outcome.held is not None:
        what = f"Signed: {DONE[verdict]}, and not settled yet: you can still take it back. {line_of(request, proposal)}"
        messages.success(request, what, extra_tags=f"{UNDO}{proposal.pk}")
        held.remember(request)
    elif outcome.signed:
        left = outcome.needed - outcome.signed
        more = "one more person has to sign it" if left == 1 else f"{left} more people have to sign it"
        messages.success(request, f"Signed by {outcome.signed} of {outcome.needed}: {more}. {line_of(request, proposal)}")
    elif outcome.decision is None:
        role = outcome.revision.role.name if outcome.revision and outcome.revision.role else "another role"
        messages.success(request, f"Your change needs {role}: it waits there now, and somebody else signs it.")
    else:
        messages.success(request, f"Signed: {DONE[verdict]}. {line_of(request, proposal)}")


def line_of(request: HttpRequest, proposal: Proposal) -> str:
    """Return what was asked as plain text, short, nothing in it hidden and what is not for this reader masked."""
    bare = "".join(bit.text for bit in asked(proposal))
    readable = "".join(piece for _, piece in eye.tokens(veil.of(request.user, [proposal]).text(bare)))
    return readable if len(readable) <= LONGEST else f"{readable[:LONGEST]}…"


def moved_on(request: HttpRequest, proposal: Proposal, error: Conflict, options: dict[str, Any]) -> HttpResponse:
    """Show who was first, in place of the form, or what changed, with the form to sign what it is now; nothing typed is lost.

    What changed is read where it stands: the whole page is drawn anew, and the choice and what was typed to confirm are made again.
    """
    changed = isinstance(error, ChangedSinceSeen) and proposal.state == State.PENDING
    typed = request.POST.copy()
    seen = typed.get("version", "")
    if changed:
        for name in ("type", "confirm", "read"):
            typed.pop(name, None)
        typed["digest"], typed["version"] = proposal.args_digest, str(proposal.version)
    form = DecisionForm(typed, proposal=proposal, quiet=True, **options)
    context = drawn(request, proposal, form=form)
    context |= {
        "moved_on": error,
        "changed": changed,
        "seen_version": seen,
        "since": dossier.since(proposal, number(request.POST.get("seen_entry"))),
    }
    if not changed:
        return part(request, PAGE, "#decision", context, status=409)
    answer = part(request, PAGE, "#item", context, status=409)
    answer["HX-Retarget"], answer["HX-Reswap"] = "#item", "outerHTML show:#moved-on:top"
    return answer


def not_yours(request: HttpRequest, proposal: Proposal, form: DecisionForm, error: NotAllowed) -> HttpResponse:
    """Say who may not sign and why; a fragment is no place for it, so htmx loads the page, where the form is shut."""
    if request.htmx:
        messages.error(request, error.detail)
        return leave(request, request.get_full_path())
    return page(request, PAGE, drawn(request, proposal, form=form), status=403)


def put(form: DecisionForm, error: CountersignError) -> None:
    """Put what the record refused where the form shows it."""
    if not isinstance(error, Invalid) or not error.errors:
        form.add_error(None, error.detail)
        return
    fields = {"draft": "text", "args": "args", "reason": "reason", "message": "message", "retry": "retry"}
    for problem in error.errors:
        first, _, rest = problem["pointer"].strip("/").partition("/")
        if first == "args" and rest and deciding.place(form, f"/{rest}", problem["detail"]):
            if IN_FIELDS not in form.errors.get("args", []):
                form.add_error("args", IN_FIELDS)
        else:
            form.add_error(fields.get(first), f"{rest.replace('/', '.')}: {problem['detail']}" if rest else problem["detail"])


def onwards(request: HttpRequest, proposal: Proposal) -> str:
    """Return the address of what to read after this one, as it was before it was signed; the inbox when nothing waits."""
    filters = inbox.Filters.of(request.GET)
    following = inbox.next_for(request.user, filters, proposal)
    url = reverse("reviews:proposal", args=[following.pk]) if following else reverse("reviews:inbox")
    return f"{url}?{filters.query}" if filters.query else url
