"""What waits for a person: filters, one page of a queue at a constant cost, the capped count, what has arrived since."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q, QuerySet
from django.http import QueryDict

from escalations.models import AuditEntry, Person, Proposal, Role, Source
from escalations.states import TRIGGERS, Kind, Risk, Severity

from . import access

PAGE = 50
COUNTED = 500  # the count stops here: "500+" is as good as 81,402 to a person, and costs the same whatever waits
TWINS = 100  # newest incidents of a fingerprint that are looked through for pending twins
ARRIVING = ("proposal.routed", "proposal.stepped", "proposal.escalated", "proposal.handed_over")
LOOKED_BACK = 2_000  # audit entries looked through for arrivals

# What no list shows; args stay, for the sentence is made of them.
HEAVY = ("content", "description", "args_schema", "claims", "policy", "rules")
HEAVY_INCIDENT = ("incident__body", "incident__payload", "incident__context", "incident__raw", "incident__customer")


@dataclass(frozen=True)
class Filters:
    """What the URL asks for. Unknown values are dropped, so that an old link still shows a list."""

    role: str = ""
    kind: str = ""
    severity: str = ""
    risk: str = ""
    trigger: str = ""
    source: str = ""
    held: str = ""  # me, nobody
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        known = {
            "kind": Kind.values,
            "severity": Severity.values,
            "risk": Risk.values,
            "trigger": TRIGGERS,
            "held": ("me", "nobody"),
        }
        said = {one.name: query.get(one.name, "").replace("\0", "").strip()[:120] for one in fields(cls)}
        return cls(**{name: text for name, text in said.items() if name not in known or text in known[name]})

    @property
    def query(self) -> str:
        """Return the filters as a query string without the question mark; empty when nothing is filtered."""
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})

    def narrow(self, rows: QuerySet[Proposal], person: Person) -> QuerySet[Proposal]:
        """Return the rows the filters leave. The role is not applied here but by choosing the queue."""
        plain = {"kind": self.kind, "severity": self.severity, "risk": self.risk, "source__name": self.source}
        rows = rows.filter(**{name: text for name, text in plain.items() if text})
        if self.trigger:
            rows = rows.filter(triggers__contains=[{"name": self.trigger}])
        if self.q:
            rows = rows.filter(title__icontains=self.q)
        if self.held == "me":
            rows = rows.filter(claimed_by=person)
        return rows.filter(claimed_by=None) if self.held == "nobody" else rows


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: after the row with this due time and id. Parked rows have no due time and stand last."""

    due_at: datetime | None
    id: UUID

    def __str__(self) -> str:
        return f"{self.due_at.isoformat() if self.due_at else ''}_{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Return the cursor of a URL; None, which is the first page, for anything that is none."""
        due, _, identifier = text.rpartition("_")
        try:
            moment = datetime.fromisoformat(due) if due else None
            return cls(moment, UUID(identifier)) if moment is None or moment.tzinfo else None
        except ValueError:
            return None


@dataclass
class Listing:
    rows: list[Proposal]
    more: Cursor | None


def queues(person: Person, filters: Filters) -> list[QuerySet[Proposal]]:
    """Return one open queryset per queue this person reads; one for everything when that is theirs to see.

    Each is walked along its own index (role, due_at, id), so a small queue costs little beside a large one.
    """
    if access.sees_everything(person):
        rows = Proposal.objects.open()
        return [filters.narrow(rows.filter(role__name=filters.role) if filters.role else rows, person)]
    roles = [role for role in access.roles_of(person) if filters.role in ("", role.name)]
    return [filters.narrow(Proposal.objects.open().filter(role=role), person) for role in roles]


def _merged(parts: Sequence[QuerySet], size: int, *, ordered: bool = True) -> QuerySet:
    """Return the first rows of several sorted querysets as one query."""
    cut = [(rows.order_by("due_at", "id") if ordered else rows.order_by()).values("id", "due_at")[:size] for rows in parts]
    if len(cut) == 1:
        return cut[0]
    merged = cut[0].union(*cut[1:], all=True)
    return (merged.order_by("due_at", "id") if ordered else merged)[:size]


