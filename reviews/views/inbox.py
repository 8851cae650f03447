"""The inbox, and what has arrived in it since it was drawn."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from .. import access, inbox, veil
from ..partials import fresh, page, part

PAGE = "reviews/inbox.html"


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Show what waits for this person, due soonest first."""
    filters = inbox.Filters.of(request.GET)
    drawn_after = inbox.newest_entry()
    listing = inbox.listing(request.user, filters, inbox.Cursor.parse(request.GET.get("after", "")))
    return part(
        request,
        PAGE,
        "#listing",
        {
            "filters": filters,
            "veil": veil.of(request.user, listing.rows),
            "rows": listing.rows,
            "more": listing.more,
            "twins": inbox.twins(listing.rows),
            "choices": inbox.choices(request.user),
            "may_decide": access.decides_somewhere(request.user),
            "since": drawn_after,
            "first_page": "after" not in request.GET,
        },
    )


@require_GET
def arrivals(request: HttpRequest) -> HttpResponse:
    """Say how many have arrived since the list was drawn; 204 while that number is what the page says already."""
    filters = inbox.Filters.of(request.GET)
    since, told = number(request.GET.get("since")), number(request.GET.get("told"))
    arrived = inbox.arrived(request.user, filters, since)
    if arrived == told:
        return fresh(HttpResponse(status=204))
    return page(
        request,
        "reviews/arrivals.html",
        {
            "arrived": arrived,
            "since": since,
            "filters": filters,
            "count": inbox.said_count(inbox.waiting(request.user)),
        },
    )


def number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
