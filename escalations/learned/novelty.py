"""How unlike everything decided before: distance to the past in a few dimensions, and how much of an incident the past has no word for.

Raw strangeness is turned into a rank: the share of known traffic, held out and later, that is less strange. So a limit of 0.98 stops
about two in a hundred of what is like the past, whatever the scale of the distances (split conformal; Vovk, Gammerman, Shafer 2005).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

DIMENSIONS = 96
KEPT = 3_000  # decided incidents that stand for the past
RANKS = 1_001


class Past:
    """What stands for the past, and how strange its own later part was."""

    def __init__(
        self, axes: NDArray[np.float32], kept: NDArray[np.float32], ranks: NDArray[np.float32], mix: tuple[float, float, float]
    ) -> None:
        self.axes, self.kept, self.ranks, self.mix = axes, kept, ranks, mix

    def novelty(self, rows: sparse.csr_matrix, unknown: NDArray[np.float64], unsure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the novelty of each row: its rank from 0 to 1 among known traffic.

        `unsure` is one minus the chance of its likeliest category.
        """
        raw = self.raw(rows, unknown, unsure)
        below = np.searchsorted(self.ranks, raw, side="right")
        inside: NDArray[np.float64] = below / len(self.ranks)
        return inside

    def raw(self, rows: sparse.csr_matrix, unknown: NDArray[np.float64], unsure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strange each row is, on a scale of its own."""
        far = distance(rows, self.axes, self.kept)
        return mixed(far, unknown, unsure, self.mix)

    def fits(self, width: int) -> bool:
        """Say whether the parts fit each other and a model of so many columns."""
        return (
            self.axes.ndim == 2 and self.kept.ndim == 2 and self.axes.shape == (width, self.kept.shape[1]) and self.ranks.ndim == 1
            and len(self.ranks) > 0 and len(self.kept) > 0 and all(np.isfinite(one).all() for one in (self.axes, self.kept, self.ranks))
            and bool(np.isfinite(self.mix).all()) and bool((self.ranks[1:] >= self.ranks[:-1]).all())
        )

    def json(self) -> dict[str, Any]:
        return {"mix": list(self.mix)}

    def arrays(self) -> list[NDArray[Any]]:
        return [self.axes.astype("<f4"), self.kept.astype("<f4"), self.ranks.astype("<f4")]

    @classmethod
    def made_of(cls, told: Any, arrays: Iterator[NDArray[Any]]) -> "Past":
        first, second, third = (float(one) for one in told["mix"])
        return cls(next(arrays), next(arrays), next(arrays), (first, second, third))


def mixed(
    far: NDArray[np.float64], unknown: NDArray[np.float64], unsure: NDArray[np.float64], mix: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return how strange what is so far, so unknown and so unsure is."""
    raw: NDArray[np.float64] = mix[0] * far + mix[1] * unknown + mix[2] * unsure
    return raw


def distance(rows: sparse.csr_matrix, axes: NDArray[np.float32], kept: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return one minus the cosine to the nearest of the kept, in the space of the axes."""
    flat = unit(np.asarray(rows @ axes, dtype=np.float32))
    out = np.empty(len(flat))
    for at in range(0, len(flat), 1_000):
        out[at : at + 1_000] = 1 - (flat[at : at + 1_000] @ kept.T).max(axis=1)
    return out


def unit(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows with length one; a row of nothing stays nothing."""
    shortened: NDArray[np.float32] = flat / np.maximum(np.sqrt((flat * flat).sum(axis=1, keepdims=True)), 1e-9)
    return shortened
