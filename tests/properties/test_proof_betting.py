"""The bet pays what its integral says, is fair, and gets rich against a true claim no oftener than promised, whenever one looks."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from escalations.proof.betting import log_wealth, upper

ALPHAS = [0.01, 0.02, 0.05, 0.1]
DELTAS = [0.0125, 0.05, 0.1]


def integrated(wrong, of, alpha):
    """The wealth by adding up the integral piece by piece; p = alpha u² takes the pole out of Jeffreys' prior at 0."""

    def against(p):
        return (p / alpha) ** wrong * ((1 - p) / (1 - alpha)) ** (of - wrong)

    def prior(u):
        return 2 * (alpha ** 0.5) / (1 - alpha * u * u) ** 0.5

    top = integrate.quad(lambda u: against(alpha * u * u) * prior(u), 0, 1, limit=400, epsabs=0, epsrel=1e-10)[0]
    return top / integrate.quad(prior, 0, 1)[0]


def most_wrong(of, alpha, goal):
    """The most that may be wrong of so many for the bet to be worth e^goal, -1 where not even none will do."""
    low, high = -1, of
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if log_wealth(middle, of, alpha) >= goal else (low, middle - 1)
    return low


def ever(alpha, delta, rate, looks):
    """The exact chance that the bet against "at least alpha" is ever worth 1/delta within so many looks, if the error is `rate`.

    By adding up all histories: the chance of each count of wrong ones among those histories that have not got there yet.
    """
    alive = np.array([1.0])
    there = 0.0
    for of in range(1, looks + 1):
        alive = np.append(alive, 0.0) * (1 - rate) + np.append(0.0, alive) * rate
        reached = most_wrong(of, alpha, -log(delta)) + 1
        there += alive[:reached].sum()
        alive[:reached] = 0.0
        alive = alive[: int(of * rate + 12 * (of * rate) ** 0.5 + 40)]  # what is cut off here is less than rounding
    return there


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_claim_that_is_true_is_ever_refuted_with_chance_delta_at_most(alpha, delta):
    chance = ever(alpha, delta, alpha, 2000)
    assert chance <= delta
    assert chance > delta / 20  # and not because nothing is ever refuted
    assert ever(alpha, delta, alpha * 1.2, 500) <= delta / 1.2


@pytest.mark.parametrize("rate", [0.004, 0.03, 0.3])
def test_the_bound_ever_lies_below_the_true_error_with_chance_delta_at_most(rate):
    """The bound is below the true error exactly when the bet against that error has got there: the same sum answers both."""
    assert ever(rate, 0.05, rate, 1000) <= 0.05
    for of in range(1, 300, 7):
        for wrong in range(min(of, 12) + 1):
            assert (upper(wrong, of, 0.05) < rate) == (log_wealth(wrong, of, rate) >= log(20) and wrong / of < rate)


def test_an_error_well_below_is_proven():
    assert ever(0.02, 0.05, 0.0, 188) == pytest.approx(1.0)
    assert ever(0.02, 0.05, 0.0, 187) == 0.0
    assert ever(0.05, 0.05, 0.01, 2000) > 0.99


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALPHAS), st.integers(0, 400), st.data())
def test_the_bet_is_worth_what_its_integral_says(alpha, of, data):
    wrong = data.draw(st.integers(0, min(of, 60)))
    assert exp(log_wealth(wrong, of, alpha)) == pytest.approx(integrated(wrong, of, alpha), rel=1e-6)


@settings(max_examples=300, deadline=None)
@given(st.floats(0.001, 0.6), st.integers(0, 5000), st.data())
def test_the_bet_is_fair_where_the_error_is_just_alpha(alpha, of, data):
    """Whatever came so far, the wealth after one more is on average the wealth now."""
    wrong = data.draw(st.integers(0, of))
    now = log_wealth(wrong, of, alpha)
    then = (1 - alpha) * exp(log_wealth(wrong, of + 1, alpha) - now) + alpha * exp(log_wealth(wrong + 1, of + 1, alpha) - now)
    assert then == pytest.approx(1.0, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2000), st.sampled_from([0.01, 0.05, 0.2]), st.data())
def test_every_error_above_the_bound_is_refuted_and_the_one_just_below_is_not(of, delta, data):
    wrong = data.draw(st.integers(0, of))
    bound = upper(wrong, of, delta)
    if bound < 1:
        above = np.linspace(bound * (1 + 1e-9), 1 - 1e-9, 60)
        assert all(log_wealth(wrong, of, at) >= log(1 / delta) - 1e-6 for at in above)
        assert log_wealth(wrong, of, max(bound * (1 - 1e-6), 1e-12)) < log(1 / delta)
    assert bound >= wrong / of
    assert upper(min(wrong + 1, of), of, delta) >= bound >= upper(wrong, of + 1, delta)


def test_a_bound_for_any_moment_is_wider_than_clopper_and_pearsons_for_one():
    for wrong, of in [(0, 50), (0, 500), (3, 500), (40, 1000)]:
        # J. A. Hanley and A. Lippman-Hand, JAMA 249 (1983): of none in n, 3/n; for the price of any moment less than double that.
        from_one_look = 1 - 0.05 ** (1 / of) if wrong == 0 else wrong / of
        assert from_one_look < upper(wrong, of, 0.05) < 2.5 * max(from_one_look, (wrong + 3) / of)


def test_of_nothing_and_of_nothing_but_mistakes_the_bound_says_nothing():
    assert upper(0, 0, 0.05) == upper(7, 7, 0.05) == 1.0


def test_what_cannot_be_is_refused():
    for wrong, of in [(2, 1), (-1, 3)]:
        with pytest.raises(ValueError):
            log_wealth(wrong, of, 0.05)
    with pytest.raises(ValueError):
        upper(0, 5, 0.0)
    with pytest.raises(ValueError):
        log_wealth(0, 5, 1.0)

