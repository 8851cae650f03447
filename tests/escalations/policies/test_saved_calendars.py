"""Calendars that are saved while policies go by them."""

from datetime import date, timedelta

import pytest

from escalations import audit, clock, policies
from escalations.errors import Invalid
from escalations.models import Calendar, EscalationPolicy, Holiday
from escalations.policies.calendars import MOST_HOLIDAYS, Day

pytestmark = pytest.mark.django_db

WEEK = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def office(**more):
    return policies.save_calendar(Calendar(**{"name": "Office", "time_zone": "Europe/Vienna", "hours": WEEK} | more), days=[], actor=audit.SYSTEM)


@pytest.mark.parametrize(
    ("hours", "closed"),
    [({"sun": [["03:00", "03:01"]]}, 0), ({"sun": [["03:00", "03:10"]]}, 0), (WEEK, MOST_HOLIDAYS)],
)
def test_hours_in_which_a_policy_would_take_more_than_a_year_are_refused(hours, closed):
    """Its proposals would wait for years, or their clocks run as if there were no calendar."""
    calendar = office()
    EscalationPolicy.objects.filter(is_default=True).update(calendar=calendar)
    calendar.hours = hours
    yesterday = clock.now().date() - timedelta(days=1)
    days = [Day(yesterday + timedelta(days=number), "closed") for number in range(closed)]
    with pytest.raises(Invalid) as refused:
        policies.save_calendar(calendar, days=days, actor=audit.SYSTEM)

    assert refused.value.errors[0]["pointer"] == "/hours" and "more than a year" in refused.value.errors[0]["detail"]
    assert Calendar.objects.get().hours == WEEK and not Holiday.objects.exists()


def test_hours_nobody_goes_by_may_be_as_few_as_one_likes():
    assert office(hours={"sun": [["03:00", "03:01"]]}).pk


def test_one_calendar_that_cannot_take_its_holidays_keeps_none_from_the_others(caplog):
    full, other = office(name="Full"), office(name="Other")
    Calendar.objects.update(country="AT")
    Holiday.objects.bulk_create(
        Holiday(calendar=full, day=date(2100, 1, 1) + timedelta(days=number), name="closed") for number in range(MOST_HOLIDAYS)
    )

    assert policies.fill_in_all() > 10
    assert other.holidays.filter(filled_in=True).exists() and full.holidays.count() == MOST_HOLIDAYS
    assert "Full" in caplog.text
