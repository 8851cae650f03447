"""Who signed, taken out of our own sentences: what settles by itself says in its reason by whose signature it may."""

import json
import re
from collections.abc import Callable

from escalations.models import AuditEntry, LaneGrant, Person


def names() -> set[str]:
    """Return the names of everybody with an account, and those under which lanes were granted, whatever these people are called now.
    Three queries."""
    known = {name for person in Person.objects.only("username", "first_name", "last_name") for name in (person.name, person.username)}
    lanes = LaneGrant.objects.order_by().values_list("lane_id", flat=True).distinct()
    granted = AuditEntry.objects.filter(action="lane.granted", subject__in=[f"Lane {pk}" for pk in lanes])
    known |= {str(json.loads(body)["actor"]["name"]) for body in granted.values_list("body", flat=True)}
    return {name for name in known if name.strip()}


def left_out(known: set[str]) -> Callable[[str], str]:
    """Return what puts <PERSON_1>, <PERSON_2> in the place of these names wherever they stand as whole words. Pure."""
    if not known:
        return str
    longest_first = sorted(known, key=lambda name: (-len(name), name))
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def without(text: str) -> str:
        met: dict[str, str] = {}
        return pattern.sub(lambda found: met.setdefault(found.group(), f"<PERSON_{len(met) + 1}>"), text)

    return without
