"""The inbox, one row of it, and what has arrived in it since it was drawn."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET
from django_htmx.http import push_url, replace_url

from .. import access, inbox, order, second_looks, signers, veil
from ..models import SavedView
from ..partials import fresh, page, part

PAGE = "reviews/inbox.html"


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Show what waits for this person, in the order and narrowed as the URL says."""
    filters = inbox.Filters.of(request.GET)
    by = order.order_of(request.user, filters.order)
    drawn_after = inbox.newest_entry()
    skip = min(number(request.GET.get("skip")), inbox.COUNTED)
    listing = inbox.listing(request.user, filters, order.Cursor.parse(request.GET.get("after", "")), skip=skip)
    answer = part(
        request,
        PAGE,
        "#listing",
        {
            **room_of_rows(filters, by),
            "veil": veil.of(request.user, listing.rows),
            "listing": listing,
            "hits": listing.hits,
            "rows": listing.rows,
            "more": listing.more,
            "twins": inbox.twins(listing.rows),
            "choices": inbox.choices(request.user),
            "views": list(SavedView.objects.filter(person=request.user)),
            "may_decide": access.decides_somewhere(request.user),
            "second_looks": 0 if request.htmx else len(second_looks.listed(request.user)),
            "since": drawn_after,
            "first_page": not skip and "after" not in request.GET,
        },
    )
    if not request.htmx:
        return answer
    # A form sends its empty fields too: the address bar shows what is asked for and no more, and nothing twice.
    here = f"{request.path}{filters.asked}"
    return (replace_url if request.htmx.current_url_abs_path == here else push_url)(answer, here)


def room_of_rows(filters: inbox.Filters, by: str) -> dict[str, object]:
    """Return what every row is drawn with."""
    return {
        "filters": filters,
        "asked": filters.asked,
        "order": by,
        "home": reverse("reviews:inbox"),
        "group_url": reverse("reviews:group"),
        "elsewhere": False,
        "hits": None,
    }


@require_GET
def row(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one row as it is now, in its place: claimed, signed by a colleague, gone elsewhere."""
    filters = inbox.Filters.of(request.GET)
    template = "reviews/side_row.html" if "side" in request.GET else "reviews/row.html"
    context = {**room_of_rows(filters, order.order_of(request.user, filters.order)), "pk": pk}
    try:
        found = access.proposal_for(request.user, pk)
    except Http404:
        return page(request, "reviews/row_gone.html", context)
    inbox.sign_of(found)
    signers.count_on(found)
    context |= {
        "row": found,
        "twins": inbox.twins([found]),
        "veil": veil.of(request.user, [found]),
        "may_decide": access.decides_somewhere(request.user),
        "elsewhere": not inbox.waits_for(request.user, found),
    }
    return page(request, template, context)


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
            "filters": filters,
            "beside": "beside" in request.GET,
            "count": inbox.count_of(request.user),
        },
    )


def number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
