"""JSON typed by hand: parsed as strictly as the API parses it, with the place of the first mistake for the eye."""

import json
from typing import Any

from escalations.canonical import Literal, check_signable

DEEPEST = 64


def parsed(text: str) -> dict[str, Any]:
    """Return the object, or raise ValueError that says what is wrong and where (line and column from 1)."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=Literal)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise ValueError(f"This is nested deeper than {DEEPEST} levels.") from error
    if not isinstance(value, dict):
        raise ValueError("Args are an object: begin with { and end with }.")
    if _too_deep(value):
        raise ValueError(f"This is nested deeper than {DEEPEST} levels.")
    if problems := check_signable(value, ""):
        raise ValueError("; ".join(f"{one['pointer']}: {one['detail']}" for one in problems[:3]))
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"The key {key[:80]!r} stands twice in one object.")
        seen.add(key)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows.")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            below for one in level for below in (one.values() if isinstance(one, dict) else one) if isinstance(below, (dict, list))
        ]
        if not level:
            return False
    return True
