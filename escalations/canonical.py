"""Canonical bytes and digests: one spelling for everything that is signed, and what cannot be signed because it has two.

What is signed is stored as JSONB and read back, so a value is signable only when its RFC 8785 bytes survive that round trip and
every other faithful JSON library: integers within 2^53 - 1, decimals whose shortest double is the literal, real Unicode text.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

import rfc8785

LARGEST_INTEGER = 2**53 - 1
LONGEST_NAME = 250  # characters: where a value stands is said with each value, ten thousand times
CONTENT_VERSION = 1

_UNSIGNABLE_TEXT = re.compile("[\x00\ud800-\udfff]")


class Literal(float):
    """A float that remembers how it was written, so that `check_signable` can tell 0.1 from 0.1000000000000000055."""

    literal: str

    def __new__(cls, literal: str) -> "Literal":
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __reduce__(self) -> tuple[type["Literal"], tuple[str]]:
        return Literal, (self.literal,)


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 bytes of `value`. Raises ValueError for what has none; call `check_signable` first."""
    return rfc8785.dumps(value)


def content_text(action: str | None, args: Any, draft: Any) -> str:
    """Return the canonical JSON that a signature is about; what is absent is null. Raises ValueError as `canonical_bytes`."""
    return canonical_bytes({"v": CONTENT_VERSION, "action": action or None, "args": args, "draft": draft}).decode()


def digest_of(content: str) -> str:
    """Return `sha256:<hex>` of the content text."""
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def args_digest(action: str | None, args: Any, draft: Any) -> str:
    """Return the digest of what is signed: an action with its args, or a draft."""
    return digest_of(content_text(action, args, draft))


def body_digest(value: Any) -> str:
    """Return 64 hex characters, the same for the same JSON value however it was spelled. Never fails on parsed JSON.

    Not RFC 8785: bodies may hold integers, decimals and broken text that nobody could sign, and still need "same key, same body?".
    """
    text = json.dumps(_spelled_once(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _spelled_once(value: Any) -> Any:
    """Return `value` with every integral number as an integer, so that 100, 100.0 and 1e2 are one."""
    if isinstance(value, dict):
        return {key: _spelled_once(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_spelled_once(one) for one in value]
    if isinstance(value, float) and isfinite(value) and value.is_integer():
        exact = Decimal(value.literal) if isinstance(value, Literal) else Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else int(value)
    return value


def check_signable(value: Any, pointer: str) -> list[dict[str, str]]:
    """Return what in `value` nobody can sign, as [{"pointer", "code", "detail"}]; empty when all is well. No queries."""
    return [
        {"pointer": where, "code": "not_signable", "detail": why} for where, why in _unsignable(value, pointer)
    ]


def _unsignable(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, one in value.items():
            below = f"{pointer}/{escape(key)}"
            if len(key) > LONGEST_NAME:
                yield pointer, f"a name in it, {escape(key)[:20]}…, has more than {LONGEST_NAME} characters; make it a value"
                continue
            if _UNSIGNABLE_TEXT.search(key):
                yield below, "a key has a NUL or a lone surrogate in it"
            yield from _unsignable(one, below)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _unsignable(one, f"{pointer}/{index}")
    elif isinstance(value, str):
        if _UNSIGNABLE_TEXT.search(value):
            yield pointer, "the text has a NUL or a lone surrogate in it"
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            yield pointer, "an integer beyond 2^53 - 1 is read differently by different software; send it as text"
    elif isinstance(value, float):
        why = _unsignable_float(value)
        if why:
            yield pointer, why
    else:
        yield pointer, f"{type(value).__name__} is not JSON"


def _unsignable_float(value: float) -> str:
    if not isfinite(value):
        return "not a finite number"
    if value.is_integer() and abs(value) > LARGEST_INTEGER:
        return "a whole number beyond 2^53 - 1 is read differently by different software; send it as text"
    if isinstance(value, Literal):
        try:
            exact = Decimal(value.literal) == Decimal(repr(float(value)))
        except InvalidOperation:
            exact = False
        if not exact:
            return f"{value.literal[:40]} is not exactly what software will read ({float(value)!r}); send it as text"
    return ""


def escape(key: str) -> str:
    """Return a key as one reference token of a JSON pointer (RFC 6901), with text no log or database could hold replaced."""
    return _UNSIGNABLE_TEXT.sub("�", str(key)[:200]).replace("~", "~0").replace("/", "~1")
