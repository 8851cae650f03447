"""What a model goes by, in words: the features with the largest weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .model import Head, Model

MOST = 15
LONGEST = 90


def largest(model: Model, names: Mapping[int, str]) -> dict[str, Any]:
    """Return {"approve": {"for": [[name, weight]], "against": [...]}, "category": {class: [[name, weight]]}, "severity": {...}}.

    Only features that have a name are told: those that occurred often enough to be nobody's secret.
    """
    known = np.array([at for at, place in enumerate(model.columns) if int(place) in names], dtype=np.int64)
    if not len(known):
        return {}
    told: dict[str, Any] = {}
    if model.approve is not None:
        line = model.approve.weights[0]
        told["approve"] = {"for": _top(line, known, model, names), "against": _top(-line, known, model, names)}
    for name in ("category", "severity"):
        head: Head | None = getattr(model, name)
        if head is not None:
            lines = head.weights if len(head.classes) > 2 else np.vstack([-head.weights[0], head.weights[0]])
            told[name] = {one: _top(lines[at], known, model, names)[:5] for at, one in enumerate(head.classes)}
    return told


def _top(line: Any, known: Any, model: Model, names: Mapping[int, str]) -> list[list[Any]]:
    weights = line[known] * model.idf[known]
    best = known[np.argsort(-weights, kind="stable")[:MOST]]
    return [[names[int(model.columns[at])][:LONGEST], round(float(line[at]), 3)] for at in best if line[at] > 0]
