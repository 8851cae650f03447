"""How alike two proposals are, by what would be signed: names of args and their values, words of a draft."""

from collections.abc import Iterable
from typing import Any

from .provenance import leaves
from .spotting import form_of

MOST_LEAVES = 60
LONGEST = 2_000  # characters of a text that are compared


def flat(args: Any, draft: Any) -> dict[str, Any]:
    """Return the leaves of args and draft by their paths, sixty of each at most."""
    out: dict[str, Any] = {}
    for part in (args, draft):
        out |= dict(_first(leaves(part) if part else (), MOST_LEAVES))
    out.pop("format", None)
    return out


def nearness(here: dict[str, Any], there: dict[str, Any]) -> float:
    """Return how near the leaves of two proposals are, 0 to 1."""
    paths = len(here.keys() | there.keys())
    return sum(near(one, there[path]) for path, one in here.items() if path in there) / paths if paths else 1.0


def near(here: Any, there: Any) -> float:
    """Return how near two values are, 0 to 1: 1 only for what is equal, numbers by their ratio, texts by the words they share."""
    if here == there and type(here) is type(there):
        return 1.0
    if is_number(here) and is_number(there):
        return 1.0 if here == there else 0.9 * max(0.0, 1 - abs(here - there) / max(abs(here), abs(there)))
    if isinstance(here, str) and isinstance(there, str):
        return 0.9 * shared_words(here, there)
    return 0.0


def shared_words(here: str, there: str) -> float:
    """Return the share of words that two texts have in common (Jaccard), 0 to 1; 0 of two without words."""
    one, two = set(form_of(here[:LONGEST])), set(form_of(there[:LONGEST]))
    return len(one & two) / len(one | two) if one | two else 0.0


def is_number(value: Any) -> bool:
    """Say whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first(rows: Iterable[Any], most: int) -> list[Any]:
    return [row for row, _ in zip(rows, range(most), strict=False)]
