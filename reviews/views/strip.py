"""The strip of an open page, asked for when something changed: it says so, and touches nothing else."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from .. import inbox
from ..access import proposal_for
from ..partials import page
from ..strip import strip_of
from .inbox import number


@require_GET
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the strip as it is now, for a page drawn after entry `seen` with that version."""
    return answer(request, pk, number(request.GET.get("seen")), number(request.GET.get("version")))


def drawn_with(request: HttpRequest) -> tuple[int, int]:
    """Return the audit entry and the version that the page was drawn with whose strip was posted."""
    return number(request.POST.get("seen")), number(request.POST.get("drawn_version"))


def answer(request: HttpRequest, pk: UUID, seen: int, version: int, error: str = "", status: int = 200) -> HttpResponse:
    """Return the strip by itself, with why something was not done if that is so."""
    proposal = proposal_for(request.user, pk)
    context = {
        "strip": strip_of(request.user, proposal, seen, version),
        "filters": inbox.Filters.of(request.GET),
        "error": error,
    }
    return page(request, "reviews/strip.html", context, status=status)
