"""An incident's whole life as one timeline: from the audit entries, with the rows they tell of where those say more."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from escalations.floors import explain
from escalations.models import (
    AuditEntry,
    Classification,
    Comment,
    ContextItem,
    Decision,
    Delivery,
    Incident,
    Proposal,
    Question,
    Role,
)
from escalations.states import Verdict

from . import values
from .autonomy_passage import passages_of
from .models import Glance
from .telling import Event as Event
from .telling import events_of as events_of

LONGEST = 2_000  # events of one kind in a story
AGAIN = timedelta(minutes=30)  # who opens it again within this is still reading
CHANGES = 8  # of an edit, that a line tells
FLOORS = {"auto": "may go alone", "review": "a person decides", "block": "is stopped"}
SENT = {
    "proposal.settled": "The outcome",
    "incident.settled": "That nothing is open any more",
    "incident.question": "The question",
    "draft.send": "The approved draft",
}
# What is told by its own row, better.
BY_ITS_ROW = frozenset({"incident.classified", "delivery.sent"})


@dataclass
class Story:
    incident: Incident
    events: list[Event]
    proposals: list[Proposal]
    deliveries: list[Delivery]
    unacknowledged: list[Decision]
    longer: bool = False  # there is more than is told


def story_of(incident: Incident) -> Story:
    """Gather an incident's whole life, oldest first.

    Nine queries, however long it was; one more where something was decided, and one where it was sent on to another role.
    """
    proposals = list(
        Proposal.objects.filter(incident=incident)
        .select_related("decision__acknowledgement", "role", "source", "incident")
        .order_by("revision")
    )
    deliveries = list(Delivery.objects.filter(incident=incident).prefetch_related("tries").order_by("created_at")[:LONGEST])
    for one in deliveries:
        one.said = SENT.get(one.type, one.type)
    entries = list(
        AuditEntry.objects.filter(incident_id=incident.pk).exclude(action__in=BY_ITS_ROW).order_by("id")[: LONGEST + 1]
    )
    events = events_of(entries[:LONGEST])
    said_more(events, incident, {one.pk: one for one in proposals})
    events += [classified(word) for word in Classification.objects.filter(incident=incident).select_related("work")[:LONGEST]]
    events += [event for delivery in deliveries for event in delivered(delivery)]
    events += opened(Glance.objects.filter(proposal__in=proposals).select_related("person").order_by("at", "pk")[:LONGEST])
    if len(proposals) > 1:
        revisions = {one.pk: one.revision for one in proposals}
        for event in events:
            event.revision = revisions.get(event.proposal_id, 0) if event.proposal_id else 0
    told = [one for one in proposals if one.routed_at]
    moved = {one.asked[0] for one in told if one.asked and one.asked[0] != one.role_id}
    names = dict(Role.objects.filter(pk__in=moved).values_list("pk", "name")) if moved else {}
    for one in told:
        one.why = explain.recorded(one, names)
    passages = passages_of(proposals)
    for one in proposals:
        one.passage = passages.get(one.pk)
    waiting = [
        one.decision
        for one in proposals
        if hasattr(one, "decision") and one.decision.args_digest and not hasattr(one.decision, "acknowledgement")
    ]
    events.sort(key=lambda event: event.at)
    return Story(incident, events, proposals, deliveries, waiting, len(entries) > LONGEST)


def said_more(events: Iterable[Event], incident: Incident, proposals: dict[UUID, Proposal]) -> None:
    """Add to what entries say what their rows do: why it was routed so, what was changed, asked, said and sent. Three queries."""
    questions = {one.pk: one.text for one in Question.objects.filter(incident=incident)[:LONGEST]}
    comments = {one.pk: one.text for one in Comment.objects.filter(proposal__incident=incident)[:LONGEST]}
    items = {one.pk: one.context for one in ContextItem.objects.filter(incident=incident)[:LONGEST]}
    for event in events:
        proposal = proposals.get(event.proposal_id) if event.proposal_id else None
        more: list[tuple[str, str]] = []
        match event.action:
            case "incident.received":
                event.what = f"Received: {incident.get_kind_display().lower()}" if incident.kind else event.what
                more = [("title", incident.title)]
            case "proposal.routed" if proposal:
                event.facts = [fact for fact in event.facts if fact[0] not in ("triggers", "rules that matched")]
                more = routed(event.known, proposal)
            case "proposal.decided" if proposal and hasattr(proposal, "decision"):
                more = decided(proposal, proposal.decision)
            case "proposal.asked_back":
                more = [("question", questions.get(event.known.get("question"), ""))]
            case "proposal.commented":
                more = [("comment", comments.get(event.known.get("comment"), ""))]
            case "proposal.context_added":
                context = items.get(event.known.get("item"))
                more = [("what", ", ".join(map(str, context)) if isinstance(context, dict) else "")]
            case "outcome.acknowledged" if proposal and hasattr(proposal, "decision"):
                said = getattr(proposal.decision, "acknowledgement", None)
                event.tone = "bad" if event.known.get("result") == "failed" else "good"
                more = [("detail", said.detail if said else "")]
        event.facts += [(name, text) for name, text in more if text]


def routed(known: dict[str, Any], proposal: Proposal) -> list[tuple[str, str]]:
    """Return why it went where it went: each trigger and each rule that mattered, with its reason. No queries."""
    fired = set(known.get("triggers") or [])
    facts = [
        (str(one["name"]).replace("_", " "), str(one.get("why") or "fired")) for one in proposal.triggers if one["name"] in fired
    ]
    for rule in proposal.rules:
        why = f": {rule['why']}" if rule.get("why") else ""
        failed = f" (it failed: {rule['error']})" if rule.get("error") else ""
        facts.append((f"rule “{rule['name']}”", f"{FLOORS.get(rule.get('floor', ''), '')}{why}{failed}".strip(": ")))
    by = {
        "rule": "a rule names this role",
        "trigger": "a trigger names this role",
        "category": f"what is of the category “{proposal.category}” goes there",
        "nobody": "nothing names a role, so the queue’s manager has it",
    }.get(str(known.get("role_why") or ""), "")
    return [*facts, ("why there", by)]


def decided(proposal: Proposal, decision: Decision) -> list[tuple[str, str]]:
    """Return what a decision changed and answered. No queries."""
    facts = [("answer", decision.message or "")]
    if decision.type == Verdict.EDIT:
        changed = values.changes(values.signed(proposal), values.signed(decision))
        facts += [(one.path, f"{'nothing' if one.before is None else one.before} → {'nothing' if one.after is None else one.after}")
                  for one in changed[:CHANGES]]
        facts += [("and", f"{len(changed) - CHANGES} more changes")] * (len(changed) > CHANGES)
    return facts


def classified(word: Classification) -> Event:
    about = word.work.proposal_id if word.work_id else None
    if word.error:
        return Event(
            word.created_at, f"The engine “{word.engine}” could not say", "", "system", [("reason", word.error)], about, "bad"
        )
    facts = [("severity", word.severity), ("category", word.category), ("rationale", word.rationale), ("version", word.version)]
    if word.confidence is not None:
        facts.insert(2, ("confidence", f"{word.confidence:.0%}".replace("%", " %")))
    facts += [(str(one.get("name", "")).replace("_", " "), str(one.get("why") or "fired")) for one in word.triggers]
    return Event(
        word.created_at, f"Classified by “{word.engine}”", "", "system", [(name, text) for name, text in facts if text], about
    )


def delivered(delivery: Delivery) -> list[Event]:
    """Return the attempts of a delivery, prefetched as `tries`."""
    out = []
    for number, one in enumerate(delivery.tries.all(), start=1):
        good = one.status is not None and 200 <= one.status < 300 or (one.status is None and not one.error)
        facts = [("to", delivery.url), ("answer", f"HTTP {one.status}" if one.status else ""), ("error", one.error)]
        facts += [("took", f"{one.duration_ms} ms"), ("by hand", one.by_hand)]
        out.append(
            Event(
                one.at,
                f"{SENT.get(delivery.type, delivery.type)}, delivery attempt {number}: {'accepted' if good else 'failed'}",
                "",
                "system",
                [(name, text) for name, text in facts if text],
                delivery.proposal_id,
                "good" if good else "bad",
            )
        )
    return out


def opened(glances: Iterable[Glance]) -> list[Event]:
    """Return who had it before them and when; opening it again while still reading is one event."""
    readings: dict[tuple[int, UUID], list[Glance]] = defaultdict(list)
    for glance in glances:
        readings[glance.person_id, glance.proposal_id].append(glance)
    out = []
    for one in readings.values():
        sitting, before = 0, one[0].at
        numbered = []
        for glance in one:
            sitting += glance.at - before > AGAIN
            before = glance.at
            numbered.append((sitting, glance))
        for _, group in groupby(numbered, key=lambda pair: pair[0]):
            looks = [glance for _, glance in group]
            facts = [("times", str(len(looks))), ("until", f"{looks[-1].at:%H:%M} UTC")] if len(looks) > 1 else []
            out.append(Event(looks[0].at, "Opened", looks[0].person.name, "person", facts, looks[0].proposal_id))
    return out
