"""What a model learns, what it says it does not know, and what its scores are of."""

import random
from dataclasses import replace

import numpy as np
import pytest

from escalations.learned import calibrating, of
from escalations.learned.fitting import fit, model_of, rungs_of, split
from escalations.learned.reading import read
from escalations.proof import calibration
from tests.teaching import case, cases, posted

pytestmark = pytest.mark.django_db  # for the clock


def test_it_learns_what_people_approve():
    model = model_of(cases(240))

    said = model.speak([case(1_001, right=True).features, case(1_002, right=False).features])

    assert said[0].approve > 0.9 > 0.3 > said[1].approve


@pytest.mark.parametrize(
    "learned", [[], cases, "all yes"], ids=["nothing", "too few", "always yes"]
)
def test_a_cold_start_says_that_it_does_not_know(learned):
    past = [] if learned == [] else [case(number) for number in range(240)] if learned == "all yes" else learned(150)

    said = model_of(past).speak([case(1).features])[0]

    assert (said.approve, said.category, said.category_p, said.severity, said.severity_p) == (None, "", None, "", None)


def test_the_same_cases_make_the_same_bytes():
    past = cases(220)

    assert model_of(past).dump() == model_of(past).dump()


def test_scores_are_of_later_cases_alone_and_no_group_is_on_both_sides():
    past = [replace(one, group=f"session {number // 7}") for number, one in enumerate(cases(300))]

    earlier, later = split(past, 0.2)

    assert max(one.at for one in earlier) < min(one.at for one in later)
    assert not {one.group for one in earlier} & {one.group for one in later}
    assert fit(past).scores["later"] == len(later) == fit(past).scores["approve"]["n"]


def test_shuffled_answers_teach_nothing_and_are_not_called_sure():
    shuffle = random.Random(5)
    answers = [number % 4 != 0 for number in range(400)]
    shuffle.shuffle(answers)
    past = [replace(one, approve=answer) for one, answer in zip(cases(400), answers, strict=True)]

    scores = fit(past).scores["approve"]

    assert 0.3 < scores["auroc"] < 0.7
    assert scores["log_loss"] < scores["base_log_loss"] + 0.1


def test_rungs_fall_from_strict_to_lax_and_a_lane_with_enough_has_its_own():
    past = [replace(one, lane="1/action/refund" if number % 10 else "1/action/rare") for number, one in enumerate(cases(600))]

    rungs = fit(past).rungs

    assert set(rungs) == {"", "1/action/refund"}
    for steps in rungs.values():
        assert steps == sorted(steps, reverse=True) and len(set(steps)) == len(steps) > 1


def test_what_it_takes_for_a_no_never_goes_alone():
    past = cases(200)
    said = [number / 200 for number in range(200)]

    assert rungs_of(past, said)[""][0] > 0.9 and rungs_of(past, said)[""][-1] == 0.5
    assert rungs_of(past, [0.1] * 200)[""] == [0.5]


def test_novelty_is_a_share_of_known_traffic():
    model = model_of([case(number, right=number % 4 != 0) for number in range(1_000, 1_900) if number % 3])

    known = [one.novelty for one in model.speak([case(number, right=number % 4 != 0).features for number in range(1_000, 1_900, 3)])]
    said = posted(5, right=True) | {"title": "Wire the whole treasury to Vanuatu", "context": {"request": "zxcv qwer asdf uiop"}}
    strange = model.speak([_vector(said)])[0].novelty

    assert np.mean(np.array(known) > 0.98) < 0.08
    assert strange > 0.98


def test_platts_curve_makes_chances_hold():
    draw = np.random.default_rng(3)
    scores = draw.normal(size=4_000)
    right = draw.random(4_000) < 1 / (1 + np.exp(-(0.5 * scores + 1)))

    curve = calibrating.fitted(scores * 6, right)  # six times too sure

    chances = 1 / (1 + np.exp(-curve.of(scores * 6)))
    assert calibration.ece(list(chances), list(right)) < 0.03
    assert curve.slope == pytest.approx(0.5 / 6, rel=0.2)


def test_a_curve_never_falls_so_that_order_is_kept():
    assert calibrating.fitted(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False])).slope > 0


def _vector(said):
    return of(*read(said))
