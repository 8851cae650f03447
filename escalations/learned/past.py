"""What is kept of the past so that what is new can be told from it: a few axes, some thousand decided incidents, ranks.

All of it weighs kinds of work alike, not incidents: where most of the past is one sort of thing, the rest is known as well as that.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from . import novelty
from .model import LENGTH
from .novelty import Past

MIX = (0.3, 0.3, 1.0)  # of distance, of what has no word, of how unsure the category is: what told new intents best (docs/learned.md)
SAMPLE = 12_000  # cases the axes are found on
ASKED = 4_000  # cases of which it is measured how strange they would have been
OWN = 50  # measured cases of a kind of work before it has ranks of its own
HANDFUL = 5  # cases of a kind of work, or of incident, before it is known
MOST_OWN = 400  # kinds of work with ranks of their own, the most frequent
NEAR = 0.02  # one minus the cosine, of what says the same again

Works = NDArray[np.int64]  # of each case, the number of its kind of work


def past_of(
    rows: sparse.csr_matrix, unknown: NDArray[np.float64], unsure: NDArray[np.float64], named: Sequence[tuple[int, int]],
    kinds: Sequence[str], groups: NDArray[np.int64], numbers: NDArray[np.bool_],
) -> Past:
    """Return the past of these rows. Each is measured as if its group, and what says the same again, had not been known.

    `unsure` is how unsure the category was of each row while it was not known, NaN where nobody asked; `named` the places that name its
    kind of work (`features.place_of_work`), `numbers` the columns that say nothing of what is familiar.
    """
    names, works = np.unique(np.array(named, dtype=np.int64).reshape(-1, 2), axis=0, return_inverse=True)
    works = works.ravel()
    axes = _axes(rows[evenly(works, SAMPLE)], ~numbers)
    flat = novelty.unit(np.asarray(rows @ axes, dtype=np.float32))
    kept = evenly(works, novelty.KEPT)
    able = np.flatnonzero(np.isfinite(unsure))
    asked = able[evenly(works[able], ASKED)]
    far = _far(flat, works, groups, asked, kept)
    raw = novelty.mixed(far, _unknown(rows, unknown, asked, numbers), unsure[asked], MIX)
    ranks, own = _ranks(raw, works[asked], np.bincount(works))
    table = np.column_stack([names, own]).astype(np.uint32)
    known = tuple(sorted(kind for kind in set(kinds) if kinds.count(kind) >= HANDFUL))
    return Past(axes, flat[kept], table, ranks, MIX, known)


def _axes(sample: sparse.csr_matrix, said: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the directions in which the past differs most (latent semantic analysis; Deerwester and others 1990), columns x axes."""
    axes = np.zeros((sample.shape[1], max(1, min(novelty.DIMENSIONS, min(sample.shape[0], int(said.sum())) - 1))), dtype=np.float32)
    _, _, right = randomized_svd(sample[:, said], n_components=axes.shape[1], n_iter=3, random_state=0)
    axes[np.flatnonzero(said)[:, None], np.arange(len(right))] = right.T
    return axes


def _far(
    flat: NDArray[np.float32], works: Works, groups: NDArray[np.int64], asked: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far each asked row is from the nearest kept one that is not of its group and does not say the same again.

    What says the same again counts after all where its kind of work has never said anything else.
    """
    far = np.empty(len(asked))
    for at in range(0, len(asked), 1_000):
        some = asked[at : at + 1_000]
        near = flat[some] @ flat[kept].T
        near[groups[some][:, None] == groups[kept]] = -1
        other = (near < 1 - NEAR) & (near >= 0) & (works[some][:, None] == works[kept])
        again = (near >= 1 - NEAR) & other.any(axis=1)[:, None]
        near[again] = -1
        far[at : at + 1_000] = 1 - near.max(axis=1)
    return far


def _unknown(
    rows: sparse.csr_matrix, unknown: NDArray[np.float64], asked: NDArray[np.int64], numbers: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the share of each asked row's weight that would have no column had it not been there itself: of what was seen twice."""
    seen = np.bincount(rows.indices, minlength=rows.shape[1])
    squares = rows[asked].copy()
    squares.data = squares.data.astype(np.float64) ** 2
    missing: NDArray[np.float64] = unknown[asked] + np.asarray(squares @ ((seen < 3) & ~numbers).astype(np.float64)).ravel() / LENGTH**2
    return missing


def _ranks(raw: NDArray[np.float64], works: Works, times: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ranks, and which of them each kind of work has: its own where enough was measured, else the first.

    The first are of the kinds of work without their own, if enough was measured of them, else of all; every kind weighs the same.
    """
    measured = np.bincount(works, minlength=len(times))
    mine = np.flatnonzero(measured >= OWN)
    mine = mine[np.argsort(-times[mine], kind="stable")[:MOST_OWN]]
    own = np.zeros(len(times), dtype=np.int64)
    own[mine] = np.arange(1, len(mine) + 1)
    pooled = (own[works] == 0) & (times[works] >= HANDFUL)
    if pooled.sum() < OWN:
        pooled = times[works] >= HANDFUL
    if not pooled.any():
        pooled[:] = True
    shares = np.linspace(0, 1, novelty.RANKS)
    ranks = [_quantiles(raw[pooled], 1 / measured[works[pooled]], shares), *(np.quantile(raw[works == one], shares) for one in mine)]
    return np.maximum.accumulate(np.array(ranks, dtype=np.float32), axis=1), own


def _quantiles(values: NDArray[np.float64], weights: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values below which such shares of the weight lie."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    return np.asarray(values[order][np.minimum(np.searchsorted(below, shares - 1e-9), len(values) - 1)], dtype=np.float64)


def evenly(works: Works, most: int) -> NDArray[np.int64]:
    """Return which to keep, at most so many, in order: of each kind of work alike, spread over its time with the newest among them."""
    times = np.bincount(works)
    each, left = most, most
    for many, kinds in zip(np.sort(times[times > 0]), range(int((times > 0).sum()), 0, -1), strict=True):
        each = max(left // kinds, 1)
        if many > each:
            break
        left -= int(many)
    order = np.argsort(works, kind="stable")
    ends = np.cumsum(times)
    found = [order[end - many : end][_spread(int(many), each)] for end, many in zip(ends, times, strict=True) if many]
    every = np.sort(np.concatenate(found))
    return every[_spread(len(every), most)]


def _spread(many: int, most: int) -> NDArray[np.int64]:
    """Return which of so many to keep: all, or evenly spread with the newest among them."""
    return np.arange(many) if many <= most else np.linspace(many - 1, 0, most).round().astype(np.int64)[::-1]
