"""A model as data: numbers in a layout of our own, read without running anything, and what they say of vectors.

The layout (docs/learned.md): the eight bytes `CSLEARN1`, the length of a JSON header as a little-endian uint32, the header, and then its
arrays one after the other as raw little-endian numbers, in the order and of the types and shapes that the header names; at the end the
SHA-256 of everything before. No pickle, no code, nothing that is run: whoever could write the row could at most write wrong numbers.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, softmax

from . import novelty
from .features import BLOCKS, SPEC, are_numbers, place_of_kind, unpacked
from .platt import Platt
from .text import BITS

Floats = NDArray[np.float32]

MAGIC = b"CSLEARN1"
LARGEST = 512 * 1024 * 1024  # bytes of weights
_LARGEST_HEADER = 4 * 1024 * 1024
_MOST_ARRAYS = 16
LENGTH = 2.0  # of a row
_TYPES = ("<f4", "<u4", "<f2")


class BadWeights(ValueError):
    """These bytes are no model in the layout that is read here."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of one vector. "" and None: it does not know.

    `approve` is P(a person would approve as proposed), calibrated. `novelty` is the share of known traffic that is less unlike the past
    than this: 0.99 means that one in a hundred known ones is as strange.
    """

    category: str
    category_p: float | None
    severity: str
    severity_p: float | None
    approve: float | None
    novelty: float | None


@dataclass(frozen=True, slots=True)
class Head:
    """One linear question: a score for each class from the weights of the features, made a probability by its calibration.

    With two classes there is one row of weights, for the second class. Of incidents of another kind than `kinds` it says nothing.
    """

    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    weights: Floats  # rows x columns
    bias: Floats
    platt: Platt

    def scores(self, rows: sparse.csr_matrix) -> NDArray[np.float64]:
        """Return the linear scores, one row for each vector."""
        return np.asarray(rows @ self.weights.T, dtype=np.float64) + self.bias

    def chances(self, rows: sparse.csr_matrix) -> NDArray[np.float64]:
        """Return the calibrated probability of each class, one row for each vector."""
        return self.of_scores(self.scores(rows))

    def of_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the calibrated probabilities that linear scores are worth."""
        scores = self.platt.of(scores)
        if scores.shape[1] == 1:
            second = expit(scores[:, 0])
            return np.column_stack([1 - second, second])
        chances: NDArray[np.float64] = softmax(scores, axis=1)
        return chances


    def sure(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance of the likeliest class that linear scores are worth."""
        surest: NDArray[np.float64] = self.of_scores(scores).max(axis=1)
        return surest


class Model:
    """One trained state. Immutable; safe to share between threads.

    A head is None where there was too little to learn it from: the model then says that it does not know.
    """

    def __init__(
        self, columns: NDArray[np.uint32], idf: Floats, *, approve: Head | None = None, category: Head | None = None,
        severity: Head | None = None, past: "novelty.Past | None" = None,
    ) -> None:
        self.columns, self.idf = columns, idf
        self.approve, self.category, self.severity, self.past = approve, category, severity, past

    # -- speaking

    def speak(self, vectors: Sequence[bytes]) -> list[Said]:
        """Say what the model thinks of each vector (`features.of`), in order. About 0.1 ms each in batches of 250."""
        if not vectors:
            return []
        told = gathered(vectors)
        rows, unknown = weighted(told, self.columns, self.idf)
        of_kind = _Kinds(told.places, told.starts)
        categories = of_kind.best(self.category, rows)
        unsure = np.array([0.0 if chance is None else 1 - chance for _, chance in categories])
        strange = self.past.novelty(rows, unknown, unsure, told.places, told.starts) if self.past else [None] * len(vectors)
        severities = of_kind.best(self.severity, rows)
        approve = of_kind.second(self.approve, rows)
        return [
            Said(*categories[at], *severities[at], approve=approve[at], novelty=strange[at])
            for at in range(len(vectors))
        ]

    # -- as bytes

    def dump(self) -> bytes:
        """Return the model as bytes; the same model gives the same bytes."""
        arrays: list[NDArray[Any]] = [self.columns.astype("<u4"), self.idf.astype("<f4")]
        header: dict[str, Any] = {"spec": SPEC, "heads": {}, "past": None}
        for name in ("approve", "category", "severity"):
            head: Head | None = getattr(self, name)
            if head is not None:
                header["heads"][name] = {"classes": list(head.classes), "kinds": list(head.kinds), "platt": head.platt.json()}
                arrays += [head.weights.astype("<f4"), head.bias.astype("<f4")]
        if self.past is not None:
            header["past"] = self.past.json()
            arrays += self.past.arrays()
        header["arrays"] = [[array.dtype.str, list(array.shape)] for array in arrays]
        told = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        body = b"".join([MAGIC, len(told).to_bytes(4, "little"), told, *(np.ascontiguousarray(array).tobytes() for array in arrays)])
        return body + hashlib.sha256(body).digest()

    @classmethod
    def load(cls, weights: bytes) -> "Model":
        """Read a model from its bytes. Raises `BadWeights` (a ValueError) when they are not in the layout of docs/learned.md."""
        header, arrays = _taken_apart(bytes(weights))
        try:
            if header["spec"] != SPEC:
                raise BadWeights(f"These weights are of features {header['spec']}, not {SPEC}.")
            left = iter(arrays)
            columns, idf = next(left), next(left)
            heads = {
                name: Head(_names(told["classes"]), _names(told["kinds"]), next(left), next(left), Platt.of_json(told["platt"]))
                for name in ("approve", "category", "severity") if (told := header["heads"].get(name))
            }
            past = novelty.Past.made_of(header["past"], left) if header["past"] else None
            if next(left, None) is not None:
                raise BadWeights("These weights hold more than their header tells of.")
        except BadWeights:
            raise
        except (KeyError, TypeError, AttributeError, StopIteration, IndexError, OverflowError, ValueError) as error:
            raise BadWeights(f"The header of these weights makes no sense ({type(error).__name__}).") from None
        model = cls(columns, idf, past=past, **heads)
        model.check()
        return model

    def check(self) -> None:
        """Raise `BadWeights` unless all parts fit each other and every number is one."""
        width = len(self.columns)
        fits = self.columns.dtype == np.dtype("<u4") and self.columns.ndim == 1 and self.idf.shape == (width,)
        fits = fits and bool(np.all(self.columns[1:] > self.columns[:-1])) and bool(np.isfinite(self.idf).all())
        for head in (self.approve, self.category, self.severity):
            if head is not None:
                lines = 1 if len(head.classes) == 2 else len(head.classes)
                fits = fits and len(head.classes) >= 2 and head.weights.shape == (lines, width) and head.bias.shape == (lines,)
                fits = fits and bool(np.isfinite(head.weights).all() and np.isfinite(head.bias).all()) and head.platt.is_sound()
        if self.past is not None:
            fits = fits and self.past.fits(width)
        if not fits:
            raise BadWeights("The parts of these weights do not fit each other.")


class Gathered(NamedTuple):
    """The features of vectors one after the other; row n lies from starts[n] to starts[n + 1]."""

    places: NDArray[np.int64]
    counts: NDArray[np.float32]
    numbers: NDArray[np.bool_]
    starts: NDArray[np.int64]


def gathered(vectors: Sequence[bytes]) -> Gathered:
    """Return the features of all vectors side by side."""
    starts = np.zeros(len(vectors) + 1, dtype=np.int64)
    np.cumsum([len(one) // 4 for one in vectors], out=starts[1:])
    every = b"".join(vectors)
    return Gathered(*unpacked(every), are_numbers(every), starts)


def weighted(told: Gathered, columns: NDArray[np.uint32], idf: Floats) -> tuple[sparse.csr_matrix, NDArray[np.float64]]:
    """Return tf-idf rows over the columns, each of length LENGTH, and the share of each row's weight outside the columns, numbers left out.

    Weight of a feature: (1 + ln count) * idf (Salton and Buckley 1988), what was never seen weighing as the rarest that was; a block is
    then shortened to the root of its length, so that a long tool result says more than a short one, but not as much more as it is longer.
    """
    places, counts, numbers, starts = told
    at = np.searchsorted(columns, places)
    at[at == len(columns)] = 0
    known = columns[at] == places if len(columns) else np.zeros(len(places), dtype=bool)
    rarest = float(idf.max()) if len(idf) else 1.0
    values = (1 + np.log(counts)) * np.where(known, idf[at] if len(idf) else 0.0, rarest)
    row_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    block_of = row_of * len(BLOCKS) + (places >> BITS)
    length = np.sqrt(np.bincount(block_of, weights=values * values, minlength=(len(starts) - 1) * len(BLOCKS)))
    values /= np.sqrt(np.maximum(length[block_of], 1e-12))
    whole = np.sqrt(np.bincount(row_of, weights=values * values, minlength=len(starts) - 1))
    values = (values * LENGTH / np.maximum(whole[row_of], 1e-12)).astype(np.float32)
    squares = values.astype(np.float64) ** 2
    whole = np.bincount(row_of, weights=squares, minlength=len(starts) - 1)
    unknown = np.bincount(row_of, weights=np.where(known | numbers, 0.0, squares), minlength=len(starts) - 1) / np.maximum(whole, 1e-12)
    new_starts = np.concatenate([[0], np.cumsum(np.bincount(row_of[known], minlength=len(starts) - 1))])
    rows = sparse.csr_matrix((values[known], at[known], new_starts), shape=(len(starts) - 1, len(columns)))
    return rows, unknown


class _Kinds:
    """Of which kind each vector is, so that a head is asked of those alone whose kind it knows."""

    def __init__(self, places: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        self._places, self._row_of = places, np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        self._many = len(starts) - 1

    def asked(self, head: Head) -> NDArray[np.bool_]:
        asked = np.zeros(self._many, dtype=bool)
        asked[self._row_of[np.isin(self._places, [place_of_kind(kind) for kind in head.kinds])]] = True
        return asked

    def best(self, head: Head | None, rows: sparse.csr_matrix) -> list[tuple[str, float | None]]:
        """Return (likeliest class, its chance) of each row, ("", None) where the head does not know."""
        if head is None:
            return [("", None)] * self._many
        asked, chances = self.asked(head), head.chances(rows)
        likeliest = chances.argmax(axis=1)
        return [
            (head.classes[one], float(chances[at, one])) if asked[at] else ("", None) for at, one in enumerate(likeliest)
        ]

    def second(self, head: Head | None, rows: sparse.csr_matrix) -> list[float | None]:
        """Return the chance of the second class of each row, None where the head does not know."""
        if head is None:
            return [None] * self._many
        asked, chances = self.asked(head), head.chances(rows)[:, 1]
        return [float(chances[at]) if asked[at] else None for at in range(self._many)]


def _names(told: Any) -> tuple[str, ...]:
    return tuple(map(str, told))


def _taken_apart(weights: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    if not len(MAGIC) + 36 < len(weights) <= LARGEST or weights[: len(MAGIC)] != MAGIC:
        raise BadWeights("These are no weights.")
    body, digest = weights[:-32], weights[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise BadWeights("These weights are damaged.")
    at = len(MAGIC) + 4
    length = int.from_bytes(body[len(MAGIC) : at], "little")
    if length > min(_LARGEST_HEADER, len(body) - at):
        raise BadWeights("The header of these weights is too long.")
    try:
        header = json.loads(body[at : at + length])
        told = [(str(kind), [int(size) for size in shape]) for kind, shape in header["arrays"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise BadWeights("The header of these weights cannot be read.") from None
    if len(told) > _MOST_ARRAYS:
        raise BadWeights("These weights hold more than a model has.")
    at += length
    arrays = []
    for kind, shape in told:
        if kind not in _TYPES or any(size < 0 for size in shape) or len(shape) > 2:
            raise BadWeights("These weights hold something that is no array of numbers.")
        dtype = np.dtype(kind)
        count = 1
        for size in shape:
            count *= size
        if count * dtype.itemsize > len(body) - at:
            raise BadWeights("These weights end too early.")
        arrays.append(np.frombuffer(body, dtype=dtype, count=count, offset=at).reshape(shape))
        at += count * dtype.itemsize
    if at != len(body):
        raise BadWeights("These weights go on too long.")
    return header, arrays
