"""What happened to an incident, in order and in words: from the audit entries, with the rows they tell of where those say more."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from escalations.models import Acknowledgement, AuditEntry, Classification, ContextItem, Decision, Delivery, Incident, Proposal

LONGEST = 2_000  # events of one story

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
    "proposal.handed_over": "Handed over",
    "proposal.extended": "Given more time",
    "proposal.asked_back": "Asked the agent back",
    "proposal.commented": "Commented",
    "proposal.context_added": "Context was added",
    "proposal.revised": "Revised",
    "proposal.signed": "Signed",
    "proposal.repaired": "Repaired by the auditor",
    "proposal.pushed_back": "Could not be dealt with when it was due: put back",
    "outcome.acknowledged": "The agent acknowledged the outcome",
    "delivery.opened": "An outcome was put in the outbox",
    "delivery.sent": "The outcome was delivered",
    "delivery.given_up": "Delivery was given up",
    "delivery.replayed": "Delivery was started again by hand",
}
# Facts that say nothing to a person, or that the line says already.
QUIET = frozenset(
    {"version", "signed_digest", "args_digest", "body_digest", "digest", "delivery", "source", "kind", "comment", "question"}
    | {"interactive", "method", "state", "policy_version", "role_why", "item"}
)
NOBODYS = frozenset({"incident.settled"})  # what follows from something else, told before it with whose it was
FACTS = {"answered": "questions answered", "seconds": "more time"}


@dataclass
class Event:
    at: datetime
    what: str
    who: str = ""
    by: str = ""  # person, source, policy, clock, system
    facts: list[tuple[str, str]] = field(default_factory=list)
    proposal_id: UUID | None = None
    tone: str = ""  # good, bad, or nothing


def said(value: Any) -> str:
    """Return a fact of an audit entry as a person reads it; empty for nothing."""
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict) and "engine" in value:
        return f"{value['engine']}: {value.get('error') or ', '.join(said(value.get(name)) for name in ('severity', 'category'))}"
    if isinstance(value, list):
        return ", ".join(said(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def told(name: str, value: Any) -> str:
    """Return one fact as text; empty for one that says nothing."""
    if name == "seconds" and isinstance(value, int):
        hours, minutes = value // 3600, value % 3600 // 60
        return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)
    return "" if name == "answered" and not value else said(value)


def events_of(entries: Iterable[AuditEntry]) -> list[Event]:
    """Return one event per audit entry. No queries but the entries' own."""
    out = []
    for entry in entries:
        body = json.loads(entry.body)
        known = (body.get("facts") or {}).items()
        facts = [(FACTS.get(name, name.replace("_", " ")), told(name, value)) for name, value in known if name not in QUIET]
        actor = body.get("actor") or {}
        out.append(
            Event(
                entry.at,
                SAID.get(entry.action, entry.action),
                "" if entry.action in NOBODYS else str(actor.get("name") or entry.actor),
                entry.actor_kind,
                [(name, text) for name, text in facts if text],
                entry.proposal_id,
            )
        )
    return out


def classified(word: Classification) -> Event:
    if word.error:
        return Event(
            word.created_at,
            f"The engine “{word.engine}” could not say",
            "",
            "system",
            [("reason", word.error)],
            tone="bad",
        )
    facts = [("severity", word.severity), ("category", word.category), ("rationale", word.rationale), ("version", word.version)]
    if word.confidence is not None:
        facts.insert(2, ("confidence", f"{word.confidence:.0%}"))
    facts.append(("triggers", ", ".join(str(one.get("name", "")) for one in word.triggers)))
    return Event(word.created_at, f"Classified by “{word.engine}”", "", "system", [(name, text) for name, text in facts if text])


def delivered(delivery: Delivery) -> list[Event]:
    """Return the attempts of a delivery, prefetched as `tries`."""
    out = []
    for number, one in enumerate(delivery.tries.all(), start=1):
        good = one.status is not None and 200 <= one.status < 300 or (one.status is None and not one.error)
        facts = [("to", delivery.url), ("answer", f"HTTP {one.status}" if one.status else ""), ("error", one.error)]
        facts += [("took", f"{one.duration_ms} ms"), ("by hand", one.by_hand)]
        what = f"Delivery of {delivery.type}, attempt {number}: {'accepted' if good else 'failed'}"
        out.append(
            Event(
                one.at,
                what,
                "",
                "system",
                [(name, text) for name, text in facts if text],
                delivery.proposal_id,
                "good" if good else "bad",
            )
        )
    return out


@dataclass
class Story:
    incident: Incident
    events: list[Event]
    proposals: list[Proposal]
    deliveries: list[Delivery]
    unacknowledged: list[Decision]


def story_of(incident: Incident) -> Story:
    """Gather an incident's whole life, oldest first. Nine queries."""
    proposals = list(
        Proposal.objects.filter(incident=incident)
        .select_related("decision__acknowledgement", "role", "source")
        .order_by("revision")
    )
    deliveries = list(Delivery.objects.filter(incident=incident).prefetch_related("tries").order_by("created_at"))
    entries = AuditEntry.objects.filter(incident_id=incident.pk).exclude(action="incident.classified").order_by("id")
    events = events_of(entries[:LONGEST])
    events += [classified(word) for word in Classification.objects.filter(incident=incident)]
    events += [event for delivery in deliveries for event in delivered(delivery)]
    for item in ContextItem.objects.filter(incident=incident)[:LONGEST]:
        events.append(Event(item.received_at, "The source added context", "", "source", [("keys", ", ".join(item.context))]))
    acknowledged = {one.decision_id for one in Acknowledgement.objects.filter(decision__proposal__incident=incident)}
    waiting = [
        one.decision
        for one in proposals
        if hasattr(one, "decision") and one.decision.args_digest and one.decision.pk not in acknowledged
    ]
    return Story(incident, sorted(events, key=lambda event: event.at), proposals, deliveries, waiting)
