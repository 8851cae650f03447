"""Working time equals what one finds who looks at the clock on the wall, minute by minute."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from escalations import worktime

MINUTE = timedelta(minutes=1)
ZONES = [
    "UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns",
    "Pacific/Auckland", "Asia/Kathmandu",
]
CHANGES = [  # near the days on which some of these change their clocks, and an ordinary one
    datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC),
    datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 2, 14, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC),
]
LONGEST = 4 * 24 * 60  # minutes


def text(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def stretches(draw):
    marks = sorted(draw(st.sets(st.integers(0, 1440), min_size=0, max_size=6)))
    return [[text(opens), text(closes)] for opens, closes in zip(marks[::2], marks[1::2], strict=False)]


@st.composite
def calendars(draw):
    hours = {day: draw(stretches()) for day in worktime.DAYS}
    hours["sun"] = hours["sun"] or [["01:30", "04:00"]]
    begin = draw(st.sampled_from(CHANGES))
    away = draw(st.sets(st.integers(0, 5), max_size=2))
    holidays = [(begin.date() + timedelta(days=day)).isoformat() for day in sorted(away)]
    return {"time_zone": draw(st.sampled_from(ZONES)), "hours": hours, "holidays": holidays}, begin


def on_the_wall(calendar, moment):
    """Say whether the clock on the wall shows a time at which it is open. Knows nothing of offsets."""
    wall = moment.astimezone(ZoneInfo(calendar["time_zone"]))
    if date.isoformat(wall.date()) in calendar["holidays"]:
        return False
    shown = f"{wall:%H:%M}"
    return any(opens <= shown < closes for opens, closes in calendar["hours"][worktime.DAYS[wall.weekday()]])


def counted(calendar, start, minutes):
    """Return which of the minutes after `start` are open."""
    return [on_the_wall(calendar, start + MINUTE * number) for number in range(minutes)]


@settings(max_examples=60, deadline=None)
@given(calendars(), st.integers(0, 2 * 24 * 60), st.integers(1, LONGEST))
def test_working_time_is_what_the_wall_clock_shows_minute_by_minute(given_calendar, later, wanted):
    calendar, begin = given_calendar
    start = begin + MINUTE * later
    minutes = counted(calendar, start, LONGEST)
    end = start + MINUTE * LONGEST

    assert worktime.between(calendar, start, end) == 60 * sum(minutes)
    assert [worktime.is_open(calendar, start + MINUTE * number) for number in range(0, LONGEST, 7)] == minutes[::7]
    left, expected = wanted, None
    for number, is_open in enumerate(minutes):
        left -= is_open
        if left == 0:
            expected = start + MINUTE * (number + 1)
            break
    found = worktime.add(calendar, start, 60 * wanted)
    assert found == expected if expected else found > end
    first = next((number for number, is_open in enumerate(minutes) if is_open), None)
    if first is not None:
        assert worktime.opens_at(calendar, start) == start + MINUTE * first


@settings(max_examples=80, deadline=None)
@given(calendars(), st.integers(0, 5 * 86_400_000_000), st.integers(0, 500_000), st.integers(0, 500_000))
def test_waiting_twice_is_waiting_once_for_as_long(given_calendar, microseconds, one, other):
    calendar, begin = given_calendar
    start = begin + timedelta(microseconds=microseconds)

    assume(worktime.between(calendar, start, start + worktime.FARTHEST) >= one + other)

    together = worktime.add(calendar, start, one + other)

    assert worktime.add(calendar, worktime.add(calendar, start, one), other) == together
    assert worktime.between(calendar, start, together) == one + other
