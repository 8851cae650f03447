"""How sure a count makes us of a share."""

from scipy.special import betaincinv

LEVEL = 0.95


def clopper_pearson(hits: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval, both ends within 0 to 1, in which the true share lies at this level; (0.0, 1.0) of nothing.

    C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26
    (1934), 404–413, by quantiles of the beta distribution. It covers the true share at least as often as it says, however few were
    counted, and is wider than others for it. Raises ValueError when more hit than there were.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of}")
    tail = (1 - level) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return low, high
