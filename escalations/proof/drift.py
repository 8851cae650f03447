"""Whether what comes in now looks like what a grant was given for, by its scores or its novelty."""

from collections.abc import Sequence
from dataclasses import dataclass

from .watch import Alarm


@dataclass(frozen=True)
class Looked:
    """One comparison: the largest distance between the two distributions (0 to 1), and how often chance alone makes one so large."""

    distance: float
    chance: float


def compare(reference: Sequence[float], recent: Sequence[float]) -> Looked:
    """Return the two-sample Kolmogorov–Smirnov comparison; (0.0, 1.0) where either is empty."""
    raise NotImplementedError


class Drift:
    """Compares the last `window` with the reference after every `every` more; `delta` is the chance of a false alarm over all looks."""

    def __init__(self, reference: Sequence[float], delta: float = 0.01, *, window: int = 100, every: int = 50, what: str = "scores") -> None:
        raise NotImplementedError

    def add(self, value: float | None) -> None:
        """Count one more that came in (None, of which nothing is known, is left out)."""
        raise NotImplementedError

    @property
    def alarm(self) -> Alarm | None:
        """Why the grant must end (`drift`), or None; once there is one it stays."""
        raise NotImplementedError
