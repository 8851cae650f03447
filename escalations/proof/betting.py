"""How sure we are that something errs less than `alpha`, at any moment at which somebody looks.

A bet against the claim "it errs at least alpha of the time". Each right item wins a little, each wrong one loses much; if the claim is
true nobody gets rich by betting against it: the chance that the wealth ever reaches 1/delta is at most delta, however often one
looks and whenever one stops (J. Ville, Étude critique de la notion de collectif, 1939). So a manager may watch the page and grant at
the moment that pleases them, which a test for one fixed number of decisions would not allow.

The bet is a mixture over all error rates below alpha, weighted by Jeffreys' beta(1/2, 1/2) cut off at alpha:

    wealth = ∫₀^alpha p^w (1-p)^(n-w) dπ(p) / (alpha^w (1-alpha)^(n-w))        w wrong of n

For each p < alpha one item multiplies the wealth by p/alpha if wrong, by (1-p)/(1-alpha) if right: on average 1 where the error is
exactly alpha, less where it is more. So is the mixture. See S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021), 1055–1080, and I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 86 (2024), 1–27.
"""

from functools import lru_cache
from math import log

import numpy as np
from scipy.special import betainc, betaln

A = B = 0.5  # Jeffreys: as much weight on errors near nothing as a prior may have that learns from the data


def log_wealth(wrong: float, of: float, alpha: float) -> float:
    """Return the natural logarithm of what a bet of 1 against "it errs at least alpha" is worth after `wrong` of `of` were wrong.

    Depends on the counts alone, not on their order. Counts may be fractions (what is expected). Raises ValueError for impossible ones.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}")
    if not 0 <= wrong <= of:
        raise ValueError(f"{wrong} of {of}")
    a, b = A + wrong, B + of - wrong
    weight = _below(alpha)
    if wrong <= alpha * of:
        # most of the posterior lies below alpha, so its share there is far from 0.
        return float(np.log(betainc(a, b, alpha)) + betaln(a, b) - weight - wrong * log(alpha) - (of - wrong) * np.log1p(-alpha))
    # Above, the share would underflow. As a continued fraction it has the powers of alpha in front, and they cancel.
    return float(A * log(alpha) + B * np.log1p(-alpha) - log(a) + log(_fraction(a, b, alpha)) - weight)


def upper(wrong: int, of: int, delta: float) -> float:
    """Return the bound: with chance 1 - delta the error is never above it, whenever one looks. 1.0 of nothing.

    All error rates against which the bet has not reached 1/delta are still possible; the bound is the largest of them, found by
    halving (40 evaluations, about 0.3 ms).
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta {delta}")
    goal = -log(delta)
    if of == 0 or wrong == of:
        return 1.0
    low, high = max(wrong / of, 1e-12), 1.0 - 1e-12
    if log_wealth(wrong, of, high) < goal:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if log_wealth(wrong, of, middle) < goal:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=1024)
def _below(alpha: float) -> float:
    """Return the logarithm of the part of the prior that lies below alpha, not yet divided by the whole of it."""
    return float(log(betainc(A, B, alpha)) + betaln(A, B))


def _fraction(a: float, b: float, x: float) -> float:
    """Return a / (x^a (1-x)^b) times the incomplete beta integral from 0 to x, for x below about a/(a+b).

    NIST Digital Library of Mathematical Functions, 8.17.22, evaluated as W. J. Lentz does (Applied Optics 15 (1976), 668–671); it
    takes some multiple of the square root of a + b steps there.
    """
    up, down = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = down
    for m in range(1, 100_000):
        for step in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            up, down = 1 + step / up, 1 / (1 + step * down)
            change = up * down
            value *= change
        if abs(change - 1) < 1e-13:
            return value
    raise ArithmeticError(f"no end at {a}, {b}, {x}")
