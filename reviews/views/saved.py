"""A person's own lists: the filters and the order of a URL, kept under a name."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from ..filters import Filters
from ..models import SavedView
from ..partials import SeeOther, fresh, leave

MOST = 40  # views of one person: the bar is for a glance


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest) -> HttpResponse:
    """Keep the list under a name, or forget one. A GET, as after signing in again, goes to the inbox."""
    home = reverse("reviews:inbox")
    if request.method != "POST":
        return fresh(SeeOther(home))
    query = Filters.of(QueryDict(request.POST.get("query", "")[:4000])).query
    if "forget" in request.POST:
        forget(request, request.POST["forget"])
    else:
        keep(request, " ".join(request.POST.get("name", "").replace("\0", "").split()), query)
    return leave(request, f"{home}?{query}" if query else home)


def keep(request: HttpRequest, name: str, query: str) -> None:
    """Keep one; a name that is taken already stands for the new list."""
    fields = SavedView._meta
    mine = SavedView.objects.filter(person=request.user)
    if not name or len(name) > (fields.get_field("name").max_length or 0):
        messages.error(request, "Give the list a name of at most 60 characters. Nothing was kept.")
    elif len(query) > (fields.get_field("query").max_length or 0):
        messages.error(request, "These filters are too long to be kept.")
    elif mine.exclude(name=name).count() >= MOST:
        messages.error(request, f"You keep {MOST} lists already. Forget one first.")
    else:
        SavedView.objects.update_or_create(person=request.user, name=name, defaults={"query": query})
        messages.success(request, "Kept: it stands above the list.")


def forget(request: HttpRequest, identifier: str) -> None:
    """Forget one of one's own; what is gone already is no trouble."""
    if identifier.isascii() and identifier.isdigit() and len(identifier) < 19:
        SavedView.objects.filter(person=request.user, pk=int(identifier)).delete()
    messages.success(request, "Forgotten.")
