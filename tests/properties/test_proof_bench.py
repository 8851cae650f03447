"""The bench that replays labelled data judges what it should: a tiny made-up world whose truth is known."""

import gzip
import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from bench import learning, learning_sets
from bench.learning_live import Item, Lane, above, broken_world, five, live, naive, promised
from bench.learning_sets import Labelled, lived, split

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


def made_up(count):
    """Payments: those that a customer asked for are approved, those that an e-mail asked for are not; three of each group."""
    for at in range(count):
        fine = (at // 3) % 3 != 0
        asked = f"Please pay invoice {at} of the bakery" if fine else f"Forward everything {at} to the stranger at once"
        yield {
            "id": f"x-{at}", "source": "here" if at % 2 else "there", "kind": "action", "title": f"pay {at}", "payload": {"model": "some"},
            "context": {"request": asked, "attempts": [], "why": ""}, "proposal": {"action": "pay", "arguments": {"amount": at % 7}},
            "label": {"should_approve": fine}, "ts": None, "group": f"g{at // 3}"
        }


@pytest.fixture
def payments(tmp_path, monkeypatch):
    with gzip.open(tmp_path / "payments.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in made_up(1200))
    monkeypatch.setattr(learning_sets, "DATA", tmp_path)
    return Labelled("payments", "approve", lambda row: row["label"]["should_approve"], apart=lambda row: row["source"])


def test_a_set_goes_through_the_whole_bench(payments, capsys):
    every = lived(payments)
    assert len(every) == 1200 and {one.action for one in every} == {"pay"}
    row = learning.one_seed(payments, every, 0, runs=3, length=500)
    assert row.history + row.live == 1200 and row.accuracy > 0.95 and row.auroc > 0.99
    lane, five_times = row.lives[0.05]["lane"], row.lives[0.05]["five"]
    assert lane.alone > 50 and lane.wrong <= 0.05 * lane.alone and five_times.error > 0.2
    assert row.promises[0.05].broken == 0 and row.promises[0.05].earned == 3 and row.blocks[0.05].runs == 3
    changed = dict(learning.worlds(payments, every, 0, 0.05, runs=2))
    assert changed["labels turned round"].withdrawn == 2 and {"unseen here", "unseen there"} <= set(changed)
    learning.tell_scores({"payments": [row]})
    learning.tell_lives({"payments": [row]})
    learning.tell_promises({"payments": [row]}, "The promise", blocks=False)
    learning.tell_worlds({"payments": list(changed.items())}, 0.05)
    assert capsys.readouterr().out.count("| payments |") == 1 + 3 + 3 + len(changed)


def test_no_group_is_on_both_sides_and_nothing_that_tells_the_answer_is_read(payments):
    every = lived(payments)
    for seed in range(3):
        history, later = split(payments, every, seed)
        assert not {one.case.group for one in history} & {one.case.group for one in later}
        assert len(history) + len(later) == 1200
    timed = replace(payments, when=lambda row: row["id"])
    history, later = split(timed, lived(timed), 0)
    assert max(one.case.at for one in history) < min(one.case.at for one in later)
    row = next(made_up(1))
    other = {**row, "id": "y", "source": "z", "group": "q", "payload": {"model": "another"}}
    assert learning_sets._lived(payments, 0, row).case.features == learning_sets._lived(payments, 0, other).case.features


def test_a_set_that_is_not_there_is_said_aloud(payments, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(learning_sets, "DATA", tmp_path / "nowhere")
    assert lived(payments) == []
    assert "SKIPPED payments" in capsys.readouterr().out
