"""What an escalation policy would do with something posted at a moment, in words, saved or not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from escalations import worktime
from escalations.lifecycle.stepping import next_due
from escalations.models import EscalationPolicy
from escalations.states import Fallback

from .steps import Step, effective_fallback

ENDS = {
    Fallback.REJECT: "reject",
    Fallback.PARK: "park: it stays with the managers, without a clock",
    Fallback.APPROVE: "approve, where no trigger fired and every step was told and waited out; else reject",
}


@dataclass(frozen=True)
class Preview:
    """A sentence, and what is worth knowing besides."""

    sentence: str
    notes: list[str] = field(default_factory=list)


def frozen(policy: EscalationPolicy, steps: Sequence[Step], moment: datetime) -> dict[str, Any]:
    """Return what of a policy, saved or not, moves a clock, as it would be frozen. One query, for the holidays."""
    calendar = policy.calendar.frozen(moment) if policy.calendar is not None else None
    return {
        "steps": [{"name": step.role.name, "after": step.after.total_seconds()} for step in steps for _ in range(step.repeat + 1)],
        "expires_after": policy.expires_after.total_seconds(),
        "calendar": calendar if calendar and not worktime.why_unusable(calendar) else None,
    }


def preview(
    policy: EscalationPolicy, steps: Sequence[Step], *, first: str, moment: datetime, zone: str, present: Collection[int]
) -> Preview:
    """Say what happens to something posted at `moment` and asked of `first`, if nobody answers and nobody is away.

    Times are the calendar's, or those of `zone` without one. `present` are the roles in which somebody is now.
    """
    copy = frozen(policy, steps, moment)
    calendar = copy["calendar"]
    place = ZoneInfo(calendar["time_zone"] if calendar else zone)
    expires_at = worktime.add(calendar, moment, copy["expires_after"])
    told, before, since, names = [], moment, moment, [first, *(step["name"] for step in copy["steps"])]
    for number, name in enumerate(names):
        due = next_due(copy, number, since, expires_at) or expires_at
        again = " again" if number and names[number - 1] == name else ""
        told.append(f"{name}{again} until {when(due, before, moment, place)}")
        before = since = due
        if due >= expires_at:
            break
    posted = moment.astimezone(place)
    sentence = f"Posted {posted:%A} {posted:%-d %B %Y}, {posted:%H:%M}: {', then '.join(told)}, then {_end(policy)}."
    return Preview(sentence, list(_notes(policy, steps, calendar, moment, place, present)))


def when(moment: datetime, before: datetime, posted: datetime, place: ZoneInfo) -> str:
    """Return a moment as one says it after another: the day where it is another day, the date where the day alone is not clear."""
    here, there = moment.astimezone(place), before.astimezone(place)
    if here.date() == there.date():
        return f"{here:%H:%M}"
    if here.date() - posted.astimezone(place).date() < timedelta(days=7):
        return f"{here:%A %H:%M}"
    return f"{here:%A} {here:%-d %B}, {here:%H:%M}"


def _end(policy: EscalationPolicy) -> str:
    effective = effective_fallback(policy)
    if effective != policy.fallback:
        return "reject (approve only once a second administrator has confirmed it)"
    return ENDS[effective]


def _notes(
    policy: EscalationPolicy, steps: Sequence[Step], calendar: dict[str, Any] | None, moment: datetime, place: ZoneInfo,
    present: Collection[int],
) -> Any:
    if calendar is None and policy.calendar is not None:
        yield "Its calendar cannot be gone by, so the clock would not stand still."
    elif calendar is not None:
        yield f"Times are those of {calendar['time_zone']}, the calendar's."
        if not worktime.is_open(calendar, moment):
            opens = worktime.opens_at(calendar, moment)
            yield f"Nobody is on shift then: its clock begins on {when(opens, moment, moment, place)}."
    else:
        yield f"Times are those of {place.key}. It has no calendar: its clock runs at night and at weekends too."
    empty = dict.fromkeys(step.role.name for step in steps if step.role.pk not in present)
    if empty:
        yield f"Nobody is in {', '.join(empty)} now: on shift it would climb past at once."
    if policy.quorum and policy.quorum > 1:
        yield f"A yes needs the signatures of {policy.quorum} people; one no is enough."
