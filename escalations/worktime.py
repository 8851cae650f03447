"""Working time: clocks that stand still when nobody is on shift.

A calendar here is the copy that a policy carries when it is frozen onto a proposal: {"time_zone", "hours", "holidays"}, with `hours` as
in `models.Calendar` and holidays as ISO dates. A moment is working time when the clock on a wall in that zone shows a time inside
the day's hours, and the day is no holiday. Working seconds are real seconds: an hour of opening that a change to summer time leaves
out does not count, one that it repeats counts twice. A calendar that cannot be read, or never opens, counts as none: time then runs
without standing still, so what waits is late for nobody (law 6).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FARTHEST = timedelta(days=800)  # how far ahead working time is looked for; a policy that would need more is not saved
DAY = timedelta(days=1)

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")
Stretch = tuple[datetime, datetime]


class Unusable(ValueError):
    """A calendar that says nothing one can go by; the text says what is wrong with it."""


@dataclass(frozen=True)
class Hours:
    """A calendar, read: for each weekday (Monday is 0) the offsets from midnight at which it opens and closes."""

    zone: ZoneInfo
    week: tuple[tuple[tuple[timedelta, timedelta], ...], ...]
    holidays: frozenset[date]

    def stretches(self, start: datetime, until: datetime) -> Iterator[Stretch]:
        """Yield what is open between two moments, in order, as pieces [from, to) in UTC. Some five microseconds a day."""
        begin, end = start.astimezone(UTC), until.astimezone(UTC)
        while begin < end:
            stop = min(begin + DAY, end)
            for since, to, offset in self._segments(begin, stop):
                yield from self._within(since, to, offset)
            begin = stop

    def _segments(self, begin: datetime, stop: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
        """Yield the parts of at most a day in which the zone's distance from UTC stays the same: one, or two around a change."""
        first, last = self._offset(begin), self._offset(stop)
        if first == last:
            yield begin, stop, first
            return
        low, high = begin, stop
        while high - low > timedelta(seconds=1):
            middle = (low + (high - low) / 2).replace(microsecond=0)
            if middle <= low:
                break
            low, high = (middle, high) if self._offset(middle) == first else (low, middle)
        change = high.replace(microsecond=0)
        yield begin, change, first
        yield change, stop, last

    def _within(self, since: datetime, to: datetime, offset: timedelta) -> Iterator[Stretch]:
        day, last = (since + offset).date(), (to + offset).date()
        while day <= last:
            if day not in self.holidays:
                midnight = datetime.combine(day, time(), UTC) - offset
                for opens, closes in self.week[day.weekday()]:
                    one, other = max(since, midnight + opens), min(to, midnight + closes)
                    if one < other:
                        yield one, other
            day += DAY

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta(0)


def add(calendar: Mapping[str, Any] | None, start: datetime, seconds: float) -> datetime:
    """Return the first moment by which `seconds` of working time have passed since `start`; without a calendar, just later.

    It may be the moment of closing. Never raises: a calendar nobody can go by counts as none.
    """
    hours, wanted = _hours(calendar), timedelta(seconds=seconds)
    if hours is None or wanted <= timedelta(0):
        return start + wanted
    left = wanted
    for opens, closes in hours.stretches(start, start + FARTHEST):
        if closes - opens >= left:
            return (opens + left).astimezone(start.tzinfo)
        left -= closes - opens
    return start + wanted


def between(calendar: Mapping[str, Any] | None, start: datetime, end: datetime) -> float:
    """Return how many seconds of working time lie between two moments; 0 when `end` is not after `start`."""
    hours = _hours(calendar)
    if end <= start:
        return 0.0
    if hours is None:
        return (end - start).total_seconds()
    return sum((closes - opens for opens, closes in hours.stretches(start, end)), timedelta(0)).total_seconds()


def is_open(calendar: Mapping[str, Any] | None, moment: datetime) -> bool:
    """Return whether this moment is working time; always, without a calendar."""
    hours = _hours(calendar)
    if hours is None:
        return True
    wall = moment.astimezone(hours.zone)
    since_midnight = timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
    return wall.date() not in hours.holidays and any(
        opens <= since_midnight < closes for opens, closes in hours.week[wall.weekday()]
    )


def opens_at(calendar: Mapping[str, Any] | None, moment: datetime) -> datetime:
    """Return `moment` if it is working time, else the moment it opens next."""
    hours = _hours(calendar)
    if hours is None:
        return moment
    opens = next(hours.stretches(moment, moment + FARTHEST), (moment, moment))[0]
    return opens.astimezone(moment.tzinfo)


def open_stretches(calendars: Sequence[Mapping[str, Any] | None], start: datetime, until: datetime) -> list[Stretch]:
    """Return when any of these is open between two moments: joined, in order. One without hours to go by is always open."""
    pieces: list[Stretch] = []
    for calendar in calendars:
        hours = _hours(calendar)
        pieces += [(start.astimezone(UTC), until.astimezone(UTC))] if hours is None else hours.stretches(start, until)
    joined: list[Stretch] = []
    for opens, closes in sorted(pieces):
        if joined and opens <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], closes))
        else:
            joined.append((opens, closes))
    return joined


def why_unusable(calendar: Mapping[str, Any]) -> str:
    """Return what is wrong with a calendar, "" when one can go by it."""
    try:
        _read(calendar)
    except Unusable as error:
        return str(error)
    return ""


def _hours(calendar: Mapping[str, Any] | None) -> Hours | None:
    if not calendar:
        return None
    try:
        return _read(calendar)
    except Unusable:
        return None


def _read(calendar: Mapping[str, Any]) -> Hours:
    """Return a calendar's hours, from memory if they were read before; raises Unusable."""
    try:
        hours = calendar["hours"]
        week = tuple(tuple((str(opens), str(closes)) for opens, closes in hours.get(day) or ()) for day in DAYS)
        holidays = tuple(calendar.get("holidays") or ())
        if unknown := set(hours) - set(DAYS):
            raise Unusable(f"{sorted(map(str, unknown))[0]!r} is no day of the week.")
        return _made(str(calendar["time_zone"]), week, holidays)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable("Its hours cannot be read.") from error


@lru_cache(maxsize=256)
def _made(zone: str, week: tuple[tuple[tuple[str, str], ...], ...], holidays: tuple[str, ...]) -> Hours:
    if not any(week):
        raise Unusable("It never opens.")
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unusable(f"There is no time zone {zone!r}.") from None
    return Hours(place, tuple(_day(*pair) for pair in zip(DAYS, week, strict=True)), frozenset(map(date.fromisoformat, holidays)))


def _day(name: str, stretches: tuple[tuple[str, str], ...]) -> tuple[tuple[timedelta, timedelta], ...]:
    read = tuple((_offset_of(opens), _offset_of(closes)) for opens, closes in stretches)
    if any(opens >= closes for opens, closes in read):
        raise Unusable(f"On {name} it closes before it opens.")
    if any(before[1] > after[0] for before, after in pairwise(read)):
        raise Unusable(f"On {name} its hours overlap or are out of order.")
    return read


def _offset_of(text: str) -> timedelta:
    if not _TIME.fullmatch(text):
        raise Unusable(f"{text!r} is no time of a day: write 09:00, at most 24:00.")
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
