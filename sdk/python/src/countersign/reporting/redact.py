"""Secrets out of what is reported, before it is stored anywhere or sent: in the host, not in the hope that the server does it.

It errs on the side of hiding. Local variables are never read at all, so what can leak is what a message, a name or a header says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Any

HIDDEN = "[hidden]"
LONGEST = 50_000  # characters of one text
ALL_TEXT = 300_000  # characters of all texts of one report: more is cut before it is read, let alone searched
LONGEST_WORD = 700  # characters of what a cut leaves out at most
DEEPEST = 8
WIDEST = 200  # members of one object or list
MOST = 5_000  # values in all

_NAMES = (
    r"pass|(?:[a-z0-9]{1,20})?pass(?:words?|wd|phrase|code)|pwd|(?:[a-z]{1,16})?secrets?(?:[_-]?key)?|api[_-]?key|"
    r"(?:[a-z]{1,16})?access[_-]?key|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"authorization|auth|cookie|set-cookie|credentials?|(?:[a-z]{1,12}[_-]?)?token|session[_-]?id|client[_-]?secret|"
    r"connection[_-]?string|dsn|cvv|cvc|pin|otp|ssn|iban|card[_-]?(?:number|no)|account[_-]?(?:number|no)"
)
_NAME = re.compile(rf"(?:.*[_\-. ])?(?:{_NAMES})(?:[_-]?(?:value|hash|text|header))?", re.I)

_KEYS = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}-----.*?(?:-----END [^-]{0,60}-----|\Z)"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b(?:sk|pk|rk|ak)[-_](?:live|test|proj|ant|or|svcacct)?[-_]?[A-Za-z0-9_-]{12,}"
    r"|\bcs_(?:live|test|person)_[A-Za-z0-9_]+|\bwhsec_[A-Za-z0-9+/=]{8,}"
    r"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"
    r"|\bglpat-[A-Za-z0-9_-]{12,}|\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bAIza[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]{10,}"
    r"|\bSG\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|\bhf_[A-Za-z0-9]{16,}|\bpypi-[A-Za-z0-9_-]{16,}|\bnpm_[A-Za-z0-9]{16,}",
    re.S,
)
_LOGIN = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"<>]{1,700}@", re.I)
_LAST_WORD = re.compile(r"\S+\Z")
_BEARER = re.compile(r"\b(Bearer|Basic|Digest|Token|ApiKey)\s+[A-Za-z0-9+/=._~-]{8,}", re.I)
_SAID = re.compile(
    rf"(?P<name>(?:\b|_)(?:{_NAMES})[\"']?\s{{0,8}}(?:=>|:=|[=:]|%3[AD]|(?<=[\"']),)\s{{0,8}})"
    r"(?P<open>(?:(?:[\[({<]|\w[\w.]{0,40}\(|[bruf]{1,2}(?=[\"'`\\]))\s{0,2}){0,3})"  # a list, an object that shows itself, bytes
    r"(?:(?P<quote>\\?[\"'`]).{1,1000}?(?:(?<!\\)(?P=quote)|\Z)|[\"'`\\]{0,2}[^\s,;&\"'`)}\]]{1,1000})",
    re.I | re.S,
)
_CARD = re.compile(r"(?<![\w.])(?:\d{4}(?P<gap>[ \-]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{1,7}|\d{4}[ \-]?\d{6}[ \-]?\d{5})(?!\d)")
_DIGITS = re.compile(r"(?<![\w.])\d(?:[ \-]?\d){11,18}(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d\d(?:[ ]?[A-Z0-9]){11,30}\b")


def text(said: str) -> str:
    """Return a text without the secrets, tokens, logins and card numbers in it, cut at 50,000 characters."""
    said = cut(said, LONGEST)
    said = _KEYS.sub(HIDDEN, said)
    said = _LOGIN.sub(rf"\1{HIDDEN}@", said)
    said = _BEARER.sub(rf"\1 {HIDDEN}", said)
    said = _SAID.sub(lambda match: f"{match['name']}{match['open']}{HIDDEN}", said)
    said = _IBAN.sub(lambda match: HIDDEN if sum(map(str.isdigit, match[0])) >= 10 else match[0], said)
    said = _CARD.sub(lambda match: HIDDEN if _is_card(match[0]) else match[0], said)
    return _DIGITS.sub(lambda match: HIDDEN if _is_card(match[0]) else match[0], said)


def cut(said: str, most: int) -> str:
    """Return the beginning of a text, without the word the cut would go through: half a secret is one that nobody recognises."""
    if len(said) <= most:
        return said
    head = said[:most]
    return head[:-LONGEST_WORD] + _LAST_WORD.sub("", head[-LONGEST_WORD:])


def value(said: Any) -> Any:
    """Return something JSON can hold: texts cleaned, what stands under a secret's name hidden whole; depth and size bounded."""
    return _Walk().value(said, DEEPEST)


class _Walk:
    """One pass over one value, which gives up quietly behind so many members: a host may hand over half its memory."""

    def __init__(self) -> None:
        self.left = MOST
        self.room = ALL_TEXT

    def value(self, said: Any, deep: int) -> Any:
        self.left -= 1
        if said is None or isinstance(said, bool):
            return said
        if isinstance(said, int):
            if 10**14 <= said < 10**16 and _is_card(str(said)):
                return HIDDEN
            return said if abs(said) < 2**53 else text(str(said)[:100])
        if isinstance(said, float):
            return said if isfinite(said) else str(said)
        if isinstance(said, str):
            return self.text(said)
        if deep == 0 or self.left <= 0:
            return "…"
        if isinstance(said, Mapping):
            named = ((_named(name), one) for name, one in islice(said.items(), WIDEST))
            return {text(cut(name, 250)): self.under(name, one, deep - 1) for name, one in named}
        if isinstance(said, (list, tuple)) and len(said) == 2 and isinstance(said[0], (str, bytes)):  # a header, perhaps
            return [self.value(said[0], deep - 1), self.under(_named(said[0]), said[1], deep - 1)]
        if isinstance(said, (list, tuple, set, frozenset)):
            return [self.value(one, deep - 1) for one in islice(said, WIDEST)]
        return text(_shown(said))

    def text(self, said: str) -> str:
        read = cut(said, min(LONGEST, self.room))
        self.room -= len(read)
        return text(read) + ("…" if len(read) < len(said) else "")

    def under(self, name: str, said: Any, deep: int) -> Any:
        if said is None or isinstance(said, bool) or said == "" or not _NAME.fullmatch(name[:200]):
            return self.value(said, deep)
        return HIDDEN


def _named(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _shown(said: Any) -> str:
    try:
        return cut(repr(said), 2_000)
    except Exception:  # noqa: BLE001 - a repr is the host's code, and what is reported must not break on it
        return f"<{type(said).__name__}>"


def _is_card(found: str) -> bool:
    digits = [int(char) for char in found if char.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(digit * 2, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
