"""What waits for a person: one page of their queues at a constant cost, what stands beside an item, what comes next, the count,
what has arrived since."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q, QuerySet, Value
from django.db.models.fields.json import KT

from escalations.models import AuditEntry, Person, Proposal, Role, Source
from escalations.states import TRIGGERS, Kind, Risk, Severity, State

from . import access, runs, search, signers, veil
from . import lines as grouped
from .filters import Filters
from .order import DUE, PLACE, Cursor, order_of

PAGE = 40
BESIDE = 30  # rows of the list beside an item
ABOVE = 5  # of those, how many before the item itself
COUNTED = 500  # the count stops here: "500+" is as good as 81,402 to a person, and costs the same whatever waits
TWINS = 100  # newest incidents of a fingerprint that are looked through for pending twins
ARRIVING = ("proposal.routed", "proposal.stepped", "proposal.escalated", "proposal.handed_over")
LOOKED_BACK = 2_000  # audit entries looked through for arrivals

# What no list shows; args stay, for the sentence is made of them.
HEAVY = ("content", "description", "args_schema", "claims", "policy", "rules")
# What a row is made of; whoever draws more of it pays a query a row, and a test counts those.
SHOWN = (
    "source__name", "role__name", "incident__fingerprint", "test", "kind", "action", "args", "draft", "author", "title", "severity", "risk",
    "confidence", "triggers", "state", "step", "due_at", "parked_at", "routed_at",
    *(f"{who}__{name}" for who in ("claimed_by", "hold__person") for name in ("username", "first_name", "last_name")),
)
HEAVY_INCIDENT = ("incident__body", "incident__payload", "incident__context", "incident__raw", "incident__customer")


@dataclass
class Listing:
    """One page, its order, and where the next one begins: after a cursor, or among matches after so many."""

    rows: list[Proposal]
    more: Cursor | None = None
    skip: int = 0  # 0: nothing follows
    hits: search.Hits | None = None  # what was searched, and where it stands

    @property
    def onward(self) -> str:
        """Return the part of the URL that asks for the next page; empty on the last."""
        return f"after={self.more}".replace("+", "%2B") if self.more else f"skip={self.skip}" if self.skip else ""


def queues(person: Person, filters: Filters) -> list[QuerySet[Proposal]]:
    """Return one open queryset per queue this person reads; one for everything when that is theirs to see.

    Each is walked along its own index (role, place in the order, id), so a small queue costs little beside a large one.
    """
    rows = Proposal.objects.open().filter(filters.condition(person))
    if access.sees_everything(person):
        return [rows.filter(role__name=filters.role) if filters.role else rows]
    roles = [role for role in access.roles_of(person) if filters.role in ("", role.name)]
    return [rows.filter(role=role) for role in roles]


def _first(parts: Sequence[QuerySet], order: str, size: int) -> list[UUID]:
    """Return the ids of the first rows of several querysets in this order. One query, none without parts."""
    if not parts:
        return []
    cut = [_cut(rows, order, size) for rows in parts]
    merged = cut[0].union(*cut[1:], all=True).order_by("place", "id")[:size] if len(cut) > 1 else cut[0]
    return [row["id"] for row in merged]


def _cut(rows: QuerySet, order: str, size: int, *, above: bool = False) -> QuerySet:
    """Return id and place of the first rows of one queryset; of its last ones where they stand `above` something."""
    by = ("-place", "-id") if above else ("place", "id")
    return rows.annotate(place=PLACE[order], above=Value(above)).order_by(*by).values("id", "place", "above")[:size]


def _around(parts: Sequence[QuerySet], order: str, here: Cursor | None) -> list[UUID]:
    """Return the ids of the few rows before the cursor and of those from it on. One query, none without parts."""
    cut = [_cut(rows, order, ABOVE, above=True) for rows in (_before(parts, order, here) if here else ())]
    cut += [_cut(rows, order, BESIDE) for rows in _behind(parts, order, here, itself=True)]
    found = list(cut[0].union(*cut[1:], all=True)) if len(cut) > 1 else list(*cut)
    ids: dict[bool, list[UUID]] = {True: [], False: []}
    for row in sorted(found, key=lambda row: (row["place"] is None, row["place"] or 0, row["id"])):
        ids[row["above"]].append(row["id"])
    above = ids[True][-ABOVE:]
    return [*above, *ids[False][: BESIDE - len(above)]]


def _behind(parts: Sequence[QuerySet], order: str, after: Cursor | None, *, itself: bool = False) -> list[QuerySet]:
    """Return what stands after the cursor, or from it on, in as many parts as let each be walked along its index."""
    if after is None:
        return list(parts)
    beyond = Q(id__gte=after.id) if itself else Q(id__gt=after.id)
    spots = [rows.alias(spot=PLACE[order]) for rows in parts]
    parked = [rows.filter(spot=None) for rows in spots]  # the expression of the index, not the column it is made of
    if after.due_at is None:
        return [rows.filter(beyond) for rows in parked]
    later = Q(spot__gt=after.due_at) | beyond
    return [rows.filter(later, spot__gte=after.due_at) for rows in spots] + parked


def _before(parts: Sequence[QuerySet], order: str, at: Cursor) -> list[QuerySet]:
    """Return what stands before the cursor."""
    spots = [rows.alias(spot=PLACE[order]) for rows in parts]
    if at.due_at is None:
        return [rows.filter(spot=None, id__lt=at.id) for rows in spots] + [rows.filter(spot__isnull=False) for rows in spots]
    sooner = Q(spot__lt=at.due_at) | Q(id__lt=at.id)
    return [rows.filter(sooner, spot__lte=at.due_at) for rows in spots]


def place_of(pk: UUID, order: str) -> Cursor | None:
    """Return where a proposal stands in the order, or stood; None for one that never stood in a queue. One query."""
    row = Proposal.objects.filter(pk=pk, routed_at__isnull=False).annotate(place=PLACE[order]).values("place").first()
    return Cursor(row["place"], pk) if row else None


def rows_of(ids: Sequence[UUID], order: str) -> list[Proposal]:
    """Return the rows of these ids that are still open, in their order, without what no list shows. One query."""
    # The state again: since the ids were read a colleague may have signed one.
    found = (
        Proposal.objects.open()
        .filter(pk__in=ids)
        .annotate(place=PLACE[order], people=KT("policy__quorum"), yeses=signers.COUNTED)
        .select_related("source", "role", "claimed_by", "incident", "hold__person")
        .only(*SHOWN)
        .in_bulk()
    )
    rows = [found[pk] for pk in ids if pk in found]
    for row in rows:
        sign_of(row)
    return rows


def sign_of(row: Proposal) -> None:
    """Put on a row who has signed it already and may still take that back, as `signer`. No query where the hold was read along."""
    hold = getattr(row, "hold", None)
    row.signer = hold.person if hold else None


def listing(person: Person, filters: Filters, after: Cursor | None = None, size: int = PAGE, *, skip: int = 0) -> Listing:
    """Return one page in the order that is asked for, or the best matches of a search.

    Two queries whatever waits (see `_lines`), six with a search, and what the preferred order costs.
    """
    order = order_of(person, filters.order)
    parts = queues(person, filters)
    if filters.q:
        hits = search.hits(parts, filters.q, size, skip, place=PLACE[order])
        return Listing(rows_of(hits.ids, order), skip=skip + size if hits.more else 0, hits=hits)
    return _lines(parts, order, after, size)


def _lines(parts: Sequence[QuerySet[Proposal]], order: str, after: Cursor | None, size: int) -> Listing:
    """Return one page in which a group has one line, where its first stands.

    Two queries, one more behind the first page, and two for each further look where a storm leaves a page half empty.
    """
    lines: list[Proposal] = []
    seen: set[grouped.Group] = set()
    folded: list[grouped.Group] = []
    last = after
    for _ in range(grouped.ROUNDS):
        wanted = size - len(lines)
        ids = _first(_behind(grouped.without(parts, folded), order, last), order, wanted + 1)
        rows = rows_of(ids[:wanted], order)
        if after is not None:
            before = [*_before(parts, order, after), *(part.filter(pk=after.id) for part in parts)]
            seen |= grouped.shown_before(before, rows)
        found, more = grouped.fold(rows, seen)
        lines += found
        folded = list(dict.fromkeys([*folded, *more]))[: grouped.MOST_FOLDED]
        if rows:
            last = Cursor(rows[-1].place, rows[-1].pk)
        if len(ids) <= wanted or not rows:
            return Listing(lines)
        if len(lines) * 2 > size:
            break
    return Listing(lines, last)


@dataclass
class Side:
    """The list beside an item, a few rows before it and on from there. Nothing is read before a page draws it."""

    person: Person
    filters: Filters
    proposal: Proposal
    after: int | None = None  # the audit entry the page was drawn after, where it is known

    @property
    def asked(self) -> str:
        return self.filters.asked

    @cached_property
    def order(self) -> str:
        return order_of(self.person, self.filters.order)

    @cached_property
    def since(self) -> int:
        """Return the audit entry after which the list was drawn. One query, unless the page knows it."""
        return newest_entry() if self.after is None else self.after

    @cached_property
    def rows(self) -> list[Proposal]:
        """Return the rows, the item among them while it is open and the filters leave it.

        Three queries and one for the order by urgency; roles and preference aside.
        """
        self.since  # noqa: B018 - before the rows: what comes in between is announced rather than missed
        if self.filters.q:
            return listing(self.person, self.filters, size=BESIDE).rows
        parts = queues(self.person, self.filters)
        due = Cursor(self.proposal.due_at, self.proposal.pk)
        here = due if self.order == DUE else place_of(self.proposal.pk, self.order)
        return rows_of(_around(parts, self.order, here), self.order)

    @cached_property
    def twins(self) -> dict[tuple[int, str], int]:
        return twins(self.rows)

    @cached_property
    def veil(self) -> veil.Veil:
        """Return what hides in these rows what this person may not read; that the item was revealed reveals no other."""
        return veil.of(self.person, self.rows)

    @property
    def onward(self) -> str:
        """Return the part of the URL that goes on where these rows end."""
        return f"after={Cursor(self.rows[-1].place, self.rows[-1].pk)}".replace("+", "%2B") if len(self.rows) == BESIDE else ""


def beside(person: Person, filters: Filters, proposal: Proposal, after: int | None = None) -> Side:
    """Return the list in which this proposal stands, around it; `after` is the page's newest audit entry. No query until it is drawn."""
    return Side(person, filters, proposal, after)


