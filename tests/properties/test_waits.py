"""The estimated wait: order statistics that hold, censoring that is honest, and no number that cannot be."""

import random
from math import ceil, floor, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import wait
from escalations.waits import ENOUGH, LEVEL, Item, Past, between

LENGTHS = st.lists(st.floats(0, 1e6), min_size=1, max_size=120)


@given(LENGTHS, st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_with_everything_over_the_ends_are_the_order_statistics(lengths, level):
    middle, low, high = between(np.array(lengths), np.ones(len(lengths), dtype=bool), level)

    count, ranked = len(lengths), sorted(lengths)
    first, last = floor((count + 1) * (1 - level) / 2), ceil((count + 1) * (1 + level) / 2)
    assert low == (ranked[first - 1] if first else 0.0)
    assert high == (ranked[last - 1] if last <= count else None)
    assert low <= middle and (high is None or middle <= high)


@pytest.mark.parametrize("count", [5, 19, 20, 39])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_one_more_of_the_same_lies_between_them_as_often_as_said(count, level):
    """Brute force: of `count` + 1 different lengths in any order, each is the last one equally often."""
    held = 0
    for new in range(count + 1):
        past = np.array([one for one in range(count + 1) if one != new], dtype=float)
        _, low, high = between(past, np.ones(count, dtype=bool), level)
        held += low <= new and (high is None or new <= high)
    assert held / (count + 1) >= level


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1, max_size=80))
def test_what_has_not_ended_never_makes_it_look_quicker(seen):
    rest, over = np.array([length for length, _ in seen]), np.array([ended for _, ended in seen])
    middle, low, high = between(rest, over, 0.9)
    _, low_if_over, high_if_over = between(rest, np.ones(len(seen), dtype=bool), 0.9)
    assert low <= middle + 1e-9 and (high is None or low <= high)
    assert high is None or (high_if_over is not None and high >= high_if_over)
    assert low >= low_if_over or not over.any()


def test_kaplan_and_meier_by_hand():
    """Lengths 1, 2, 3+, 4, 5+ (a plus: not over): S = 4/5, 3/5, 3/5, 3/10, 3/10."""
    rest, over = np.array([3.0, 1.0, 5.0, 2.0, 4.0]), np.array([False, True, False, True, True])
    middle, low, high = between(rest, over, 0.5)
    assert (middle, low, high) == (4.0, 1.0, None)  # gone 1/5, 2/5, 2/5, 7/10: half is reached at 4, five sixths never


ITEMS = st.lists(
    st.tuples(st.floats(0, 5000), st.one_of(st.none(), st.floats(0, 5000)), st.floats(0, 9000), st.booleans()), max_size=80
)


@settings(max_examples=60)
@given(ITEMS, st.integers(0, 700), st.floats(0, 9000), st.floats(4000, 20_000))
def test_no_queue_breaks_it(raw, ahead, waited, now):
    items = [Item(came, None if long is None else came + long, due, cut) for came, long, due, cut in raw if long is None or came + long <= now]
    expected = Past(items, now).expect(ahead, waited, now)
    ended = sum(item.left is not None for item in items)
    assert expected is None or ended >= ENOUGH
    if expected is not None:
        middle, low, high = expected
        assert 0 <= low <= middle < inf and (high is None or middle <= high < inf)


def test_where_everything_takes_the_same_it_says_so():
    items = [Item(n * 100.0, n * 100.0 + 600.0, n * 100.0 + 9000) for n in range(100)]
    now = 9900.0 + 600.0
    seen = [item if item.left <= now else item._replace(left=None) for item in items]
    middle, low, high = Past(seen, now).expect(ahead=5, waited=0.0, now=now)
    assert 500 <= middle <= 700 and low <= 600 <= high


def test_a_queue_that_stands_still_has_no_upper_end():
    items = [Item(n * 10.0, n * 10.0 + 30.0, inf) for n in range(40)] + [Item(430.0 + n, None, 10_000.0 + n) for n in range(60)]
    _, low, high = Past(items, 90_000.0).expect(ahead=40, waited=80_000.0, now=90_000.0)
    assert high is None and low >= 0


@pytest.mark.parametrize("world", wait.WORLDS[:4], ids=lambda world: world.name)
def test_the_interval_holds_as_often_as_it_says_on_queues_of_several_kinds(world):
    counted = wait.count(world, seed=7, looks=60)
    assert counted.asked >= 40
    # Sixty looks at one run: what is promised less three standard deviations of a count of that many.
    assert counted.held / counted.asked >= LEVEL - 3 * (LEVEL * (1 - LEVEL) / counted.asked) ** 0.5
    assert counted.open_ended < counted.asked / 2


def test_order_of_items_does_not_matter():
    draw = random.Random(3)
    items = [Item(at, at + draw.uniform(10, 500), at + draw.uniform(0, 900)) for at in (draw.uniform(0, 9000) for _ in range(60))]
    told = {Past(list(order), 12_000.0).expect(3, 20.0, 12_000.0) for order in (items, items[::-1], draw.sample(items, len(items)))}
    assert len(told) == 1
