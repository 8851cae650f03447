"""What keeps an eye on a lane that was granted: audits, harm, and when to take the grant away.

Three alarms, each by itself:

* **the bound.** All evidence of the granted threshold, from before the grant and since (audits are a random sample, so each is as good
  as a watched decision): when its bound at the grant's delta is above alpha, what the grant was given for no longer holds.
* **a change.** Old evidence would outvote a world that has just broken. So audits since the grant are also watched from every moment
  anew: a Shiryaev–Roberts e-detector against "it errs at most alpha" (J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric
  framework for sequential change detection", New England Journal of Statistics in Data Science 2 (2024), 229–260), mixed over a few
  worse error rates. While the error is at most alpha it gives a false alarm after `PATIENCE` audits on average at the earliest.
  What went alone is watched the same way, an item counted right until harm shows: that can only be too kind, so it speaks only against.
* **a high-risk one.** One audited or harmed item of high risk that is wrong.
"""

from dataclasses import dataclass, field
from math import log

from scipy.special import bdtr, bdtrc

from .betting import log_wealth, upper

PATIENCE = 1000  # audits between two false alarms, on average and at least, were the error just as high as allowed
WORSE = (2.0, 4.0, 8.0, 16.0, 32.0)  # times alpha: what the detector looks for
HIGHEST = 0.9  # no more than this: a rate of 1 would forget everything at the first right one


@dataclass(frozen=True)
class Alarm:
    """Why a grant ends: one of LaneGrant.ENDS, one sentence with the numbers, and the numbers."""

    end: str  # bound, high_risk, drift
    why: str
    evidence: dict[str, float | int | str]

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True)
class LetGo:
    """How many errors there are likely to be among what went alone since the grant; `low` to `high` at 95 %."""

    errors: float  # unbiased: D. G. Horvitz and D. J. Thompson, JASA 47 (1952), 663–685
    low: int
    high: int
    alone: int

    @property
    def rate(self) -> float:
        """The same as a share of what went alone."""
        return self.errors / self.alone if self.alone else 0.0


class Detector:
    """A Shiryaev–Roberts e-detector against "wrong at most alpha of the time", in any stretch from any moment on."""

    def __init__(self, alpha: float) -> None:
        self.rates = sorted({min(alpha * times, max(HIGHEST, (1 + alpha) / 2)) for times in WORSE})
        self.right = [(1 - rate) / (1 - alpha) for rate in self.rates]
        self.wrong = [rate / alpha for rate in self.rates]
        self.sums = [0.0] * len(self.rates)

    def add(self, right: bool) -> None:
        """Count one: each sum becomes (1 + sum) times what the item says."""
        factors = self.right if right else self.wrong
        self.sums = [(1 + said) * factor for said, factor in zip(self.sums, factors, strict=True)]

    def add_right(self, count: int) -> None:
        """Count that many right ones in a row, in one step."""
        self.sums = [
            said * factor ** count + factor * (1 - factor ** count) / (1 - factor)
            for said, factor in zip(self.sums, self.right, strict=True)
        ]

    @property
    def value(self) -> float:
        """What the detector stands at; it is crossed at PATIENCE."""
        return sum(self.sums) / len(self.sums)


