"""What an agent did, taken in: the hot path.

As a rule a call with steps is two statements: one reads the run, one writes the steps and the run's sums, if the run still has the
version that was read. No lock is held between the two and nothing is waited for. Whatever is more than that (somebody gave an order,
something is found, a step comes again) is done again from the beginning with the run's row locked.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from escalations import canonical, clock, prepared
from escalations.models import OversightSession, SessionStep, Source
from escalations.states import Order, RunState

from . import alarms, budgets, directives, loops, rows

TRIES = 3  # without a lock; then with one
MOST_COST = Decimal("99999999.999999")  # that a run's sum can be; nothing an agent says of its cost keeps its steps from being written
GRACE = timedelta(seconds=2)  # in which what was on its way when a stop was told may still come

_WRITE = """
WITH moved AS (
    UPDATE escalations_oversightsession
    SET version = version + 1, steps = %s, last_number = %s, errors = %s, tokens = %s, cost = %s, last_tool = %s, last_step_at = %s,
        heard_at = %s, recent = %s::jsonb, digest = %s
    WHERE id = %s AND version = %s RETURNING id
),
written AS (
    INSERT INTO escalations_sessionstep (session_id, number, tool, args, result, error, tokens, cost, took_ms, late, at)
    SELECT moved.id, number, tool, args, result, error, tokens, cost, took_ms, late, at
    FROM json_populate_recordset(NULL::escalations_sessionstep, %s::json), moved
)
SELECT id FROM moved
"""
DIGESTED = ("number", "tool", "args", "result", "error", "tokens", "took_ms", "late")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call with steps is answered: how many of them were new, how many the run has, and what it is to do now."""

    accepted: int
    steps: int
    directive: dict[str, Any]


@dataclass(slots=True)
class Taken:
    """Steps that were added to a run in memory: the rows to write, and what was found on the way."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    loop: loops.Loop | None = None


def take_steps(
    session_id: UUID, *, source: Source, steps: Sequence[dict[str, Any]], seen: int | None = None, only_test: bool = False
) -> Answer:
    """Write steps down and return what the run is to do now. Two statements as a rule. Raises NotFound.

    Each step is {"tool", "args", "result", "error", "tokens", "cost", "took_ms", "number"}, validated by the door; only `tool` must be.
    A number that is there already is the same step and is ignored; a call that brings nothing new (its answer was lost, perhaps)
    confirms nothing by itself.
    """
    for _ in range(TRIES):
        run = rows.read(session_id, source, only_test=only_test)
        now = clock.now()
        if not _is_calm(run, steps):
            break
        version = run.session.version
        taken = _take(run, steps, now)
        if taken.loop or _over_budget(run.session, now):
            break
        if _written(run.session, version, taken.rows):
            return Answer(len(taken.rows), run.session.steps, directives.made(run))
    with rows.locked(session_id, source, only_test=only_test) as run:
        return _take_locked(run, steps, seen)


def digest_of(steps: Iterable[SessionStep], before: str = "") -> str:
    """Return the running digest over these steps of one run, in their order: what a run's `digest` was, if they are unchanged."""
    digest = before
    for one in steps:
        digest = _chained(digest, {name: getattr(one, name) for name in DIGESTED}, one.cost, one.at)
    return digest


