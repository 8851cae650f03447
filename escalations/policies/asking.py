"""Edits that wait for a second administrator: asked, and made void when what they were asked of moves."""

import hashlib
import json
from typing import Any

from django.db import connection, models
from django.db.models import F

from escalations import audit, clock, outbox
from escalations.errors import NotAllowed
from escalations.models import Change, EscalationPolicy, Notice, Person, RoutingRule, Source, Trigger
from escalations.states import ChangeState, Sending

from . import puppets
from .changes import subject_of
from .versions import kind_of, values_of

TRIGGER_FIELDS = ("description", "enabled", "role", "policy", "settings")
ONE_AT_A_TIME = 0x72756C6573  # an advisory lock: what a rule lets go and what a source is believed are looked at together
LONGEST_WHY = 2000

Asking = RoutingRule | Trigger | Source | EscalationPolicy


def one_at_a_time() -> None:
    """Wait for, and hold until the transaction ends, the lock under which rules, triggers, sources and policies are edited."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])


def base_of(row: Asking, fields: tuple[str, ...]) -> str:
    """Return what an edit was asked of: a rule's or policy's version, else the digest of the values."""
    if isinstance(row, RoutingRule | EscalationPolicy):
        return str(row.version)
    said = json.dumps(values_of(row, fields), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()


def waiting(row: models.Model) -> Change | None:
    """Return the change of this row that waits for a second administrator. One query."""
    return Change.objects.filter(subject=subject_of(row), state=ChangeState.WAITING).select_related("asked_by").first()


def needs_asking(reasons: list[str], *, actor: audit.Actor, person: Person | None) -> bool:
    """Return whether this edit has to wait. Raises NotAllowed where a person edits and the caller forgot to say which.

    Setup and the demo company save what they like, as the system; a person never does.
    """
    if reasons and person is None and actor.kind == "person":
        raise NotAllowed("This needs a second administrator; it cannot be saved without knowing who asks.")
    return bool(reasons) and person is not None


def ask(
    row: Asking, *, wanted: dict[str, Any], base: str, lowers: list[str], person: Person, why: str
) -> Change:
    """Write down what somebody wants, instead of doing it. It takes the place of what waited for the same row before.

    Other administrators are told. About eight queries, two more where one waited. The caller holds the lock of `one_at_a_time`.
    """
    _end(
        waiting(row), ChangeState.WITHDRAWN, "change.withdrawn", actor=audit.Actor.of(person),
        said="A newer one took its place.", by=person,
    )
    change = Change.objects.create(
        kind=kind_of(row), subject=subject_of(row), name=str(row), wanted=wanted, base=base, lowers=lowers,
        why=why.strip()[:LONGEST_WHY], asked_by=person,
    )
    audit.record(
        "change.asked", actor=audit.Actor.of(person), subject=change.subject, name=change.name, change=change.pk, base=base,
        lowers=lowers, why=change.why[:500], wanted=hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest(),
    )
    outbox.open_notices(
        outbox.Wanted(
            "change_waits", person=second,
            facts={"change": change.pk, "what": f"{change.get_kind_display()}, “{change.name}”", "by": person.name, "text": " ".join(lowers)},
        )
        for second in seconds(change, row)
    )
    return change


def seconds(change: Change, row: Any) -> list[Person]:
    """Return who may confirm this: other administrators, but for who answers for the source it is about, and whom
    who asked has just made. Two queries, more where somebody was made lately."""
    people = Person.objects.filter(is_staff=True, is_active=True).exclude(pk=change.asked_by_id).order_by("pk")
    if isinstance(row, Source):
        people = people.exclude(pk=row.owner_id).exclude(username=change.wanted.get("owner") or "")
    return puppets.without(people, change.asked_by)


def said_of(why: str, asked_by: audit.Actor | None) -> dict[str, Any]:
    """Return what an entry tells besides what changed: the reason given, and who asked for what `actor` confirmed."""
    said: dict[str, Any] = {"why": why.strip()[:500]} if why.strip() else {}
    return said | ({"asked_by": asked_by.id} if asked_by else {})


def outdate(row: models.Model, *, actor: audit.Actor) -> None:
    """Make void what waits for this row: it was edited meanwhile, so nobody would confirm what was asked. One query if none."""
    _end(
        waiting(row), ChangeState.OUTDATED, "change.outdated", actor=actor, said="What it was asked of was changed meanwhile.", by=None
    )


def _end(
    change: Change | None, state: ChangeState, action: str, *, actor: audit.Actor, said: str, by: Person | None
) -> None:
    if change is not None:
        settle(change, state, said=said, by=by)
        audit.record(action, actor=actor, subject=change.subject, name=change.name, change=change.pk, said=said)


def settle(change: Change, state: ChangeState, *, said: str, by: Person | None) -> None:
    """Write a change's end. Its entry in the record is for the caller."""
    change.state, change.said, change.settled_by, change.settled_at = state, said, by, clock.now()
    change.save(update_fields=["state", "said", "settled_by", "settled_at"])
    # nobody needs to be told any more
    Notice.objects.filter(kind="change_waits", state=Sending.WAITING, facts__change=change.pk).update(
        state=Sending.NOTHING_TO_SEND, next_try_at=None, finished_at=clock.now(), token=F("token") + 1
    )
