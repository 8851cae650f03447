"""Sign one proposal, exactly as it was shown."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from escalations import lifecycle
from escalations.errors import AlreadySettled, ChangedSinceSeen, Conflict, CountersignError, Invalid, NotAllowed
from escalations.models import Proposal
from escalations.states import State, Verdict

from .. import dossier, inbox
from ..access import proposal_for
from ..forms import DecisionForm
from ..partials import leave, page, part
from .drawing import PAGE, drawn
from .inbox import number

DONE = {
    Verdict.APPROVE: "approved",
    Verdict.EDIT: "approved with your changes",
    Verdict.REJECT: "rejected",
    Verdict.RESPOND: "answered",
}


def sign(request: HttpRequest, proposal: Proposal) -> HttpResponse:
    """Sign what the form says, or show it again with why not."""
    form = DecisionForm(request.POST, proposal=proposal)
    if proposal.state != State.PENDING:
        return moved_on(request, proposal, form, AlreadySettled())
    if not form.is_valid():
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form), status=422)
    try:
        outcome = lifecycle.decide(proposal.pk, person=request.user, **form.signature())
    except Conflict as error:
        return moved_on(request, proposal_for(request.user, proposal.pk), form, error)
    except NotAllowed as error:
        return not_yours(request, proposal, form, error)
    except CountersignError as error:
        put(form, error)
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form), status=422)
    if outcome.decision is None:
        role = outcome.revision.role.name if outcome.revision and outcome.revision.role else "another role"
        messages.success(request, f"Your change needs {role}: it waits there now, and somebody else signs it.")
    else:
        messages.success(request, f"Signed: {DONE[outcome.decision.type]}.")
    return leave(request, onwards(request, proposal.pk))


def moved_on(request: HttpRequest, proposal: Proposal, form: DecisionForm, error: Conflict) -> HttpResponse:
    """Show who was first or what changed, in place of the form; nothing that was typed is lost."""
    context = drawn(request, proposal, form=form)
    context |= {
        "moved_on": error,
        "changed": isinstance(error, ChangedSinceSeen),
        "since": dossier.since(proposal, number(request.POST.get("seen_entry"))),
    }
    return part(request, PAGE, "#decision", context, status=409)


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
        form.add_error(fields.get(first), f"{rest.replace('/', '.')}: {problem['detail']}" if rest else problem["detail"])


def onwards(request: HttpRequest, pk: UUID) -> str:
    """Return the address of what to read next, keeping the filters; the inbox when nothing waits."""
    filters = inbox.Filters.of(request.GET)
    following = inbox.next_for(request.user, filters, pk)
    url = reverse("reviews:proposal", args=[following.pk]) if following else reverse("reviews:inbox")
    return f"{url}?{filters.query}" if filters.query else url
