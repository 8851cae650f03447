"""Working time: shifts, weekends, holidays, both days on which the clocks are changed, and calendars nobody can go by."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from escalations import worktime

VIENNA = ZoneInfo("Europe/Vienna")
WEEKDAYS = {day: [["09:00", "18:00"]] for day in worktime.DAYS[:5]}
OFFICE = {"time_zone": "Europe/Vienna", "hours": WEEKDAYS, "holidays": []}
HOUR = 3600


def at(text, zone=VIENNA):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_half_past_five_on_a_friday_goes_on_on_monday():
    friday = at("2026-11-20 17:30")

    assert worktime.add(OFFICE, friday, 1.5 * HOUR) == at("2026-11-23 10:00")
    assert worktime.add(OFFICE, friday, 5.5 * HOUR) == at("2026-11-23 14:00")


def test_what_is_over_at_closing_time_is_over_then_and_not_the_next_morning():
    assert worktime.add(OFFICE, at("2026-11-20 14:00"), 4 * HOUR) == at("2026-11-20 18:00")
    assert worktime.add(OFFICE, at("2026-11-20 14:00"), 4 * HOUR + 1) == at("2026-11-23 09:00") + timedelta(seconds=1)


def test_lunch_does_not_count():
    calendar = {**OFFICE, "hours": {"mon": [["09:00", "12:30"], ["13:30", "18:00"]]}}

    assert worktime.add(calendar, at("2026-11-23 12:00"), HOUR) == at("2026-11-23 14:00")
    assert not worktime.is_open(calendar, at("2026-11-23 12:30"))
    assert worktime.is_open(calendar, at("2026-11-23 13:30"))


def test_a_holiday_does_not_count():
    calendar = {**OFFICE, "holidays": ["2026-12-08"]}

    assert worktime.add(calendar, at("2026-12-07 17:00"), 2 * HOUR) == at("2026-12-09 10:00")
    assert worktime.opens_at(calendar, at("2026-12-08 11:00")) == at("2026-12-09 09:00")


@pytest.mark.parametrize(
    "day, real", [("2026-03-29", 2), ("2026-10-25", 4), ("2026-11-01", 3)], ids=["an hour left out", "an hour twice", "another day"]
)
def test_the_hours_of_a_day_on_which_the_clocks_change_are_real_hours(day, real):
    calendar = {**OFFICE, "hours": {"sun": [["01:00", "04:00"]]}}

    assert worktime.between(calendar, at(f"{day} 00:00"), at(f"{day} 23:00")) == real * HOUR
    assert worktime.add(calendar, at(f"{day} 00:00"), real * HOUR) == at(f"{day} 04:00")


def test_an_hour_the_clocks_show_twice_is_open_twice_when_the_hours_lie_in_it():
    calendar = {**OFFICE, "hours": {"sun": [["02:15", "02:45"]]}}
    opens, again = at("2026-10-25 02:15"), at("2026-10-25 02:15").replace(fold=1)

    pieces = worktime.open_stretches([calendar], at("2026-10-25 00:00"), at("2026-10-25 12:00"))

    assert [one for one, _ in pieces] == [opens.astimezone(UTC), again.astimezone(UTC)]
    assert worktime.between(calendar, at("2026-10-25 00:00"), at("2026-10-25 12:00")) == HOUR


def test_hours_that_only_an_hour_left_out_would_have_are_not_open():
    calendar = {**OFFICE, "hours": {"sun": [["02:15", "02:45"]]}}

    assert worktime.between(calendar, at("2026-03-29 00:00"), at("2026-03-29 12:00")) == 0


def test_a_day_may_end_at_midnight_and_go_on_the_next_day():
    calendar = {**OFFICE, "hours": {"fri": [["22:00", "24:00"]], "sat": [["00:00", "06:00"]]}}

    assert worktime.add(calendar, at("2026-11-20 23:00"), 2 * HOUR) == at("2026-11-21 01:00")


def test_without_a_calendar_every_second_counts():
    night = at("2026-11-21 03:00")
    assert worktime.add(None, night, 90) == night + timedelta(seconds=90)
    assert worktime.is_open(None, night) and worktime.opens_at(None, night) == night
    assert worktime.between(None, night, night + timedelta(hours=1)) == HOUR


@pytest.mark.parametrize(
    "broken, why",
    [
        ({**OFFICE, "hours": {}}, "never opens"),
        ({**OFFICE, "hours": {"mon": []}}, "never opens"),
        ({**OFFICE, "time_zone": "Mars/Olympus"}, "no time zone"),
        ({**OFFICE, "time_zone": "../../etc/passwd"}, "no time zone"),
        ({**OFFICE, "hours": {"mon": [["9", "18"]]}}, "no time of a day"),
        ({**OFFICE, "hours": {"mon": [["18:00", "09:00"]]}}, "closes before"),
        ({**OFFICE, "hours": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "overlap"),
        ({**OFFICE, "hours": {"someday": [["09:00", "12:00"]]}}, "no day of the week"),
        ({**OFFICE, "hours": {"mon": "whenever"}}, "cannot be read"),
        ({**OFFICE, "hours": [1]}, "cannot be read"),
        ({**OFFICE, "holidays": ["Christmas"]}, "cannot be read"),
        ({**OFFICE, "holidays": 7}, "cannot be read"),
        ({"hours": WEEKDAYS}, "cannot be read"),
    ],
)
def test_a_calendar_nobody_can_go_by_lets_the_clock_run(broken, why):
    night = at("2026-11-21 03:00")

    assert why in worktime.why_unusable(broken)
    assert worktime.add(broken, night, HOUR) == night + timedelta(hours=1)
    assert worktime.is_open(broken, night)


def test_a_calendar_that_will_never_open_again_lets_the_clock_run():
    start = at("2026-11-23 08:00")
    closed = {"time_zone": "UTC", "hours": {"mon": [["00:00", "24:00"]]}, "holidays": [
        (start + timedelta(days=7 * week)).date().isoformat() for week in range(200)
    ]}  # fmt: skip

    assert worktime.add(closed, start, HOUR) == start + timedelta(hours=1)
    assert worktime.opens_at(closed, start) == start


def test_several_calendars_together_are_open_when_one_of_them_is():
    early = {**OFFICE, "hours": {"mon": [["06:00", "12:00"]]}}
    late = {**OFFICE, "hours": {"mon": [["11:00", "20:00"]], "tue": [["06:00", "07:00"]]}}

    found = worktime.open_stretches([early, late], at("2026-11-23 00:00"), at("2026-11-25 00:00"))

    assert found == [(at("2026-11-23 06:00"), at("2026-11-23 20:00")), (at("2026-11-24 06:00"), at("2026-11-24 07:00"))]
