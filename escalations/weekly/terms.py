"""What a readable condition is made of: terms over args, source, customer and environment, in CEL, and for which cases each holds."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalations.floors.sensitive import spans
from escalations.floors.text import has_hidden

from .cases import Case, leaves

MOST_PATHS = 24  # of one action's args
MOST_VALUES = 12  # of one arg
MOST_LIMITS = 12  # of one number, at even shares
MOST_TURNS = 3  # and where people turn
SEEN = 5  # a value seen less often is nobody's rule
LONGEST = 60  # characters of a value that is quoted
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}\Z")
_RESERVED = frozenset((
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null",
    "package", "return", "true", "var", "void", "while",
))

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Term:
    """What has to hold, in CEL, each part by itself, and the cases of the group for which it does. `alone`: a rule of floor auto may
    read it."""

    parts: tuple[str, ...]
    holds: Mask
    alone: bool


def terms_of(cases: Sequence[Case], agreed: Mask) -> list[Term]:
    """Return the terms worth trying on these cases, which are of one kind and action, in a fixed order: at most some thousand.

    `agreed` says where people decided as the rule would: the limits at which that turns are tried besides the even ones.
    """
    found = _of_texts(cases, "source.name", [str(one.facts["source"]["name"]) for one in cases], alone=True)
    found += _of_texts(cases, "customer.tier", [str(one.facts["customer"]["tier"]) for one in cases], alone=False)
    found += _of_texts(cases, "incident.environment", [str(one.facts["incident"]["environment"]) for one in cases], alone=False)
    values: dict[tuple[str, ...], dict[int, Any]] = {}
    for place, case in enumerate(cases):
        for path, value in leaves(case.facts["proposal"]["args"]):
            values.setdefault(path, {})[place] = value
    readable = [path for path in values if all(_PLAIN.match(part) and part not in _RESERVED for part in path)]
    for path in sorted(readable, key=lambda one: (-len(values[one]), one))[:MOST_PATHS]:
        found += _of_arg(path, values[path], agreed)
    return [one for one in found if 0 < one.holds.sum() < len(cases)]


def quoted(text: str) -> str:
    """Return a text as a literal of CEL."""
    return json.dumps(text, ensure_ascii=False)


def is_plain(text: str) -> bool:
    """Say whether a text may stand in a condition that many will read: short, nothing hidden, nothing that is masked for some."""
    return 0 < len(text) <= LONGEST and text.isprintable() and not has_hidden(text) and not spans(text)


def _of_arg(path: tuple[str, ...], values: dict[int, Any], agreed: Mask) -> list[Term]:
    size = len(agreed)
    name = ".".join(("proposal.args", *path))
    # A missing key is an error, which in a rule that asks or blocks is a match: so it is asked for first, the outer one before the inner.
    there = tuple(f"has({'.'.join(('proposal.args', *path[:depth]))})" for depth in range(1, len(path) + 1))
    present = _mask(size, values)
    found = [Term(there, present, True)]
    if len(there) == 1:  # whether a key inside of something is missing cannot be asked where that is no object
        found.append(Term((f"!{there[0]}",), ~present, True))
    numbers = {place: one for place, one in values.items() if isinstance(one, int | float) and not isinstance(one, bool)}
    ordered = sorted(numbers.items(), key=lambda pair: (pair[1], pair[0]))
    for limit in _limits([one for _, one in ordered], agreed[[place for place, _ in ordered]]):
        low = _mask(size, (place for place, one in numbers.items() if one <= limit))
        found.append(Term((*there, f"{name} <= {_number(limit)}"), low, True))
        found.append(Term((*there, f"{name} > {_number(limit)}"), _mask(size, numbers) & ~low, True))
    for said in (True, False):
        holds = _mask(size, (at for at, one in values.items() if one is said))
        found.append(Term((*there, f"{name} == {str(said).lower()}"), holds, True))
    counted = Counter(one for one in values.values() if isinstance(one, str) and is_plain(one))
    for text, times in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_VALUES]:
        if times >= SEEN:
            holds = _mask(size, (at for at, one in values.items() if one == text))
            found.append(Term((*there, f"{name} == {quoted(text)}"), holds, True))
    return found


def _of_texts(cases: Sequence[Case], name: str, texts: list[str], *, alone: bool) -> list[Term]:
    counted = Counter(one for one in texts if is_plain(one))
    common = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_VALUES]
    return [
        Term((f"{name} == {quoted(text)}",), np.array([one == text for one in texts], dtype=bool), alone)
        for text, times in common if times >= SEEN
    ]


def _limits(ordered: list[float], agreed: Mask) -> list[float]:
    """Return limits between the sorted values, as round as their two neighbours let them be: at even shares of the values, and where
    most agreed cases lie on one side."""
    cuts = [at for at in range(1, len(ordered)) if ordered[at - 1] < ordered[at]]
    if not cuts:
        return []
    ahead = np.abs(np.cumsum(agreed - agreed.mean()))  # by how many more agreed up to here than there would be by chance
    best = sorted(cuts, key=lambda at: (-ahead[at - 1], at))[:MOST_TURNS]
    even = {min(cuts, key=lambda at: (abs(at - len(ordered) * step / (MOST_LIMITS + 1)), at)) for step in range(1, MOST_LIMITS + 1)}
    return sorted({_roundest(ordered[at - 1], ordered[at]) for at in even.union(best)})


def _roundest(low: float, high: float) -> float:
    """Return the roundest number x with low <= x < high: 100 rather than 99.5, 99.5 rather than 99.47."""
    for digits in range(-15, 12):
        rounded = round(high, digits)
        for one in (rounded, rounded - 10.0**-digits):
            if low <= one < high:
                return one
    return low


def _number(value: float) -> str:
    """Return a number as CEL writes it, without an exponent."""
    return str(int(value)) if float(value).is_integer() else f"{value:.12f}".rstrip("0")


def _mask(size: int, places: Any) -> Mask:
    mask = np.zeros(size, dtype=bool)
    mask[list(places)] = True
    return mask
