"""How far two people agree beyond chance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa with its interval. `kappa` is None where it says nothing: fewer than two, or both always said the same one thing."""

    n: int
    observed: float  # share on which both said the same
    expected: float  # share on which they would by chance
    kappa: float | None
    low: float | None
    high: float | None


def cohen(pairs: Iterable[tuple[str, str]], level: float = 0.95) -> Agreement:
    """Return how far the two of each pair agree (first said, second said)."""
    raise NotImplementedError


def by(rows: Iterable[tuple[str, str, str]], level: float = 0.95) -> Mapping[str, Agreement]:
    """Return the agreement for each category of (category, first said, second said), in the categories' order."""
    raise NotImplementedError
