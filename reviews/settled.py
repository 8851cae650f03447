"""What was decided: newest first, filtered and searched by the URL, at a constant cost."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.http import QueryDict

from escalations.models import Person, Proposal
from escalations.states import SETTLED

from . import access, search
from .inbox import HEAVY, HEAVY_INCIDENT
from .order import Cursor
from .sentences import Bit

PAGE = 50
FARTHEST = 5_000  # matches of a search that can be turned over, page by page


@dataclass(frozen=True)
class Filters:
    state: str = ""
    source: str = ""
    by: str = ""  # me, person, policy, clock
    open: str = ""  # "yes": decided, but not acknowledged
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        known = {"state": SETTLED, "by": ("me", "person", "policy", "clock"), "open": ("yes",)}
        said = {one.name: query.get(one.name, "").replace("\0", "").strip()[:120] for one in fields(cls)}
        return cls(**{name: text for name, text in said.items() if name not in known or text in known[name]})

    @property
    def query(self) -> str:
        return urlencode(self.said)

    @property
    def said(self) -> dict[str, str]:
        """Return what is filtered by, without what is not."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}


@dataclass
class Listing:
    """One page, and the part of the URL that asks for the next; `hits` when it was searched for."""

    rows: list[Proposal]
    onward: str = ""
    hits: search.Hits | None = None
    snippets: dict[UUID, list[Bit]] = field(default_factory=dict)


def lists(person: Person, filters: Filters) -> list[QuerySet[Proposal]]:
    """Return what was settled of what this person may read, as filtered but not yet searched; see `access.settled_for`."""
    plain = {"state": filters.state, "source__name": filters.source}
    wanted = Q(**{name: text for name, text in plain.items() if text})
    if filters.by == "me":
        wanted &= Q(decision__person=person)
    elif filters.by:
        wanted &= Q(decision__by_kind=filters.by)
    if filters.open:
        wanted &= Q(decision__args_digest__isnull=False, decision__acknowledgement=None)
    return [rows.filter(wanted) for rows in access.settled_for(person)]


def first(parts: list[QuerySet[Proposal]], cursor: Cursor | None, size: int) -> list[tuple[datetime, UUID]]:
    """Return when the newest of several lists were settled, and which they are. One query, none without lists."""
    firsts = [after(rows, cursor).values_list("settled_at", "pk")[:size] for rows in parts]
    if len(firsts) > 1:
        firsts = [firsts[0].union(*firsts[1:], all=True).order_by("-settled_at", "-pk")[:size]]
    return [pair for one in firsts for pair in one]


def after(rows: QuerySet[Proposal], cursor: Cursor | None) -> QuerySet[Proposal]:
    """Return the rows behind a cursor, newest first."""
    if cursor is not None and cursor.due_at is not None:
        rows = rows.filter(Q(settled_at__lt=cursor.due_at) | Q(id__lt=cursor.id), settled_at__lte=cursor.due_at)
    return rows.order_by("-settled_at", "-id")


def whole(rows: QuerySet[Proposal]) -> QuerySet[Proposal]:
    """Return the rows with all that a list says of them."""
    return rows.select_related("source", "incident", "decision__acknowledgement").defer(*HEAVY, *HEAVY_INCIDENT)


def listing(person: Person, filters: Filters, cursor: Cursor | None = None, skip: int = 0) -> Listing:
    """Return one page. Three queries: the person's roles, which rows, and the rows; a search costs three more at most."""
    parts = lists(person, filters)
    if filters.q:
        hits = search.hits(parts, filters.q, PAGE, min(skip, FARTHEST), place=F("settled_at"), newest=True)
        more = hits.more and skip < FARTHEST
        return Listing(_read(hits.ids), f"skip={skip + PAGE}" if more else "", hits, hits.snippets)
    rows = _read([pk for _, pk in first(parts, cursor, PAGE + 1)])
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return Listing(rows[:PAGE], urlencode({"after": str(Cursor(last.settled_at, last.pk))}) if last else "")


def _read(ids: list[UUID]) -> list[Proposal]:
    """Return these rows in their order. One query, none for none."""
    found = whole(Proposal.objects.filter(pk__in=ids)).in_bulk() if ids else {}
    return [found[pk] for pk in ids if pk in found]


def not_acknowledged(proposal: Proposal) -> bool:
    """Say whether a yes was given and the agent has not said that it acted on it."""
    decision = getattr(proposal, "decision", None)
    return bool(decision and decision.args_digest and not hasattr(decision, "acknowledgement"))
