"""Take out of a report what nobody is to see: secrets, and what the program's variables held.

Everything that is kept of an event passes through here, before it is stored. What stands under a secret's name goes whole; in
texts go keys, tokens, logins in addresses, and the cards, accounts and identity numbers that the trigger `sensitive_data` knows.
Of a local variable only its shape is told.
"""

import re
from typing import Any

from escalations.classify.mask import SECRETS, names_a_secret
from escalations.floors import sensitive

HIDDEN = "***"  # too short for what looks for secrets, so that nothing is found where something was taken out
AHEAD = 300  # characters read beyond what is kept, so that no half of a secret stays at the edge
LONGEST_NAME = 100
REMEMBERED = 200  # characters of a text that is remembered as harmless
MOST_REMEMBERED = 5_000

# A text without any of these is not looked at further: nearly all of them.
_HINT = re.compile(
    r"pass|pwd|secret|key|auth|cookie|credential|token|session|dsn|pin\b|cv[vc]|otp|code|kennwort|contrase|wachtwoord|senha|mot de|"
    r"bearer|basic|digest|-----|@|\d[\d .-]{5}|[A-Za-z0-9_+/=-]{16}|\[Filtered\]|[^\x00-\x7f]",
    re.I,
)
_STRONG = re.compile(r"passw|passwd|passphrase|secret|credential|api[_-]?key|private[_-]?key|access[_-]?key|cookie|authori[sz]ation", re.I)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUERY = re.compile(r"(?<=[?&])([A-Za-z0-9_.\-\[\]%]{1,80})=[^&#\s\"'<>]+")
_OPTION = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]{0,40})(\s{1,4}|=)(\"[^\"]*\"|'[^']*'|[^\s\"']+)")

# Texts in which nothing was found. Files, functions, lines of source and names come again in every event of a program: with this,
# reading an event of 7 kB takes 0.4 ms instead of 1.2.
_harmless: set[str] = set()

# What the repr of a variable may look like.
_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,4})?")
_WORDS = frozenset({"True", "False", "None", "true", "false", "null", "undefined", "NaN"})
_OBJECT = re.compile(r"<(?:(?:class|function|module|bound method)\s+)?'?([A-Za-z_][\w.]{0,80})")
_OPENS = {"[": "a list", "(": "a tuple", "{": "a dict or set", "'": "text", '"': "text"}


def text(value: Any, most: int) -> str:
    """Return a text of at most `most` characters without secrets; "" for what is no text or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    given = str(value)
    if given in _harmless and len(given) <= most:
        return given
    read = given[: most + AHEAD]
    if _HINT.search(read):
        read = read.replace("[Filtered]", HIDDEN)
        for pattern in SECRETS:
            read = pattern.sub(_hide, read)
        read = _OPTION.sub(_option, read)
        read = _QUERY.sub(_query, read)
        for span in reversed(sensitive.spans(read)):
            read = read[: span.start] + HIDDEN + read[span.end :]
    if read == given and len(read) <= REMEMBERED:
        if len(_harmless) >= MOST_REMEMBERED:
            _harmless.clear()
        _harmless.add(read)
    return read if len(read) <= most else read[: most - 1] + "…"


def value(given: Any, *, most: int = 500, entries: int = 20, deep: int = 3, name: str = "") -> Any:
    """Return a JSON value without secrets, no more than `entries` members a level and `deep` levels of it."""
    if name and is_secret(name):
        return given if given is None or isinstance(given, bool) else HIDDEN
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, int | float):
        hidden = text(given, 40)
        return given if hidden == str(given) and abs(given) < 2**53 else hidden
    if isinstance(given, str):
        return text(given, most)
    if deep == 0:
        return "…"
    if isinstance(given, list):
        told = [value(one, most=most, entries=entries, deep=deep - 1) for one in given[:entries]]
        return told + ([f"… {len(given) - entries} more"] if len(given) > entries else [])
    if isinstance(given, dict):
        members = {
            text(key, LONGEST_NAME): value(one, most=most, entries=entries, deep=deep - 1, name=str(key))
            for key, one in list(given.items())[:entries]
        }
        return members | ({"…": f"{len(given) - entries} more"} if len(given) > entries else {})
    return ""


def is_secret(name: str) -> bool:
    """Say whether what stands under this name is a secret: password, db_password, accessToken, X-Api-Key."""
    cut = name[:200]
    return names_a_secret(cut) or _STRONG.search(cut) is not None or names_a_secret(_CAMEL.sub("_", cut))


def shape(name: str, held: Any) -> str:
    """Return what kind of thing a variable held, never what it said: short plain numbers and yes or no are told as they are."""
    if is_secret(name):
        return HIDDEN
    if isinstance(held, list | dict):
        return f"{'a list' if isinstance(held, list) else 'a dict'} of {len(held)}"
    said = str(held).strip()
    if isinstance(held, bool | int | float) or held is None or said in _WORDS or _NUMBER.fullmatch(said):
        return said if len(said) <= 8 else "a number"
    if match := _OBJECT.match(said):
        return f"<{match[1]}>"
    return f"{_OPENS.get(said[:1], 'text')} of {max(0, len(said) - (2 if said[:1] in _OPENS else 0))} characters"


def _hide(match: re.Match[str]) -> str:
    groups = match.groupdict()
    name = next((one for one in ("v", "v1", "v2") if groups.get(one) is not None), None)
    if name is None:
        return HIDDEN
    whole, start = match.group(), match.start()
    return whole[: match.start(name) - start] + HIDDEN + whole[match.end(name) - start :]


def _option(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{HIDDEN}" if is_secret(match[1].lstrip("-")) else match.group()


def _query(match: re.Match[str]) -> str:
    return f"{match[1]}={HIDDEN}" if is_secret(match[1]) else match.group()
