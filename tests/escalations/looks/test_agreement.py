"""How far people agree, and what that says of their error."""

import pytest

from escalations import looks
from escalations.looks import agreement
from escalations.models import ClassifierVersion, Lane, Trial
from escalations.states import TrialMode
from tests.factories import PersonFactory, WorkFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(drawn, decided, rosa):
    """One decision of Rosa's and what somebody new said of it."""

    def make(first="approve", second="approve", category="refund", **facts):
        look = drawn(rosa, proposal=decided(rosa, first, category=category), **facts)
        return looks.answer(look.pk, person=PersonFactory(roles=["finance"]), verdict=second, reason="r")

    return make


def test_the_table_of_cohens_own_kind_comes_out(pair):
    # 20 yes and 15 no alike, 5 and 10 apart: po 0.7, pe 0.5, kappa 0.4 (the example of every textbook).
    for first, second, many in (("approve", "approve", 8), ("approve", "reject", 2), ("reject", "approve", 4), ("reject", "reject", 6)):
        for _ in range(many):
            pair(first, second)

    whole, refund = agreement.by_category(agreement.pairs(agreement.answered()))

    assert (whole.category, refund.category, whole.n, whole.same) == ("", "refund", 20, 14)
    assert whole.kappa == pytest.approx(0.4)
    assert whole.low < 0.4 < whole.high


def test_of_few_pairs_kappa_says_nothing(pair):
    """Of five, the interval of large samples would be as narrow as it is wrong."""
    for first, second in [("approve", "reject"), ("reject", "approve"), *[("approve", "approve")] * 3]:
        pair(first, second)

    whole, _ = agreement.by_category(agreement.pairs(agreement.answered()))

    assert (whole.n, whole.same, whole.too_few) == (5, 3, True)
    assert whole.kappa is whole.low is whole.high is whole.error is None


def test_known_answers_are_no_pairs(pair):
    pair(expected="reject")

    assert agreement.pairs(agreement.answered()) == []


def test_where_people_disagree_is_listed_newest_first(pair):
    pair()
    first, second = pair("approve", "reject"), pair("edit", "approve")

    assert agreement.disagreements() == [second, first]


def test_peoples_error_needs_enough_pairs_and_follows_from_how_often_they_differ(pair):
    for _ in range(agreement.LEAST - 1):
        pair()
    assert agreement.people_error("refund") is None
    pair("approve", "edit")

    rate, low, high, n = agreement.people_error("refund")

    # d = 1/20, so e = (1 - sqrt(0.9)) / 2.
    assert n == 20 and rate == pytest.approx(0.025658, abs=1e-5)
    assert 0 < low < rate < high < 0.5
    assert agreement.people_error("payment") is None


def test_a_lane_has_its_own(pair, monkeypatch):
    monkeypatch.setattr(agreement, "LEAST", 2)
    looked = [pair(), pair("approve", "reject"), pair()]
    lane = Lane.objects.create(source=looked[0].proposal.source, by="action", subject="refund")
    for one in looked[:2]:
        Trial.objects.create(proposal=one.proposal, lane=lane, work=WorkFactory(incident=one.proposal.incident), mode=TrialMode.WATCHED)

    rate, _, _, n = agreement.people_error(lane)

    assert (n, rate) == (2, pytest.approx(0.5))
    assert not ClassifierVersion.objects.exists()
