"""The estimated wait of what stands in a queue, from the record."""

from datetime import timedelta

import pytest
from django.db import connection

from escalations import clock, lifecycle, waits
from escalations.models import Proposal
from tests.factories import PersonFactory, ProposalFactory, role


@pytest.fixture
def busy(db):
    """A role that answered sixty items, each ten minutes after it came, one a minute, until now."""
    now, finance = clock.now(), role("finance")
    for n in range(60):
        left = now - timedelta(minutes=60 - n)
        ProposalFactory(
            role=finance, routed_at=left - timedelta(minutes=10), due_at=left + timedelta(hours=4), state="approved", settled_at=left,
            findable=False,
        )
    return now


def waiting(now, **facts):
    return ProposalFactory(role=role("finance"), routed_at=now, due_at=now + timedelta(hours=4), expires_at=now + timedelta(hours=12), **facts)


def test_what_always_took_ten_minutes_takes_about_ten(busy):
    with clock.frozen_at(busy):
        one = waiting(busy)
        wait = waits.estimates([one])[one.pk]

    assert wait.low <= wait.seconds <= wait.high and wait.level == 0.9
    assert 0 < wait.seconds <= 660 and wait.high <= 700, wait


def test_a_role_that_never_answered_is_told_by_the_clock(db):
    now = clock.now()
    with clock.frozen_at(now):
        one = waiting(now)
        wait = waits.estimates([one])[one.pk]

    assert (wait.seconds, wait.low, wait.high) == (4 * 3600, 0, 12 * 3600)


def test_nothing_is_told_to_take_longer_than_the_clock_allows(busy):
    with clock.frozen_at(busy):
        one = waiting(busy)
        one.expires_at = busy + timedelta(seconds=30)
        wait = waits.estimates([one])[one.pk]
    assert wait.high == 30 and wait.low <= wait.seconds <= 30


def test_what_is_parked_ends_when_somebody_ends_it(db):
    now = clock.now()
    with clock.frozen_at(now):
        one = waiting(now, parked_at=now)
        assert waits.estimates([one])[one.pk].high is None


def test_what_waits_for_nobody_has_no_wait(busy):
    settled = Proposal.objects.filter(state="approved").first()
    unrouted = ProposalFactory(routed_at=None, due_at=None)
    assert waits.estimates([settled, unrouted]) == {settled.pk: None, unrouted.pk: None}


@pytest.mark.parametrize("size", [1, 12])
def test_two_queries_however_many_and_one_while_nothing_ends(busy, size, django_assert_num_queries):
    listed = [waiting(busy) for _ in range(size)]
    with django_assert_num_queries(2):  # the places in the queues, and how these went
        waits.estimates(listed)
    with django_assert_num_queries(1):
        waits.estimates(listed)


def test_a_role_that_ended_little_is_not_looked_for_among_all_that_ended(busy):
    waiting(busy)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute("EXPLAIN " + waits._SEEN, [[role("security").pk], waits.LOOK_BACK, waits.OPEN_SEEN])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "proposal_settled_of_role" in plan and "Index Scan using proposal_settled on" not in plan


def test_a_new_answer_is_heard_at_once(busy):
    person = PersonFactory(roles=["finance"])
    one, other = waiting(busy), waiting(busy)
    before = waits.estimates([one])[one.pk]
    kept = waits._worked_out[one.role_id]
    assert waits.estimates([one])[one.pk].low <= before.seconds and waits._worked_out[one.role_id] is kept
    lifecycle.decide(other.pk, person=person, type="approve", digest=other.args_digest, version=other.version)
    waits.estimates([one])
    assert waits._worked_out[one.role_id] is not kept


def test_what_rules_let_go_says_nothing_of_people(db):
    now = clock.now()
    for n in range(50):
        ProposalFactory(
            role=role("finance"), asked=[], routed_at=now - timedelta(seconds=n + 1), settled_at=now - timedelta(seconds=n), state="approved",
            findable=False,
        )
    with clock.frozen_at(now):
        one = waiting(now)
        assert waits.estimates([one])[one.pk].seconds == 4 * 3600
