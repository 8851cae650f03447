"""JSON typed by hand: parsed as strictly as the API parses it, with the place of the first mistake for the eye."""

import json
import re
from collections.abc import Iterator
from typing import Any

from escalations.canonical import Literal, check_signable, escape

DEEPEST = 64
TOKEN = re.compile(r'[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+', re.DOTALL)
NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


def parsed(text: str) -> dict[str, Any]:
    """Return the object, or raise ValueError that says what is wrong and where (line and column from 1)."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=Literal)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except Twice as error:
        raise ValueError(f"The key {error.key[:80]!r} stands twice in one object{_at(text, _twice(text))}.") from error
    except NoNumber as error:
        found = next((at for _, at, token in _values(text) if token in NO_NUMBERS), None)
        raise ValueError(f"{error} is not a number that JSON knows{_at(text, found)}.") from error
    except RecursionError as error:
        raise ValueError(f"This is nested deeper than {DEEPEST} levels.") from error
    if not isinstance(value, dict):
        raise ValueError("Args are an object: begin with { and end with }.")
    if _too_deep(value):
        raise ValueError(f"This is nested deeper than {DEEPEST} levels.")
    if problems := check_signable(value, "")[:3]:
        places = {pointer: at for pointer, at, _ in _values(text)}
        raise ValueError("; ".join(f"{one['pointer']}: {one['detail']}{_at(text, places.get(one['pointer']))}" for one in problems))
    return value


class Twice(ValueError):
    """A key that stands twice in one object."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class NoNumber(ValueError):
    """NaN and the infinities."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise Twice(key)
        seen.add(key)
    return value


def _no_constant(name: str) -> None:
    raise NoNumber(name)


def _at(text: str, offset: int | None) -> str:
    if offset is None:
        return ""
    line = text.count("\n", 0, offset) + 1
    return f" (line {line}, column {offset - (text.rfind(chr(10), 0, offset) + 1) + 1})"


def _twice(text: str) -> int | None:
    """Return where the first key stands that its object has already."""
    seen: set[str] = set()
    for pointer, at, token in _walk(text):
        if token is None:
            if pointer in seen:
                return at
            seen.add(pointer)
    return None


def _values(text: str) -> Iterator[tuple[str, int, str]]:
    return ((pointer, at, token) for pointer, at, token in _walk(text) if token is not None)


def _walk(text: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield the pointer and place of every key (token None) and every value of JSON that parsed, or nearly did. Linear."""
    inside: list[tuple[str, bool]] = []  # the pointer of what we are in, and whether it is an object
    names: list[str | int] = []  # the key or index we are at, in each
    key_next = False
    for found in TOKEN.finditer(text):
        token, at = found[0], found.start()
        if token in "}]":
            if inside:
                inside.pop()
                names.pop()
            key_next = False
        elif token == ",":
            key_next = bool(inside) and inside[-1][1]
            if names and isinstance(names[-1], int):
                names[-1] += 1
        elif token == ":":
            key_next = False
        elif key_next and token.startswith('"'):
            names[-1] = json.loads(token, strict=False)
            yield f"{inside[-1][0]}/{escape(str(names[-1]))}", at, None
            key_next = False
        else:
            here = f"{inside[-1][0]}/{escape(str(names[-1]))}" if inside else ""
            yield here, at, token
            if token in "{[":
                inside.append((here, token == "{"))
                names.append("" if token == "{" else 0)
                key_next = token == "{"


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            below for one in level for below in (one.values() if isinstance(one, dict) else one) if isinstance(below, (dict, list))
        ]
        if not level:
            return False
    return True
