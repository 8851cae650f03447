"""What keeps an eye on a lane that was granted: audits, harm, and when to take the grant away.

Three alarms, each by itself:

* **the bound.** All evidence of the granted threshold, from before the grant and since (audits are a random sample, so each is as good
  as a watched decision): when its bound at the grant's delta is above alpha, what the grant was given for no longer holds.
* **a change.** Old evidence would outvote a world that has just broken. So audits since the grant are also watched from every moment
  anew: a Shiryaev–Roberts e-detector against "it errs at most alpha" (J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric
  framework for sequential change detection", New England Journal of Statistics in Data Science 2 (2024), 229–260), mixed over a few worse error
  rates. While the error is at most alpha it gives a false alarm after `PATIENCE` audits on average at the earliest.
  What went alone is watched the same way, an item counted right until harm shows: that can only be too kind, so it speaks only against.
* **a high-risk one.** One audited or harmed item of high risk that is wrong.
"""

from dataclasses import dataclass, field

from scipy.special import bdtr

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

    `selected` and `wrong` are the counts at the granted threshold when it was granted.
    """

    alpha: float
    delta: float
    selected: int = 0
    wrong: int = 0
    audits: int = 0
    failed: int = 0  # audits that were wrong
    harms: int = 0  # of those that went alone
    _risky: int = 0
    _audited: Detector = field(init=False, repr=False)
    _known: Detector = field(init=False, repr=False)
    _strata: dict[float, list[int]] = field(default_factory=dict, repr=False)  # share -> [alone, audits, wrong audits]
    _worst: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self._audited, self._known = Detector(self.alpha), Detector(self.alpha)

    def audit(self, right: bool, *, share: float, high_risk: bool = False) -> None:
        """Count one audit that was decided; `share` is the chance with which it was drawn for a person. Harm to it counts as wrong."""
        self.audits, self.failed = self.audits + 1, self.failed + (not right)
        self._risky += high_risk and not right
        stratum = self._stratum(share)
        stratum[1] += 1
        stratum[2] += not right
        self._audited.add(right)
        self._note(self._audited, "audits")

    def let_go(self, count: int = 1, *, share: float) -> None:
        """Count that many that went alone, nothing being known against them; `share` is the chance with which each could have been drawn."""
        self._stratum(share)[0] += count
        self._known.add_right(count)

    def harm(self, *, share: float, high_risk: bool = False) -> None:
        """Count one that went alone and proved wrong."""
        self.harms += 1
        self._risky += high_risk
        self._stratum(share)[0] += 1
        self._known.add(False)
        self._note(self._known, "what went alone")

    @property
    def bound(self) -> float:
        """The bound of the error at 1 - delta, over the evidence of the grant and all audits since."""
        return upper(self.wrong + self.failed, self.selected + self.audits, self.delta)

    @property
    def alarm(self) -> Alarm | None:
        """Why the grant must end, or None. Once there is an alarm there is one for good."""
        raise NotImplementedError

    def estimate(self, level: float = 0.95) -> LetGo:
        """Return how many errors there are among what went alone, by the audits, each weighted for how it was sampled."""
        raise NotImplementedError

    def _stratum(self, share: float) -> list[int]:
        if not 0 < share <= 1:
            raise ValueError(f"share {share}")
        return self._strata.setdefault(share, [0, 0, 0])

    def _note(self, detector: Detector, what: str) -> None:
        if detector.value > self._worst[0]:
            self._worst = (detector.value, what)


_ = (bdtr, log_wealth)
