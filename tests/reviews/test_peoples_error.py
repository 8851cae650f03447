"""A lane's errors, raised for how often people are wrong themselves."""

from datetime import timedelta

import pytest

from escalations import clock, looks
from escalations.learn import evidence
from escalations.models import SecondLook
from escalations.proof import noise
from reviews import peoples_error
from tests.factories import PersonFactory, SourceFactory, role
from tests.lanes import lane_with

pytestmark = pytest.mark.django_db


def looked_at(lane, *, apart, alike):
    """Let somebody look again at so many of the lane's decisions, and see so many otherwise than they were decided."""
    person = PersonFactory(roles=[role().name])
    for number, trial in enumerate(lane.trials.filter(right=True)[: apart + alike]):
        look = SecondLook.objects.create(proposal=trial.proposal, role=role(), lapses_at=clock.now() + timedelta(days=1))
        looks.answer(look.pk, person=person, verdict="reject" if number < apart else "approve", reason="r")


def test_of_too_few_second_looks_nothing_is_said():
    lane = lane_with(SourceFactory(), right=40, wrong=2)
    looked_at(lane, apart=1, alike=10)

    assert peoples_error.corrected(evidence.seen(lane)).corrected is None


def test_the_errors_are_raised_by_what_people_are_likely_to_miss_and_never_lowered():
    lane = lane_with(SourceFactory(), right=60, wrong=3)
    looked_at(lane, apart=2, alike=38)
    view = evidence.seen(lane)
    wrong, of = peoples_error.counted(view)

    errors, most = peoples_error.corrected(view).corrected

    people = noise.people_error(2, 40)
    assert of > 0 and errors == pytest.approx(wrong / of / (1 - people[0])) and errors >= wrong / of
    assert most == noise.corrected(wrong, of, lane.delta, people).bound and most > errors


def test_it_costs_one_query(django_assert_num_queries):
    lane = lane_with(SourceFactory(), right=30)
    looked_at(lane, apart=1, alike=24)
    view = evidence.seen(lane)

    with django_assert_num_queries(1):
        peoples_error.corrected(view)