@dataclass
class Watch:
    """One grant: give it the evidence it was granted on, then what came since, in order; ask `alarm` whenever you like.

    `selected` and `wrong` are the counts at the granted threshold when it was granted (and so the share for which it could have been).
    """

    alpha: float
    delta: float
    selected: int = 0
    wrong: int = 0
    audits: int = 0
    failed: int = 0  # audits that were wrong
    harms: int = 0  # of those that went alone
    _audited: Detector = field(init=False, repr=False)
    _known: Detector = field(init=False, repr=False)
    _strata: dict[float, list[int]] = field(default_factory=dict, repr=False)  # share -> [alone, wrong audits]
    _alarm: Alarm | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._audited, self._known = Detector(self.alpha), Detector(self.alpha)

    def audit(self, right: bool, *, share: float, high_risk: bool = False) -> None:
        """Count one audit that was decided; `share` is the chance with which it was drawn for a person. Harm to it counts as wrong."""
        self.audits, self.failed = self.audits + 1, self.failed + (not right)
        self._stratum(share)[1] += not right
        self._audited.add(right)
        if not right:
            self._judge("audit", high_risk, self._audited)

    def let_go(self, count: int = 1, *, share: float) -> None:
        """Count that many that went alone, nothing being known against them; `share` is the chance with which each could have been drawn."""
        self._stratum(share)[0] += count
        self._known.add_right(count)

    def harm(self, *, share: float, high_risk: bool = False) -> None:
        """Count one that went alone and proved wrong."""
        self.harms += 1
        self._stratum(share)[0] += 1
        self._known.add(False)
        self._judge("item that went alone", high_risk, self._known)

    @property
    def bound(self) -> float:
        """The bound of the error at 1 - delta, over the evidence of the grant and all audits since."""
        return upper(self.wrong + self.failed, self.selected + self.audits, self.delta)

    @property
    def alarm(self) -> Alarm | None:
        """Why the grant must end, or None. An alarm stays, whatever comes later; its numbers are of all that is known by now."""
        alarm = self._alarm or self._crossed()
        if alarm is None:
            return None
        why = f"{alarm.why} Since the grant {self._told()}." if alarm.end == "bound" else alarm.why
        return Alarm(alarm.end, why, {**alarm.evidence, **self._numbers()})

    def estimate(self, level: float = 0.95) -> LetGo:
        """Return how many errors there are among what went alone, by the audits, each weighted for how it was sampled.

        An audit drawn with chance s that was wrong stands for 1/s, itself and 1/s - 1 that went alone. That is unbiased whatever the
        errors did meanwhile; known harm is the least it says. The interval is exact: of X wrong ones among those of one share, a
        binomial number was drawn for an audit; each share gets an equal part of 1 - level. It assumes nothing but the draw, and
        that the audits are answered: pending ones are not in it.
        """
        errors, low, high = 0.0, 0, 0
        tail = (1 - level) / 2 / max(len(self._strata), 1)
        for share, (alone, wrong) in self._strata.items():
            errors += wrong * (1 / share - 1)
            low += _least(wrong, share, alone, tail)
            high += _most(wrong, share, alone, tail)
        return LetGo(
            errors=max(errors, float(self.harms)), low=max(low, self.harms), high=max(high, self.harms),
            alone=sum(alone for alone, _ in self._strata.values())
        )

    def _stratum(self, share: float) -> list[int]:
        if not 0 < share <= 1:
            raise ValueError(f"share {share}")
        return self._strata.setdefault(share, [0, 0])

    def _judge(self, what: str, high_risk: bool, detector: Detector) -> None:
        if self._alarm:
            return
        if high_risk:
            self._alarm = Alarm("high_risk", f"An {what} of high risk was wrong.", {"what": what})
        elif detector.value >= PATIENCE:
            self._alarm = Alarm("bound", (
                f"Lately more were wrong than the {self.alpha:.1%} allowed. Were the error still within what is allowed, so many so close"
                f" together would come once in {PATIENCE:,} or less."
            ), {"what": what, "detector": detector.value, "limit": PATIENCE})
        else:
            self._alarm = self._crossed()

    def _crossed(self) -> Alarm | None:
        wrong, of = self.wrong + self.failed, self.selected + self.audits
        if log_wealth(wrong, of, self.alpha) >= -log(self.delta):
            return None
        return Alarm("bound", (
            f"The error is no longer proven to be below {self.alpha:.1%}: {wrong:,} of {of:,} were wrong, so it may be up to"
            f" {self.bound:.2%}."
        ), {})

    def _told(self) -> str:
        alone = sum(alone for alone, _ in self._strata.values())
        return f"{self.failed:,} of {self.audits:,} audits were wrong, and {self.harms:,} of {alone:,} that went alone proved to be"

    def _numbers(self) -> dict[str, float | int | str]:
        return {
            "selected": self.selected, "wrong": self.wrong, "audits": self.audits, "audits_wrong": self.failed, "harms": self.harms,
            "alone": sum(alone for alone, _ in self._strata.values()), "bound": self.bound, "alpha": self.alpha, "delta": self.delta
        }


def _most(wrong: int, share: float, alone: int, tail: float) -> int:
    """Return the most wrong ones there may be among `alone` if so few audits were wrong in all but `tail` of cases."""
    low, high = 0, alone  # so many surely may be; that many may be
    while low < high:
        middle = (low + high + 1) // 2
        if bdtr(wrong, wrong + middle, share) > tail:
            low = middle
        else:
            high = middle - 1
    return low


def _least(wrong: int, share: float, alone: int, tail: float) -> int:
    """Return the fewest wrong ones there may be among `alone` if so many audits were wrong."""
    if not wrong:
        return 0
    low, high = 0, alone
    while low < high:
        middle = (low + high) // 2
        if bdtrc(wrong - 1, wrong + middle, share) > tail:
            high = middle
        else:
            low = middle + 1
    return low