def listing(person: Person, filters: Filters, after: Cursor | None = None, size: int = PAGE) -> Listing:
    """Return one page, due soonest first. Two queries whatever waits."""
    parts = queues(person, filters)
    if after is not None and after.due_at is None:
        parts = [rows.filter(due_at=None, id__gt=after.id) for rows in parts]
    elif after is not None:
        behind = Q(due_at__gt=after.due_at) | Q(id__gt=after.id)
        parts = [part for rows in parts for part in (rows.filter(behind, due_at__gte=after.due_at), rows.filter(due_at=None))]
    if not parts:
        return Listing([], None)
    ids = [row["id"] for row in _merged(parts, size + 1)]
    # The state again: between the two queries a colleague may have signed one.
    found = (
        Proposal.objects.open()
        .filter(pk__in=ids[:size])
        .select_related("source", "role", "claimed_by", "incident")
        .defer(*HEAVY, *HEAVY_INCIDENT)
        .in_bulk()
    )
    rows = [found[pk] for pk in ids[:size] if pk in found]
    return Listing(rows, Cursor(rows[-1].due_at, rows[-1].pk) if len(ids) > size and rows else None)


def waiting(person: Person, filters: Filters | None = None) -> int:
    """Return how many wait, at most COUNTED + 1. One query."""
    parts = queues(person, filters or Filters())
    return _merged(parts, COUNTED + 1, ordered=False).count() if parts else 0


def said_count(number: int) -> str:
    return f"{COUNTED}+" if number > COUNTED else str(number)


def newest_entry() -> int:
    """Return the number of the last audit entry: what a page was drawn after. One index look-up."""
    return AuditEntry.objects.aggregate(newest=Max("id"))["newest"] or 0


def arrived(person: Person, filters: Filters, since: int) -> int:
    """Return how many proposals came into these queues after audit entry `since`. One query, bounded."""
    recent = AuditEntry.objects.filter(id__gt=since).order_by("id").values("action", "proposal_id")[:LOOKED_BACK]
    ids = {row["proposal_id"] for row in recent if row["action"] in ARRIVING}
    if not ids:
        return 0
    return sum(rows.filter(pk__in=ids).count() for rows in queues(person, filters))


def twins(proposals: Sequence[Proposal]) -> dict[tuple[int, str], int]:
    """Return how many pending proposals share each row's source and fingerprint, for those of which there are several.

    One query: for each distinct pair the newest TWINS incidents are looked through, so a storm costs no more than a drizzle.
    """
    pairs = sorted({(row.source_id, row.incident.fingerprint) for row in proposals if row.incident.fingerprint})
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(COUNT_TWINS, [[source for source, _ in pairs], [fingerprint for _, fingerprint in pairs], TWINS])
        return {(source, fingerprint): number for source, fingerprint, number in cursor.fetchall()}


# Walks the index incident_by_fingerprint once per pair; Django has no LATERAL, and fifty unions cost more to write than to run.
COUNT_TWINS = """
SELECT pair.source, pair.fingerprint, count(*)
FROM unnest(%s::bigint[], %s::text[]) AS pair(source, fingerprint)
CROSS JOIN LATERAL (
    SELECT id FROM escalations_incident
    WHERE source_id = pair.source AND fingerprint = pair.fingerprint AND NOT (fingerprint = '')
    ORDER BY id DESC LIMIT %s
) AS newest
JOIN escalations_proposal ON escalations_proposal.incident_id = newest.id AND escalations_proposal.state = 'pending'
GROUP BY 1, 2 HAVING count(*) > 1
"""


def next_for(person: Person, filters: Filters, not_this: UUID) -> Proposal | None:
    """Return what this person should read next: due soonest, held by nobody else, not asked by a service of their own."""
    for row in listing(person, filters, size=12).rows:
        if row.pk != not_this and row.claimed_by_id in (None, person.pk) and row.source.owner_id != person.pk:
            return row
    return None


def choices(person: Person) -> dict[str, list[str]]:
    """Return what the filters offer. Two queries at most."""
    names = sorted(role.name for role in access.roles_of(person))
    if access.sees_everything(person):
        names = list(Role.objects.order_by("name").values_list("name", flat=True))
    return {
        "roles": names,
        "sources": list(Source.objects.order_by("name").values_list("name", flat=True)[:200]),
        "kinds": list(Kind.values),
        "severities": list(Severity.values),
        "risks": list(reversed(Risk.values)),
        "triggers": list(TRIGGERS),
    }
