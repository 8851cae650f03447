"""Read as much of a JSON value as there is: one that is cut off, broken, or so large that nobody may hold it whole.

An SDK throws an event away when it is refused, so what can be read of it is kept. What this reads is bounded by tokens, and so
by time and memory, whatever was sent.
"""

import json
import re
from typing import Any

WHOLE = 1024 * 1024  # bytes that are read as they are
MOST = 4 * 1024 * 1024  # bytes that are looked at of what is larger
TOKENS = 60_000
DEEPEST = 40
LONGEST = 100_000  # characters of one text of a value that is too large or broken
LONGEST_NUMBER = 40  # digits

_TOKEN = re.compile(
    rb'[ \t\r\n]*+(?:(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<shut>"?))|(?P<mark>[\[\]{},:])|(?P<plain>[^\s\[\]{},:"]++))', re.DOTALL
)
_WORDS = {b"true": True, b"false": False, b"null": None}


def read(raw: bytes) -> Any:
    """Return the JSON value in `raw`, or as much of it as can be read; None where that is nothing. Never raises.

    What JSON cannot say (NaN, numbers of a thousand digits) comes as text; of a name that stands twice the last counts.
    """
    if len(raw) <= WHOLE:
        try:
            return json.loads(
                raw.decode("utf-8", "replace").lstrip("\ufeff"), parse_constant=str, parse_int=_whole, parse_float=_decimal,
            )
        except (ValueError, RecursionError):
            pass
    return _as_far_as_it_goes(raw[:MOST])


def _whole(literal: str) -> int | str:
    return int(literal) if len(literal) <= LONGEST_NUMBER else literal[:LONGEST_NUMBER]


def _decimal(literal: str) -> float | str:
    number = float(literal)
    return number if number - number == 0 and len(literal) <= LONGEST_NUMBER else literal[:LONGEST_NUMBER]


def _as_far_as_it_goes(raw: bytes) -> Any:
    """Build the value token by token; where it ends too early, everything that is open is closed."""
    root: list[Any] = []
    open_: list[Any] = [root]
    names: list[Any] = [None]  # of each open object: the name that waits for its value; ... where one is to come
    skipped = 0  # levels that are too deep to be kept
    place = 0
    for _ in range(TOKENS):
        match = _TOKEN.match(raw, place)
        if match is None:
            break
        place = match.end()
        mark = match["mark"]
        if skipped:
            skipped += (mark in (b"{", b"[")) - (mark in (b"}", b"]"))
            continue
        if mark in (b"{", b"["):
            new: Any = {} if mark == b"{" else []
            _put(open_[-1], names, new)
            if len(open_) > DEEPEST:
                skipped = 1
                continue
            open_.append(new)
            names.append(...)
        elif mark in (b"}", b"]"):
            if len(open_) == 1:
                break
            open_.pop()
            names.pop()
        elif mark is None:
            value = _text(match["text"]) if match["text"] is not None else _plain(match["plain"])
            if isinstance(open_[-1], dict) and names[-1] is ...:
                names[-1] = str(value)
            else:
                _put(open_[-1], names, value)
        elif mark == b"," and isinstance(open_[-1], dict):
            names[-1] = ...
        if len(open_) == 1 and root:
            break
    return root[0] if root else None


def _put(into: Any, names: list[Any], value: Any) -> None:
    if isinstance(into, list):
        into.append(value)
    elif names[-1] is not ...:
        into[names[-1]] = value
        names[-1] = ...


def _text(raw: bytes) -> str:
    cut = raw[1:LONGEST].decode("utf-8", "replace")
    if len(raw) <= LONGEST and cut.endswith('"'):
        cut = cut[:-1]
    try:
        return str(json.loads(f'"{cut}"', strict=False))
    except ValueError:
        return cut


def _plain(raw: bytes) -> Any:
    if raw in _WORDS:
        return _WORDS[raw]
    text = raw[:LONGEST_NUMBER].decode("utf-8", "replace")
    try:
        number = float(text)
    except ValueError:
        return text
    return (int(text) if text.lstrip("-").isdigit() else number) if number - number == 0 else text
