"""What a run did, step by step: a page of it, what has come since, one step in its place; each as a person reads it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet, Sum
from django.http import QueryDict

from escalations.models import OversightSession, Person, SessionOrder, SessionStep

from . import values, veil
from .runs import Bar, bars_of, texts

PAGE = 40
MOST_NEW = 60  # steps that are put on an open page at once; what is beyond is said, and stands a page further down
FEW = 8  # leaves of args up to which they are shown as a table
SHORT = 160  # characters of a value in that table
LOOKED_THROUGH = 5_000  # newest steps among which the tools to choose from are counted
KNOWN = 500  # steps read besides, to know what is sensitive wherever it stands
MOST_TOLD = 100
AROUND = 3  # steps shown before and after the one that is replayed


@dataclass(frozen=True)
class Filters:
    tool: str = ""
    errors: str = ""  # "yes"

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        said = {one.name: query.get(one.name, "").replace("\0", "")[:200] for one in fields(cls)}
        return cls(tool=said["tool"], errors="yes" if said["errors"] == "yes" else "")

    @property
    def query(self) -> str:
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})

    def among(self, rows: QuerySet[SessionStep]) -> QuerySet[SessionStep]:
        """Return those of the steps that are asked for."""
        rows = rows.filter(tool=self.tool) if self.tool else rows
        return rows.exclude(error="") if self.errors else rows


@dataclass(frozen=True)
class Part:
    """What was given or what came back: a table where it is short, else as text."""

    name: str
    rows: list[values.Row]
    text: str

    @property
    def code(self) -> bool:
        return self.name != "error"


@dataclass(frozen=True)
class Step:
    """One step as it is shown. `since` is how long after the run's start."""

    row: SessionStep
    since: timedelta
    parts: list[Part]

    @property
    def failed(self) -> bool:
        return bool(self.row.error)


@dataclass(frozen=True)
class Window:
    """Some steps, the newest first. `older`: from where on to ask for the page before; `skipped`: what stands between, not shown."""

    steps: list[Step]
    older: int = 0
    skipped: int = 0
    newest: int = 0  # the last step the run had when this was asked


def read(run: OversightSession, row: SessionStep) -> Step:
    """Return a step as it is shown."""
    found = [part("args", row.args), part("result", row.result), part("error", row.error)]
    return Step(row, row.at - run.started_at, [one for one in found if one])


def part(name: str, value: Any) -> Part | None:
    """Return what a step gave or got, ready to be read; None for nothing."""
    if value in (None, "", {}, []):
        return None
    if isinstance(value, str):
        return Part(name, [], value)
    rows = list(_first(values.leaves(value), FEW + 1))
    if isinstance(value, dict) and len(rows) <= FEW and all(len(row.value) <= SHORT and "\n" not in row.value for row in rows):
        return Part(name, rows, "")
    return Part(name, [], values.editable(value))


def _first(rows: Iterable[values.Row], most: int) -> Iterator[values.Row]:
    for _, row in zip(range(most), rows, strict=False):
        yield row


def page_of(run: OversightSession, filters: Filters, before: int = 0) -> Window:
    """Return a page of steps, the newest first, of those before a number if there is one. One query."""
    rows = filters.among(SessionStep.objects.filter(session=run))
    if before:
        rows = rows.filter(number__lt=before)
    found = list(rows.order_by("-number")[: PAGE + 1])
    older = found[PAGE - 1].number if len(found) > PAGE else 0
    return Window([read(run, row) for row in found[:PAGE]], older, newest=run.steps)


def since(run: OversightSession, filters: Filters, after: int) -> Window:
    """Return what came after a step, the newest first; when that is a lot, the newest of it, and how much stands between. Two queries
    at most."""
    rows = filters.among(SessionStep.objects.filter(session=run, number__gt=after))
    found = list(rows.order_by("-number")[: MOST_NEW + 1])
    shown = found[:MOST_NEW]
    skipped = rows.filter(number__lt=shown[-1].number).count() if len(found) > MOST_NEW else 0
    return Window([read(run, row) for row in shown], older=shown[-1].number if skipped else 0, skipped=skipped, newest=run.steps)


