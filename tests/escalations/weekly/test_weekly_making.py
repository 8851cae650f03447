"""Made each Monday, once, for each team to whom anything came."""

from datetime import timedelta

import pytest
from django.db import transaction
from teams_week import MONDAY, NEXT, SINCE

from escalations import clock, weekly
from escalations.models import AuditEntry, EscalationReview, FollowUp, Notice
from escalations.weekly.gathering import begins, monday_of
from tests.factories import role

pytestmark = pytest.mark.django_db


def make_all(moment=NEXT):
    with clock.frozen_at(moment):
        return weekly.make_due(limit=10)


def test_makes_one_for_each_team_to_whom_anything_came(came):
    came()
    came(role=role("support"))
    came(-24, role=role("security"))
    came(role=role("operations"), incident_test=True)

    assert make_all() == 2
    assert make_all() == 0

    made = EscalationReview.objects.all()
    assert sorted((one.role.name, one.week) for one in made) == [("finance", MONDAY), ("support", MONDAY)]
    assert all(one.agenda["came"] == 1 and one.state == "open" for one in made)
    assert AuditEntry.objects.filter(action="weekly.made").count() == 2


def test_the_team_is_told_once_and_only_where_there_is_something_to_talk_about(came, rosa):
    came()
    make_all()
    review = EscalationReview.objects.get()
    FollowUp.objects.create(review=review, text="Ask legal", owner=rosa, created_by=rosa)

    assert make_all(NEXT + timedelta(days=7)) == 1  # only what is still to be done

    told = Notice.objects.filter(kind="weekly_review")
    assert [(one.person, one.role, one.facts["page"], one.facts["items"]) for one in told] == [
        (rosa, role("finance"), review.get_absolute_url(), len(review.agenda["items"])),
    ]


def test_nothing_is_made_before_the_week_is_over(came):
    came()

    assert make_all(SINCE + timedelta(days=6, hours=23)) == 0
    assert make_all(SINCE + timedelta(days=7)) == 1


def test_weeks_in_which_nothing_ran_are_made_up_for(came):
    came(role=role("support"))
    make_all()
    came(7 * 24)
    came(3 * 7 * 24)

    assert make_all(NEXT + timedelta(days=21)) == 2
    assert [one.week for one in EscalationReview.objects.filter(role=role("finance")).order_by("week")] == [
        MONDAY + timedelta(days=7), MONDAY + timedelta(days=21),
    ]


def test_what_is_to_be_done_still_brings_a_quiet_team_together_again(came, rosa):
    came()
    make_all()
    first = EscalationReview.objects.get()
    FollowUp.objects.create(review=first, text="Ask legal", owner=rosa, created_by=rosa)

    assert make_all(NEXT + timedelta(days=7)) == 1

    second = EscalationReview.objects.get(week=MONDAY + timedelta(days=7))
    assert [one.text for one in weekly.shown_on(second)] == ["Ask legal"]


def test_two_that_make_the_same_make_one(came):
    came()
    with clock.frozen_at(NEXT):
        assert weekly.make(role("finance").pk, MONDAY) is not None
        assert weekly.make(role("finance").pk, MONDAY) is None
    assert EscalationReview.objects.count() == 1


def test_a_crash_between_leaves_nothing(came):
    came()
    with clock.frozen_at(NEXT), pytest.raises(RuntimeError), transaction.atomic():
        weekly.make(role("finance").pk, MONDAY)
        raise RuntimeError
    assert not EscalationReview.objects.exists() and not AuditEntry.objects.filter(action="weekly.made").exists()


def test_a_week_begins_on_monday_at_midnight_utc():
    assert monday_of(SINCE) == MONDAY
    assert monday_of(SINCE - timedelta(seconds=1)) == MONDAY - timedelta(days=7)
    assert begins(MONDAY).isoformat() == "2026-03-02T00:00:00+00:00"
