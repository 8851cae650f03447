"""Whether what comes in now looks like what a grant was given for, by its scores or its novelty.

A certificate speaks of items like those it was earned on. Labels come slowly and of audits only; scores and novelty come at once and of
everything. So the last hundred are compared with the evidence's, again and again, by the two-sample Kolmogorov–Smirnov test (N. Smirnov,
"Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical Statistics 19 (1948), 279–281; its limiting
distribution, which errs towards quiet for small samples and for scores that repeat). The k-th look may spend 6/(pi² k²) of delta,
which sums to delta over all looks for ever; that they overlap does not matter to a sum.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import kolmogorov

from .watch import Alarm


@dataclass(frozen=True)
class Looked:
    """One comparison: the largest distance between the two distributions (0 to 1), and how often chance alone makes one so large."""

    distance: float
    chance: float


def compare(reference: Sequence[float], recent: Sequence[float]) -> Looked:
    """Return the two-sample Kolmogorov–Smirnov comparison; (0.0, 1.0) where either is empty. Sorts both."""
    return _compare(np.sort(np.asarray(reference, dtype=float)), recent)


class Drift:
    """Compares the last `window` with the reference after every `every` more; `delta` is the chance of a false alarm over all looks."""

    def __init__(self, reference: Sequence[float], delta: float = 0.01, *, window: int = 100, every: int = 25, what: str = "scores") -> None:
        """`what` is the word for a page: "scores", "novelty". With an empty reference it never speaks."""
        if not 0 < delta < 1 or window < 1 or every < 1:
            raise ValueError(f"delta {delta}, window {window}, every {every}")
        self.reference = np.sort(np.asarray(reference, dtype=float))
        self.delta, self.window, self.every, self.what = delta, window, every, what
        self.looks = 0
        self.came = 0
        self._recent: deque[float] = deque(maxlen=window)
        self._alarm: Alarm | None = None

    def add(self, value: float | None) -> None:
        """Count one more that came in (None, of which nothing is known, is left out). Looks, and sorts, at every `every`-th."""
        if value is None:
            return
        self.came += 1
        self._recent.append(value)
        if self.came >= self.window and (self.came - self.window) % self.every == 0 and self._alarm is None:
            self._look()

    @property
    def alarm(self) -> Alarm | None:
        """Why the grant must end (`drift`), or None; once there is one it stays."""
        return self._alarm

    def _look(self) -> None:
        self.looks += 1
        spent = self.delta * 6 / (pi * self.looks) ** 2
        said = _compare(self.reference, self._recent)
        if said.chance < spent:
            self._alarm = Alarm("drift", (
                f"The {self.what} of the last {self.window} that came in lie {said.distance:.2f} apart from those of the evidence (0 is the"
                f" same, 1 has nothing in common); chance alone does that in {said.chance:.1g} of cases, and {spent:.1g} was allowed."
            ), {
                "what": self.what, "distance": said.distance, "chance": said.chance, "allowed": spent, "looks": self.looks,
                "recent": self.window, "reference": len(self.reference)
            })


def _compare(reference: np.ndarray, recent: Sequence[float] | deque[float]) -> Looked:
    late = np.sort(np.asarray(recent, dtype=float))
    if not len(reference) or not len(late):
        return Looked(0.0, 1.0)
    points = np.concatenate([reference, late])
    here = np.searchsorted(reference, points, side="right") / len(reference)
    there = np.searchsorted(late, points, side="right") / len(late)
    distance = float(np.abs(here - there).max())
    return Looked(distance, float(kolmogorov(distance * sqrt(len(reference) * len(late) / len(points)))))
