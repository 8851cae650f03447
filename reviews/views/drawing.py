"""Everything the page of one proposal is made of."""

from typing import Any

from django.http import HttpRequest

from escalations.defaults import CATEGORIES
from escalations.models import Proposal, Role
from escalations.states import Severity, State

from .. import dossier, inbox, values, veil
from ..forms import DecisionForm, needs_confirming
from ..sentences import is_acknowledgement

PAGE = "reviews/proposal.html"


def drawn(request: HttpRequest, proposal: Proposal, *, form: DecisionForm | None = None, **extra: Any) -> dict[str, Any]:
    """Return everything the page is made of."""
    over = veil.of_one(request.user, proposal)
    veiled = over.hides(proposal.content)
    return {
        "proposal": proposal,
        "veil": over,
        "veiled": veiled,
        "incident": proposal.incident,
        "d": dossier.dossier_of(proposal, request.user),
        "decision": dossier.decision_of(proposal) if proposal.state != State.PENDING else None,
        "form": form,
        "typed": typed(proposal, form, veiled=veiled),
        "must_confirm": needs_confirming(proposal),
        "filters": inbox.Filters.of(request.GET),
        "roles": Role.objects.order_by("name"),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        **extra,
    }


def typed(proposal: Proposal, form: DecisionForm | None, *, veiled: bool = False) -> dict[str, Any]:
    """Return what stands in the fields: what was typed, or what there is to edit, which is nothing while it may not be read."""
    if form is not None:
        return {name: form.data.get(name, "") for name in form.fields}
    if veiled:
        return {"type": "", "digest": proposal.args_digest, "version": proposal.version}
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
