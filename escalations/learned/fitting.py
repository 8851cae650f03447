"""From labelled cases to a model: pure arithmetic over rows in the order of their time. The training job and the benches use it alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .model import Model


@dataclass(frozen=True, slots=True)
class Case:
    """One decided incident. `approve`: a person approved it as proposed; None, "" : nobody said.

    `lane` is "<source pk>/<by>/<subject>" or ""; cases of one `group` are never on both sides of a split ("" is a group of its own).
    """

    features: bytes
    kind: str
    approve: bool | None
    category: str
    severity: str
    at: datetime
    lane: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model made of all cases, what the same recipe reached on the later part having seen only the earlier, and each lane's rungs.

    `rungs`: {lane: [thresholds, strict to lax]}, "" for lanes without enough cases of their own.
    """

    model: Model
    scores: dict[str, Any]
    rungs: dict[str, list[float]]


def fit(cases: Sequence[Case], *, holdout: float = 0.2) -> Fitted:
    """Fit a model on cases in order of time; the last `holdout` of them are what it is scored on. Deterministic."""
    raise NotImplementedError
