"""From labelled cases to a model: pure arithmetic over rows in the order of their time. The training job and the benches use it alike.

Twice the same recipe: first on the earlier part alone, scored on what came after; then on everything, which is the model that is kept.
The scores are those of the recipe, and what the kept model is worth is shown by its lane's own evidence, which begins after it was made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from . import scoring
from .calibrating import fitted, tempered
from .cases import Case
from .features import PLACES, place_of_kind, place_of_work
from .model import Head, Model, Said, gathered, weighted
from .past import past_of

ENOUGH = 200  # cases with a label before anything is said of others
PASSES = 50  # over the numbers, until a fit has settled
OF_EACH = 10  # of the rarer answer
OF_A_CLASS = 3  # cases of a category before it is one
COLUMNS = 65_536  # features that have a weight: the most frequent ones
WORK = 1_500_000_000  # numbers times classes that one head may be fitted on: about twenty seconds; older cases are left out
FOLDS = 4
MANY = 20_000  # cases, times classes, of which one fold in four tells how well the scores hold
CHUNK = 2_000  # vectors taken apart at once
BESIDE_ENOUGH = 50  # later cases that the live version cannot have seen
STRICTNESS = 10.0  # of the penalty, as scikit-learn's C
RUNGS = 20
LEAST = 0.5  # no threshold is lower: what it takes for a no rather than a yes goes to people, whatever the evidence of a lane would bear
LANE_ENOUGH = 60  # later cases of a lane before it has rungs of its own


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model made of all cases, what the same recipe reached on the later part having seen only the earlier, and each lane's rungs.

    `rungs`: {lane: [thresholds, strict to lax]}, "" for lanes without enough cases of their own.
    """

    model: Model
    scores: dict[str, Any]
    rungs: dict[str, list[float]]


