"""Everything the page of one proposal is made of."""

from typing import Any

from django.http import HttpRequest

from escalations.defaults import CATEGORIES
from escalations.models import Proposal, Role
from escalations.states import Severity, State

from .. import deciding, dossier, inbox, veil
from ..forms import DecisionForm

PAGE = "reviews/proposal.html"


def drawn(request: HttpRequest, proposal: Proposal, *, form: DecisionForm | None = None, **extra: Any) -> dict[str, Any]:
    """Return everything the page is made of."""
    over = veil.of_one(request.user, proposal)
    veiled = over.hides(proposal.content)
    pending = proposal.state == State.PENDING
    panel = deciding.panel_of(proposal, form, reasons=deciding.reasons_of(proposal) if pending else (), masked=veiled)
    return {
        "proposal": proposal,
        "veil": over,
        "veiled": veiled,
        "incident": proposal.incident,
        "d": dossier.dossier_of(proposal, request.user),
        "decision": dossier.decision_of(proposal) if not pending else None,
        "form": form,
        "panel": panel,
        "typed": panel.typed,
        "filters": inbox.Filters.of(request.GET),
        "roles": Role.objects.order_by("name"),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        **extra,
    }
