"""How good a score is: does it order rightly, and does it mean what it says."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bin:
    """Those whose score lies within one stretch: what they scored on average, and what came of them."""

    low: float
    high: float
    n: int
    said: float
    came: float


def bins(scores: Sequence[float], right: Sequence[bool], count: int = 10) -> list[Bin]:
    """Return the reliability diagram in `count` equal stretches; those with nothing in them are left out."""
    raise NotImplementedError


def ece(scores: Sequence[float], right: Sequence[bool], count: int = 10) -> float:
    """Return the expected calibration error: how far score and outcome lie apart on average over the bins; 0.0 of nothing."""
    raise NotImplementedError


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the chance that a right one scores above a wrong one (ties count half); None where all are right or all wrong."""
    raise NotImplementedError
