"""A run's row and what is said about it: read in one statement, locked, changed. What the other files here stand on."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from escalations import audit, prepared, queue, standstill
from escalations.errors import IllegalMove, NotFound
from escalations.models import OversightSession, Person, SessionOrder, Source
from escalations.states import RUN_MOVES, Order, RunState

RULES = audit.Actor.policy("oversight")  # who gives the orders that no person gave
HALTED = frozenset({RunState.STOPPING, RunState.STOPPED, RunState.ENDED})  # never runs again
PAUSED = frozenset({RunState.PAUSING, RunState.PAUSED})

_NAMES = [one.attname for one in OversightSession._meta.concrete_fields]
_COLUMNS = ", ".join(f"session.{one.column}" for one in OversightSession._meta.concrete_fields)
# A run with the orders it has not confirmed, the last that was more than a note, and whether everything is stopped.
_READ = f"""
SELECT {_COLUMNS},
    CASE WHEN session.orders > 0 THEN (
        SELECT json_agg(json_build_object(
            'number', given.number, 'order', given."order", 'text', given.text, 'told', given.told_at IS NOT NULL,
            'at', to_char(given.asked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'),
            'told_at', to_char(given.told_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'),
            'person', person.username, 'name', NULLIF(trim(person.first_name || ' ' || person.last_name), '')
        ) ORDER BY given.number)
        FROM escalations_sessionorder AS given LEFT JOIN escalations_person AS person ON person.id = given.person_id
        WHERE given.session_id = session.id AND (given.number > session.seen OR given.number = (
            SELECT max(number) FROM escalations_sessionorder
            WHERE session_id = session.id AND "order" IN ('{Order.PAUSE}', '{Order.STOP}')
        ))
    ) END,
    (SELECT at FROM escalations_stop WHERE released_at IS NULL)
FROM escalations_oversightsession AS session WHERE session.id = ANY (%s::uuid[]) AND (%s::bigint IS NULL OR session.source_id = %s::bigint)
"""


@dataclass(slots=True)
class Run:
    """A run as it was read, with what its answers are made of."""

    session: OversightSession
    source: Source | None = None  # who called
    orders: list[dict[str, Any]] = field(default_factory=list)  # not confirmed yet, and the last that paused or stopped it
    stopped_at: datetime | None = None  # since when everything is stopped

    @property
    def ruling(self) -> dict[str, Any] | None:
        """Return the order that paused or stopped it last."""
        ruling = [one for one in self.orders if one["order"] in (Order.PAUSE, Order.STOP)]
        return ruling[-1] if ruling else None

    @property
    def held(self) -> str:
        """Return why everything stands still, "" when nothing does."""
        return standstill.said(self.stopped_at) if self.stopped_at else ""


def read(session_id: UUID, source: Source | None = None, *, only_test: bool = False) -> Run:
    """Return a run, of this source where one is named. One statement. Raises NotFound; with `only_test` for what is no rehearsal too."""
    found = read_many([session_id], source)
    [run] = found.values() or [None]
    if run is None or only_test and not run.session.test:
        raise NotFound
    return run


def read_many(ids: Sequence[UUID], source: Source | None = None) -> dict[UUID, Run]:
    """Return those of these runs that there are, by id, of this source where one is named. One statement."""
    found = {}
    for *values, orders, stopped_at in prepared.run(_READ, [list(ids), source and source.pk, source and source.pk]):
        session = OversightSession.from_db(connection.alias, _NAMES, values)
        session.recent = json.loads(session.recent) if isinstance(session.recent, str) else session.recent
        found[session.pk] = Run(session, source, json.loads(orders) if isinstance(orders, str) else orders or [], stopped_at)
    return found


@contextmanager
def locked(session_id: UUID, source: Source | None = None, *, only_test: bool = False) -> Iterator[Run]:
    """Hold a run until the end of the transaction this opens, and write what was changed of it then. Raises NotFound.

    Everything but what it began with is written, in one UPDATE; nothing when the block raises.
    """
    with transaction.atomic():
        if not OversightSession.objects.select_for_update(of=("self",)).filter(pk=session_id).values_list("pk").first():
            raise NotFound
        run = read(session_id, source, only_test=only_test)
        before = {name: getattr(run.session, name) for name in CHANGING}
        yield run
        changed = {name: getattr(run.session, name) for name in CHANGING if getattr(run.session, name) != before[name]}
        if changed:
            run.session.version += 1
            OversightSession.objects.filter(pk=session_id).update(version=run.session.version, **changed)


CHANGING = (
    "person_id", "state", "reason", "orders", "told", "seen", "held", "paused_at", "paused_seconds", "warned", "steps", "last_number",
    "errors", "tokens", "cost", "last_tool", "last_step_at", "heard_at", "recent", "digest", "outcome", "detail", "ended_at",
)


def subject(session: OversightSession) -> str:
    """Return how the audit record names a run."""
    return f"OversightSession {session.pk}"


def move(run: Run, state: RunState, now: datetime) -> None:
    """Bring a locked run into another state. Raises IllegalMove for one the table does not have. No queries."""
    session = run.session
    if state not in RUN_MOVES.get(RunState(session.state), frozenset()):
        raise IllegalMove(f"This run is {session.state}.")
    if state in PAUSED and session.paused_at is None:
        session.paused_at = now
    if state not in PAUSED and session.paused_at is not None:
        session.paused_seconds += max(0.0, (now - session.paused_at).total_seconds())
        session.paused_at = None
    if state == RunState.RUNNING:
        session.recent, session.reason = [], ""  # what it does from here on is looked at anew
    if state in (RunState.STOPPED, RunState.ENDED):
        session.ended_at = now
    session.state = state


def give(run: Run, order: Order, *, now: datetime, person: Person | None = None, actor: audit.Actor = RULES, text: str = "") -> SessionOrder:
    """Write an order to a locked run, move it, record it and wake who waits. Three statements. Raises IllegalMove."""
    session = run.session
    match order:
        case Order.PAUSE:
            move(run, RunState.PAUSING, now)
            session.reason = text
        case Order.STOP:
            move(run, RunState.STOPPING, now)
            session.reason = text
        case Order.RESUME:
            move(run, RunState.RUNNING, now)
        case Order.NOTE:
            if session.state in HALTED:
                raise IllegalMove(f"This run is {session.state}: nobody would read it.")
    session.orders += 1
    given = SessionOrder.objects.create(
        session_id=session.pk, number=session.orders, order=order, text=text, person=person, asked_at=now
    )
    run.orders = [*run.orders, {
        "number": given.number, "order": str(order), "text": text, "told": False, "told_at": None, "at": now.isoformat(),
        "person": person.username if person else None, "name": person.get_full_name() if person else None,
    }]
    audit.record("session.ordered", actor=actor, subject=subject(session), number=given.number, order=str(order), state=session.state)
    queue.announce(session.pk)
    return given


def confirm(run: Run, upto: int, now: datetime) -> None:
    """Write that the agent knows a locked run's orders up to this number, as far as it was told them. At most two statements."""
    session = run.session
    upto = min(upto, session.told)
    if upto <= session.seen:
        return
    SessionOrder.objects.filter(session_id=session.pk, number__lte=upto, confirmed_at=None).update(confirmed_at=now)
    session.seen = upto
    if session.state == RunState.PAUSING and (ruling := run.ruling) and ruling["number"] <= upto:
        move(run, RunState.PAUSED, now)
    actor = audit.Actor.source(run.source) if run.source else audit.SYSTEM
    audit.record("session.confirmed", actor=actor, subject=subject(session), number=upto, state=session.state)


def record_end(run: Run) -> None:
    """Record that a locked run is over, with what binds all its steps. One statement."""
    session = run.session
    audit.record(
        "session.ended", actor=audit.Actor.source(run.source) if run.source else audit.SYSTEM, subject=subject(session),
        outcome=session.outcome, state=session.state, steps=session.steps, errors=session.errors, cost=f"{session.cost:.6f}",
        digest=session.digest,
    )


def tell(run: Run, now: datetime) -> None:
    """Write that the answer about to leave carries all orders of a locked run. At most two statements."""
    session = run.session
    session.held = run.stopped_at is not None
    if session.told >= session.orders:
        return
    SessionOrder.objects.filter(session_id=session.pk, told_at=None).update(told_at=now)
    session.told = session.orders
    audit.record("session.told", actor=audit.SYSTEM, subject=subject(session), number=session.told, state=session.state)
