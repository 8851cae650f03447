"""What watches a granted lane: its estimate is unbiased, its false alarms are rare, a broken world is found after a few items."""

import random
from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.stats import ks_2samp

from escalations.proof.drift import Drift, compare
from escalations.proof.sampling import LONG_RUN, audit_share, draw
from escalations.proof.watch import PATIENCE, Detector, Watch


def good(alpha=0.02, selected=2000, wrong=2):
    return Watch(alpha, 0.05, selected, wrong)


def test_the_estimate_is_unbiased_over_every_way_the_draw_may_fall():
    """Eight items, drawn with three different chances; all 256 draws, each as likely as it is."""
    items = [(True, 0.2), (False, 0.2), (False, 0.2), (True, 0.1), (False, 0.1), (False, 0.05), (True, 0.05), (False, 0.05)]
    expected = true = 0.0
    for drawn in product([False, True], repeat=len(items)):
        chance = 1.0
        watch = Watch(0.9, 0.05)
        for (right, share), seen in zip(items, drawn, strict=True):
            chance *= share if seen else 1 - share
            if seen:
                watch.audit(right, share=share)
            else:
                watch.let_go(share=share)
        said = watch.estimate()
        assert said.alone == len(items) - sum(drawn)
        expected += chance * said.errors
        true += chance * sum(not right for (right, _), seen in zip(items, drawn, strict=True) if not seen)
    assert expected == pytest.approx(true)


@pytest.mark.parametrize("wrong", [0, 1, 7, 40])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_interval_holds_the_true_number_as_often_as_it_says(share, wrong):
    """Of `wrong` wrong ones among 500 each is audited with chance `share`: all outcomes, each as likely as it is."""
    held = 0.0
    for audited in range(wrong + 1):
        watch = Watch(0.9, 0.05)
        for _ in range(audited):
            watch.audit(False, share=share)
        watch.let_go(500 - audited, share=share)
        said = watch.estimate()
        chance = comb(wrong, audited) * share ** audited * (1 - share) ** (wrong - audited)
        held += chance * (said.low <= wrong - audited <= said.high)
        assert said.low <= said.errors or said.errors == 0 and said.low == 0
    assert held >= 0.95


def test_known_harm_is_the_least_the_estimate_says():
    watch = good()
    watch.let_go(400, share=0.05)
    watch.harm(share=0.05)
    said = watch.estimate()
    assert said.low >= 1 and said.errors >= 1 and said.alone == 401 and said.rate == said.errors / 401
    assert Watch(0.02, 0.05).estimate().rate == 0.0


def test_the_detector_gains_nothing_on_average_while_the_error_is_as_high_as_allowed():
    """What it stands at grows by one an item on average, so it takes PATIENCE items on average to PATIENCE (optional stopping)."""
    for alpha in [0.01, 0.02, 0.05]:
        for past in ["", "1", "0101", "0" * 40 + "11", "1" * 200]:
            now = [Detector(alpha) for _ in range(3)]
            for one in now:
                for said in past:
                    one.add(said == "1")
            now[1].add(True)
            now[2].add(False)
            assert (1 - alpha) * now[1].value + alpha * now[2].value == pytest.approx(now[0].value + 1)


@pytest.mark.parametrize("alpha", [0.02, 0.05])
def test_it_cries_wolf_no_oftener_than_promised(alpha):
    draws = random.Random(8)
    lasted = []
    for _ in range(60):
        one = Detector(alpha)
        count = 0
        while one.value < PATIENCE and count < 4 * PATIENCE:
            one.add(draws.random() >= alpha)
            count += 1
        lasted.append(count)
    assert np.mean(lasted) >= PATIENCE  # those still quiet after four times as many count as that


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_many_right_ones_at_once_are_as_many_one_by_one(count):
    one, other = Detector(0.02), Detector(0.02)
    one.add(False), other.add(False)
    for _ in range(count):
        one.add(True)
    other.add_right(count)
    assert one.value == pytest.approx(other.value)


def test_a_lane_that_goes_on_as_it_was_stays_granted():
    watch = good()
    for at in range(400):
        watch.let_go(19, share=0.05)
        watch.audit(at != 200, share=0.05)
    assert watch.alarm is None
    assert watch.bound < 0.02


def test_a_broken_world_is_found_after_a_few_wrong_audits_however_good_the_past():
    watch = good(selected=100_000, wrong=500)
    for _ in range(200):
        watch.audit(True, share=0.05)
    wrong = 0
    while watch.alarm is None:
        watch.audit(False, share=0.05)
        wrong += 1
        watch.audit(True, share=0.05)
    assert wrong <= 5
    assert watch.alarm.end == "bound" and f"{wrong:,} of" in str(watch.alarm)
    kept = watch.alarm
    for _ in range(500):
        watch.audit(True, share=0.05)
    assert (watch.alarm.end, watch.alarm.evidence["detector"]) == (kept.end, kept.evidence["detector"])  # it stays
    assert watch.alarm.evidence["audits"] == kept.evidence["audits"] + 500  # and tells all that is known


def test_a_grant_on_just_enough_ends_when_the_bound_crosses():
    enough = next(of for of in range(1, 1000) if good(selected=of, wrong=0).bound <= 0.02)
    assert enough == 188
    watch = good(selected=enough, wrong=0)
    assert watch.alarm is None
    watch.audit(True, share=0.2)
    assert watch.alarm is None
    watch.audit(False, share=0.2)
    assert watch.alarm.end == "bound" and watch.alarm.evidence["bound"] > 0.02 and watch.alarm.evidence["audits"] == 2
    assert good(selected=50, wrong=0).alarm.end == "bound"  # what was never enough


