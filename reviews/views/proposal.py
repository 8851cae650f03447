"""The page of one proposal."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ..access import proposal_for
from ..partials import page
from .drawing import PAGE, drawn
from .sign import sign


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the proposal; POST signs it, exactly as it was shown."""
    proposal = proposal_for(request.user, pk)
    if request.method == "POST":
        return sign(request, proposal)
    return page(request, PAGE, drawn(request, proposal))
