"""Read one proposal, and sign it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from escalations import lifecycle
from escalations.defaults import CATEGORIES
from escalations.errors import AlreadySettled, ChangedSinceSeen, Conflict, CountersignError, Invalid, NotAllowed
from escalations.models import Proposal, Role
from escalations.states import Severity, State, Verdict

from .. import dossier, inbox, values
from ..access import proposal_for
from ..forms import DecisionForm, needs_confirming
from ..partials import leave, page, part
from ..sentences import is_acknowledgement
from .inbox import number

PAGE = "reviews/proposal.html"
DONE = {
    Verdict.APPROVE: "approved",
    Verdict.EDIT: "approved with your changes",
    Verdict.REJECT: "rejected",
    Verdict.RESPOND: "answered",
}


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the proposal; POST signs it, exactly as it was shown."""
    proposal = proposal_for(request.user, pk)
    if request.method != "POST":
        return page(request, PAGE, drawn(request, proposal))
    form = DecisionForm(request.POST, proposal=proposal)
    if proposal.state != State.PENDING:
        return moved_on(request, proposal, form, AlreadySettled())
    if not form.is_valid():
        return part(request, PAGE, "#decision", drawn(request, proposal, form=form), status=422)
    try:
        outcome = lifecycle.decide(proposal.pk, person=request.user, **form.signature())
    except Conflict as error:
        return moved_on(request, proposal_for(request.user, pk), form, error)
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
    return leave(request, onwards(request, pk))


def drawn(request: HttpRequest, proposal: Proposal, *, form: DecisionForm | None = None, **extra: Any) -> dict[str, Any]:
    """Return everything the page is made of."""
    return {
        "proposal": proposal,
        "incident": proposal.incident,
        "d": dossier.dossier_of(proposal, request.user),
        "decision": dossier.decision_of(proposal) if proposal.state != State.PENDING else None,
        "form": form,
        "typed": typed(proposal, form),
        "must_confirm": needs_confirming(proposal),
        "filters": inbox.Filters.of(request.GET),
        "roles": Role.objects.order_by("name"),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        **extra,
    }


def typed(proposal: Proposal, form: DecisionForm | None) -> dict[str, Any]:
    """Return what stands in the fields: what was typed, or what there is to edit."""
    if form is not None:
        return {name: form.data.get(name, "") for name in form.fields}
    draft = proposal.draft or {}
    args = proposal.args if is_acknowledgement(proposal) and proposal.args else {}
    return {
        "type": "",
        "digest": proposal.args_digest,
        "version": proposal.version,
        "args": values.editable(proposal.args if proposal.args is not None else {}),
        "to": draft.get("to") or "",
        "subject": draft.get("subject") or "",
        "text": draft.get("body") or "",
        "severity": args.get("severity", ""),
        "category": args.get("category", ""),
    }


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