def test_one_high_risk_audit_or_harm_that_is_wrong_ends_it():
    watch = good()
    watch.audit(True, share=0.05, high_risk=True)
    watch.audit(False, share=0.05)
    assert watch.alarm is None
    watch.audit(False, share=0.05, high_risk=True)
    assert watch.alarm.end == "high_risk"
    watch = good()
    watch.harm(share=0.05)
    assert watch.alarm is None
    watch.harm(share=0.05, high_risk=True)
    assert watch.alarm.end == "high_risk"


def test_harm_that_piles_up_ends_it_and_harm_that_is_rare_does_not():
    watch = good(selected=10_000, wrong=20)
    for _ in range(6):
        watch.let_go(1000, share=0.05)
        watch.harm(share=0.05)
    assert watch.alarm is None
    while watch.alarm is None and watch.harms < 20:
        watch.let_go(2, share=0.05)
        watch.harm(share=0.05)
    assert watch.alarm.end == "bound" and watch.harms <= 6 + 5 and watch.alarm.evidence["harms"] == watch.harms


def test_a_share_of_nothing_is_refused():
    for share in [0.0, 1.1]:
        with pytest.raises(ValueError):
            good().audit(True, share=share)
        with pytest.raises(ValueError):
            audit_share(0, share)


def test_more_is_audited_at_first():
    assert [audit_share(at) for at in [0, 99, 100, 299, 300, 10 ** 6]] == [0.2, 0.2, 0.1, 0.1, LONG_RUN, LONG_RUN]
    assert [audit_share(at, 0.15) for at in [0, 100, 300]] == [0.2, 0.15, 0.15]
    assert audit_share(0, 1.0) == 1.0


def test_one_wrong_audit_is_followed_by_a_closer_look():
    assert [audit_share(5_000, since_wrong=at) for at in [None, 0, 99, 100]] == [0.05, 0.5, 0.5, 0.05]
    assert audit_share(0, 0.7, since_wrong=3) == 0.7


def test_the_draw_is_hmac_sha256_even_and_within_bounds():
    # RFC 4231, test case 2: 5bdcc146bf60754e6a042426089575c7...
    assert draw(b"Jefe", "what do ya want for nothing?") == (0x5BDCC146BF60754E >> 11) / 2 ** 53
    drawn = [draw(b"secret", f"item {at}") for at in range(4000)]
    assert all(0 <= one < 1 for one in drawn) and len(set(drawn)) == 4000
    assert sum(one < 0.05 for one in drawn) == pytest.approx(200, abs=50)
    assert drawn != [draw(b"other", f"item {at}") for at in range(4000)]


def test_the_comparison_is_kolmogorov_and_smirnovs():
    draws = np.random.default_rng(2)
    for reference, recent in [(200, 100), (500, 50), (31, 17)]:
        one, other = draws.random(reference).round(1), draws.normal(0.6, 0.3, recent).round(1)
        said = compare(one, other)
        published = ks_2samp(one, other, method="asymp")
        assert said.distance == pytest.approx(published.statistic)
        effective = reference * recent / (reference + recent)
        assert said.chance == pytest.approx(_tail(said.distance * effective ** 0.5), abs=1e-9)
    assert compare([], [1.0]).chance == compare([1.0], []).chance == 1.0
    assert compare([0.5] * 50, [0.5] * 50).distance == 0.0


def _tail(at):
    """Kolmogorov's series (1933)."""
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * np.exp(-2 * (k * at) ** 2) for k in range(1, 101)))) if at > 0.2 else 1.0


def test_traffic_that_stays_the_same_raises_no_alarm_and_traffic_that_moves_does():
    draws = np.random.default_rng(4)
    false = 0
    for _ in range(200):
        drift = Drift(draws.beta(5, 1, 400), 0.05)
        for score in draws.beta(5, 1, 1000):
            drift.add(float(score))
        false += drift.alarm is not None
        assert drift.looks == 37 or drift.alarm
    assert false <= 0.05 * 200
    late = []
    for _ in range(20):
        drift = Drift(draws.beta(5, 1, 400), 0.01, what="novelty")
        for score in draws.beta(5, 1, 300):
            drift.add(float(score))
        count = 0
        while drift.alarm is None and count < 1000:
            drift.add(float(draws.beta(2, 2)))
            count += 1
        late.append(count)
        drift.add(0.9)
        assert drift.alarm.end == "drift" and "novelty" in str(drift.alarm)
    assert max(late) <= 125
    quiet = Drift([], 0.01)
    for _ in range(300):
        quiet.add(0.1)
        quiet.add(None)
    assert quiet.alarm is None
    with pytest.raises(ValueError):
        Drift([0.1], 0.0)


def test_the_numbers_of_an_end_are_of_all_that_is_known_not_of_the_moment_it_was_found():
    watch = good(selected=400, wrong=0)
    for _ in range(6):
        watch.harm(share=0.05)
    watch.let_go(26, share=0.05)
    watch.audit(True, share=0.05)
    assert (watch.alarm.end, watch.alarm.evidence["harms"], watch.alarm.evidence["alone"], watch.alarm.evidence["audits"]) == ("bound", 6, 32, 1)
    assert "6 of 32 that went alone" in watch.alarm.why
