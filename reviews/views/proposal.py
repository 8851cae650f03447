"""The page of one proposal, and the same raw."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from .. import glances, veil
from ..access import Looking, proposal_for
from ..partials import leave, page, part
from ..raw import raw_of
from .drawing import PAGE, drawn
from .refilling import refilled
from .sign import sign


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the proposal; POST signs it, exactly as it was shown. Beside the list only the item is asked for."""
    try:
        proposal = proposal_for(request.user, pk)
    except Looking as looking:
        if request.method == "POST":
            messages.error(request, "Nothing was signed: you are giving an earlier revision a second look. Answer that first, or give it back.")
        return leave(request, reverse("reviews:second_look", args=[looking.look_id]))
    if request.method == "POST":
        return sign(request, proposal)
    context = drawn(request, proposal, **refilled(request, proposal))
    if request.method == "GET":
        glances.note(request.user, proposal, context["d"].length)
    if request.htmx and request.htmx.target == "item":
        return part(request, PAGE, "#item", context)
    return page(request, PAGE, context)


@require_safe
def raw(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show all that is kept of it as JSON; a page of its own, or what stands in the dialog."""
    proposal = proposal_for(request.user, pk)
    context = {"proposal": proposal, "raw": raw_of(proposal), "veil": veil.of_one(request.user, proposal)}
    return part(request, "reviews/raw.html", "#body", context)
