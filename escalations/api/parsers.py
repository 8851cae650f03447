"""The hardened JSON parser in front of everything: bytes to data, or a problem with a pointer. Never a 500, never two readings.

Structural faults are refused. Odd characters inside text are not: an agent in trouble must not be turned away for a NUL in a log
line, so NULs and lone surrogates are replaced by U+FFFD and the incident is flagged, except where they would be signed.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

from escalations import canonical
from escalations.canonical import Literal, escape
from escalations.errors import Invalid, MalformedJson, TooLarge

MAX_DEPTH = 64
MAX_NODES = 10_000
MAX_NUMBER = 400  # characters of one number
MAX_ITEMS = 500  # of a batch
FIRST_LOOK = 4 * 1024  # bytes
MAX_MISTAKE = 64 * 1024  # bytes of a batch without items that are worth reading to say what is wrong
MAX_STRINGS_IN_BATCH = 2_000_000  # what a batch within the limits can need, several times over

_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_SPLITS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)
_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in b"[]{},")
_WHITESPACE = b" \t\r\n"
_BATCH_HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"items"[ \t\r\n]*:[ \t\r\n]*\[')
_BATCH_TAIL = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_BROKEN = re.compile("[\x00\ud800-\udfff]")

SIGNED_IN_INCIDENT = ("proposal",)
ALL_SIGNED = ("",)


@dataclass(frozen=True)
class Parsed:
    """A body that was read. `data` is clean (what to store), `original` is what was said, `raw` the bytes."""

    data: dict[str, Any]
    original: dict[str, Any]
    raw: bytes
    sanitised: bool = False

    @cached_property
    def body_digest(self) -> str:
        """64 hex, the same for the same JSON. A `key` in the body says how to find the incident and is no part of it."""
        return canonical.body_digest({name: value for name, value in self.original.items() if name != "key"})

    @property
    def raw_to_keep(self) -> bytes | None:
        """Return the bytes where what is stored is not all that was said."""
        return self.raw if self.sanitised else None


def parse(raw: bytes, *, limit: int, signed: tuple[str, ...] = SIGNED_IN_INCIDENT, values: int = MAX_NODES) -> Parsed:
    """Read one JSON object of at most `limit` bytes and `values` values. Raises TooLarge, MalformedJson or Invalid.

    `signed` names the members of the top level in which broken text is refused (what is signed is what is stored); "" means all.
    """
    if len(raw) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    check_shape(raw, values)
    return _clean(_load(raw), raw, signed)


def check_shape(raw: bytes, most: int = MAX_NODES) -> None:
    """Refuse what is nested too deeply or holds too many values, before anything recurses into it. Linear, and mostly C."""
    opens = raw.count(b"[") + raw.count(b"{")
    if opens <= MAX_DEPTH and opens + raw.count(b",") < most:
        return  # cannot be too deep nor too many, wherever these characters stand
    _check_depth(_skeleton(raw[:FIRST_LOOK]))  # a bomb usually begins at once
    skeleton = _skeleton(raw)
    _check_depth(skeleton[: 3 * most + 1])  # a value needs at most a comma, an opening and a closing
    # Each value but the first of its container has a comma before it, and only an empty container has no first.
    values = 1 + skeleton.count(b",") + skeleton.count(b"[") + skeleton.count(b"{")
    if len(skeleton) > 3 * most or (values > most and values - _empties(raw) > most):
        raise _refused(f"more than {most} values", "too_many_values")


def _skeleton(raw: bytes) -> bytes:
    """Return the brackets and commas outside strings."""
    return _TOKENS.sub(b"", raw).translate(None, _NOT_STRUCTURE)


def _check_depth(skeleton: bytes) -> None:
    depth = 0
    for byte in skeleton:
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(f"nested deeper than {MAX_DEPTH}", "too_deep")
        elif byte in b"]}":
            depth -= 1


def _empties(raw: bytes) -> int:
    bare = _TOKENS.sub(b'"', raw).translate(None, _WHITESPACE)
    return bare.count(b"[]") + bare.count(b"{}")


def split_batch(raw: bytes, *, limit: int) -> list[bytes]:
    """Return the bytes of each item of `{"items": [...]}`. Raises MalformedJson, Invalid or TooLarge for the whole.

    Only where items begin and end is decided here; each is then parsed on its own, so that one cannot spoil another.
    """
    if len(raw) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    if raw.count(b'"') > MAX_STRINGS_IN_BATCH:
        raise _refused("too many strings", "too_many_values")
    head = _BATCH_HEAD.match(raw)
    if not head:
        if len(raw) <= MAX_MISTAKE:
            check_shape(raw)
            _load(raw)  # say what is wrong with it, where something is
        raise Invalid([{"pointer": "/items", "code": "required", "detail": 'Send {"items": [...]} and nothing else.'}])
    items, start, depth = [], head.end(), 0
    end = None
    for match in _SPLITS.finditer(raw, head.end()):
        token = raw[match.start()]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if depth < 0:
                end = match.start()
                break
        elif token in b"," and depth == 0:
            items.append(raw[start : match.start()].strip(_WHITESPACE))
            start = match.end()
    if end is None or raw[end] not in b"]" or not _BATCH_TAIL.fullmatch(raw, end + 1):
        raise _refused("the list of items does not end where the body does", "malformed")
    last = raw[start:end].strip(_WHITESPACE)
    if items or last:
        items.append(last)
    if not 1 <= len(items) <= MAX_ITEMS:
        raise Invalid([{"pointer": "/items", "code": "wrong_length", "detail": f"Send 1 to {MAX_ITEMS} items."}])
    return items


# -- reading


class _Refused:
    """Stands in the tree where something was read that is no JSON, until its pointer is known."""

    def __init__(self, why: str) -> None:
        self.why = why


def _load(raw: bytes) -> Any:
    """Return the JSON value. Raises MalformedJson, with a pointer for what is wrong inside a well-formed body."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"not UTF-8 at byte {error.start}", "not_utf8") from None
    if text.startswith("\ufeff"):
        raise _refused("begins with a byte order mark", "byte_order_mark")
    if not text.strip(" \t\r\n"):
        raise _refused("the body is empty", "empty")
    faults: list[Any] = []

    def constant(name: str) -> _Refused:
        faults.append(_Refused(f"{name} is no JSON number"))
        return faults[-1]

    def integer(literal: str) -> int | _Refused:
        if len(literal) > MAX_NUMBER:
            return constant(f"A number of {len(literal)} characters")
        return int(literal)

    def decimal(literal: str) -> float | _Refused:
        if len(literal) > MAX_NUMBER:
            return constant(f"A number of {len(literal)} characters")
        number = Literal(literal)
        return number if isfinite(number) else constant(literal)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            faults.append((found, twice))
        return found

    try:
        value = json.loads(
            text, parse_constant=constant, parse_int=integer, parse_float=decimal, object_pairs_hook=members
        )
    except json.JSONDecodeError as error:
        raise _refused(f"{error.msg} at line {error.lineno} column {error.colno}", "malformed") from None
    except RecursionError:
        raise _refused(f"nested deeper than {MAX_DEPTH}", "too_deep") from None
    if faults:
        raise MalformedJson(list(_placed(value, faults)))
    return value


