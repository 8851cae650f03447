"""What a run is to do now, and how it stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import prefetch_related_objects

from escalations import clock
from escalations.models import OversightSession, Source
from escalations.states import Order, RunState
from escalations.wire import moment

from . import rows

OURS = {"kind": "policy", "name": "Countersign"}
HEARD_EVERY = timedelta(seconds=5)  # how exactly it is known when an agent that only listens was last heard of


@dataclass(frozen=True, slots=True)
class Look:
    """What a run is to do now; `fresh` says whether there is anything in it that its agent was not told before."""

    directive: dict[str, Any]
    fresh: bool
    held: bool  # everything is stopped


def directive(session_id: UUID, *, source: Source, seen: int | None = None, only_test: bool = False) -> dict[str, Any]:
    """Return what the run is to do now; the call confirms what the one before was told. Raises NotFound."""
    return look(session_id, source=source, seen=seen, only_test=only_test).directive


def look(session_id: UUID, *, source: Source, seen: int | None = None, only_test: bool = False) -> Look:
    """Return the same, with whether waiting makes sense. One statement while there is nothing to tell.

    It is also how an agent that was told to stop says that it has.
    """
    run = rows.read(session_id, source, only_test=only_test)
    now, session = clock.now(), run.session
    quiet = session.orders == session.told == session.seen and session.held == (run.stopped_at is not None)
    if quiet and session.state != RunState.STOPPING:
        if now - session.heard_at > HEARD_EVERY:
            OversightSession.objects.filter(pk=session_id).update(heard_at=now)
        fresh = session.state in rows.HALTED or seen is not None and seen < session.orders
        return Look(made(run), fresh, session.held)
    with rows.locked(session_id, source, only_test=only_test) as run:
        now, session = clock.now(), run.session
        known, held = session.told if seen is None else seen, session.held
        rows.confirm(run, known, now)
        if session.state == RunState.STOPPING and (ruling := run.ruling) and ruling["number"] <= session.seen:
            rows.move(run, RunState.STOPPED, now)
            rows.record_end(run)
        session.heard_at = now
        rows.tell(run, now)
        return Look(made(run), session.orders > known or session.held != held or session.state in rows.HALTED, session.held)


def made(run: rows.Run) -> dict[str, Any]:
    """Return the directive of a run as it stands. No queries.

    What halts or pauses it comes first, then that everything is stopped, then notes it has not confirmed.
    """
    session = run.session
    notes = [
        {"number": one["number"], "text": one["text"], "by": _by(one), "at": _at(one)}
        for one in run.orders if one["order"] == Order.NOTE and one["number"] > session.seen
    ]
    said: dict[str, Any] = {"directive": "note" if notes else "continue", "reason": None, "by": None, "at": None}
    ruling = run.ruling
    if session.state in rows.HALTED or session.state in rows.PAUSED:
        said["directive"] = "stop" if session.state in rows.HALTED else "pause"
        said["reason"] = session.reason or None
        if session.state == RunState.ENDED:
            said["reason"] = "This run has ended."
        elif ruling is not None:
            said |= {"by": _by(ruling), "at": _at(ruling)}
    elif run.stopped_at:
        said |= {"directive": "pause", "reason": run.held, "by": OURS, "at": moment(run.stopped_at)}
    return {**said, "number": session.orders, "notes": notes}


def told(session: OversightSession) -> dict[str, Any]:
    """Return the run as its caller reads it. At most four statements; none of them locks, none confirms anything."""
    return told_many([session])[0]


def told_many(sessions: Iterable[OversightSession]) -> list[dict[str, Any]]:
    """Return the same for many, in order. The number of statements does not depend on how many."""
    listed = list(sessions)
    prefetch_related_objects(listed, "source", "role", "alarms")
    now = rows.read_many([session.pk for session in listed])
    return [_told(session, made(now[session.pk])) for session in listed]


def _told(session: OversightSession, now: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(session.pk),
        "source": session.source.name,
        "agent": session.agent,
        "goal": session.goal,
        "test": session.test,
        "state": session.state,
        "reason": session.reason,
        "limits": {
            "steps": session.max_steps, "repeats": session.max_repeats, "minutes": session.max_minutes,
            "cost": f"{session.max_cost:.6f}" if session.max_cost is not None else None,
        },
        "role": session.role.name,
        "steps": session.steps,
        "errors": session.errors,
        "tokens": session.tokens,
        "cost": f"{session.cost:.6f}",
        "started_at": moment(session.started_at),
        "last_step_at": moment(session.last_step_at),
        "ended_at": moment(session.ended_at),
        "outcome": session.outcome or None,
        "detail": session.detail or None,
        "directive": now,
        "incidents": [str(alarm.incident_id) for alarm in session.alarms.all() if alarm.incident_id],
        "watch_url": f"{settings.PUBLIC_URL.rstrip('/')}/oversight/{session.pk}/",
    }


def _at(order: dict[str, Any]) -> str | None:
    return moment(datetime.fromisoformat(order["at"]))


def _by(order: dict[str, Any]) -> dict[str, str]:
    return {"kind": "person", "name": order["name"] or order["person"]} if order["person"] else OURS
