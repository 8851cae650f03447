"""The bench that replays labelled data judges what it should: a tiny made-up world whose truth is known."""

import random
from collections import Counter

import pytest

from bench.learning_live import Item, Lane, above, broken_world, five, live, naive, promised

RUNGS = [0.95, 0.9, 0.8, 0.6, 0.4, 0.2]


def world(count, seed=1, lies=0.0):
    """Items whose score tells how likely they are right: above 0.5 nearly always, below hardly ever; `lies` of them turned round."""
    draws = random.Random(seed)
    made = []
    for _ in range(count):
        score = draws.random()
        right = draws.random() < (0.995 if score > 0.5 else 0.2)
        made.append(Item(score, right ^ (draws.random() < lies), draws.choice("abc"), 0.5))
    return made


def test_a_good_lane_earns_and_what_goes_alone_errs_less_than_allowed():
    told = live(world(3000), RUNGS, 0.05, 0.05)
    assert told.grants == 1 and not told.ends
    assert 0.25 < told.share < 0.6 and told.error < 0.05
    assert told.audits > 0 and told.alone + told.audits < told.seen


def test_a_lane_whose_scores_say_nothing_earns_nothing():
    draws = random.Random(3)
    told = live([Item(draws.random(), draws.random() < 0.8) for _ in range(2000)], RUNGS, 0.05, 0.05)
    assert told.alone == told.grants == 0


def test_items_too_unfamiliar_or_unknown_stay_with_people():
    lane = Lane([0.5], 0.05, 0.05, 0)
    for _ in range(300):
        lane.take(Item(0.9, True))
    assert lane.threshold == 0.5
    assert lane.take(Item(None, True)) is None and lane.take(Item(0.4, True)) is None
    assert lane.life.alone > 0


def test_a_world_that_turns_round_costs_the_lane_its_grant():
    told = broken_world(world(2000), world(2000, 2, lies=1.0), RUNGS, 0.05, 0.05, runs=5, seed=1)
    assert told.granted == told.withdrawn == 5
    assert told.new_error > 0.9 and told.wrong[-1] < 200 and sum(told.ends.values()) == 5
    same = broken_world(world(2000), world(2000), RUNGS, 0.05, 0.05, runs=5, seed=1, then=500)
    assert same.withdrawn <= 1 and same.new_error < 0.05


def test_the_promise_is_counted_against_the_truth_of_the_pool():
    good = promised(world(1000), RUNGS, 0.05, 0.05, runs=15, length=800, seed=1, past=100)
    assert good.earned == 15 and good.broken <= 2 and good.error < 0.05 and good.share > 0.2
    assert 0 < good.decisions < 800 and good.five_broken == 15
    # where every threshold errs just more than allowed, a naive one is chosen often, and wrongly whenever it is chosen.
    bad = [Item(1.0 - at / 1000, at % 10 != 0) for at in range(1000)]
    said = promised(bad, RUNGS, 0.09, 0.05, runs=15, length=400, seed=1, past=100)
    assert said.broken <= 2 and said.naive_broken >= 5


def test_the_baselines_do_what_they_say():
    items = [Item(0.9, True), Item(0.8, True), Item(0.8, False), Item(0.7, True), Item(None, True)]
    assert naive(items, 0.0) == 0.9 and naive(items, 0.34) == 0.7 and naive([], 0.5) is None
    assert naive([Item(0.8, False)], 0.5) is None
    told = above(items, 0.8)
    assert (told.seen, told.alone, told.wrong, told.share) == (5, 3, 1, 0.6)
    assert above(items, None).alone == 0
    row = [Item(1.0, right, "pay") for right in [True, True, False, True, True, True, True, True, False, False]]
    told = five(row)
    assert (told.alone, told.wrong) == (2, 2)


def test_what_came_of_a_lane_is_counted_once():
    told = live(world(1500, 5), RUNGS, 0.1, 0.05)
    assert told.seen == 1500 and isinstance(told.ends, Counter)
    assert told.error == pytest.approx(told.wrong / told.alone)
