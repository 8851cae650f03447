"""How good a score is: does it order rightly, and does it mean what it says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bin:
    """Those whose score lies within one stretch: what they scored on average, and what came of them."""

    low: float
    high: float
    n: int
    said: float
    came: float


def bins(scores: Sequence[float], right: Sequence[bool], count: int = 10) -> list[Bin]:
    """Return the reliability diagram in `count` equal stretches of 0 to 1; those with nothing in them are left out.

    M. H. DeGroot and S. E. Fienberg, "The comparison and evaluation of forecasters", The Statistician 32 (1983), 12–22.
    """
    said, came = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    if len(said) != len(came):
        raise ValueError(f"{len(said)} scores, {len(came)} outcomes")
    where = np.clip((said * count).astype(int), 0, count - 1)
    told = []
    for at in range(count):
        inside = where == at
        if n := int(inside.sum()):
            told.append(Bin(at / count, (at + 1) / count, n, float(said[inside].mean()), float(came[inside].mean())))
    return told


def ece(scores: Sequence[float], right: Sequence[bool], count: int = 10) -> float:
    """Return the expected calibration error: how far score and outcome lie apart on average over the bins; 0.0 of nothing.

    M. P. Naeini, G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    return sum(one.n * abs(one.said - one.came) for one in bins(scores, right, count)) / max(len(scores), 1)


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the chance that a right one scores above a wrong one (ties count half); None where all are right or all wrong.

    By ranks: H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947), 50–60. Sorts once.
    """
    said, came = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    good, bad = int(came.sum()), int((~came).sum())
    if not good or not bad:
        return None
    _, where, times = np.unique(said, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[where]
    return float((ranks[came].sum() - good * (good + 1) / 2) / (good * bad))
