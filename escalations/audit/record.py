"""Writing entries: who did what, in the same transaction as the change itself."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.db.transaction import TransactionManagementError

from escalations import clock
from escalations.bulk import insert_many
from escalations.models import AuditEntry, Person, Source

# Every name an entry may carry. A new one is added here, so that nobody has to search the code for what can be in the record.
ACTIONS = frozenset(
    {
        "incident.received", "incident.classified", "incident.settled",
        "proposal.routed", "proposal.decided", "proposal.withdrawn", "proposal.superseded", "proposal.stepped",
        "proposal.escalated", "proposal.expired", "proposal.parked", "proposal.claimed", "proposal.released",
        "proposal.lapsed", "proposal.passed_on", "proposal.handed_over", "proposal.extended", "proposal.asked_back", "proposal.commented",
        "proposal.context_added", "proposal.revised", "proposal.signed", "proposal.repaired", "proposal.pushed_back",
        "proposal.held", "proposal.undone", "proposal.hold_fell", "proposal.revealed",
        "outcome.acknowledged",
        "delivery.opened", "delivery.sent", "delivery.given_up", "delivery.replayed",
        "endpoint.disabled", "endpoint.enabled",
        "rule.saved", "rule.promoted", "rule.restored",
        "change.asked", "change.confirmed", "change.refused", "change.withdrawn", "change.outdated",
        "replay.asked", "replay.finished", "replay.cancelled",
        "calendar.saved", "absence.saved", "absence.began", "mute.saved",
        "channel.saved", "channel.disabled", "wishes.saved", "chat.saved", "chat.linked", "chat.unlinked", "chat.refused",
        "everything.stopped", "release.asked", "release.withdrawn", "everything.released",
        "config.imported", "config.exported",
        "policy.saved", "policy.fallback_asked", "policy.fallback_confirmed",
        "trigger.saved",
        "category.saved",
        "source.saved",
        "role.saved",
        "person.saved", "person.deactivated", "person.signed_in", "person.signed_out", "person.sign_in_failed",
        "key.issued", "key.revoked",
        "secret.rotated",
        "token.minted", "token.revoked",
        "record.exported",
        "session.started", "session.ordered", "session.told", "session.confirmed", "session.handed_over", "session.alarmed",
        "session.followed", "session.ended",
        "classifier.asked", "classifier.trained", "classifier.failed", "classifier.promoted", "classifier.taken_back",
        "lane.granted", "lane.withdrawn", "lane.audited", "lane.harmed", "lane.set", "outcome.reported",
        "history.imported", "feedback.exported",
        "second.drawn", "second.answered", "second.lapsed", "known.marked", "known.retired", "vigilance.alarmed", "vigilance.answered",
        "weekly.made", "weekly.found", "weekly.noted", "weekly.followed", "weekly.closed", "suggestion.drafted", "suggestion.dismissed",
        "prompt.saved", "prompt.promoted", "prompt.compared",
    }
)

FORM = "%Y-%m-%dT%H:%M:%S.%fZ"  # how a moment is written in `body`; verify compares the column with it


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: the authenticated principal, never a name out of a request. `id` is unique in its kind; `name` is for people."""

    kind: str  # person, source, policy, clock, system
    id: str
    name: str

    @classmethod
    def of(cls, person: Person) -> "Actor":
        return cls("person", person.username, person.name)

    @classmethod
    def source(cls, source: Source) -> "Actor":
        return cls("source", source.name, source.name)

    @classmethod
    def policy(cls, name: str) -> "Actor":
        """A rule or policy that settled something by itself, by its name."""
        return cls("policy", name, name)


CLOCK = Actor("clock", "clock", "the clock")
SYSTEM = Actor("system", "system", "Countersign")


def entry(
    action: str,
    *,
    actor: Actor,
    incident_id: UUID | None = None,
    proposal_id: UUID | None = None,
    subject: str = "",
    **facts: Any,
) -> AuditEntry:
    """Return an unsaved entry, for `record_many`. Raises ValueError for a name that is not in ACTIONS.

    `facts` are ids, names, numbers, digests and short strings; what they tell of lies in the record, not here.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action!r} is not a name of the audit record; see audit.ACTIONS")
    moment = clock.now()
    subject, who = subject[:120].replace("\x00", "\ufffd"), actor.id[:150].replace("\x00", "\ufffd")
    return AuditEntry(
        at=moment,
        action=action,
        actor_kind=actor.kind,
        actor=who,
        incident_id=incident_id,
        proposal_id=proposal_id,
        subject=subject,
        body=_written({
            "v": 1,
            "action": action,
            "at": moment.astimezone(UTC).strftime(FORM),
            "actor": {"kind": actor.kind, "id": who, "name": actor.name},
            "incident": str(incident_id) if incident_id else None,
            "proposal": str(proposal_id) if proposal_id else None,
            "subject": subject,
            "facts": facts,
        }),
    )


def record(
    action: str,
    *,
    actor: Actor,
    incident_id: UUID | None = None,
    proposal_id: UUID | None = None,
    subject: str = "",
    **facts: Any,
) -> None:
    """Write one entry (one INSERT). Raises TransactionManagementError outside a transaction: both stand or fall together."""
    record_many([
        entry(action, actor=actor, incident_id=incident_id, proposal_id=proposal_id, subject=subject, **facts)
    ])


def record_many(entries: Iterable[AuditEntry]) -> None:
    """Write entries with one statement, in the caller's transaction; raises TransactionManagementError outside one."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("An audit entry is written in the transaction of the change it tells of.")
    insert_many(list(entries))


def _written(content: dict[str, Any]) -> str:
    """Return JSON with sorted keys and no spaces. Never fails, whatever the facts hold: an entry is not lost to its form."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError):  # keys of mixed types, NaN, a circle
        content = content | {"facts": {name: repr(value)[:500] for name, value in content["facts"].items()}}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate becomes its own JSON escape: still the same JSON, and text that PostgreSQL stores.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """Return what JSON writes for a value it does not know."""
    match value:
        case datetime():
            return value.astimezone(UTC).strftime(FORM) if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case set() | frozenset():
            return sorted(value, key=str)
        case models.Model():
            return f"{type(value).__name__} {value.pk}"
        case _:
            return str(value)[:500]
