"""From scores to probabilities that hold: the curve. How it is fitted: `calibrating`, which whoever only speaks need not load."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Platt:
    """score * slope + shift is the log-odds that hold. For more than two classes a slope alone (temperature scaling).

    Platt (1999), with the targets of his section 2.2; temperature: Guo, Pleiss, Sun, Weinberger (2017).
    """

    slope: float = 1.0
    shift: float = 0.0

    def of(self, scores: Scores) -> Scores:
        return scores * self.slope + self.shift

    def json(self) -> list[float]:
        return [self.slope, self.shift]

    @classmethod
    def of_json(cls, told: Any) -> "Platt":
        return cls(float(told[0]), float(told[1]))

    def is_sound(self) -> bool:
        return bool(np.isfinite([self.slope, self.shift]).all() and self.slope > 0)
