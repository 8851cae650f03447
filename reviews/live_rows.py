"""What the live stream asks the database: who reads, what happened, who may still read. Called in a thread, never in a loop."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils.crypto import constant_time_compare

from escalations import clock
from escalations.models import Person, Role
from escalations.states import State

from .inbox import ARRIVING, newest_entry

MOST_ROWS = 1_000  # entries read by one look; what is beyond is read by the next one, at once
LOOKED_AT = 200  # entries before the first one of a stream among which some may still be on their way


@dataclass(frozen=True)
class Rights:
    """What somebody may read: every queue, or those of these roles."""

    everything: bool = False
    roles: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Reading:
    """Somebody who is signed in, as the session said. A new `password` ends it."""

    session_key: str
    person_id: int
    password: str
    rights: Rights


@dataclass(frozen=True)
class Happened:
    """One audit entry, and whose it is to read now."""

    id: int
    action: str
    proposal_id: UUID | None
    role_id: int | None
    asked: frozenset[int]
    pending: bool

    @property
    def arrives(self) -> bool:
        return self.pending and self.action in ARRIVING

    def is_for(self, rights: Rights) -> bool:
        """Say whether these rights reach the proposal, by the rule of authority.readable_by."""
        return rights.everything or self.role_id in rights.roles or not self.asked.isdisjoint(rights.roles)

    def is_queued_for(self, rights: Rights) -> bool:
        return rights.everything or self.role_id in rights.roles


def reading(session_key: str) -> Reading | None:
    """Return who is signed in with this session, or None. Three queries; the session is not touched, so it grows no older."""
    session = SessionStore(session_key)
    pk = session.get(SESSION_KEY)
    if not pk or BACKEND_SESSION_KEY not in session:
        return None
    person = Person.objects.filter(pk=pk, is_active=True).first()
    if person is None or not _same_password(person, session.get(HASH_SESSION_KEY, "")):
        return None
    return Reading(session_key, person.pk, person.password, rights_of([person.pk])[person.pk])


def _same_password(person: Person, stamp: str) -> bool:
    hashes = [person.get_session_auth_hash(), *person.get_session_auth_fallback_hash()]
    return any(constant_time_compare(stamp, one) for one in hashes)


def still_reading(readings: list[Reading]) -> dict[Reading, Rights]:
    """Return those whose session, account and password are as they were, with what they may read now. Three queries for all."""
    keys = {one.session_key for one in readings}
    alive = set(Session.objects.filter(pk__in=keys, expire_date__gt=clock.now()).values_list("pk", flat=True))
    people = dict(Person.objects.filter(pk__in={one.person_id for one in readings}, is_active=True).values_list("pk", "password"))
    rights = rights_of(list(people))
    return {
        one: rights[one.person_id]
        for one in readings
        if one.session_key in alive and people.get(one.person_id) == one.password
    }


def rights_of(people: list[int]) -> dict[int, Rights]:
    """Return what each of these active people may read, by the rule of authority.readable_by. Two queries."""
    everything = set(Person.objects.filter(pk__in=people, is_superuser=True).values_list("pk", flat=True))
    roles: dict[int, set[int]] = {pk: set() for pk in people}
    rows = Role.objects.filter(user__in=people).values_list("user", "pk", "sees_everything", "decides_everything")
    for person, role, sees, decides in rows:
        roles[person].add(role)
        if sees or decides:
            everything.add(person)
    return {pk: Rights(everything=True) if pk in everything else Rights(roles=frozenset(roles[pk])) for pk in people}


ROWS = f"""
SELECT entry.id, entry.action, entry.proposal_id, proposal.role_id, proposal.asked, proposal.state = '{State.PENDING}'
FROM escalations_auditentry AS entry LEFT JOIN escalations_proposal AS proposal ON proposal.id = entry.proposal_id
"""
AFTER = f"{ROWS} WHERE entry.id > %s ORDER BY entry.id LIMIT %s"
LATE = f"{ROWS} WHERE entry.id = ANY (%s) ORDER BY entry.id"


def happened(after: int, missing: list[int]) -> list[Happened]:
    """Return the next entries after one, at most MOST_ROWS, and those of `missing` that are there now. Two index walks."""
    with connection.cursor() as cursor:
        cursor.execute(LATE, [missing])
        rows = cursor.fetchall()
        cursor.execute(AFTER, [after, MOST_ROWS])
        rows += cursor.fetchall()
    return [
        Happened(pk, action, proposal, role, frozenset(asked or ()), bool(pending))
        for pk, action, proposal, role, asked, pending in rows
    ]


def where_to_begin(since: int | None) -> tuple[int, set[int]]:
    """Return the entry to begin after and which before it may still be on their way: numbers are given before a commit.

    `since` is the entry a page was drawn after. One that is older than a page can reasonably be begins at the newest.
    """
    newest = newest_entry()
    after = since if since is not None and newest - MOST_ROWS <= since <= newest else newest
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM escalations_auditentry WHERE id > %s AND id <= %s", [after - LOOKED_AT, after])
        there = {pk for (pk,) in cursor.fetchall()}
    return after, set(range(max(1, after - LOOKED_AT + 1), after)) - there
