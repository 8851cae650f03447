"""The warning before everybody goes home: what will climb or run out before anyone is on shift again.

On shift is who works by the policy's own calendar; for a policy without one, whoever works by any calendar there is. Before a closing
of a day or more (a weekend, a run of holidays) the role that is asked and the managers are told, in the last two working hours, of
everything whose next step or expiry falls into it, once. Without any calendar nobody knows when people work: nothing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from escalations import clock, outbox, worktime
from escalations.models import Calendar, Notice, Proposal, Role
from escalations.models.people import MANAGER

WARN_AHEAD = timedelta(hours=2)  # of working time
LONG = timedelta(hours=24)
LOOK_AHEAD = timedelta(days=21)


@dataclass(frozen=True, slots=True)
class Closing:
    """From when to when nobody is on shift."""

    closes: datetime
    opens: datetime
    zone: str  # in which people read that


def next_closing(calendars: Sequence[Mapping[str, Any]], now: datetime) -> Closing | None:
    """Return the long closing that begins within WARN_AHEAD of working time; None while there is none, or off shift already."""
    stretches = worktime.open_stretches(calendars, now, now + LOOK_AHEAD)
    if not stretches or stretches[0][0] > now:
        return None
    left = timedelta(0)
    for number, (opens, closes) in enumerate(stretches):
        left += closes - opens
        if left > WARN_AHEAD:
            return None
        after = stretches[number + 1][0] if number + 1 < len(stretches) else now + LOOK_AHEAD
        if after - closes >= LONG:
            return Closing(closes, after, str(calendars[0]["time_zone"]))
    return None


def warn_before_closing(limit: int = 200) -> int:
    """Tell of what will climb or run out while everybody is away; return how many proposals, 0 when all that is to say was said.

    For one caller at a time (`queue.take_turn`): what was told is known by its notices.
    """
    told = 0
    with transaction.atomic():
        now = clock.read()
        manager = Role.objects.get(name=MANAGER)
        for whose, closing in _closings(now):
            breaching = list(_breaching(whose, closing, now)[: limit - told])
            outbox.open_notices([
                outbox.Wanted("breaching", proposal=one, role=role, step=one.step, facts=_facts(one, closing))
                for one in breaching
                for role in {one.role_id: one.role, manager.pk: manager}.values()
            ])
            told += len(breaching)
    return told


def _closings(now: datetime) -> Iterator[tuple[Q, Closing]]:
    """Yield which policies close soon, and when. Two queries."""
    found = [one.frozen(now) for one in Calendar.objects.filter(archived_at=None).prefetch_related("holidays").order_by("pk")]
    calendars = [one for one in found if not worktime.why_unusable(one)]
    if calendars and (closing := next_closing(calendars, now)):
        yield Q(policy__calendar__name__isnull=True), closing
    for calendar in calendars:
        if closing := next_closing([calendar], now):
            yield Q(policy__calendar__name=calendar["name"]), closing


def _breaching(whose: Q, closing: Closing, now: datetime) -> Any:
    told = Notice.objects.filter(proposal=OuterRef("pk"), kind="breaching", created_at__gt=now - LONG)
    meanwhile = Q(due_at__gte=closing.closes, due_at__lt=closing.opens) | Q(expires_at__gte=closing.closes, expires_at__lt=closing.opens)
    return (
        Proposal.objects.open().free().filter(whose, meanwhile, ~Exists(told), test=False, due_at__lt=closing.opens)
        .select_related("role", "incident__source").order_by("due_at", "pk")
    )


def _facts(proposal: Proposal, closing: Closing) -> dict[str, Any]:
    """Return what the message says; `runs_out`: there will be nothing left to decide."""
    ends = proposal.expires_at is not None and proposal.expires_at < closing.opens
    since, until = (moment.astimezone(ZoneInfo(closing.zone)) for moment in (closing.closes, closing.opens))
    return {
        "why": f"Nobody is on shift from {since:%A %H:%M} until {until:%A, %-d %B, %H:%M} ({closing.zone}).", "runs_out": ends,
        "closes": closing.closes.isoformat(), "opens": closing.opens.isoformat(),
    }
