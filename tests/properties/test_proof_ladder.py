"""The ladder certifies what one gets by going through it rung by rung, and searching it for luck breaks no promise."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.proof.betting import log_wealth, upper
from escalations.proof.ladder import Ladder, start_at


def by_hand(rungs, alpha, delta, starts, pairs):
    """The procedure as the paper tells it, from the pairs themselves."""
    strict = sorted(set(rungs), reverse=True)
    begin = start_at(len(strict), starts)
    passed, handed = [], 0.0
    for at, threshold in enumerate(strict):
        chosen = [right for score, right in pairs if score is not None and score >= threshold]
        level = handed + (delta / len(begin) if at in begin else 0)
        ok = level > 0 and log_wealth(chosen.count(False), len(chosen), alpha) >= log(1 / level)
        handed = level if ok else 0.0
        passed.append((threshold, len(chosen), chosen.count(False), ok))
    return passed


scores = st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(scores, max_size=8), st.lists(st.tuples(st.one_of(st.none(), scores), st.booleans()), max_size=60), st.integers(1, 5),
    st.sampled_from([0.1, 0.3, 0.6]), st.integers(1, 8)
)
def test_it_counts_and_certifies_as_by_hand(rungs, pairs, starts, alpha, often):
    pairs = pairs * often
    ladder = Ladder.of(rungs, alpha, 0.1, pairs, starts)
    told = by_hand(rungs, alpha, 0.1, starts, pairs)
    assert [(one.threshold, one.selected, one.wrong, one.passed) for one in ladder.rungs()] == told
    assert ladder.decided == len(pairs)
    passed = [(selected, threshold) for threshold, selected, _, ok in told if ok]
    assert ladder.certifies() == (max(passed)[1] if passed else None)  # of those that select as many the highest threshold
    found = ladder.certified()
    assert (found.threshold if found else None) == ladder.certifies()
    for one in ladder.rungs():
        if one.level:
            assert one.passed == (one.bound <= alpha) or one.bound == pytest.approx(alpha, rel=1e-6)
        assert one.share == (one.selected / len(pairs) if pairs else 0)
        assert one.bound == upper(one.wrong, one.selected, one.level or 0.1 / max(len(ladder.starts), 1))


@pytest.mark.parametrize("rungs", [1, 2, 3, 4, 7, 20, 21, 100])
def test_the_parts_of_delta_add_up_to_delta(rungs):
    begin = start_at(rungs, 4)
    assert len(begin) == min(4, rungs) and begin == sorted(set(begin)) and 0 <= begin[0] <= begin[-1] == rungs - 1
    assert start_at(20, 4) == [4, 9, 14, 19] and start_at(0, 4) == []


WORLDS = {
    # errors in ten equal stretches of score, best first; where the share so far errs 10 % or more, certifying it is a mistake
    "all just bad enough": [0.1] * 10,
    "good at first, then bad": [0.0, 0.0, 0.1, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2],
    "best scores lie": [0.35, 0.1, 0.05, 0.02, 0.02, 0.1, 0.1, 0.2, 0.2, 0.3],
    "up and down about the line": [0.1, 0.1, 0.08, 0.14, 0.1, 0.08, 0.1, 0.13, 0.1, 0.1],
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_searching_the_ladder_at_many_moments_breaks_the_promise_no_oftener_than_delta(world):
    """1,000 lanes looked at 30 times each; each may end with a mistake, and delta of them may."""
    alpha, delta, runs = 0.1, 0.2, 1000
    draws = np.random.default_rng(11)
    rungs = [(9 - at) / 10 for at in range(10)]
    # exactly 0.1 must count as bad, whatever the sum of floats is
    bad = {threshold for at, threshold in enumerate(rungs) if sum(world[: at + 1]) / (at + 1) >= alpha - 1e-9}
    assert bad
    broken = 0
    begin = start_at(10, 4)
    goal = {}
    for _ in range(runs):
        where = draws.integers(0, 10, 600)
        wrong = draws.random(600) < np.asarray(world)[where]
        seen = np.zeros((10, 600), dtype=int)
        erred = np.zeros((10, 600), dtype=int)
        for at in range(10):
            seen[at] = np.cumsum(where <= at)
            erred[at] = np.cumsum((where <= at) & wrong)
        for look in range(19, 600, 20):
            handed = 0.0
            certified = []
            for at in range(10):
                level = handed + (delta / len(begin) if at in begin else 0)
                key = (int(erred[at][look]), int(seen[at][look]))
                if key not in goal:
                    goal[key] = log_wealth(*key, alpha)
                handed = level if level and goal[key] >= -log(level) else 0.0
                if handed:
                    certified.append(rungs[at])
            if bad.intersection(certified):
                broken += 1
                break
    assert broken <= delta * runs


def test_the_simulation_above_goes_through_the_ladder_as_the_ladder_does():
    draws = np.random.default_rng(5)
    found = set()
    for _ in range(30):
        pairs = [(float(score), bool(draws.random() < 0.8 + score / 5)) for score in draws.random(400)]
        rungs = [(9 - at) / 10 for at in range(10)]
        ladder = Ladder.of(rungs, 0.1, 0.2, pairs)
        passed = [(selected, one) for one, selected, _, ok in by_hand(rungs, 0.1, 0.2, 4, pairs) if ok]
        assert ladder.certifies() == (max(passed)[1] if passed else None)
        found.add(ladder.certifies())
    assert len(found) > 2


def test_a_good_lane_earns_its_share_after_about_as_many_decisions_as_it_was_told():
    ladder = Ladder([at / 20 for at in range(20)], 0.02, 0.05)
    promised = ladder.needed()
    draws = np.random.default_rng(3)
    while ladder.certifies() is None:
        ladder.add(float(draws.random()), True)
    assert ladder.decided == pytest.approx(promised, rel=0.1)
    assert ladder.certified().selected >= 150
    more = ladder.needed()
    before = sum(one.passed for one in ladder.rungs())
    for _ in range(more + 60):
        ladder.add(float(draws.random()), True)
    assert sum(one.passed for one in ladder.rungs()) > before


def test_where_the_errors_are_too_many_no_number_of_decisions_helps():
    ladder = Ladder.of([0.5, 0.1], 0.02, 0.05, [(0.9, True), (0.9, False)] * 100)
    assert ladder.needed() is None and ladder.certified() is None
    assert Ladder([], 0.02, 0.05).needed() is None


def test_it_refuses_what_is_no_promise():
    for alpha, delta, starts in [(0.0, 0.05, 4), (1.0, 0.05, 4), (0.02, 0.0, 4), (0.02, 1.0, 4), (0.02, 0.05, 0)]:
        with pytest.raises(ValueError):
            Ladder([0.5], alpha, delta, starts)
