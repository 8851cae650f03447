"""Any Python value as JSON that a person can read: never fails, never grows without end. For telling, not for signing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 20_000  # characters of one text
MOST_MEMBERS = 500  # of one list or object
DEEPEST = 12  # levels
LARGEST = 200_000  # bytes of one value's JSON


def shown(value: Any, depth: int = 0) -> Any:
    """Return `value` with everything that is no JSON as its `repr`, and what is too long cut, saying so."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cut(str(value))
    if isinstance(value, int):
        return int(value) if abs(value) < 2**53 else _cut(_repr(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _repr(value)
    if depth >= DEEPEST:
        return _cut(_repr(value))
    if isinstance(value, Mapping):
        members = {_cut(str(name), 200): shown(one, depth + 1) for name, one in list(value.items())[:MOST_MEMBERS]}
        return members | ({"…": f"{len(value) - MOST_MEMBERS} more"} if len(value) > MOST_MEMBERS else {})
    if isinstance(value, (list, tuple, set, frozenset)):
        listed = [shown(one, depth + 1) for one in list(value)[:MOST_MEMBERS]]
        return [*listed, f"… {len(value) - MOST_MEMBERS} more"] if len(value) > MOST_MEMBERS else listed
    return _cut(_repr(value))


def bounded(value: Any) -> Any:
    """Return `value` shown; as the beginning of its JSON where all of it is more than one call takes."""
    told = shown(value)
    written = json.dumps(told)
    return told if len(written) <= LARGEST else _cut(json.dumps(told, ensure_ascii=False))


def error_text(error: BaseException) -> str:
    """Return an exception in one line, at most a thousand characters."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        said = "(it cannot be printed)"
    return _cut(f"{type(error).__name__}: {said}" if said else type(error).__name__, 1_000)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - somebody else's __repr__
        return f"<{type(value).__name__} that cannot be printed>"


def _cut(text: str, longest: int = LONGEST_TEXT) -> str:
    text = text.encode("utf-8", "replace").decode()  # lone surrogates become question marks
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} characters more)"
