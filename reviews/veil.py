"""Values of sensitive kinds, masked for who has no clearance for them, until they are revealed on purpose.

Everything untrusted that a page says goes through the filter `shown`, and `shown` asks here. What a veil is over is set while a page
is drawn (`partials.page`), so that no template has to remember it.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from escalations import clock
from escalations.floors.veiling import SHORTEST, Veil, said
from escalations.models import AuditEntry, Incident, Person, Proposal
from escalations.states import Sensitive

from . import access

__all__ = [
    "NOTHING", "SHORTEST", "Veil", "covers", "current", "drawn", "for_person", "is_revealed", "of", "of_incident", "of_one", "of_whole", "said",
]

REVEALED_FOR = timedelta(minutes=30)

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