def waiting(person: Person, filters: Filters | None = None) -> int:
    """Return how many wait, at most COUNTED + 1. One query."""
    parts = queues(person, filters or Filters())
    if not parts:
        return 0
    cut = [rows.order_by().values("id")[: COUNTED + 1] for rows in parts]
    return (cut[0].union(*cut[1:], all=True)[: COUNTED + 1] if len(cut) > 1 else cut[0]).count()


def said_count(number: int) -> str:
    return f"{COUNTED}+" if number > COUNTED else str(number)


def counts_of(person: Person) -> tuple[int, int]:
    """Return how many proposals and how many runs wait for this person, each at most COUNTED + 1. One query for the life of this
    object, which is one request: both stand round every page."""
    found: tuple[int, int] | None = getattr(person, "_waiting_in_this_request", None)
    if found is None:
        items, items_values = _counting(queues(person, Filters()))
        halted, halted_values = _counting([runs.waiting_for(person)])
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT ({items}), ({halted})", [*items_values, *halted_values])
            found = cursor.fetchone()
        person._waiting_in_this_request = found  # type: ignore[attr-defined]
    return found


def _counting(parts: Sequence[QuerySet]) -> tuple[str, list[Any]]:
    """Return the statement that counts these rows together, each part at most COUNTED + 1, and its values."""
    written = [rows.order_by().values("pk")[: COUNTED + 1].query.sql_with_params() for rows in parts]
    if not written:
        return "0", []
    rows = " UNION ALL ".join(f"({sql})" for sql, _ in written)
    return f"SELECT count(*) FROM ({rows}) AS waiting", [value for _, values in written for value in values]


