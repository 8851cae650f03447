"""One line for a group: of pending proposals with one source and fingerprint the list shows the first, and how many it stands for."""

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from escalations.models import Proposal

ROUNDS = 4  # how often a page looks further when a storm fills it
MOST_FOLDED = 8  # groups left out of a further look
LOOKED_THROUGH = 20_000  # newest incidents of a group that are left out of a further look
REMEMBERED = 500  # newest incidents of a group in which a later page looks for a line an earlier one has

Group = tuple[int, str]  # source and fingerprint

# Walks the index incident_by_fingerprint once per pair, as the count of twins does.
OF_GROUPS = """
SELECT newest.id FROM unnest(%s::bigint[], %s::text[]) AS pair(source, fingerprint)
CROSS JOIN LATERAL (
    SELECT id FROM escalations_incident
    WHERE source_id = pair.source AND fingerprint = pair.fingerprint AND NOT (fingerprint = '')
    ORDER BY id DESC LIMIT %s
) AS newest
"""


def group_of(row: Proposal) -> Group | None:
    """Return the group of a row; None for one that stands for itself alone. No query: the row comes with its incident."""
    fingerprint = row.incident.fingerprint
    return (row.source_id, fingerprint) if fingerprint else None


def fold(rows: Iterable[Proposal], seen: set[Group]) -> tuple[list[Proposal], list[Group]]:
    """Return the first row of each group that was not `seen`, and the groups of which rows were folded, the most first.

    What is returned counts as seen from then on.
    """
    lines, folded = [], Counter[Group]()
    for row in rows:
        group = group_of(row)
        if group is None or group not in seen:
            lines.append(row)
        else:
            folded[group] += 1
        if group is not None:
            seen.add(group)
    return lines, [group for group, _ in folded.most_common(MOST_FOLDED)]


def without(parts: Sequence[QuerySet[Proposal]], groups: Sequence[Group]) -> list[QuerySet[Proposal]]:
    """Leave these groups out. The database makes one table of their incidents and looks each row up in it."""
    return [rows.exclude(incident__in=_incidents(groups, LOOKED_THROUGH)) for rows in parts] if groups else list(parts)


def shown_before(before: Sequence[QuerySet[Proposal]], rows: Iterable[Proposal]) -> set[Group]:
    """Return those groups of the rows that have a line on an earlier page: a member in what stands `before`. One query at most."""
    groups = sorted({group for row in rows if (group := group_of(row))})
    if not groups or not before:
        return set()
    found = [
        part.filter(incident__in=_incidents(groups, REMEMBERED)).order_by().values_list("source_id", "incident__fingerprint")
        for part in before
    ]
    return set(found[0].union(*found[1:])) if len(found) > 1 else set(found[0].distinct())


def _incidents(groups: Sequence[Group], most: int) -> RawSQL:
    return RawSQL(OF_GROUPS, [[source for source, _ in groups], [fingerprint for _, fingerprint in groups], most])
