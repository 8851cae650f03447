"""Platt's logistic curve, fitted to decisions the scores had not seen."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

from .platt import Platt, Scores


def fitted(scores: Scores, right: NDArray[np.bool_]) -> Platt:
    """Return the curve through scores of decisions that were (not) `right`. A slope that came out falling becomes almost flat."""
    yes, no = int(right.sum()), int((~right).sum())
    if not yes or not no:
        return Platt()
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = scores * at[0] + at[1]
        value = float(np.mean(np.logaddexp(0, odds) - target * odds))
        off = expit(odds) - target
        return value, np.array([np.mean(off * scores), np.mean(off)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, 50.0), (-50.0, 50.0)])
    return Platt(float(found.x[0]), float(found.x[1]))


def tempered(scores: Scores, classes: NDArray[np.int64]) -> Platt:
    """Return the temperature for scores of several classes whose true one is `classes` (its number in the row)."""
    rows = np.arange(len(classes))

    def loss(log_slope: float) -> float:
        hot = scores * np.exp(log_slope)
        return float(np.mean(logsumexp(hot, axis=1) - hot[rows, classes]))

    return Platt(float(np.exp(minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded").x)))
