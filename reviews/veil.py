"""Values of sensitive kinds, masked for who has no clearance for them, until they are revealed on purpose.

Everything untrusted that a page says goes through the filter `shown`, and `shown` asks here. What a veil is over is set while a page
is drawn (`partials.page`), so that no template has to remember it.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from escalations import clock
from escalations.floors.sensitive import Span, spans
from escalations.models import AuditEntry, Incident, Person, Proposal
from escalations.states import Sensitive

from . import access

REVEALED_FOR = timedelta(minutes=30)
SHORTEST = 5  # characters of a value that is looked for wherever else it stands
LONGEST = 400_000  # characters read to learn which values are sensitive; each text is looked at by itself besides

KINDS: dict[str, Sensitive] = {
    "a payment card number": Sensitive.FINANCIAL,
    "a bank account number (IBAN)": Sensitive.FINANCIAL,
    "a bank routing number": Sensitive.FINANCIAL,
    "a secret key": Sensitive.SECRET,
    "a password": Sensitive.SECRET,
}


def kind_of(span: Span) -> Sensitive:
    """Return which clearance reads a detail; what is no money and no secret is an identity."""
    return KINDS.get(span.name, Sensitive.IDENTITY)


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
        whole = "\n".join(texts)[:LONGEST]
        values = {whole[span.start : span.end]: span for span in spans(whole) if kind_of(span) in self.hidden}
        known = {value.strip("\"'`,;.\\}]"): span for value, span in values.items()}
        longest_first = sorted(known.items(), key=lambda pair: -len(pair[0]))
        return Veil(self.hidden, tuple((value, span) for value, span in longest_first if len(value) >= SHORTEST))

    def _spans(self, text: str) -> list[Span]:
        if not self.hidden or not text:
            return []
        found = [span for span in spans(text) if kind_of(span) in self.hidden]
        for value, span in self.known:
            at = text.find(value)
            while at >= 0:
                if not any(one.start < at + len(value) and at < one.end for one in found):
                    found.append(Span(at, at + len(value), span.name, span.ending))
                at = text.find(value, at + len(value))
        return sorted(found)


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
    """Return the veil over a list of proposals: it knows the values in their args. No query."""
    return for_person(person).over(json.dumps(one.args, ensure_ascii=False) for one in proposals if one.args)


def of_incident(person: Person, incident: Incident) -> Veil:
    """Return the veil over one incident and its whole line, lifted while it is revealed. Two queries, none for full clearance."""
    bare = for_person(person)
    if not bare.hidden or is_revealed(person, incident):
        return Veil()
    sent = (incident.payload, incident.context, incident.customer)
    line = Proposal.objects.filter(incident=incident).values_list("content", flat=True)
    return bare.over([*line, incident.title, incident.body, *(json.dumps(part, ensure_ascii=False) for part in sent if part)])


def of_one(person: Person, proposal: Proposal) -> Veil:
    """Return the veil over one proposal's incident. Two queries at most."""
    return of_incident(person, proposal.incident)


def covers(person: Person, proposal: Proposal) -> bool:
    """Say whether anything of what is signed is masked: who cannot read it cannot say yes to it (law 4)."""
    return of_one(person, proposal).hides(proposal.content)


def is_revealed(person: Person, incident: Incident) -> bool:
    """Say whether this person revealed this incident's values within the last half hour. One query."""
    return AuditEntry.objects.filter(
        incident_id=incident.pk, action="proposal.revealed", actor_kind="person", actor=person.username,
        at__gt=clock.now() - REVEALED_FOR,
    ).exists()


def said(span: Span) -> str:
    """Return "a payment card number ending in 1111"; what is no card and no account does not say its ending."""
    return f"{span.name} ending in {span.ending}" if span.ending and kind_of(span) == Sensitive.FINANCIAL else span.name
