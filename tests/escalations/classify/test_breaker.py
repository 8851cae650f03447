"""The circuit breaker and the daily budget."""

from datetime import timedelta

import pytest

from escalations import clock
from escalations.classify.breaker import Breaker, reserve, settle
from escalations.models import ModelSpend


class Watch:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def open_breaker(watch):
    breaker = Breaker(monotonic=watch)
    for _ in range(5):
        breaker.failed()
    return breaker


def test_it_opens_after_five_failures_in_a_row_not_before(watch):
    breaker = Breaker(monotonic=watch)
    for _ in range(4):
        breaker.failed()

    assert breaker.allow()

    breaker.failed()

    assert not breaker.allow()


def test_an_answer_in_between_begins_the_count_again(watch):
    breaker = Breaker(monotonic=watch)
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()

    assert breaker.allow()


def test_after_thirty_seconds_one_call_and_only_one_may_try(open_breaker, watch):
    watch.seconds += 29.9
    assert not open_breaker.allow()

    watch.seconds += 0.1
    assert [open_breaker.allow() for _ in range(3)] == [True, False, False]


def test_the_one_that_tries_closes_it_or_opens_it_for_another_thirty_seconds(open_breaker, watch):
    watch.seconds += 30
    open_breaker.allow()
    open_breaker.failed()
    watch.seconds += 29.9
    assert not open_breaker.allow()

    watch.seconds += 0.1
    assert open_breaker.allow()
    open_breaker.succeeded()
    assert open_breaker.allow() and open_breaker.allow()


def test_one_that_tries_and_never_reports_frees_its_place(open_breaker, watch):
    watch.seconds += 30
    assert open_breaker.allow()

    watch.seconds += 30
    assert open_breaker.allow()


@pytest.mark.django_db
def test_the_budget_lets_through_what_fits_in_order():
    fits, day = reserve([400, 400, 400], budget=1000)

    assert fits == 2
    assert ModelSpend.objects.get(day=day).tokens_in == 800
    assert reserve([400], budget=1000)[0] == 0
    assert reserve([200], budget=1000)[0] == 1


@pytest.mark.django_db
def test_what_was_reserved_gives_way_to_what_was_used():
    fits, day = reserve([400, 400], budget=1000)

    settle(day, reserved=800, calls=2, tokens_in=150, tokens_out=50)

    spent = ModelSpend.objects.get(day=day)
    assert (spent.calls, spent.tokens_in, spent.tokens_out) == (2, 150, 50)
    assert reserve([800], budget=1000)[0] == 1


@pytest.mark.django_db
def test_a_new_day_has_a_new_budget():
    assert reserve([1000], budget=1000)[0] == 1
    with clock.frozen_at(clock.now() + timedelta(days=1)):
        assert reserve([1000], budget=1000)[0] == 1


@pytest.mark.django_db
def test_no_budget_means_no_calls():
    assert reserve([1], budget=0)[0] == 0