def fit(
    cases: Sequence[Case], *, holdout: float = 0.2, beside: Model | None = None, beside_until: datetime | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Fitted:
    """Fit a model on cases in order of time; the last `holdout` of them are what it is scored on. Deterministic.

    With fewer than ENOUGH labelled cases, or too few of one answer, the model says of that question that it does not know. `beside` is
    scored on the same later cases (those after `beside_until`, which it cannot have seen, where they are enough); `tick` is called now and
    then. About a minute and a gigabyte for 100,000 cases.
    """
    earlier, later = split(cases, holdout)
    before = model_of(earlier)
    tick()
    said = spoken(before, later)
    scores = scoring.scores(later, said) | {"cases": len(cases), "earlier": len(earlier), "later": len(later)}
    if beside is not None:
        fresh = [at for at, case in enumerate(later) if beside_until is None or case.at > beside_until]
        asked = fresh if len(fresh) >= BESIDE_ENOUGH else range(len(later))
        same = [later[at] for at in asked]
        scores["beside"] = {
            "cases": len(same), "unseen": len(fresh) >= BESIDE_ENOUGH, "live": scoring.scores(same, spoken(beside, same)),
            "this": scoring.scores(same, [said[at] for at in asked]),
        }
    tick()
    return Fitted(model_of(cases), scores, rungs_of(later, [one.approve for one in said]))


def spoken(model: Model, cases: Sequence[Case]) -> list[Said]:
    """Return what a model says of cases, CHUNK at a time."""
    return [
        one for at in range(0, len(cases), CHUNK) for one in model.speak([case.features for case in cases[at : at + CHUNK]])
    ]


def split(cases: Sequence[Case], holdout: float) -> tuple[list[Case], list[Case]]:
    """Return (earlier, later): the later part without cases whose group the earlier part knows."""
    at = len(cases) - round(len(cases) * holdout)
    known = {case.group for case in cases[:at] if case.group}
    return list(cases[:at]), [case for case in cases[at:] if case.group not in known]


def model_of(cases: Sequence[Case]) -> Model:
    """Return the model these cases make."""
    vectors = [case.features for case in cases]
    columns, idf = _columns(vectors)
    rows, unknown = _rows(vectors, columns, idf)
    folds = np.array([crc32((case.group or str(at)).encode()) % FOLDS for at, case in enumerate(cases)])
    kinds = [case.kind for case in cases]
    groups = np.unique([case.group or f"\0{at}" for at, case in enumerate(cases)], return_inverse=True)[1] if cases else folds
    approve, _ = _head(rows, kinds, ["" if case.approve is None else str(case.approve) for case in cases], folds, ("False", "True"))
    category, unsure = _head(rows, kinds, [case.category for case in cases], folds)
    severity, _ = _head(rows, kinds, [case.severity for case in cases], folds)
    past = None
    if len(cases) >= ENOUGH:
        works = [(place_of_kind(case.kind), place_of_work(case.kind, case.action, case.source)) for case in cases]
        past = past_of(rows, unknown, unsure, works, kinds, groups, _numbers(vectors, columns))
    return Model(columns, idf, approve=approve, category=category, severity=severity, past=past)


def _columns(vectors: Sequence[bytes]) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Return the places that have a weight (seen at least twice, the most frequent), in order, and how rare each is."""
    seen = np.zeros(1 << PLACES, dtype=np.int64)
    for at in range(0, len(vectors), CHUNK):
        seen += np.bincount(gathered(vectors[at : at + CHUNK]).places, minlength=len(seen))
    every = np.flatnonzero(seen >= (2 if len(vectors) >= ENOUGH else 1))
    if len(every) > COLUMNS:
        every = np.sort(every[np.argsort(-seen[every], kind="stable")[:COLUMNS]])
    idf = 1 + np.log((1 + len(vectors)) / (1 + seen[every]))
    return every.astype(np.uint32), idf.astype(np.float32)


def _numbers(vectors: Sequence[bytes], columns: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Say of each column whether it is of a number."""
    told = np.zeros(1 << PLACES, dtype=bool)
    for at in range(0, len(vectors), CHUNK):
        some = gathered(vectors[at : at + CHUNK])
        told[some.places[some.numbers]] = True
    return told[columns]


def _rows(
    vectors: Sequence[bytes], columns: NDArray[np.uint32], idf: NDArray[np.float32]
) -> tuple[sparse.csr_matrix, NDArray[np.float64]]:
    """Return all vectors as `model.weighted` rows, some thousand at a time: what lies in between would be several times as much."""
    made = [
        weighted(gathered(vectors[at : at + CHUNK]), columns, idf) for at in range(0, len(vectors), CHUNK)
    ] or [weighted(gathered([]), columns, idf)]
    return sparse.vstack([rows for rows, _ in made], format="csr"), np.concatenate([unknown for _, unknown in made])


def _head(
    rows: sparse.csr_matrix, kinds: Sequence[str], labels: Sequence[str], folds: NDArray[np.int64], classes: tuple[str, ...] | None = None
) -> tuple[Head | None, NDArray[np.float64]]:
    """Return a calibrated head for labels ("": none), and how unsure it was of each row that it had not seen; NaN of those it had.

    None, and 0 everywhere, where there is too little to learn from; 0 of kinds that it is not asked of.
    """
    unsure = np.zeros(len(labels))
    said = np.array(labels, dtype=object).astype(str)
    every, seen = np.unique(said[said != ""], return_counts=True)
    kept = [str(one) for one, times in zip(every, seen, strict=True) if times >= (OF_A_CLASS if classes is None else 1)]
    usable = np.flatnonzero(np.isin(said, kept))
    if len(usable) < ENOUGH or len(kept) < 2 or np.sort(seen)[-2] < OF_EACH:
        return None, unsure
    classes = classes or tuple(kept)
    number = {name: at for at, name in enumerate(classes)}
    per_row = max(1, rows.nnz // max(rows.shape[0], 1)) * (1 if len(classes) == 2 else len(classes))
    usable = usable[-max(ENOUGH, WORK // (per_row * PASSES)) :]
    x, y, of_fold = rows[usable], np.array([number[said[at]] for at in usable]), folds[usable]
    scores, seen_by_none = _unseen(x, y, of_fold, len(classes))
    true = y[seen_by_none]
    platt = fitted(scores[:, 0], true == 1) if len(classes) == 2 else tempered(scores, true)
    known = tuple(sorted({kinds[int(at)] for at in usable}))
    head = Head(classes, known, *_linear(x, y, len(classes)), platt)
    asked = np.isin(np.array(kinds, dtype=object).astype(str), known)
    asked[usable] = False  # what is left was never learned from
    for some in np.array_split(np.flatnonzero(asked), asked.sum() // CHUNK + 1):
        unsure[some] = 1 - head.sure(head.scores(rows[some]))
    unsure[usable] = np.nan
    unsure[usable[seen_by_none]] = 1 - head.sure(scores)
    return head, unsure


def _linear(x: sparse.csr_matrix, y: NDArray[np.int64], classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (weights, bias) of a logistic regression with an L2 penalty; a class that does not occur gets none."""
    present = np.unique(y)
    lines = 1 if classes == 2 else classes
    weights, bias = np.zeros((lines, x.shape[1]), np.float32), np.full(lines, -20.0 if lines > 1 else 0.0, np.float32)
    if len(present) < 2:
        bias[:] = (20.0 if present[0] else -20.0) if lines == 1 else bias
        if lines > 1:
            bias[present[0]] = 0
        return weights, bias
    used = np.unique(x.indices)  # a class has a weight for every column: those that never occur here would only be carried along
    found = LogisticRegression(C=STRICTNESS, max_iter=100, tol=1e-3).fit(x[:, used], y)
    if lines == 1:
        weights[0, used], bias[:] = found.coef_[0], found.intercept_
    elif len(present) == 2:  # scikit-learn then has one row, for the second
        weights[present[1], used], bias[present] = found.coef_[0], (0.0, float(found.intercept_[0]))
    else:
        weights[np.ix_(present, used)], bias[present] = found.coef_, found.intercept_
    return weights, bias


def _unseen(
    x: sparse.csr_matrix, y: NDArray[np.int64], folds: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scores that cases got from a fit that had not seen their fold, and which cases. Of many cases one fold is enough."""
    scores, which = [], []
    lines = 1 if classes == 2 else classes
    for fold in range(FOLDS if len(y) * lines <= MANY else 1):
        out = folds == fold
        if out.any() and not out.all():
            weights, bias = _linear(x[~out], y[~out], classes)
            scores.append(x[out] @ weights.T + bias)
            which.append(np.flatnonzero(out))
    if not scores:  # one group alone: nothing is unseen, so nothing is made surer than even
        return np.zeros((len(y), lines)), np.arange(len(y))
    return np.concatenate(scores).astype(np.float64), np.concatenate(which)


def rungs_of(cases: Sequence[Case], approve: Sequence[float | None]) -> dict[str, list[float]]:
    """Return the thresholds at which each lane's evidence will be counted: quantiles of what was said of its later cases."""
    said: dict[str, list[float]] = {"": []}
    for case, score in zip(cases, approve, strict=True):
        if score is not None:
            said[""].append(score)
            said.setdefault(case.lane, [])
            if case.lane:
                said[case.lane].append(score)
    return {lane: _quantiles(scores) for lane, scores in said.items() if len(scores) >= (LANE_ENOUGH if lane else 1)}


def _quantiles(scores: Sequence[float]) -> list[float]:
    """Return thresholds that leave 5, 10 … 100 % of the scores above them, none below `LEAST`, strict to lax, each once."""
    shares = np.arange(1, RUNGS + 1) / RUNGS
    found = np.maximum(np.floor(np.quantile(np.array(scores), 1 - shares) * 1e6) / 1e6, LEAST)
    return [float(one) for one in dict.fromkeys(found)]
