"""What a policy would do, in words, before it is saved."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from escalations import policies
from escalations.errors import Invalid
from escalations.models import Calendar, EscalationPolicy, Role
from escalations.policies.preview import preview

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
FRIDAY = datetime(2026, 11, 20, 17, 30, tzinfo=ZoneInfo("Europe/Vienna"))


def told(policy, steps, moment=FRIDAY, present=None):
    present = set(Role.objects.values_list("pk", flat=True)) if present is None else present
    return preview(policy, steps, first="finance", moment=moment, zone="Europe/Vienna", present=present)


@pytest.fixture
def manager():
    return Role.objects.get(name="manager")


@pytest.fixture
def office():
    return Calendar.objects.create(
        name="Office", time_zone="Europe/Vienna", hours={day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    )


def test_a_friday_evening_in_working_hours(manager, office):
    policy = EscalationPolicy(name="Quick", expires_after=5.5 * HOUR, calendar=office)

    said = told(policy, [policies.Step(manager, 1.5 * HOUR)])

    assert said.sentence == (
        "Posted Friday 20 November 2026, 17:30: finance until Monday 10:00, then manager until 14:00, then reject."
    )
    assert any("Europe/Vienna, the calendar's" in note for note in said.notes)


def test_without_a_calendar_it_says_that_nights_count_too(manager):
    policy = EscalationPolicy(name="Quick", expires_after=12 * HOUR)

    said = told(policy, [policies.Step(manager, 4 * HOUR, repeat=1)])

    assert said.sentence == (
        "Posted Friday 20 November 2026, 17:30: finance until 21:30, then manager until Saturday 01:30, "
        "then manager again until 05:30, then reject."
    )
    assert any("at night and at weekends" in note for note in said.notes)


def test_a_yes_without_anybody_is_a_no_until_it_is_confirmed(manager):
    policy = EscalationPolicy(name="Yes", expires_after=12 * HOUR, fallback="approve")

    assert "then reject (approve only once" in told(policy, [policies.Step(manager, HOUR)]).sentence


def test_what_is_far_away_is_said_with_its_date(manager, office):
    policy = EscalationPolicy(name="Slow", expires_after=90 * HOUR, calendar=office)

    assert "until Friday 4 December, 17:30" in told(policy, []).sentence


def test_roles_without_anybody_and_a_closed_office_are_named(manager, office):
    policy = EscalationPolicy(name="Slow", expires_after=9 * HOUR, calendar=office, quorum=2)

    said = told(policy, [policies.Step(manager, HOUR)], moment=FRIDAY + 2 * HOUR, present=set())

    assert "its clock begins on Monday 09:00" in " ".join(said.notes)
    assert "Nobody is in manager now" in " ".join(said.notes) and "2 people" in " ".join(said.notes)


def test_a_calendar_in_which_a_policy_would_take_more_than_a_year_is_refused(manager):
    seldom = Calendar.objects.create(name="Seldom", hours={"mon": [["09:00", "09:30"]]})
    policy = EscalationPolicy(name="Slow", expires_after=40 * HOUR, calendar=seldom)

    with pytest.raises(Invalid) as refused:
        policies.check_policy(policy, [])
    assert [error["code"] for error in refused.value.errors] == ["too_long"]
