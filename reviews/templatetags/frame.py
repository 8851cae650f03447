"""What stands round every page: where one can go from here."""

from dataclasses import dataclass

from django import template
from django.urls import NoReverseMatch, reverse

from .. import access

register = template.Library()


@dataclass(frozen=True)
class Place:
    """One entry of the navigation: its name, its address, the letter that goes there after "g", whether one is there."""

    label: str
    url: str
    go: str
    here: bool
    counted: bool = False


PLACES = [
    # label, URL name, letter, names of the views that belong to it
    ("Inbox", "reviews:inbox", "i", {"inbox", "proposal", "group"}),
    ("Settled", "reviews:settled", "s", {"settled", "incident"}),
    ("Desk", "reviews:desk", "d", {"desk"}),
    ("You", "reviews:you", "y", {"you", "tokens"}),
]


@register.simple_tag(takes_context=True)
def places(context: template.Context) -> list[Place]:
    """Return where this person can go, in order. No query but that of the roles, which the page has read already."""
    user, request = context["user"], context["request"]
    match = getattr(request, "resolver_match", None)
    name = match.url_name if match and match.namespace == "reviews" else ""
    found = []
    for label, view, go, views in PLACES:
        if label == "Desk" and not access.sees_everything(user):
            continue
        url = _address(view)
        if url:
            found.append(Place(label, url, go, name in views, label == "Inbox"))
    if user.is_staff:
        found.append(Place("Admin", reverse("admin:index"), "a", False))
    return found


def _address(view: str) -> str:
    try:
        return reverse(view)
    except NoReverseMatch:
        return reverse("reviews:tokens") if view == "reviews:you" else ""
