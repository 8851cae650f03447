"""What is over: an incident's whole story, and what was decided."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from escalations.models import Source
from escalations.states import SETTLED

from .. import dossier, settled, story, veil
from ..access import incident_for
from ..inbox import Cursor
from ..partials import page, part


@require_GET
def incident(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show everything that happened to one incident, oldest first."""
    found = incident_for(request.user, pk)
    return page(
        request,
        "reviews/incident.html",
        {
            "incident": found,
            "veil": veil.of_incident(request.user, found),
            "story": story.story_of(found),
            "context": dossier.context_of(found.context),
            "payload": dossier.text(found.payload),
            "customer": dossier.text(found.customer),
        },
    )


@require_GET
def settled_list(request: HttpRequest) -> HttpResponse:
    """Show what was decided, newest first."""
    filters = settled.Filters.of(request.GET)
    rows, more = settled.listing(request.user, filters, Cursor.parse(request.GET.get("after", "")))
    for row in rows:
        row.not_acknowledged = settled.not_acknowledged(row)
    return part(
        request,
        "reviews/settled.html",
        "#listing",
        {
            "filters": filters,
            "veil": veil.of(request.user, rows),
            "rows": rows,
            "more": more,
            "states": sorted(SETTLED),
            "sources": list(Source.objects.order_by("name").values_list("name", flat=True)[:200]),
        },
    )
