"""Agents' runs as people watch them: which there are, how each stands, what of its budget is gone, and which wait for somebody."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import QueryDict

from escalations import clock
from escalations.models import OversightSession, Person, SessionAlarm
from escalations.states import RunState

from . import access
from .run_facts import decimal, number, share

PAGE = 40
FARTHEST = 5_000  # rows that can be turned over, page by page; also the newest runs that one agent's are looked for in
OVER = (RunState.STOPPED, RunState.ENDED)
HALTED = (RunState.PAUSING, RunState.PAUSED)
ALIVE = tuple(state for state in RunState if state not in OVER)
SHOWN = {"": "Live", "waiting": "Waiting for a person", "over": "Over", "all": "All"}
SAID = {
    RunState.RUNNING: "running",
    RunState.PAUSING: "pause asked for",
    RunState.PAUSED: "paused",
    RunState.STOPPING: "stop asked for",
    RunState.STOPPED: "stopped",
    RunState.ENDED: "ended",
}
TONES = {RunState.RUNNING: "good", RunState.PAUSED: "warn", RunState.PAUSING: "warn", RunState.STOPPING: "bad", RunState.STOPPED: "bad"}
NEAR = 0.9  # of a budget: from here on it is said to be near its end


@dataclass(frozen=True)
class Filters:
    show: str = ""  # live, as the page opens; or one of SHOWN
    agent: str = ""
    mine: str = ""  # "yes": watched by one of my roles, or taken on by me

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        said = {one.name: query.get(one.name, "").replace("\0", "").strip()[:200] for one in fields(cls)}
        said["show"] = said["show"] if said["show"] in SHOWN else ""
        said["mine"] = "yes" if said["mine"] == "yes" else ""
        return cls(**said)

    @property
    def query(self) -> str:
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})

    @property
    def narrows(self) -> bool:
        return bool(self.agent or self.mine)

    @property
    def tabs(self) -> list[tuple[str, str, bool]]:
        """Return (label, query, whether it is open) of the kinds of runs, the other filters kept."""
        rest = {"agent": self.agent, "mine": self.mine}
        return [
            (label, urlencode({name: text for name, text in {"show": show, **rest}.items() if text}), show == self.show)
            for show, label in SHOWN.items()
        ]


@dataclass(frozen=True)
class Bar:
    """How much of one budget is gone. `share` is 0 to 1; the text says it for who sees no bar."""

    name: str
    share: float
    used: str
    limit: str

    @property
    def tone(self) -> str:
        return "full" if self.share >= 1 else "near" if self.share >= NEAR else ""


class Stands:
    """How a run stands, in the words of the pages."""

    run: OversightSession

    @property
    def state(self) -> str:
        return state_said(self.run)

    @property
    def tone(self) -> str:
        return TONES.get(RunState(self.run.state), "")

    @property
    def alive(self) -> bool:
        return is_alive(self.run)


@dataclass
class Row(Stands):
    """One run of a list, with why it waits for a person."""

    run: OversightSession
    alarms: list[SessionAlarm] = field(default_factory=list)

    @cached_property
    def bars(self) -> list[Bar]:
        return bars_of(self.run, clock.now())


@dataclass
class Listing:
    rows: list[Row]
    more: int = 0  # rows to skip for the next page; 0 on the last
    bounded: bool = False  # only the newest FARTHEST were looked through


def is_alive(run: OversightSession) -> bool:
    return run.state in ALIVE


def state_said(run: OversightSession) -> str:
    """Return how a run stands, in words; of one that ended also how, as the agent said."""
    said = SAID[RunState(run.state)]
    return f"{said}: {run.outcome}" if run.outcome and run.outcome not in said else said


def minutes_run(run: OversightSession, now: datetime) -> float:
    """Return the minutes it has run, pauses left out; of one that is over, up to its end."""
    until = run.ended_at or now
    paused = timedelta(seconds=run.paused_seconds)
    if run.paused_at is not None:
        paused += max(timedelta(0), until - run.paused_at)
    return max(0.0, (until - run.started_at - paused).total_seconds() / 60)


def bars_of(run: OversightSession, now: datetime) -> list[Bar]:
    """Return what is used of each budget it has. No query."""
    minutes = minutes_run(run, now)
    used: list[tuple[str, float | Decimal, float | Decimal | None, str, str]] = [
        ("steps", run.steps, run.max_steps, number(run.steps), number(run.max_steps)),
        ("minutes", minutes, run.max_minutes, f"{minutes:.0f}", number(run.max_minutes)),
        ("cost", run.cost, run.max_cost, decimal(run.cost), decimal(run.max_cost)),
    ]
    return [Bar(name, share(now_, most), said, limit) for name, now_, most, said, limit in used if most is not None]


def waits(person: Person) -> Q:
    """Return the condition of a run that waits for this person: it is halted, or an alarm of it is not answered, and no colleague has
    taken it on."""
    halted = Q(state__in=HALTED) | Q(pk__in=SessionAlarm.objects.filter(followed_at=None).values("session"))
    return Q(ended_at=None) & Q(state__in=ALIVE) & halted & (Q(person=None) | Q(person=person))


def waiting_for(person: Person) -> QuerySet[OversightSession]:
    """Return the runs that wait for this person. No query when the roles are known."""
    return access.runs_for(person).filter(waits(person))


def of(person: Person, filters: Filters) -> QuerySet[OversightSession]:
    """Return the runs a page lists, unordered."""
    rows = access.runs_for(person)
    if filters.show == "waiting":
        rows = rows.filter(waits(person))
    elif filters.show == "over":
        rows = rows.filter(state__in=OVER)
    elif not filters.show:
        rows = rows.filter(state__in=ALIVE, ended_at=None)
    if filters.mine:
        ids = [role.pk for role in access.roles_of(person)]
        rows = rows.filter(Q(person=person) | Q(role__in=ids))
    if filters.agent and not bounded(filters):
        return rows.filter(agent=filters.agent)
    if filters.agent:  # nothing leads to an agent's runs among all that ever were: look where they are likely
        newest = rows.order_by("-started_at", "-id").values("pk")[:FARTHEST]
        return OversightSession.objects.filter(pk__in=newest, agent=filters.agent)
    return rows


def bounded(filters: Filters) -> bool:
    return bool(filters.agent) and filters.show in {"over", "all"}


def listing(person: Person, filters: Filters, skip: int) -> Listing:
    """Return one page: those that wait for somebody first among the live ones, else the newest. Two queries, the roles aside."""
    skip = min(skip, FARTHEST)
    rows = of(person, filters).select_related("source", "role", "person").defer("recent", "detail")
    by = ["-started_at", "-id"]
    if filters.show in {"", "waiting"}:
        first = Case(When(state__in=HALTED, then=Value(0)), default=Value(1), output_field=IntegerField())
        rows, by = rows.annotate(place=first), ["place", *by]
    found = list(rows.order_by(*by)[skip : skip + PAGE + 1])
    more = skip + PAGE if len(found) > PAGE and skip + PAGE <= FARTHEST else 0
    return Listing(with_alarms(found[:PAGE]), more, bounded(filters))


def with_alarms(runs: Iterable[OversightSession]) -> list[Row]:
    """Return the rows of these runs with the alarms nobody has answered. One query, none without runs."""
    rows = {run.pk: Row(run) for run in runs}
    if rows:
        for alarm in SessionAlarm.objects.filter(session__in=rows, followed_at=None).order_by("at", "pk"):
            rows[alarm.session_id].alarms.append(alarm)
    return list(rows.values())


def agents(person: Person) -> list[str]:
    """Return the names of the agents of the newest runs, to choose from. One query."""
    newest = access.runs_for(person).order_by("-started_at", "-id").values_list("agent", flat=True)[:500]
    return sorted(set(newest))[:100]


def arrived(person: Person, filters: Filters, since: datetime) -> int:
    """Return how many runs of this list have begun after a moment, at most PAGE + 1. One query."""
    return len(of(person, filters).filter(started_at__gt=since).values_list("pk", flat=True)[: PAGE + 1])


def texts(rows: Iterable[OversightSession]) -> list[str]:
    """Return what these runs' agents said of them: what a veil has to know."""
    return [text for run in rows for text in (run.agent, run.goal, run.reason)]


def is_run(text: str) -> UUID | None:
    """Return the id an incident's `session` may be a run's; None for what is no such id."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def limits_said(run: OversightSession) -> dict[str, Any]:
    """Return the limits it was given, in words; nothing for none."""
    named = {
        "steps": number(run.max_steps), "minutes": number(run.max_minutes), "cost": decimal(run.max_cost),
        "repeats": number(run.max_repeats),
    }
    return {name: said for name, said in named.items() if said}
