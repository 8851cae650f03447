"""What untrusted text gives away: details that need care, words that speak to the machine, prose that contradicts the args.

A finding only ever adds a reason to look; more text never takes one away. E-mail addresses and telephone numbers stand in
almost every incident, so alone they say nothing: they are reported when there are many (`contacts`, 5 different ones), as in
a list that is about to leave the house. One card, account or identity number, with its checksum right, is enough.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from .contradictions import contradictions
from .finding import Finding
from .injection import WEAK_NEEDED, disguised, hidden, in_words, marks, suspects, weak_families
from .phrases import phrases
from .sensitive import contacts, find
from .sensitivewords import SENSITIVE
from .text import folded, hidden_message, words_of
from .wordlists import DEFAULT_SETTINGS

__all__ = ["Finding", "contradictions", "in_texts"]

_LONGEST = 50_000
_BETWEEN = " . . "  # no phrase and no number reaches across it
_MOST = 20


def in_texts(pairs: Iterable[tuple[str, str]], settings: Mapping[str, Any] | None = None) -> list[Finding]:
    """Return the findings in (where, text) pairs: sensitive_data and injection_suspected, one for each kind of reason.

    `settings` are those of the trigger rows by name. About 0.3 ms for an ordinary incident, below 10 ms for 50 kB of text.
    """
    seen: dict[str, str] = {}
    for where, text in pairs:
        if isinstance(text, str) and text and text not in seen:
            seen[text[:_LONGEST]] = where
    if not seen:
        return []
    raw = _Joined("\n\n")
    words = _Joined(_BETWEEN)
    for text, where in seen.items():
        plain = folded(text)
        raw.add(where, plain)
        words.add(where, words_of(plain))
    return [*_sensitive(raw, words, settings)[:_MOST], *_injections(seen, raw, words)[:_MOST]]


class _Joined:
    """Many texts as one, so that each table is run once; and from a place in it back to where the text stood."""

    def __init__(self, between: str) -> None:
        self._between = between
        self.parts: list[str] = []  # as they were added
        self._starts: list[int] = []
        self._wheres: list[str] = []
        self._length = 0
        self._text: str | None = None

    def add(self, where: str, text: str) -> None:
        self._starts.append(self._length)
        self._wheres.append(where)
        self.parts.append(text)
        self._length += len(text) + len(self._between)

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self._between.join(self.parts)
        return self._text

    def where(self, place: int) -> str:
        return self._wheres[max(bisect_right(self._starts, place) - 1, 0)]


def _sensitive(raw: _Joined, words: _Joined, settings: Mapping[str, Any] | None) -> list[Finding]:
    own = (settings or {}).get("sensitive_data")
    given = {**DEFAULT_SETTINGS["sensitive_data"], **(own if isinstance(own, Mapping) else {})}
    found: dict[str, Finding] = {}
    for what, ending, place in find(raw.text):
        why = f"There is {what}" + (f" ending in {ending}." if ending else ".")
        found.setdefault(what, Finding("sensitive_data", why, raw.where(place)))
    table = given["phrases"] if isinstance(given["phrases"], Mapping) else SENSITIVE
    for what, said, place in phrases(table).find(words.text):
        found.setdefault(what, Finding("sensitive_data", f"It speaks of {what}: “{_short(said)}”.", words.where(place)))
    most = given["contacts"] if isinstance(given["contacts"], int) and not isinstance(given["contacts"], bool) else 5
    people = contacts(raw.text)
    if len(people) >= max(most, 1):
        found["contacts"] = Finding(
            "sensitive_data", f"There are {len(people)} different e-mail addresses or telephone numbers.", "everywhere"
        )
    return list(found.values())


def _injections(texts: Mapping[str, str], raw: _Joined, words: _Joined) -> list[Finding]:
    found: dict[str, Finding] = {}
    for what, said, place in in_words(words.text):
        found.setdefault(what, Finding("injection_suspected", f"It {what}: “{_short(said)}”.", words.where(place)))
    families = weak_families(words.text)
    if len(families) >= WEAK_NEEDED:
        why = f"It reads like orders to a machine ({', '.join(families[:4])})."
        found.setdefault("weak", Finding("injection_suspected", why, "everywhere"))
    maybe = suspects(raw.text)
    for (text, where), plain in zip(texts.items(), raw.parts, strict=True):
        for what in (*hidden(text), *marks(plain, maybe)):
            found.setdefault(what, Finding("injection_suspected", f"There is {what}.", where))
        readings = [*disguised(plain, maybe)]
        if said := hidden_message(text):
            readings.append(("invisible characters", words_of(said)))
        for how, read in readings:
            for what, said, _ in in_words(read):
                why = f"Hidden as {how}, it {what}: “{_short(said)}”."
                found.setdefault(what, Finding("injection_suspected", why, where))
    return list(found.values())


def _short(said: str) -> str:
    return said if len(said) <= 80 else f"{said[:79]}…"
