"""What was decided: newest first, filtered by the URL, at a constant cost."""

from dataclasses import dataclass, fields
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from escalations.models import Person, Proposal
from escalations.states import SETTLED

from . import access
from .inbox import HEAVY, HEAVY_INCIDENT, Cursor

PAGE = 50


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
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})


def listing(person: Person, filters: Filters, after: Cursor | None) -> tuple[list[Proposal], Cursor | None]:
    """Return one page and where the next begins. Two queries: the person's roles, and the rows."""
    rows = access.proposals_for(person).filter(settled_at__isnull=False)
    plain = {"state": filters.state, "source__name": filters.source}
    rows = rows.filter(**{name: text for name, text in plain.items() if text})
    if filters.by == "me":
        rows = rows.filter(decision__person=person)
    elif filters.by:
        rows = rows.filter(decision__by_kind=filters.by)
    if filters.open:
        rows = rows.filter(decision__args_digest__isnull=False, decision__acknowledgement=None)
    if filters.q:
        rows = rows.filter(title__icontains=filters.q)
    if after is not None and after.due_at is not None:
        rows = rows.filter(Q(settled_at__lt=after.due_at) | Q(id__lt=after.id), settled_at__lte=after.due_at)
    rows = (
        rows.select_related("source", "incident", "decision__acknowledgement")
        .defer(*HEAVY, *HEAVY_INCIDENT)
        .order_by("-settled_at", "-id")
    )
    found = list(rows[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], Cursor(last.settled_at, last.pk) if last else None


def not_acknowledged(proposal: Proposal) -> bool:
    """Say whether a yes was given and the agent has not said that it acted on it."""
    decision = getattr(proposal, "decision", None)
    return bool(decision and decision.args_digest and not hasattr(decision, "acknowledgement"))