def tools_of(run: OversightSession) -> list[tuple[str, int]]:
    """Return the tools of the newest steps, those used most first, and how often. One query."""
    newest = SessionStep.objects.filter(session=run).order_by("-number").values("pk")[:LOOKED_THROUGH]
    counted = SessionStep.objects.filter(pk__in=newest).order_by().values("tool").annotate(times=Count("pk"))
    return list(counted.order_by("-times", "tool").values_list("tool", "times")[:100])


@dataclass(frozen=True)
class Replay:
    """A run as it stood at one of its steps."""

    step: Step | None  # None: a number it has no step of
    number: int
    last: int
    around: list[Step]
    orders: list[SessionOrder]  # what it had been told up to then
    bars: list[Bar]
    errors: int
    cost: Decimal
    tokens: int
    before: int = 0  # the step before; 0 for none
    after: int = 0


def replay(run: OversightSession, wanted: int) -> Replay:
    """Return a run as it stood at a step, or at the one before where it has none of that number. Five queries."""
    steps = SessionStep.objects.filter(session=run)
    last = steps.order_by("-number").values_list("number", flat=True).first() or 0
    up_to = list(steps.filter(number__lte=max(1, wanted)).order_by("-number")[: AROUND + 1])[::-1]
    beyond = list(steps.filter(number__gt=max(1, wanted)).order_by("number")[: AROUND + (not up_to)])
    rows = up_to + beyond
    here = up_to[-1] if up_to else beyond[0] if beyond else None
    at, moment = (here.number, here.at) if here else (0, run.started_at)
    sums = steps.filter(number__lte=at).aggregate(
        cost=Sum("cost"), tokens=Sum("tokens"), errors=Count("pk", filter=~Q(error="")), steps=Count("pk")
    )
    told = SessionOrder.objects.filter(session=run, asked_at__lte=moment).select_related("person").order_by("number")[:MOST_TOLD]
    near = [read(run, row) for row in rows]
    return Replay(
        next((one for one in near if one.row.number == at), None), at, last, near, list(told), bars_then(run, sums, moment),
        sums["errors"], sums["cost"] or Decimal(0), sums["tokens"] or 0,
        before=max((row.number for row in rows if row.number < at), default=0),
        after=min((row.number for row in rows if row.number > at), default=0),
    )  # fmt: skip


def bars_then(run: OversightSession, sums: dict[str, Any], moment: datetime) -> list[Bar]:
    """Return the budgets as they stood at a moment; its minutes are those since the start, for pauses were not kept apart by step."""
    then = OversightSession(
        started_at=run.started_at, ended_at=moment, steps=sums["steps"], cost=sums["cost"] or Decimal(0),
        max_steps=run.max_steps, max_minutes=run.max_minutes, max_cost=run.max_cost,
    )  # fmt: skip
    return bars_of(then, moment)


def veil_of(person: Person, run: OversightSession, steps: Sequence[Step], more: Iterable[str] = ()) -> veil.Veil:
    """Return the veil over a run's page: it knows what is sensitive in what is shown, and in the steps before. One query, none for
    full clearance."""
    bare = veil.for_person(person)
    if not bare.hidden:
        return bare
    first = min((one.row.number for one in steps), default=1)
    earlier = SessionStep.objects.filter(session=run, number__lt=first).order_by("-number").only("args", "result", "error")[:KNOWN]
    said = (text for row in [*(one.row for one in steps), *earlier] for text in written(row))
    return bare.over([*texts([run]), *more, *said])


def written(row: SessionStep) -> Iterator[str]:
    """Yield what stands in a step."""
    yield row.tool
    yield row.error
    yield from (json.dumps(one, ensure_ascii=False) for one in (row.args, row.result) if one)
