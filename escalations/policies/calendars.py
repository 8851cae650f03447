"""Calendars: when people work, and on which days nobody does."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import holidays as days_off
from django.db import transaction

from escalations import audit, clock, worktime
from escalations.errors import IllegalMove, Invalid
from escalations.models import Calendar, EscalationPolicy, Holiday

from .asked_less import effective_fallback
from .asking import one_at_a_time, outdate
from .changes import changes, problem, put_away, stored, subject_of
from .steps import LONGEST_ON_THE_WALL

logger = logging.getLogger(__name__)

FIELDS = ("name", "time_zone", "hours", "country", "subdivision")
MOST_HOLIDAYS = 400
MOST_STRETCHES = 6  # a day
LONGEST_NAME = 120


@dataclass(frozen=True)
class Day:
    """A day on which nobody works; `filled_in` from the country, and not by hand."""

    day: date
    name: str
    filled_in: bool = False

    def said(self) -> str:
        return f"{self.day.isoformat()} {self.name}"


@cache
def countries() -> dict[str, str]:
    """Return the countries whose holidays are known: {"AT": "Austria"}, by name."""
    named = {entry[1]: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entry[0]) for entry in days_off.registry.COUNTRIES.values()}
    return dict(sorted(((code, named.get(code, code)) for code in days_off.list_supported_countries()), key=lambda pair: pair[1]))


def subdivisions(country: str) -> list[str]:
    """Return the codes of a country's states or regions that have holidays of their own."""
    return sorted(days_off.list_supported_countries().get(country, []))


def public_holidays(country: str, subdivision: str, years: Iterable[int]) -> list[Day]:
    """Return a country's public holidays in these years, in order, named as the holidays package names them."""
    found = days_off.country_holidays(country, subdiv=subdivision or None, years=list(years))
    return [Day(day, str(name)[:LONGEST_NAME], filled_in=True) for day, name in sorted(found.items())]


def check_calendar(calendar: Calendar, days: Iterable[Day] = ()) -> None:
    """Raise Invalid with a pointer per field if this calendar may not be saved."""
    days, errors = list(days), []
    name = calendar.name.strip()
    if not name:
        errors.append(problem("name", "required", "Give it a name."))
    elif Calendar.objects.filter(name__iexact=name).exclude(pk=calendar.pk).exists():
        errors.append(problem("name", "taken", "Another calendar has this name."))
    if calendar.time_zone not in available_timezones():
        errors.append(problem("time_zone", "unknown", "No such time zone; write it as Europe/Vienna."))
    elif why := worktime.why_unusable({"time_zone": calendar.time_zone, "hours": calendar.hours, "holidays": []}):
        errors.append(problem("hours", "unusable", why))
    elif any(len(stretches or ()) > MOST_STRETCHES for stretches in calendar.hours.values()):
        errors.append(problem("hours", "too_many", f"At most {MOST_STRETCHES} stretches a day."))
    if calendar.country and calendar.country not in countries():
        errors.append(problem("country", "unknown", "The holidays of that country are not known; add them by hand."))
    elif calendar.subdivision and calendar.subdivision not in subdivisions(calendar.country):
        errors.append(problem("subdivision", "unknown", _regions(calendar.country)))
    if len({day.day for day in days}) != len(days):
        errors.append(problem("holidays", "twice", "A day is named twice."))
    if len(days) > MOST_HOLIDAYS:
        errors.append(problem("holidays", "too_many", f"At most {MOST_HOLIDAYS} days."))
    if not errors and _never_opens(calendar, days):
        errors.append(problem("holidays", "never_opens", "With these holidays it does not open once in the next two years."))
    if not errors and (names := _too_long_for(calendar, days)):
        errors.append(problem("hours", "too_few", f"In so few hours these policies would take more than a year: {', '.join(names)}."))
    if errors:
        raise Invalid(errors)


def _regions(country: str) -> str:
    known = subdivisions(country) if country else []
    return f"Known there: {', '.join(known)}." if known else "No regions of that country are known; leave it empty."


def _never_opens(calendar: Calendar, days: list[Day]) -> bool:
    now = clock.now()
    return not worktime.open_stretches([_as_frozen(calendar, days)], now, now + worktime.FARTHEST)


def _too_long_for(calendar: Calendar, days: list[Day]) -> list[str]:
    """Return the names of the policies that go by it and would take longer in it than may be saved. One query, none for a new one."""
    users = EscalationPolicy.objects.filter(calendar=calendar, archived_at=None).order_by("name") if calendar.pk else []
    now = clock.now()
    open_for = worktime.between(_as_frozen(calendar, days), now, now + LONGEST_ON_THE_WALL) if users else 0.0
    return [policy.name for policy in users if policy.expires_after.total_seconds() > open_for]


def _as_frozen(calendar: Calendar, days: list[Day]) -> dict[str, object]:
    return {"time_zone": calendar.time_zone, "hours": calendar.hours, "holidays": [day.day.isoformat() for day in days]}


