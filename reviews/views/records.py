"""What is over: an incident's whole story, what was decided, and that as a file."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from escalations.models import Incident, Source
from escalations.states import SETTLED

from .. import dossier, export, feedback, glances, settled, story, veil
from ..access import Looking, incident_for, sees_everything
from ..feedback import OutcomeForm
from ..order import Cursor
from ..partials import leave, page, part
from ..run_page import run_of
from .inbox import number


@require_GET
def incident(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show everything that happened to one incident, oldest first."""
    try:
        found = incident_for(request.user, pk)
    except Looking as looking:
        return leave(request, reverse("reviews:second_look", args=[looking.look_id]))
    return drawn(request, found)


def drawn(request: HttpRequest, found: Incident, form: OutcomeForm | None = None, *, status: int = 200) -> HttpResponse:
    """Return the story, with what was typed about what came of it and was not taken."""
    told = story.story_of(found)
    over = [one for one in told.proposals if one.settled_at]
    if request.method == "GET" and over:  # who has read how it ended is not asked for a second look at it
        glances.note(request.user, over[-1], 0)
    return page(
        request,
        "reviews/incident.html",
        {
            "incident": found,
            "run": run_of(found, request.user),
            "veil": veil.of_incident(request.user, found),
            "story": told,
            "overseer": sees_everything(request.user),
            "was_decided": any(hasattr(one, "decision") for one in told.proposals),
            "outcomes": feedback.of_incident(found),
            "form": form or OutcomeForm(),
            "context": dossier.context_of(found.context),
            "payload": dossier.text(found.payload),
            "customer": dossier.text(found.customer),
        },
        status=status,
    )


@require_GET
def settled_list(request: HttpRequest) -> HttpResponse:
    """Show what was decided, newest first, or what a search found of it, best first."""
    filters = settled.Filters.of(request.GET)
    listing = settled.listing(
        request.user, filters, Cursor.parse(request.GET.get("after", "")), number(request.GET.get("skip"))
    )
    for row in listing.rows:
        row.not_acknowledged = settled.not_acknowledged(row)
    return part(
        request,
        "reviews/settled.html",
        "#listing",
        {
            "filters": filters,
            "overseer": sees_everything(request.user),
            "listing": listing,
            "rows": listing.rows,
            "asked": listing.hits.asked if listing.hits else None,
            "veil": veil.of(request.user, listing.rows),
            "states": sorted(SETTLED),
            "sources": list(Source.objects.order_by("name").values_list("name", flat=True)[:200]),
        },
    )


@require_POST
def settled_file(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Send what the page lists as a file, all pages of it. A POST, for it leaves an entry in the audit chain."""
    form = request.POST.get("format", "")
    if form not in export.TYPES:
        return HttpResponseBadRequest("format is csv or jsonl")
    return export.answer(request, settled.Filters.of(request.POST), form)