def count_of(person: Person) -> str:
    """Return how many wait for this person, in words. One query a request, with `runs_of`."""
    return said_count(counts_of(person)[0])


def runs_of(person: Person) -> str:
    """Return how many runs wait for this person, in words; nothing for none. One query a request, with `count_of`."""
    number = counts_of(person)[1]
    return said_count(number) if number else ""


def waits_for(person: Person, proposal: Proposal) -> bool:
    """Say whether a proposal stands in a queue that this person reads. No query when the roles are known."""
    is_open = proposal.state == State.PENDING and proposal.routed_at is not None
    return is_open and (access.sees_everything(person) or proposal.role_id in {role.pk for role in access.roles_of(person)})


def newest_entry() -> int:
    """Return the number of the last audit entry: what a page was drawn after. One index look-up."""
    return AuditEntry.objects.aggregate(newest=Max("id"))["newest"] or 0


def arrived(person: Person, filters: Filters, since: int) -> int:
    """Return how many proposals came into these queues after audit entry `since`. One query, bounded."""
    recent = AuditEntry.objects.filter(id__gt=since).order_by("id").values("action", "proposal_id")[:LOOKED_BACK]
    ids = {row["proposal_id"] for row in recent if row["action"] in ARRIVING}
    if not ids:
        return 0
    parts = [rows.filter(pk__in=ids) for rows in queues(person, filters)]
    if filters.q:
        return len(search.hits(parts, filters.q, COUNTED, told=False).ids)
    return sum(rows.count() for rows in parts)


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


def next_for(person: Person, filters: Filters, done: Proposal) -> Proposal | None:
    """Return what this person should read next: what follows in the list they work through, else its first.

    `done` is as it was read before it was signed: what is settled stands nowhere any more. Left out is what somebody else holds, what
    has a signature already, what this person has signed and others have to sign too, and what is their own. Three queries, roles and
    preference aside.
    """
    order = order_of(person, filters.order)
    free = Q(claimed_by=None) | Q(claimed_by=person)
    parts = [
        signers.unsigned_by(rows.free().filter(free).exclude(pk=done.pk), person)
        .exclude(source__owner=person).exclude(author_person=person)
        for rows in queues(person, filters)
    ]
    if filters.q:
        ids = search.hits(parts, filters.q, 1, place=PLACE[order]).ids
    else:
        ids = _first(_behind(parts, order, Cursor.of(done, order)), order, 1) or _first(parts, order, 1)
    return Proposal.objects.filter(pk__in=ids).first()


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