@transaction.atomic
def save_calendar(calendar: Calendar, *, days: Iterable[Day], actor: audit.Actor) -> Calendar:
    """Save a calendar with exactly these holidays. A country that is new to it brings its own, this year's and the next.

    What waits already keeps the copy it was given; the version rises with every change.
    """
    one_at_a_time()
    old = stored(calendar)
    calendar.name, calendar.subdivision = calendar.name.strip(), calendar.subdivision.strip().upper()
    wanted = {day.day: day for day in days}
    check_calendar(calendar, wanted.values())
    if calendar.country and (old is None or (old.country, old.subdivision) != (calendar.country, calendar.subdivision)):
        wanted = {day: one for day, one in wanted.items() if not one.filled_in}
        wanted = {one.day: one for one in public_holidays(calendar.country, calendar.subdivision, _years(calendar))} | wanted
        check_calendar(calendar, wanted.values())
    changed = changes(old, calendar, FIELDS)
    before = set(holidays_of(calendar)) if old is not None else set()
    _say_days(changed, before, set(wanted.values()))
    if old is not None and not changed:
        return calendar
    if old is not None:
        calendar.version = old.version + 1
        _ask_again(calendar, actor)
    calendar.save()
    Holiday.objects.filter(calendar=calendar).delete()
    Holiday.objects.bulk_create(
        Holiday(calendar=calendar, day=one.day, name=one.name, filled_in=one.filled_in) for one in sorted(wanted.values(), key=_day)
    )
    audit.record(
        "calendar.saved", actor=actor, subject=subject_of(calendar), name=calendar.name, version=calendar.version, changed=changed
    )
    return calendar


def _ask_again(calendar: Calendar, actor: audit.Actor) -> None:
    """Take away what a second administrator confirmed under other hours: a yes of silence, for the policies that go by them.

    What the clock fills in itself takes hours away only. One query, three more a policy.
    """
    if actor == audit.CLOCK:
        return
    for policy in EscalationPolicy.objects.select_for_update(of=("self",)).filter(calendar=calendar, approve_confirmed_by__isnull=False):
        policy.approve_confirmed_by = None
        policy.version += 1
        policy.save(update_fields=["approve_confirmed_by", "version"])
        outdate(policy, actor=actor)
        audit.record(
            "policy.saved", actor=actor, subject=subject_of(policy), name=policy.name, version=policy.version,
            changed={"calendar": {"old": str(calendar), "new": f"{calendar}, with other hours"}},
            effective_fallback=str(effective_fallback(policy)),
        )


def holidays_of(calendar: Calendar) -> list[Day]:
    """Return a calendar's holidays. One query."""
    return [Day(one.day, one.name, one.filled_in) for one in calendar.holidays.all()]


def fill_in(calendar: Calendar, *, actor: audit.Actor) -> int:
    """Add this and next year's public holidays of its country that are not there yet; return how many came."""
    with transaction.atomic():
        one_at_a_time()
        locked = Calendar.objects.select_for_update(of=("self",)).get(pk=calendar.pk)
        if locked.archived_at or not locked.country:
            return 0
        known = {one.day: one for one in holidays_of(locked)}
        # A year that was filled in before is left as it was edited since.
        filled = {one.day.year for one in known.values() if one.filled_in}
        years = [year for year in _years(locked) if year not in filled]
        new = [one for one in public_holidays(locked.country, locked.subdivision, years) if one.day not in known] if years else []
        if new:
            save_calendar(locked, days=[*known.values(), *new], actor=actor)
        return len(new)


def fill_in_all() -> int:
    """Do so for every calendar of a country; return how many days came. For the timers, once a day."""
    calendars = list(Calendar.objects.filter(archived_at=None).exclude(country="").order_by("pk"))
    came = 0
    for calendar in calendars:
        try:
            came += fill_in(calendar, actor=audit.CLOCK)
        except Invalid as refused:  # the others get theirs; that its holidays end is among what is told to administrators
            logger.error("the holidays of %s could not be filled in: %s", calendar.name, refused.errors[0]["detail"])
    return came


@transaction.atomic
def archive_calendar(calendar: Calendar, *, actor: audit.Actor) -> Calendar:
    """Put a calendar away. Refused while a policy goes by it."""
    locked = Calendar.objects.select_for_update(of=("self",)).get(pk=calendar.pk)
    if locked.archived_at:
        return locked
    users = list(EscalationPolicy.objects.filter(calendar=locked, archived_at=None).values_list("name", flat=True))
    if users:
        raise IllegalMove(f"Still the calendar of: {', '.join(users)}.")
    put_away(locked, action="calendar.saved", actor=actor)
    return locked


def _years(calendar: Calendar) -> list[int]:
    here: datetime = clock.now().astimezone(ZoneInfo(calendar.time_zone))
    return [here.year, here.year + 1]


def _day(one: Day) -> date:
    return one.day


def _say_days(changed: dict[str, dict[str, object]], before: set[Day], after: set[Day]) -> None:
    if before != after:
        changed["holidays"] = {
            "old": [one.said() for one in sorted(before - after, key=_day)], "new": [one.said() for one in sorted(after - before, key=_day)]
        }
