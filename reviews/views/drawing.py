"""Everything the page of one proposal is made of."""

from typing import Any

from django.http import HttpRequest

from escalations.defaults import CATEGORIES
from escalations.models import Proposal
from escalations.states import Severity, State

from .. import deciding, dossier, inbox, veil
from ..forms import DecisionForm
from ..strip import Strip

PAGE = "reviews/proposal.html"


def drawn(request: HttpRequest, proposal: Proposal, *, form: DecisionForm | None = None, **extra: Any) -> dict[str, Any]:
    """Return everything the page is made of."""
    filters = inbox.Filters.of(request.GET)
    over = veil.of_one(request.user, proposal)
    veiled = over.hides(proposal.content)
    pending = proposal.state == State.PENDING
    read = dossier.dossier_of(proposal, request.user)
    panel = deciding.panel_of(proposal, form, reasons=read.category.reject_reasons if read.category else (), masked=veiled)
    return {
        "proposal": proposal,
        "veil": over,
        "veiled": veiled,
        "incident": proposal.incident,
        "d": read,
        "decision": dossier.decision_of(proposal) if not pending else None,
        "strip": Strip(proposal, read.holder, read.why_not, read.seen_entry, proposal.version, opening=request.method == "GET"),
        "form": form,
        "panel": panel,
        "typed": panel.typed,
        "filters": filters,
        "side": inbox.beside(request.user, filters, proposal, read.seen_entry),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        **extra,
    }
