"""Values of sensitive kinds, masked for who has no clearance for them, until they are revealed on purpose.

Everything untrusted that a page says goes through the filter `shown`, and `shown` asks here. What a veil is over is set while a page
is drawn (`partials.page`), so that no template has to remember it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from escalations import clock
from escalations.floors.clearance import kind_of
from escalations.floors.sensitive import Span, spans
from escalations.models import AuditEntry, Incident, Person, Proposal
from escalations.states import Sensitive

from . import access

REVEALED_FOR = timedelta(minutes=30)
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


NOTHING = Veil()
_current: ContextVar[Veil | None] = ContextVar("veil", default=None)


def current() -> Veil:
    """Return the veil over the page that is being drawn; one that hides nothing outside of it."""
    return _current.get() or NOTHING


@contextmanager
def drawn(veil: Veil) -> Iterator[None]:
    """Hold a veil over what is drawn inside."""
    before = _current.set(veil)
    try:
        yield
    finally:
        _current.reset(before)


def for_person(person: Person) -> Veil:
    """Return what is hidden from this person before anything was revealed. No query when the roles are known."""
    cleared = {kind for role in access.roles_of(person) for kind in role.clearance}
    return Veil(frozenset(Sensitive.values) - cleared)


def of(person: Person, proposals: Iterable[Proposal]) -> Veil:
    """Return the veil over a list of proposals: it knows the values in their args and drafts. No query."""
    parts = (part for one in proposals for part in (one.args, one.draft, *_decided(one)) if part)
    return for_person(person).over(json.dumps(part, ensure_ascii=False) for part in parts)


def _decided(proposal: Proposal) -> list[Any]:
    """Return what an edit made of it, where the decision was read along."""
    decision = getattr(proposal, "decision", None) if Proposal.decision.is_cached(proposal) else None
    return [decision.args, decision.draft] if decision is not None else []


def of_whole(person: Person, proposals: Iterable[Proposal]) -> Veil:
    """Return the veil over proposals that were read with their whole incidents: it knows what the page of each knows. No query.

    Nothing lifts it: one is revealed on its own page.
    """
    return for_person(person).over(text for one in proposals for text in (one.content, *_sent(one.incident)))


def of_incident(person: Person, incident: Incident, alone: Proposal | None = None) -> Veil:
    """Return the veil over one incident and its whole line, lifted while it is revealed. Two queries, none for full clearance.

    One query less where the line is known to be this one proposal, `alone`.
    """
    bare = for_person(person)
    if not bare.hidden or is_revealed(person, incident):
        return Veil()
    line = [alone.content] if alone else _line_of(incident)
    return bare.over([*line, *_sent(incident)])


def _sent(incident: Incident) -> Iterator[str]:
    yield incident.title
    yield incident.body
    yield from (json.dumps(part, ensure_ascii=False) for part in (incident.payload, incident.context, incident.customer) if part)


def _line_of(incident: Incident) -> Iterator[str]:
    """Yield all that was proposed, and what people's edits made of it: a value they put in stands in no proposal. One query."""
    edited = ("decision__args", "decision__draft", "hold__args", "hold__draft")
    for content, *parts in Proposal.objects.filter(incident=incident).values_list("content", *edited):
        yield content
        yield from (json.dumps(part, ensure_ascii=False) for part in parts if part)


def of_one(person: Person, proposal: Proposal) -> Veil:
    """Return the veil over one proposal's incident. Two queries at most."""
    alone = proposal.is_alone and not proposal.policy.get("undo_seconds")  # nor is an edit of it held
    return of_incident(person, proposal.incident, proposal if alone else None)


def covers(person: Person, proposal: Proposal) -> bool:
    """Say whether anything of what is signed is masked: who cannot read it cannot say yes to it (law 4)."""
    return of_one(person, proposal).hides(proposal.content)


def is_revealed(person: Person, incident: Incident) -> bool:
    """Say whether this person revealed this incident's values within the last half hour. One query."""
    return AuditEntry.objects.filter(
        incident_id=incident.pk, action="proposal.revealed", actor_kind="person", actor=person.username,
        at__gt=clock.now() - REVEALED_FOR,
    ).exists()


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
