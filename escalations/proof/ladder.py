"""Which threshold a lane may use: the one that lets the most go of those its evidence certifies, after a search over all of them.

The rungs are thresholds fixed before any evidence came in, strict to lax. Each has its own bet (`betting`) on what it selects. Whoever
looks at twenty thresholds finds a lucky one; so delta is shared: a few rungs (`starts`) each get an equal part, and a rung that passes
hands all it had to the next laxer one, in addition to that one's own. That is the fallback procedure (B. L. Wiens, "A fixed sequence
Bonferroni procedure for testing multiple endpoints", Pharmaceutical Statistics 2 (2003), 211–215), a fixed-sequence test with several
starts, on anytime p-values 1/wealth; A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan, L. Lei, "Learn then Test: Calibrating
predictive algorithms to achieve risk control", Annals of Applied Statistics 19 (2025), 1641–1662, is where thresholds are chosen so.

Why the chance of ever certifying a threshold that errs at least alpha is at most delta: take the first such rung that passes.
No such rung before it passed, so what it was handed comes only from rungs after the last such one: those parts are disjoint for
different rungs and sum to at most delta, and each rung by itself passes wrongly with at most its part, ever (Ville).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log

from .betting import log_wealth, upper

STARTS = 4
FAR = 1_000_000  # decisions: beyond this nobody waits


@dataclass(frozen=True)
class Rung:
    """One threshold and what is known of it. `level` is the part of delta at which it was tested: 0 when a stricter one failed before."""

    threshold: float
    share: float  # of all decided so far, what it would have let go
    selected: int
    wrong: int
    bound: float  # of the error among the selected, at 1 - level (at 1 - delta/starts where level is 0)
    wealth: float
    level: float
    passed: bool


class Ladder:
    """The evidence of one lane, of one classifier version, over all its rungs."""

    def __init__(self, rungs: Sequence[float], alpha: float, delta: float, starts: int = STARTS) -> None:
        """`rungs`: thresholds, each once, in any order (kept strict to lax); alpha and delta within 0 to 1. Raises ValueError."""
        if not 0 < alpha < 1 or not 0 < delta < 1 or starts < 1:
            raise ValueError(f"alpha {alpha}, delta {delta}, starts {starts}")
        self.alpha, self.delta = alpha, delta
        self.thresholds = sorted(set(rungs), reverse=True)
        self.starts = start_at(len(self.thresholds), starts)
        self.decided = 0
        self._rising = self.thresholds[::-1]
        self._selected = [0] * len(self.thresholds)  # by the first rung (from strict) that selects it
        self._wrong = [0] * len(self.thresholds)

    @classmethod
    def of(
        cls, rungs: Sequence[float], alpha: float, delta: float, pairs: Iterable[tuple[float | None, bool]], starts: int = STARTS
    ) -> "Ladder":
        """Return the ladder with these (score, right) added."""
        made = cls(rungs, alpha, delta, starts)
        for score, right in pairs:
            made.add(score, right)
        return made

    def add(self, score: float | None, right: bool) -> None:
        """Count one decision; of no score (the machine did not know) it counts in the share only. Cheap: no test is made here."""
        self.decided += 1
        if score is None:
            return
        at_most = bisect_left(self._rising, score)
        if at_most < len(self._rising) and self._rising[at_most] == score:
            at_most += 1
        first = len(self._rising) - at_most  # thresholds <= score are the last `at_most` ones, strict to lax
        if first < len(self.thresholds):
            self._selected[first] += 1
            self._wrong[first] += not right

    def counts(self) -> list[tuple[float, int, int]]:
        """Return (threshold, selected, wrong) of each rung, strict to lax."""
        selected = wrong = 0
        told = []
        for threshold, more, bad in zip(self.thresholds, self._selected, self._wrong, strict=True):
            selected, wrong = selected + more, wrong + bad
            told.append((threshold, selected, wrong))
        return told

    def levels(self) -> list[tuple[float, bool, float]]:
        """Return (part of delta it was tested at, whether it passed, log wealth) of each rung, strict to lax."""
        told: list[tuple[float, bool, float]] = []
        handed = 0.0
        for at, (_, selected, wrong) in enumerate(self.counts()):
            level = handed + (self.delta / len(self.starts) if at in self.starts else 0.0)
            wealth = log_wealth(wrong, selected, self.alpha)
            passed = level > 0 and wealth >= -log(level)
            handed = level if passed else 0.0
            told.append((level, passed, wealth))
        return told

    def rungs(self) -> list[Rung]:
        """Return every rung with its bound, strict to lax, as the plot and its table show them (about 0.3 ms a rung)."""
        told = []
        for (threshold, selected, wrong), (level, passed, wealth) in zip(self.counts(), self.levels(), strict=True):
            told.append(Rung(
                threshold=threshold, share=selected / self.decided if self.decided else 0.0, selected=selected, wrong=wrong,
                bound=upper(wrong, selected, level or self.delta / len(self.starts)),
                wealth=exp(wealth) if wealth < 700 else inf, level=level, passed=passed
            ))
        return told

    def certified(self) -> Rung | None:
        """Return the rung that lets the most go of those that passed; None while none did. See `most`."""
        return most(self.rungs())

    def certifies(self) -> float | None:
        """Return the threshold of `certified`, or None, without the bounds: a hundred times as fast."""
        found, handed, most_selected = None, 0.0, 0
        for at, (threshold, selected, wrong) in enumerate(self.counts()):
            level = handed + (self.delta / len(self.starts) if at in self.starts else 0.0)
            handed = level if level and log_wealth(wrong, selected, self.alpha) >= -log(level) else 0.0
            if handed and selected > most_selected:
                found, most_selected = threshold, selected
        return found

    def needed(self) -> int | None:
        """Return about how many more decisions until one more rung passes, if all goes on as it did; None where that leads nowhere.

        A forecast, no promise: the rate of errors and the share selected are taken as they are. With nothing decided yet it says how many
        right ones the shortest way takes, were the rungs the even quantiles they are made as.
        """
        many = len(self.thresholds)
        ways = []
        for at, ((_, selected, wrong), (level, passed, _)) in enumerate(zip(self.counts(), self.levels(), strict=True)):
            share = (selected + (at + 1) / many) / (self.decided + 1)
            if passed or level == 0:
                continue
            more = _more(wrong, selected, self.alpha, level)
            if more is not None and ceil(more / share) <= FAR:
                ways.append(ceil(more / share))
        return min(ways, default=None)


def most(rungs: Iterable[Rung]) -> Rung | None:
    """Return the largest share that may be settled alone now: of the rungs (strict to lax) that passed the one that selects the most, and of
    several that selected the same the strictest, for nothing is known of what lies between them. None where none passed."""
    return max((rung for rung in rungs if rung.passed), key=lambda rung: rung.selected, default=None)


def start_at(rungs: int, starts: int) -> list[int]:
    """Return at which rungs (from strict, 0) the parts of delta lie: the ends of as many equal stretches, each once. The laxest is one
    of them, so that what a good classifier means yes to is tried by itself, on all the evidence there is."""
    starts = min(starts, rungs)
    return sorted({rungs * (at + 1) // starts - 1 for at in range(starts)})


def _more(wrong: int, of: int, alpha: float, level: float) -> int | None:
    """Return how many more selected until the bet reaches 1/level at the present rate of errors; None if that is too far."""
    rate = wrong / of if of else 0.0
    goal = -log(level)
    if rate >= alpha or log_wealth(wrong + rate * FAR, of + FAR, alpha) < goal:
        return None
    low, high = 0, FAR
    while high - low > 1:
        middle = (low + high) // 2
        if log_wealth(wrong + rate * middle, of + middle, alpha) < goal:
            low = middle
        else:
            high = middle
    return high
