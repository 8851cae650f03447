"""How well people agree, what that does to what we believe of the machine, and how good a score is: against published values."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from escalations.interval import clopper_pearson
from escalations.proof.agreement import cohen
from escalations.proof.betting import upper
from escalations.proof.calibration import auroc, bins, ece
from escalations.proof.noise import corrected, people_error


def pairs(table):
    return [(str(row), str(column)) for row, counts in enumerate(table) for column, count in enumerate(counts) for _ in range(count)]


def test_kappa_of_the_textbook():
    """J. L. Fleiss, B. Levin, M. C. Paik, Statistical Methods for Rates and Proportions (2003), table 18.1: .68, standard error .087."""
    said = cohen(pairs([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert (said.n, said.observed, said.expected) == (100, 0.89, pytest.approx(0.66))
    assert said.kappa == pytest.approx(0.676, abs=0.0005)
    assert (said.high - said.low) / 2 / 1.96 == pytest.approx(0.0875, abs=0.0007)


def test_kappa_of_two_doctors():
    """A. J. Viera and J. M. Garrett, "Understanding interobserver agreement", Family Medicine 37 (2005), 360–363: of 100, kappa .37."""
    assert cohen(pairs([[15, 5], [10, 70]])).kappa == pytest.approx(0.57, abs=0.005)
    assert cohen(pairs([[20, 5], [10, 15]])).kappa == pytest.approx(0.4)  # the usual worked example: 0.7 observed, 0.5 by chance


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=80))
def test_kappa_equals_scikit_learns_and_lies_in_its_interval(said):
    found = cohen(said)
    first, second = zip(*said, strict=True)
    if found.kappa is None:
        assert len(set(first + second)) == 1
        return
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    assert -1 <= found.low <= found.kappa + 1e-9 and found.kappa - 1e-9 <= found.high <= 1
    if found.observed == 1:
        assert found.low < 1  # seven of seven is not certainty


def test_the_interval_of_kappa_holds_the_true_one_about_as_often_as_it_says():
    """Two who each err in one of ten of an even mix: they agree in .82, by chance in .5, so kappa is .64."""
    draws = random.Random(6)
    held = 0
    for _ in range(400):
        said = []
        for _ in range(150):
            true = draws.random() < 0.5
            said.append(tuple(str(true ^ (draws.random() < 0.1)) for _ in range(2)))
        found = cohen(said)
        held += found.low <= 0.64 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_of_nothing_and_of_one_thing_kappa_says_nothing():
    assert cohen([]).kappa is None and cohen([]).n == 0
    assert cohen([("approve", "approve")] * 9).kappa is None
    told = cohen([("approve", "approve"), ("reject", "reject")])
    assert told.kappa == 1 and told.low < 0.5


def test_clopper_and_pearson_of_the_tables():
    # W. J. Conover and others' tables; 3/n for none (Hanley and Lippman-Hand 1983)
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(0.3085, abs=5e-5))
    assert clopper_pearson(10, 100) == (pytest.approx(0.0490, abs=5e-5), pytest.approx(0.1762, abs=5e-5))
    assert clopper_pearson(5, 10) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))


def test_peoples_error_is_found_from_how_often_two_of_them_differ():
    draws = random.Random(9)
    for true in [0.02, 0.1, 0.3]:
        differ = sum((draws.random() < true) != (draws.random() < true) for _ in range(20_000))
        rate, low, high, n = people_error(differ, 20_000)
        assert low < rate < high and n == 20_000
        assert rate == pytest.approx(true, abs=0.02)
    assert people_error(0, 0) is None
    assert people_error(30, 40)[0] == 0.5
    assert people_error(0, 40)[:2] == (0.0, 0.0)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1500), st.integers(1, 300), st.data())
def test_the_correction_only_ever_raises(of, looks, data):
    wrong = data.draw(st.integers(0, of))
    people = people_error(data.draw(st.integers(0, looks)), looks)
    said = corrected(wrong, of, 0.05, people)
    assert said.estimate >= (wrong / of if of else 0)
    assert said.bound >= upper(wrong, of, 0.05) - 1e-9 and said.worst >= upper(wrong, of, 0.05) - 1e-9
    assert max(said.estimate, said.bound, said.worst) <= 1


def test_what_people_miss_is_put_back():
    """The machine errs in 6 %, people miss a fifth of it: counted are 4.8 %, told are 6 %."""
    said = corrected(48, 1000, 0.05, (0.2, 0.17, 0.23, 400))
    assert said.estimate == pytest.approx(0.06)
    with pytest.raises(ValueError):
        corrected(1, 10, 0.05, (0.2, 0.1, 1.0, 5))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_scores_are_judged_as_by_brute_force(rows):
    scores, right = [one for one, _ in rows], [one for _, one in rows]
    if len(set(right)) == 1:
        assert auroc(scores, right) is None
    else:
        assert auroc(scores, right) == pytest.approx(roc_auc_score(right, scores))
        good, bad = [s for s, r in rows if r], [s for s, r in rows if not r]
        pairwise = sum((a > b) + (a == b) / 2 for a in good for b in bad) / len(good) / len(bad)
        assert auroc(scores, right) == pytest.approx(pairwise)
    off = 0.0
    for at in range(10):
        inside = [(s, r) for s, r in rows if min(int(s * 10), 9) == at]
        if inside:
            off += abs(sum(s for s, _ in inside) - sum(r for _, r in inside))
    assert ece(scores, right) == pytest.approx(off / len(rows))
    assert sum(one.n for one in bins(scores, right)) == len(rows)


def test_a_score_that_means_what_it_says_has_no_calibration_error():
    scores = [0.25] * 100 + [0.75] * 100
    right = [at % 4 == 0 for at in range(100)] + [at % 4 != 0 for at in range(100)]
    assert ece(scores, right) == pytest.approx(0)
    assert [(one.low, one.n, one.came) for one in bins(scores, right)] == [(0.2, 100, 0.25), (0.7, 100, 0.75)]
    assert ece([], []) == 0 and auroc([], []) is None
    with pytest.raises(ValueError):
        bins([0.5], [])
