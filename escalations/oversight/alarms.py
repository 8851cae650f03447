"""Bringing a run to people: an incident with the steps as its context."""

import json
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef

from escalations import audit, canonical, clock, ingest, lifecycle
from escalations.errors import AlreadySettled
from escalations.models import Decision, OversightSession, Person, SessionAlarm
from escalations.states import Order, Status

from . import rows

SHOWN_STEPS = 20
LONGEST = 2_000  # characters of what a step gave or got that go along; the page has the rest
SAYS = {  # what comes after the agent's name in the title
    "loop": "repeats one call", "cycle": "goes round in a cycle", "same_error": "runs into the same error again and again",
    "no_progress": "gets nowhere", "budget": "has nearly used up its budget", "went_on": "goes on after it was told to stop",
    "silent": "has fallen silent",
}
CRITICAL = frozenset({"went_on"})


def raise_alarm(run: rows.Run, name: str, why: str, *, now: datetime, pause: bool = False) -> SessionAlarm:
    """Bring a locked run to people, and pause it where that is wanted; return the alarm with its incident. About eight statements.

    Joins the caller's transaction: with the steps that show it, or not at all.
    """
    session = run.session
    if pause:
        rows.give(run, Order.PAUSE, now=now, text=why)
    source = run.source or session.source
    data = _incident(session, name, why)
    incident, _ = ingest.receive(
        source=source, key_env="test" if session.test else "live", data=data, key=None, body_digest=canonical.body_digest(data)
    )
    alarm = SessionAlarm.objects.create(session_id=session.pk, name=name, why=why, step=session.last_number, incident=incident, at=now)
    audit.record(
        "session.alarmed", actor=rows.RULES, incident_id=incident.pk, subject=rows.subject(session), name=name, step=session.last_number,
        paused=pause,
    )
    return alarm


def withdraw_open(session: OversightSession, *, person: Person) -> int:
    """Take back the alarms of a run that a person has just dealt with; return how many. In the transaction that holds the run.

    What somebody was first to decide is left as it is: that decision is carried out.
    """
    decided = Exists(Decision.objects.filter(proposal__incident=OuterRef("incident")))  # also where a no asked for another revision
    open_ones = SessionAlarm.objects.filter(~decided, session=session, followed_at=None, incident__isnull=False).exclude(
        incident__status=Status.SETTLED
    )
    done = 0
    for alarm in open_ones:
        try:
            lifecycle.withdraw(alarm.incident_id, actor=audit.Actor.of(person))
        except AlreadySettled:
            continue
        SessionAlarm.objects.filter(~decided, pk=alarm.pk).update(followed_at=clock.now())  # looked at again: the incident is locked now
        done += 1
    return done


def _incident(session: OversightSession, name: str, why: str) -> dict[str, Any]:
    """Return what is posted for an alarm. One query: the last steps."""
    last = list(session.taken.order_by("-number")[:SHOWN_STEPS])[::-1]
    goal = f" Its goal: {session.goal}" if session.goal else ""
    return {
        "kind": "handoff",
        "title": f"{session.agent} {SAYS[name]}"[:500],
        "body": why,
        "severity": "critical" if name in CRITICAL else "warning",
        "fingerprint": f"oversight:{name}:{session.agent}"[:255],
        "session": str(session.pk),
        "context": {
            "summary": f"{session.agent} has taken {session.steps} steps, {session.errors} of them with an error.{goal}",
            "why": f"{why} Respond to let it go on, with your words as a note to it; reject to stop it.",
            "attempts": [_attempt(step) for step in last],
            "links": [{"label": "The run, live", "url": f"{settings.PUBLIC_URL.rstrip('/')}/oversight/{session.pk}/"}],
        },
    }


def _attempt(step: Any) -> dict[str, Any]:
    return {
        "tool": step.tool, "arguments": _cut(step.args), "result": _cut(step.result), "error": step.error[:LONGEST] or None,
        "at": step.at.isoformat(timespec="milliseconds"),
    }


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