def _placed(value: Any, faults: list[Any]) -> Iterator[dict[str, str]]:
    twice = {id(fault[0]): fault[1] for fault in faults if isinstance(fault, tuple)}
    found = False
    for pointer, one in walk(value):
        if isinstance(one, _Refused):
            found = True
            yield {"pointer": pointer, "code": "not_a_number", "detail": one.why}
        elif id(one) in twice:
            found = True
            key = escape(twice[id(one)])
            yield {"pointer": f"{pointer}/{key}", "code": "duplicate_key", "detail": "this key stands here twice"}
    if not found:  # it stood under a key that came again
        yield {"pointer": "", "code": "duplicate_key", "detail": "a key stands twice in one object"}


def walk(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below and including `value`, with its pointer."""
    yield pointer, value
    if isinstance(value, dict):
        for key, one in value.items():
            yield from walk(one, f"{pointer}/{escape(key)}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from walk(one, f"{pointer}/{index}")


def _refused(why: str, code: str, pointer: str = "") -> MalformedJson:
    return MalformedJson([{"pointer": pointer, "code": code, "detail": why}])


# -- broken text


def _clean(value: Any, raw: bytes, signed: tuple[str, ...]) -> Parsed:
    if not isinstance(value, dict):
        raise _refused("the top level is not an object", "not_an_object")
    if not _SUSPECT_ESCAPE.search(raw):  # the decoder refuses all other ways to write them
        return Parsed(value, value, raw)
    for name in value if signed == ALL_SIGNED else signed:
        if name in value:
            faults = [
                {"pointer": pointer, "code": "not_signable", "detail": "a NUL or a lone surrogate cannot be signed"}
                for pointer, one in walk(value[name], f"/{escape(name)}")
                if _is_broken(one)
            ]
            if faults or _BROKEN.search(name):
                raise Invalid(faults or [{"pointer": f"/{escape(name)}", "code": "not_signable", "detail": "a broken name"}])
    if not any(_is_broken(one) for _, one in walk(value)):
        return Parsed(value, value, raw)
    return Parsed(mended(value), value, raw, sanitised=True)


def _is_broken(one: Any) -> bool:
    if isinstance(one, str):
        return _BROKEN.search(one) is not None
    return isinstance(one, dict) and any(_BROKEN.search(key) for key in one)


def mended(value: Any) -> Any:
    """Return a copy with U+FFFD for every NUL and lone surrogate; keys that would become one stay apart."""
    if isinstance(value, str):
        return _BROKEN.sub("\ufffd", value)
    if isinstance(value, list):
        return [mended(one) for one in value]
    if not isinstance(value, dict):
        return value
    taken = {key for key in value if not _BROKEN.search(key)}
    copy = {}
    for key, one in value.items():
        new = key
        if key not in taken:
            new = _BROKEN.sub("\ufffd", key)
            while new in taken:
                new += "\ufffd"
            taken.add(new)
        copy[new] = mended(one)
    return copy
