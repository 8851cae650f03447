"""What a model reached on decisions that came after it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalations.proof import calibration

from .cases import Case
from .model import Said


def scores(cases: Sequence[Case], said: Sequence[Said]) -> dict[str, Any]:
    """Return {"approve": {...}, "category": {...}, "severity": {...}}; {} for a question nobody answered or the model does not know.

    `n` cases, `accuracy`, `base` (always saying the commonest), of approve also `auroc`, `log_loss`, `base_log_loss`, `ece`.
    """
    pairs = list(zip(cases, said, strict=True))
    approve = [(one.approve, case.approve) for case, one in pairs if one.approve is not None and case.approve is not None]
    return {
        "approve": _of_chances(np.array([p for p, _ in approve]), np.array([bool(y) for _, y in approve])) if approve else {},
        "category": _of_names([(one.category, case.category) for case, one in pairs if one.category and case.category]),
        "severity": _of_names([(one.severity, case.severity) for case, one in pairs if one.severity and case.severity]),
    }


def _of_chances(chance: NDArray[np.float64], true: NDArray[np.bool_]) -> dict[str, Any]:
    base = float(true.mean())
    return {
        "n": len(true), "accuracy": round(float(((chance >= 0.5) == true).mean()), 4), "base": round(max(base, 1 - base), 4),
        "auroc": calibration.auroc(list(chance), list(true)), "ece": round(calibration.ece(list(chance), list(true)), 4),
        "log_loss": round(log_loss(chance, true), 5),
        "approved": round(base, 4), "base_log_loss": round(log_loss(np.full(len(true), base), true), 5),
    }


def _of_names(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if not pairs:
        return {}
    true = [one for _, one in pairs]
    commonest = max(true.count(one) for one in set(true))
    return {
        "n": len(pairs), "accuracy": round(sum(said == one for said, one in pairs) / len(pairs), 4), "base": round(commonest / len(pairs), 4),
    }


def log_loss(chance: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Return the mean negative log-likelihood in nats; chances are kept 1e-6 from certainty."""
    sure = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(true, np.log(sure), np.log1p(-sure))))