def _is_calm(run: rows.Run, steps: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether nothing has to be told, confirmed or looked up besides writing these steps."""
    session = run.session
    if session.state in rows.HALTED or session.held != (run.stopped_at is not None):
        return False
    if not session.orders == session.told == session.seen:
        return False
    numbers = [step["number"] for step in steps if step.get("number")]
    return not numbers or len(numbers) == len(steps) and _rise(session.last_number, numbers)


def _rise(last: int, numbers: Sequence[int]) -> bool:
    return all(before < one for before, one in zip([last, *numbers], numbers, strict=False))


def _take_locked(run: rows.Run, steps: Sequence[dict[str, Any]], seen: int | None) -> Answer:
    session, now = run.session, clock.now()
    new = _unknown(session, steps)
    if seen is not None or new:
        rows.confirm(run, _short_of_a_stop(run, session.told if seen is None else seen), now)
    taken = _take(run, new, now)
    SessionStep.objects.bulk_create([
        SessionStep(session_id=session.pk, **{**row, "at": datetime.fromisoformat(row["at"])}) for row in taken.rows
    ])
    look_after(run, now, taken.loop)
    if new:
        _went_on(run, now)
    session.heard_at = now
    rows.tell(run, now)
    return Answer(len(new), session.steps, directives.made(run))


def _short_of_a_stop(run: rows.Run, upto: int) -> int:
    """Return which orders a step may confirm: whoever does something more has not stopped."""
    ruling = run.ruling
    return min(upto, ruling["number"] - 1) if ruling and run.session.state == RunState.STOPPING else upto


def look_after(run: rows.Run, now: datetime, loop: loops.Loop | None = None) -> bool:
    """Do what is to be done about what was found on a locked run: stop it, or pause it and bring it to people. True when it was."""
    session = run.session
    if session.state in rows.HALTED:
        return False
    if over := budgets.spent(session, now):
        rows.give(run, Order.STOP, now=now, text=f"Its budget is used up: {over}.")
        return True
    if session.state != RunState.RUNNING:
        return False
    if loop is not None:
        alarms.raise_alarm(run, loop.name, loop.why, now=now, pause=True)
        return True
    near = list(budgets.nearly_spent(session, now))
    if near:
        session.warned = [*session.warned, *(name for name, _ in near)]
        alarms.raise_alarm(run, "budget", " ".join(f"{why}." for _, why in near), now=now, pause=True)
    return bool(near)


def _went_on(run: rows.Run, now: datetime) -> None:
    """Bring a run to people that does something after it was told to stop. Once."""
    session, ruling = run.session, run.ruling
    if session.state not in (RunState.STOPPING, RunState.STOPPED) or not ruling or not ruling["told_at"]:
        return
    after = now - datetime.fromisoformat(ruling["told_at"])
    if after > GRACE and not session.alarms.filter(name="went_on").exists():
        why = f"It was told to stop and went on: {session.last_tool} came {after.total_seconds():.0f} s after it was told."
        alarms.raise_alarm(run, "went_on", why, now=now)


def _over_budget(session: OversightSession, now: datetime) -> bool:
    return bool(budgets.spent(session, now)) or any(budgets.nearly_spent(session, now))


def _unknown(session: OversightSession, steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those steps that are not written yet, each number once. One query where one may be."""
    numbers = [step["number"] for step in steps if step.get("number")]
    old = [number for number in numbers if number <= session.last_number]
    known = set(session.taken.filter(number__in=old).values_list("number", flat=True)) if old else set()
    new = []
    for step in steps:
        number = step.get("number")
        if number and number in known:
            continue
        if number:
            known.add(number)
        new.append(step)
    return new


def _take(run: rows.Run, steps: Sequence[dict[str, Any]], now: datetime) -> Taken:
    """Add new steps to a run in memory."""
    session, taken = run.session, Taken()
    late = session.state in rows.HALTED and (session.state != RunState.STOPPING or bool(run.ruling and run.ruling["told_at"]))
    at = now.astimezone(UTC)
    claimed = {step["number"] for step in steps if step.get("number")}
    for step in steps:
        number = step.get("number") or next(free for free in itertools.count(session.last_number + 1) if free not in claimed)
        row = {
            "number": number, "tool": step["tool"], "args": step.get("args"), "result": step.get("result"),
            "error": step.get("error") or "", "tokens": step.get("tokens") or 0, "cost": Decimal(step.get("cost") or 0),
            "took_ms": step.get("took_ms"), "late": late, "at": at.isoformat(timespec="microseconds"),
        }
        taken.rows.append(row)
        session.last_number = max(session.last_number, number)
        session.steps += 1
        session.errors += bool(row["error"])
        session.tokens += row["tokens"]
        session.cost = min(session.cost + row["cost"], MOST_COST)
        session.last_tool, session.last_step_at, session.heard_at = row["tool"], now, now
        session.digest = _chained(session.digest, row, row["cost"], at)
        if session.state == RunState.RUNNING and taken.loop is None:
            session.recent = loops.remember(session.recent, row)
            taken.loop = loops.found(session.recent, row["tool"], session.max_repeats or loops.REPEATS)
    return taken


def _chained(before: str, step: Mapping[str, Any], cost: Decimal, at: datetime) -> str:
    told = {name: step[name] for name in DIGESTED}
    told |= {"cost": f"{cost:.6f}", "at": at.astimezone(UTC).isoformat(timespec="microseconds")}
    return hashlib.sha256(f"{before}{canonical.body_digest(told)}".encode()).hexdigest()


def _written(session: OversightSession, version: int, taken: list[dict[str, Any]]) -> bool:
    """Write steps and sums, if the run still has this version; say whether it had."""
    return bool(prepared.run(_WRITE, [
        session.steps, session.last_number, session.errors, session.tokens, session.cost, session.last_tool, session.last_step_at,
        session.heard_at, json.dumps(session.recent), session.digest, session.pk, version,
        json.dumps(taken, default=str, ensure_ascii=False),
    ]))
