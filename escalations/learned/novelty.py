"""How unlike everything decided before: distance to the past in a few dimensions, and how much of an incident the past has no word for.

Raw strangeness is turned into a rank: the share of known work of its own kind that, while it was not known, was less strange. So a limit
of 0.98 stops about two in a hundred of what is like the past, in each kind of work, whatever the scale of the distances and however much
there was of it (conformal within groups; Vovk, Gammerman, Shafer 2005).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .features import place_of_kind

DIMENSIONS = 96
KEPT = 3_000  # decided incidents that stand for the past
RANKS = 1_001
NOTHING = 0.05  # raw; less is no strangeness: where known work is all the same, one other word makes none of it strange
NOISE = 1e-5  # raw; what rounding makes of the same


class Past:
    """What stands for the past, and how strange each kind of its work was.

    `works` has a line for each kind of work: the place of the incident's kind, the place that names the work, and which of the `ranks` are
    its own; the first are everybody else's. Of incidents of other `kinds` it says nothing.
    """

    def __init__(
        self, axes: NDArray[np.float32], kept: NDArray[np.float32], works: NDArray[np.uint32], ranks: NDArray[np.float32],
        mix: tuple[float, float, float], kinds: tuple[str, ...],
    ) -> None:
        self.axes, self.kept, self.works, self.ranks, self.mix, self.kinds = axes, kept, works, ranks, mix, kinds

    def novelty(
        self, rows: sparse.csr_matrix, unknown: NDArray[np.float64], unsure: NDArray[np.float64], places: NDArray[np.int64],
        starts: NDArray[np.int64],
    ) -> list[float | None]:
        """Return the novelty of each row: its rank from 0 to 1 among known work of its kind; None where the kind of incident is not known.

        `unsure` is one minus the chance of its likeliest category; `places` of row n lie from starts[n] to starts[n + 1].
        """
        raw = self.raw(rows, unknown, unsure)
        said: list[float | None] = []
        for one, own in zip(raw, self._own(places, starts), strict=True):
            said.append(None if own is None else float(np.searchsorted(self.ranks[own], one - NOISE) / self.ranks.shape[1]))
        return said

    def _own(self, places: NDArray[np.int64], starts: NDArray[np.int64]) -> list[int | None]:
        """Return which ranks each row is measured by."""
        lines = {(int(kind), int(name)): int(own) for kind, name, own in self.works}
        kinds = {place_of_kind(kind) for kind in self.kinds}
        wanted = np.array(sorted({place for line in lines for place in line} | kinds), dtype=np.int64)
        found = np.flatnonzero(np.isin(places, wanted))
        of_row: list[list[int]] = [[] for _ in range(len(starts) - 1)]
        for row, place in zip(np.searchsorted(starts, found, side="right") - 1, places[found], strict=True):
            of_row[row].append(int(place))
        told: list[int | None] = []
        for here in of_row:
            mine = [lines[kind, name] for kind in here for name in here if (kind, name) in lines]
            told.append((mine[0] if mine else 0) if kinds.intersection(here) else None)
        return told

    def raw(self, rows: sparse.csr_matrix, unknown: NDArray[np.float64], unsure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strange each row is, on a scale of its own."""
        far = distance(rows, self.axes, self.kept)
        return mixed(far, unknown, unsure, self.mix)

    def fits(self, width: int) -> bool:
        """Say whether the parts fit each other and a model of so many columns."""
        return (
            self.axes.ndim == 2 and self.kept.ndim == 2 and self.axes.shape == (width, self.kept.shape[1]) and len(self.kept) > 0
            and self.ranks.ndim == 2 and self.ranks.size > 0 and self.works.ndim == 2 and self.works.shape[1] == 3
            and self.works.dtype == np.dtype("<u4") and bool((self.works[:, 2] < len(self.ranks)).all())
            and all(one.dtype == np.dtype("<f4") and bool(np.isfinite(one).all()) for one in (self.axes, self.kept, self.ranks))
            and bool(np.isfinite(self.mix).all()) and bool((self.ranks[:, 1:] >= self.ranks[:, :-1]).all())
        )

    def json(self) -> dict[str, Any]:
        return {"mix": list(self.mix), "kinds": list(self.kinds)}

    def arrays(self) -> list[NDArray[Any]]:
        return [self.axes.astype("<f4"), self.kept.astype("<f4"), self.works.astype("<u4"), self.ranks.astype("<f4")]

    @classmethod
    def made_of(cls, told: Any, arrays: Iterator[NDArray[Any]]) -> "Past":
        first, second, third = (float(one) for one in told["mix"])
        axes, kept, works, ranks = (next(arrays) for _ in range(4))
        return cls(axes, kept, works, ranks, (first, second, third), tuple(str(kind) for kind in told["kinds"]))


def mixed(
    far: NDArray[np.float64], unknown: NDArray[np.float64], unsure: NDArray[np.float64], mix: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return how strange what is so far, so unknown and so unsure is; NOTHING at least."""
    raw: NDArray[np.float64] = np.maximum(mix[0] * far + mix[1] * unknown + mix[2] * unsure, NOTHING)
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
