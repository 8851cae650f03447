"""What is signed, as bytes: RFC 8785 (JSON Canonicalization Scheme) and the digest over it, the same as the server's.

Nothing is signable that two faithful JSON libraries could read differently: integers beyond 2^53 - 1, NaN and infinities, NULs and
lone surrogates, names of more than 250 characters, and whatever is no JSON at all.
"""

import hashlib
import json
import math
import re
from decimal import Decimal
from typing import Any

from .errors import NotSignable

LARGEST_INTEGER = 2**53 - 1
LONGEST_NAME = 250
CONTENT_VERSION = 1
DEEPEST = 60  # levels; the server takes 64, and what is signed stands a few below the top

_UNSIGNABLE_TEXT = re.compile("[\x00\ud800-\udfff]")


def digest(action: str | None, args: Any = None, draft: Any = None) -> str:
    """Return `sha256:<hex>` of what a signature is about: an action with its args, or a draft. Raises NotSignable.

    It is the `args_digest` of the API: compare it with `decision.args_digest` before anything runs.
    """
    content = {"v": CONTENT_VERSION, "action": action or None, "args": args, "draft": draft}
    return "sha256:" + hashlib.sha256(canonical_bytes(content)).hexdigest()


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 bytes of `value`. Raises NotSignable, naming the place, for what has none."""
    parts: list[str] = []
    _write(value, "", 0, parts)
    return "".join(parts).encode()


def _write(value: Any, where: str, depth: int, parts: list[str]) -> None:
    if depth > DEEPEST:
        raise NotSignable(where, f"nested more deeply than {DEEPEST} levels")
    if value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, str):
        parts.append(_text(value, where))
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise NotSignable(where, "an integer beyond 2^53 - 1; send it as text")
        parts.append(int.__repr__(value))
    elif isinstance(value, float):
        parts.append(_float(value, where))
    elif isinstance(value, dict):
        _write_object(value, where, depth, parts)
    elif isinstance(value, (list, tuple)):
        parts.append("[")
        for index, one in enumerate(value):
            if index:
                parts.append(",")
            _write(one, f"{where}/{index}", depth + 1, parts)
        parts.append("]")
    else:
        raise NotSignable(where, f"{type(value).__name__} is not JSON; send text, a number, a list or an object")


def _write_object(value: dict[Any, Any], where: str, depth: int, parts: list[str]) -> None:
    for name in value:
        if not isinstance(name, str):
            raise NotSignable(where, f"the name {name!r} is not text")
        if len(name) > LONGEST_NAME:
            raise NotSignable(where, f"the name {name[:20]}… has more than {LONGEST_NAME} characters")
        if _UNSIGNABLE_TEXT.search(name):  # before sorting, which cannot spell it either
            raise NotSignable(where, "a name has a NUL or a lone surrogate in it")
    parts.append("{")
    # RFC 8785 sorts by UTF-16 code units, which is not the order of code points.
    for index, name in enumerate(sorted(value, key=lambda one: one.encode("utf-16-be"))):
        if index:
            parts.append(",")
        below = f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
        parts.append(_text(name, below))
        parts.append(":")
        _write(value[name], below, depth + 1, parts)
    parts.append("}")


def _text(value: str, where: str) -> str:
    if _UNSIGNABLE_TEXT.search(value):
        raise NotSignable(where, "the text has a NUL or a lone surrogate in it")
    # What `json` escapes without ensure_ascii is exactly what RFC 8785 asks for, and DEL stays as it is in both.
    return json.dumps(str(value), ensure_ascii=False)


def _float(value: float, where: str) -> str:
    """Return a double as ECMAScript's Number::toString prints it, which RFC 8785 prescribes."""
    if not math.isfinite(value):
        raise NotSignable(where, "not a finite number")
    if value == 0:
        return "0"  # -0 too
    if value.is_integer() and abs(value) > LARGEST_INTEGER:
        raise NotSignable(where, "a whole number beyond 2^53 - 1; send it as text")
    sign, digits, exponent = Decimal(float.__repr__(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    assert isinstance(exponent, int)  # it is finite
    point = len(digits) + exponent  # where the decimal point stands, counted from the first digit
    if 0 < point <= 21:
        written = text.ljust(point, "0") if len(text) <= point else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        written = "0." + "0" * -point + text
    else:
        mantissa = text if len(text) == 1 else f"{text[0]}.{text[1:]}"
        written = f"{mantissa}e{point - 1:+d}"
    return f"-{written}" if sign else written
