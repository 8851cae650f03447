"""How far two people agree beyond chance."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from scipy.special import ndtri

from escalations.interval import clopper_pearson


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa with its interval. `kappa` is None where it says nothing: nobody looked twice, or both always said the same one thing."""

    n: int
    observed: float  # share on which both said the same
    expected: float  # share on which they would by chance
    kappa: float | None
    low: float | None
    high: float | None


def cohen(pairs: Iterable[tuple[str, str]], level: float = 0.95) -> Agreement:
    """Return how far the two of each pair agree (first said, second said).

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960), 37–46; its standard
    error from J. L. Fleiss, J. Cohen, B. S. Everitt, "Large sample standard errors of kappa and weighted kappa", Psychological
    Bulletin 72 (1969), 323–327.

    Where all agree that error is 0, which nobody should believe of seven: the lower end then comes from Clopper and Pearson's
    interval of the share on which they agree. Both ends rest on many pairs: of 20 they hold the true value in 85 to 92 of 100, of five
    in 60 to 88 (docs/guarantee.md), so few are nothing to show anybody.
    """
    cells = Counter(pairs)
    n = sum(cells.values())
    if not n:
        return Agreement(0, 0.0, 0.0, None, None, None)
    first, second = Counter[str](), Counter[str]()
    for (one, other), count in cells.items():
        first[one] += count
        second[other] += count
    agreed = sum(count for (one, other), count in cells.items() if one == other)
    observed = agreed / n
    expected = sum(first[said] * second[said] for said in first) / n ** 2
    if expected >= 1:
        return Agreement(n, observed, expected, None, None, None)
    kappa = (observed - expected) / (1 - expected)
    spread = -(kappa - expected * (1 - kappa)) ** 2
    for (one, other), count in cells.items():
        if one == other:
            spread += count / n * (1 - (first[one] + second[one]) / n * (1 - kappa)) ** 2
        else:
            spread += count / n * ((second[one] + first[other]) / n * (1 - kappa)) ** 2
    away = float(ndtri((1 + level) / 2)) * sqrt(max(spread, 0.0) / n) / (1 - expected)
    low = (clopper_pearson(agreed, n, level)[0] - expected) / (1 - expected) if agreed == n else kappa - away
    return Agreement(n, observed, expected, kappa, max(low, -1.0), min(kappa + away, 1.0))
