"""Lanes: what the machine could do alone, on which evidence; managers grant it and end it, auditors and administrators read along."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from .. import access
from ..partials import page

LIST, LANE = "reviews/autonomy.html", "reviews/lane.html"


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """List the lanes, those that act alone first."""
    _check(request)
    return page(request, LIST, {})


@require_GET
def lane(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one lane with its evidence."""
    _check(request)
    raise Http404


@require_POST
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign that a lane may act alone."""
    raise Http404


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """End a grant: people decide everything again."""
    raise Http404


@require_POST
def target(request: HttpRequest, pk: int) -> HttpResponse:
    """Say how many errors would be allowed in a lane."""
    raise Http404


def _check(request: HttpRequest) -> None:
    if not access.sees_everything(request.user):
        raise Http404
