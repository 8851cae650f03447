"""What the clock does with runs: carries out what was decided about them, and looks for those that fell silent."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import CharField, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Cast

from escalations import audit, clock, standstill
from escalations.models import Decision, Incident, OversightSession, SessionAlarm, SessionOrder
from escalations.states import Order, RunState, Status, Verdict

from . import alarms, budgets, rows, stepping

logger = logging.getLogger(__name__)

UNCONFIRMED = timedelta(seconds=60)  # after which a stop that nobody confirms is brought to people

# Runs with a limit of minutes that are near its end, or past it: what no step of theirs would show.
_OVERDUE = f"""
SELECT id FROM escalations_oversightsession
WHERE ended_at IS NULL AND max_minutes IS NOT NULL AND state IN ('{RunState.RUNNING}', '{RunState.PAUSING}')
    AND started_at + (paused_seconds + max_minutes * 60 * CASE WHEN 'minutes' = ANY (warned) THEN 1 ELSE {budgets.NEAR} END)
        * interval '1 second' <= %s - COALESCE(%s - paused_at, interval '0')
ORDER BY started_at LIMIT %s
"""


def follow(limit: int = 100) -> int:
    """Carry the decisions about alarms to their runs; return how many. One query when there is none.

    While everything is stopped only what stops a run is carried out; a yes waits, like every other outcome, and keeps no stop waiting.
    """
    decided = Decision.objects.filter(proposal__incident=OuterRef("incident"))
    due = SessionAlarm.objects.filter(followed_at=None).filter(Exists(decided) | Q(incident__status=Status.SETTLED))
    done = 0
    for alarm in due.order_by(Exists(decided.filter(type=Verdict.RESPOND)), "at", "pk")[:limit]:
        try:
            done += _follow(alarm)
        except Exception:
            logger.exception("an alarm's decision was not carried out", extra={"alarm": alarm.pk})
    return done


def find_silent(limit: int = 100) -> int:
    """Bring runs to people that have not been heard of, or that do not confirm a stop; return how many. One query when there is none.

    Who waits for a person's decision is not silent, nor who is paused. Each silence is told of once.
    """
    now = clock.now()
    waits = Incident.objects.exclude(status=Status.SETTLED).filter(
        source=OuterRef("source"), session=Cast(OuterRef("pk"), CharField()), alarm=None
    )
    stop = SessionOrder.objects.filter(session=OuterRef("pk"), order=Order.STOP).values("asked_at")
    said = SessionAlarm.objects.filter(session=OuterRef("pk"), name="silent")
    unheard = Q(state=RunState.RUNNING, heard_at__lt=now - timedelta(seconds=settings.SILENT_RUN_SECONDS))
    silent = OversightSession.objects.filter(ended_at=None).annotate(asked=Subquery(stop)).filter(
        unheard & ~Exists(waits) | Q(state=RunState.STOPPING, asked__lt=now - UNCONFIRMED),
        ~Exists(said.filter(Q(at__gte=OuterRef("heard_at")) | Q(at__gte=OuterRef("asked")))),
    )
    return sum(_told_of(pk, _silent) for pk in silent.values_list("pk", flat=True)[:limit])


def end_overdue(limit: int = 100) -> int:
    """Pause or stop runs whose minutes are nearly, or all, used up; return how many. One query when there is none."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_OVERDUE, [now, now, limit])
        due = [pk for (pk,) in cursor.fetchall()]
    return sum(_told_of(pk, lambda run: stepping.look_after(run, clock.now())) for pk in due)


def _told_of(session_id: UUID, look: Any) -> bool:
    try:
        with rows.locked(session_id) as run:
            return bool(look(run))
    except Exception:
        logger.exception("a run was not looked after", extra={"session": str(session_id)})
        return False


def _silent(run: rows.Run) -> bool:
    """Look again, with the run locked, and bring it to people."""
    session, now = run.session, clock.now()
    quiet = now - session.heard_at
    said = session.alarms.filter(name="silent")
    if session.state == RunState.RUNNING:
        if quiet < timedelta(seconds=settings.SILENT_RUN_SECONDS) or said.filter(at__gte=session.heard_at).exists():
            return False
        why = f"Nothing was heard of it for {_minutes(quiet)}."
    elif session.state == RunState.STOPPING and (ruling := run.ruling):
        asked = session.given.get(number=ruling["number"])
        if now - asked.asked_at < UNCONFIRMED or said.filter(Q(at__gte=asked.asked_at) | Q(at__gte=session.heard_at)).exists():
            return False
        told = "It was told to stop and has not confirmed it" if asked.told_at else "It was to be stopped and has not called since"
        why = f"{told}, for {_minutes(now - asked.asked_at)}."
    else:
        return False
    alarms.raise_alarm(run, "silent", why, now=now)
    return True


def _follow(found: SessionAlarm) -> bool:
    """Carry one decision to its run. False when somebody else did, or it has to wait."""
    with rows.locked(found.session_id) as run:
        alarm = SessionAlarm.objects.select_for_update(skip_locked=True).filter(pk=found.pk, followed_at=None).first()
        if alarm is None:
            return False
        now = clock.now()
        decision = _decision_of(alarm)
        if decision is not None:
            if decision.type == Verdict.RESPOND and standstill.held_back([decision.proposal_id]):
                return False
            done = [str(one) for one in _carried_out(run, alarm, decision)]
            audit.record(
                "session.followed", actor=_actor(decision), incident_id=alarm.incident_id, proposal_id=decision.proposal_id,
                subject=rows.subject(run.session), alarm=alarm.name, decision=decision.type, orders=done,
            )
        SessionAlarm.objects.filter(pk=alarm.pk).update(followed_at=now)
    return True


def _carried_out(run: rows.Run, alarm: SessionAlarm, decision: Decision) -> Iterable[Order]:
    """Give the orders a decision about an alarm means, as far as the run still takes them; yield those.

    A yes lifts the pause that came with its alarm and no later one: whoever said it had not seen why the run stands still now.
    """
    given: dict[str, Any] = {"now": clock.now(), "person": decision.person, "actor": _actor(decision)}
    session = run.session
    if session.state in rows.HALTED:
        return
    if decision.type != Verdict.RESPOND:  # a no, and whatever else is not plainly a yes
        rows.give(run, Order.STOP, text=decision.reason or "Nobody let it go on in time.", **given)
        yield Order.STOP
        return
    if decision.message:
        rows.give(run, Order.NOTE, text=decision.message, **given)
        yield Order.NOTE
    if session.state in rows.PAUSED and run.ruling and datetime.fromisoformat(run.ruling["at"]) <= alarm.at:
        rows.give(run, Order.RESUME, **given)
        yield Order.RESUME


def _decision_of(alarm: SessionAlarm) -> Decision | None:
    decided = Decision.objects.filter(proposal__incident=alarm.incident_id).select_related("person")
    return decided.order_by("-decided_at").first()


def _actor(decision: Decision) -> audit.Actor:
    return audit.Actor(decision.by_kind, decision.by_id, decision.by_name)


def _minutes(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
