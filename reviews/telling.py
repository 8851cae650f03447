"""What an audit entry says, in words: one event each, from the entry alone."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from escalations.models import AuditEntry

SAID = {
    "incident.received": "Received",
    "incident.classified": "Classified",
    "incident.settled": "Nothing is open any more",
    "proposal.routed": "Routed",
    "proposal.decided": "Decided",
    "proposal.withdrawn": "Withdrawn",
    "proposal.superseded": "Replaced by a newer revision",
    "proposal.stepped": "Not answered in time: escalated",
    "proposal.escalated": "Escalated by hand",
    "proposal.expired": "Ran out of time",
    "proposal.parked": "Ran out of time: parked, a manager was told",
    "proposal.claimed": "Claimed",
    "proposal.released": "Released",
    "proposal.lapsed": "The claim lapsed",
    "proposal.passed_on": "The claim passed to who stands in",
    "proposal.handed_over": "Handed over",
    "proposal.extended": "Given more time",
    "proposal.asked_back": "Asked the agent back",
    "proposal.commented": "Commented",
    "proposal.context_added": "Context was added",
    "proposal.revealed": "Revealed what was masked",
    "proposal.revised": "Revised",
    "proposal.signed": "Signed",
    "proposal.held": "Signed, and can still take it back",
    "proposal.undone": "Took the signature back",
    "proposal.hold_fell": "The signature fell before it settled",
    "proposal.repaired": "Repaired by the auditor",
    "proposal.pushed_back": "Could not be dealt with when it was due: put back",
    "chat.refused": "A button in a chat was pressed, and refused",
    "outcome.acknowledged": "The agent acknowledged the outcome",
    "outcome.reported": "Told what came of it",
    "lane.audited": "This was an audit sample of its lane",
    "lane.harmed": "What went alone turned out to be wrong",
    "delivery.opened": "An outcome was put in the outbox",
    "delivery.sent": "The outcome was delivered",
    "delivery.given_up": "Delivery was given up",
    "delivery.replayed": "Delivery was started again by hand",
}
TAKEN_OVER = "Took over"
CLIMBED = "Escalated at once"
VERDICTS = {"approve": "Approved", "edit": "Edited and approved", "reject": "Rejected", "respond": "Answered"}
ROUTED = {"review": "Routed to a person", "auto": "Let go by a rule", "block": "Blocked by a rule"}
TONES = {"proposal.expired": "bad", "proposal.hold_fell": "bad", "delivery.given_up": "bad", "delivery.sent": "good"}
# Facts that say nothing to a person, or that the line says already.
QUIET = frozenset(
    {"version", "signed_digest", "args_digest", "body_digest", "digest", "delivery", "source", "kind", "comment", "question"}
    | {"interactive", "method", "state", "policy_version", "role_why", "item", "sanitised", "test", "late_ms", "rule_version", "report"}
)
NOBODYS = frozenset({"incident.settled"})  # what follows from something else, told before it with whose it was
FACTS = {
    "answered": "questions answered",
    "seconds": "more time",
    "taken_from": "from",
    "of": "whose",
    "settles_at": "settles",
    "retry": "asked for another try",
    "rules": "rules that matched",
    "by_rule": "rule",
}
SAID_ALREADY = {"proposal.decided": {"type"}, "proposal.routed": {"floor"}}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")  # as the ledger writes one


@dataclass
class Event:
    at: datetime
    what: str
    who: str = ""
    by: str = ""  # person, source, policy, clock, system
    facts: list[tuple[str, str]] = field(default_factory=list)
    proposal_id: UUID | None = None
    tone: str = ""  # good, bad, or nothing
    action: str = ""  # the entry's; empty for what no entry tells
    known: dict[str, Any] = field(default_factory=dict)  # the entry's facts as they were written
    revision: int = 0  # which of several this is about; 0 where there is one, or it is about them all


def said(value: Any) -> str:
    """Return a fact of an audit entry as a person reads it; empty for nothing."""
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict) and "engine" in value:
        words = [word for word in (said(value.get(name)) for name in ("severity", "category")) if word]
        return f"{value['engine']}: {value.get('error') or ', '.join(words) or 'does not know'}"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(said(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def told(name: str, value: Any) -> str:
    """Return one fact as text; empty for one that says nothing."""
    if name == "seconds" and isinstance(value, int):
        hours, minutes = value // 3600, value % 3600 // 60
        return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)
    if name == "triggers" and isinstance(value, list):
        return ", ".join(str(one).replace("_", " ") for one in value)
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return f"{datetime.fromisoformat(value):%-d %b %Y, %H:%M} UTC"
    return "" if name == "answered" and not value else said(value)


def what(action: str, known: dict[str, Any]) -> str:
    """Return what happened, in a few words."""
    if action == "proposal.claimed" and known.get("taken_from"):
        return TAKEN_OVER
    if action == "proposal.stepped" and known.get("why"):
        return CLIMBED
    if action == "proposal.decided":
        return VERDICTS.get(str(known.get("type")), SAID[action])
    if action == "proposal.routed":
        return ROUTED.get(str(known.get("floor")), SAID[action])
    return SAID.get(action, action)


def events_of(entries: Iterable[AuditEntry]) -> list[Event]:
    """Return one event per audit entry. No queries but the entries' own."""
    out = []
    for entry in entries:
        body = json.loads(entry.body)
        known = body.get("facts") or {}
        quiet = QUIET | SAID_ALREADY.get(entry.action, set())
        facts = [(FACTS.get(name, name.replace("_", " ")), told(name, value)) for name, value in known.items() if name not in quiet]
        actor = body.get("actor") or {}
        tone = TONES.get(entry.action, "")
        if entry.action == "proposal.decided":
            tone = "bad" if known.get("type") == "reject" else "good"
        out.append(
            Event(
                entry.at,
                what(entry.action, known),
                "" if entry.action in NOBODYS else str(actor.get("name") or entry.actor),
                entry.actor_kind,
                [(name, text) for name, text in facts if text],
                entry.proposal_id,
                tone,
                entry.action,
                known,
            )
        )
    return out
