"""A veil over values of sensitive kinds: what of a text may be read, and what is masked and as what. Pure: who may read what is
asked elsewhere (`reviews/veil.py` for pages, `feedback` for what is taken away).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from escalations.states import Sensitive

from .clearance import kind_of
from .sensitive import Span, spans

SHORTEST = 5  # characters of a value that is looked for wherever else it stands
ENDS = "\"'`,;.\\}]"  # what stands behind a value and is none of it
LONGEST_CUT, MOST_CUT = 120, 2_000  # characters, and values, of which a beginning is known when a text is cut inside of it
FEW = 30  # beginnings of known values that are looked for by name; of more, every place of a text is looked at
LONGEST = 400_000  # characters read to learn which values are sensitive; each text is looked at by itself besides


@dataclass(frozen=True)
class Veil:
    """The kinds that are hidden, and the values known to be of them: they are hidden wherever they stand."""

    hidden: frozenset[str] = frozenset()
    known: tuple[tuple[str, Span], ...] = ()

    def pieces(self, text: str) -> Iterator[tuple[str, Span | None]]:
        """Yield the text in order: what may be read, and what is masked with what it is."""
        at = 0
        for span in self._spans(text):
            if span.start > at:
                yield text[at : span.start], None
            yield text[span.start : span.end], span
            at = span.end
        if at < len(text):
            yield text[at:], None

    def text(self, text: str) -> str:
        """Return the text with "[a payment card number ending in 1111]" for what is masked. For attributes, exports and mails."""
        return "".join(piece if span is None else f"[{said(span)}]" for piece, span in self.pieces(text))

    def hides(self, text: str) -> bool:
        """Say whether anything in the text is masked."""
        return bool(self._spans(text))

    def over(self, texts: Iterable[str]) -> "Veil":
        """Return this veil knowing the sensitive values of these texts: "password": "x" gives x away, where x stands alone too."""
        if not self.hidden:
            return self
        whole = "\n".join(_first(texts))
        known: dict[str, Span] = {}
        for span in spans(whole):
            if kind_of(span) in self.hidden:
                value = whole[span.start : span.end]
                known |= {one: span for one in (value.strip(ENDS), unescaped(value).strip(ENDS)) if len(one) >= SHORTEST}
        return Veil(self.hidden, tuple(known.items()))

    def _spans(self, text: str) -> list[Span]:
        if not self.hidden or len(text) < SHORTEST:  # the shortest detail there is has nine; half of a page's pieces are shorter
            return []
        found = [span for span in spans(text) if kind_of(span) in self.hidden]
        if self.known:
            found = sorted([*found, *self._known_in(text, found)])
            found += self._cut_off(text, found[-1].end if found else 0)
        return found

    def _known_in(self, text: str, found: list[Span]) -> Iterator[Span]:
        """Yield where a known value stands outside of what was found already, the longest at each place. Linear in the text."""
        values, lengths, begins = self._index
        at = 0
        for end_of_gap, after in [*((one.start, one.end) for one in found), (len(text), len(text))]:
            while candidate := begins.search(text, at, end_of_gap):
                at = candidate.start()
                for length in lengths.get(text[at : at + SHORTEST], ()):
                    known = values.get(text[at : at + length]) if at + length <= end_of_gap else None
                    if known:
                        yield Span(at, at + length, known.name, known.ending)
                        at += length
                        break
                else:
                    at += 1
            at = after

    def _cut_off(self, text: str, since: int) -> list[Span]:
        """Return where a known value stands that a text was cut in: most of a card number is no card number any more."""
        _, _, begins = self._index
        for end in {text.rfind("…"), len(text)}:
            at = max(since, end - LONGEST_CUT)
            while end > at and (candidate := begins.search(text, at, end)):
                at = candidate.start() + 1
                if known := self._beginnings.get(text[candidate.start() : end]):
                    return [Span(candidate.start(), end, known.name, "")]
        return []

    @cached_property
    def _beginnings(self) -> dict[str, Span]:
        """Return what is left of a known value when a text is cut inside of it."""
        some = [(value[:LONGEST_CUT], span) for value, span in self.known[:MOST_CUT]]
        return {value[:length]: span for value, span in some for length in range(SHORTEST, len(value))}

    @cached_property
    def _index(self) -> tuple[dict[str, Span], dict[str, list[int]], re.Pattern[str]]:
        """Return the known values, how long those are that begin alike, the longest first, and what finds such a beginning.

        A source can send tens of thousands: to look for each in every text of a page would take minutes.
        """
        lengths: dict[str, set[int]] = {}
        for value, _ in self.known:
            lengths.setdefault(value[:SHORTEST], set()).add(len(value))
        few = len(lengths) <= FEW
        begins = "|".join(map(re.escape, lengths)) if few else r"(?s:.)"
        return dict(self.known), {head: sorted(some, reverse=True) for head, some in lengths.items()}, re.compile(begins)


def each(value: Any, act: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it, and every number that `act` would change, as `act` makes it."""
    match value:
        case str():
            return act(value)
        case dict():
            return {act(str(key)): each(inner, act) for key, inner in value.items()}
        case list():
            return [each(inner, act) for inner in value]
        case bool() | None:
            return value
        case _:
            return value if act(str(value)) == str(value) else act(str(value))


def _first(texts: Iterable[str]) -> Iterator[str]:
    left = LONGEST
    for text in texts:
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return


def unescaped(value: str) -> str:
    """Return a piece of JSON text as it reads: a table of args shows p"ss where the signed text has p\\"ss."""
    try:
        return str(json.loads(f'"{value}"', strict=False))
    except ValueError:
        return value


def said(span: Span) -> str:
    """Return "a payment card number ending in 1111"; what is no card and no account does not say its ending."""
    return f"{span.name} ending in {span.ending}" if span.ending and kind_of(span) == Sensitive.FINANCIAL else span.name
