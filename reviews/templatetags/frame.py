"""What stands round every page: where one can go from here."""

from dataclasses import dataclass

from django import template
from django.urls import reverse

from escalations.models import Incident

from .. import access, inbox

register = template.Library()


@dataclass(frozen=True)
class Place:
    """One entry of the navigation: its name, its address, the letter that goes there after "g", whether one is there."""

    label: str
    url: str
    go: str
    here: bool
    counted: bool = False
    waiting: str = ""  # how many wait there for this person; the inbox counts by itself


PLACES = [
    # label, URL name, letter, names of the views that belong to it
    ("Inbox", "reviews:inbox", "i", {"inbox", "proposal", "group"}),
    ("Settled", "reviews:settled", "s", {"settled", "incident", "outcome", "feedback"}),
    ("Runs", "reviews:runs", "r", {"runs", "run", "run_replay", "run_acts", "stop_runs"}),
    ("Desk", "reviews:desk", "d", {"desk", "agreement"}),
    ("Lanes", "reviews:autonomy", "l", {"autonomy", "lane", "lane_grant", "lane_withdraw", "lane_target"}),
    ("Weekly", "reviews:weekly", "w", {"weekly", "weekly_review", "weekly_acts"}),
    ("You", "reviews:you", "y", {"you", "tokens", "second", "second_look", "known_answers"}),
]
OVERSEERS = frozenset({"Desk", "Lanes"})  # for managers, auditors and administrators


@register.simple_tag(takes_context=True)
def places(context: template.Context) -> list[Place]:
    """Return where this person can go, in order. Two queries: the roles, which others reuse, and what waits."""
    user, request = context["user"], context["request"]
    match = getattr(request, "resolver_match", None)
    name = match.url_name if match and match.namespace == "reviews" else ""
    found = []
    for label, view, go, views in PLACES:
        if label in OVERSEERS and not access.sees_everything(user):
            continue
        waiting = inbox.runs_of(user) if label == "Runs" else ""
        found.append(Place(label, reverse(view), go, name in views, label == "Inbox", waiting))
    if user.is_staff:
        found.append(Place("Admin", reverse("admin:index"), "a", match is not None and match.namespace == "admin"))
    return found


EXAMPLE = """printf 'Key: ' && read -r KEY && curl -sS -X POST '{address}/api/v1/incidents' \\
  -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"kind": "action", "title": "Refund $250 for order 1182",
       "proposal": {{"action": "refund", "args": {{"order": 1182, "amount": 250}}}}}}'"""


@register.simple_tag(takes_context=True)
def example_curl(context: template.Context) -> str:
    """Return one command that works as pasted into a POSIX shell, and asks for the key itself."""
    request = context["request"]
    return EXAMPLE.format(address=f"{request.scheme}://{request.get_host()}")


@register.simple_tag
def nothing_ever_came() -> bool:
    """Say whether no source has ever asked anything. One query."""
    return not Incident.objects.exists()
