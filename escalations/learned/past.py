"""What is kept of the past so that what is new can be told from it: a few axes, some thousand decided incidents, ranks."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from . import novelty
from .novelty import Past

MIX = (0.3, 0.3, 1.0)  # of distance, of what has no word, of how unsure the category is: what told new intents best (docs/learned.md)
SAMPLE = 12_000  # cases the axes are found on, the newest
ASKED = 4_000  # cases of the fold that is held out for the ranks, the newest


def past_of(
    rows: sparse.csr_matrix, unknown: NDArray[np.float64], out: NDArray[np.bool_], unsure: NDArray[np.float64]
) -> Past:
    """Return the past of these rows. Ranks are of those `out` (a fold of whole groups), measured as if only the others were known.

    `unsure` is how unsure a fit was of each row's category that had not seen its fold.
    """
    axes = _axes(rows)
    flat = novelty.unit(np.asarray(rows @ axes, dtype=np.float32))
    if not out.any() or out.all():
        out = np.arange(rows.shape[0]) % 4 == 0
    inside, asked = np.flatnonzero(~out), np.flatnonzero(out)[-ASKED:]
    against = flat[inside[_spread(len(inside), novelty.KEPT)]]
    far = 1 - (flat[asked] @ against.T).max(axis=1)
    raw = novelty.mixed(far, _unknown(rows, unknown, inside, asked), unsure[asked], MIX)
    ranks = np.quantile(raw, np.linspace(0, 1, min(novelty.RANKS, len(raw)))).astype(np.float32)
    return Past(axes, flat[_spread(len(flat), novelty.KEPT)], ranks, MIX)


def _axes(rows: sparse.csr_matrix) -> NDArray[np.float32]:
    """Return the directions in which the past differs most (latent semantic analysis; Deerwester and others 1990), columns x axes."""
    sample = rows[-SAMPLE:]
    wanted = max(1, min(novelty.DIMENSIONS, min(sample.shape) - 1))
    _, _, right = randomized_svd(sample, n_components=wanted, n_iter=3, random_state=0)
    return np.ascontiguousarray(right.T, dtype=np.float32)


def _unknown(
    rows: sparse.csr_matrix, unknown: NDArray[np.float64], inside: NDArray[np.int64], asked: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of each asked row's weight that would have no column if only the rows inside had made the columns."""
    seen = np.bincount(rows[inside].indices, minlength=rows.shape[1])
    squares = rows[asked].copy()
    squares.data = squares.data.astype(np.float64) ** 2
    whole = np.asarray(squares.sum(axis=1)).ravel() / np.maximum(1 - unknown[asked], 1e-9)
    lost = np.asarray(squares @ (seen < 2).astype(np.float64)).ravel()
    missing: NDArray[np.float64] = unknown[asked] + lost / np.maximum(whole, 1e-12)
    return missing


def _spread(many: int, most: int) -> NDArray[np.int64]:
    """Return which of so many to keep: all, or evenly spread with the newest among them."""
    return np.arange(many) if many <= most else np.linspace(0, many - 1, most).round().astype(np.int64)
