"""One's own signatures that can still be taken back."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from escalations import lifecycle
from escalations.errors import CountersignError
from escalations.models import Hold

from .. import held
from ..partials import SeeOther, fresh, leave, page


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show the strip of them as it is now; POST takes back every one that still can be."""
    if request.method == "POST":
        return undo_all(request)
    if not request.htmx:
        return fresh(SeeOther(reverse("reviews:inbox")))
    return page(request, "reviews/undo.html", {"on": proposal_id(request.GET.get("on", ""))})


def proposal_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def undo_all(request: HttpRequest) -> HttpResponse:
    """Take back all; what settled meanwhile is counted, and does not hold up the others. One transaction each."""
    undone = late = 0
    for pk in list(Hold.objects.filter(person=request.user).values_list("pk", flat=True)[: held.MOST]):
        try:
            lifecycle.undo(pk, person=request.user)
        except CountersignError:
            late += 1
        else:
            undone += 1
            held.forget(request, pk)
    messages.success(request, f"Taken back: {undone}. Nothing of these was settled, and nothing has left.")
    if late:
        messages.warning(request, f"Too late for {late}: already settled, or fallen.")
    return leave(request, reverse("reviews:inbox"))
