"""All a person reads before signing (law 11), gathered in a constant number of queries."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from escalations import authority, clock
from escalations.errors import CountersignError
from escalations.floors.text import has_hidden
from escalations.models import AuditEntry, Classification, Comment, ContextItem, Decision, Incident, Person, Proposal, Question
from escalations.states import UNDECIDED, Floor, State, Verdict

from . import access, story, values
from .inbox import newest_entry
from .sentences import Bit, asked, is_acknowledgement, outcome

SIMILAR = 3
LOOKED_THROUGH = 50  # newest incidents of a fingerprint among which similar decisions are looked for
VERBS = {
    Verdict.APPROVE: ("Approve", "a"),
    Verdict.EDIT: ("Edit and approve", "e"),
    Verdict.REJECT: ("Reject", "r"),
    Verdict.RESPOND: ("Answer", "d"),
}
ACKNOWLEDGED = {Verdict.APPROVE: ("Acknowledge", "a"), Verdict.EDIT: ("Correct and acknowledge", "e")}
FALLBACKS = {
    "reject": "it is rejected and nothing runs",
    "park": "it stays open and a manager is told",
    "approve": "it is APPROVED by policy, if no trigger fired",
}
FLOORS = {
    Floor.AUTO: "The rules would let this go alone, but something else held it.",
    Floor.REVIEW: "A person must decide this.",
    Floor.BLOCK: "A rule blocks this.",
}


@dataclass
class Link:
    label: str
    url: str
    host: str  # empty: not a web address, shown as text and never made a link


@dataclass
class Option:
    """One decision as the form offers it."""

    verdict: str
    label: str
    key: str
    outcome: list[Bit]


@dataclass
class Revision:
    proposal: Proposal
    changed: list[values.Change]
    more: int


@dataclass
class Clock:
    """Where the proposal stands on its way up, and what happens when nobody answers."""

    asked_since: Any
    step: int
    steps: int
    next_role: str
    fallback: str
    valid_for: timedelta


@dataclass
class Dossier:
    proposal: Proposal
    seen_entry: int  # the audit entry this page was drawn after: what came later is "what changed"
    sentence: list[Bit]
    options: list[Option]
    why_not: CountersignError | None
    holder: Person | None  # a colleague's living claim, or one's own
    table: list[values.Row]
    table_more: int
    hidden: bool
    clock: Clock
    floor: str
    classifications: list[Classification]
    context: "Context"
    exception: list[tuple[str, str]]  # what is known of one: type, message, stacktrace and the like
    payload: str
    customer: str
    added: list["Context"]
    questions: list[Question]
    revisions: list[Revision]
    comments: list[Comment]
    similar: list[Proposal]
    history: list[story.Event]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def acknowledgement(self) -> bool:
        return is_acknowledgement(self.proposal)


@dataclass
class Context:
    """What a source sent along, in the parts we know; whatever else it holds is in `rest`, so that nothing is left unseen."""

    request: str
    summary: str
    why: str
    messages: list[dict[str, Any]]
    attempts: list[dict[str, str]]
    links: list[Link]
    rest: str
    at: Any = None

    @property
    def empty(self) -> bool:
        return not (self.request or self.summary or self.messages or self.attempts or self.links or self.rest)


def context_of(raw: Any, at: Any = None) -> Context:
    """Return a source's context in its parts, whatever shape it came in."""
    raw = raw if isinstance(raw, dict) else {"context": raw} if raw else {}
    rest = dict(raw)
    messages = [
        {"role": text(one.get("role")), "content": text(one.get("content"))}
        if isinstance(one, dict)
        else {"role": "", "content": text(one)}
        for one in listed(rest.pop("messages", None))
    ]
    attempts = [
        {name: text(one.get(name)) for name in ("tool", "arguments", "result", "error", "at")}
        if isinstance(one, dict)
        else {"tool": text(one)}
        for one in listed(rest.pop("attempts", None))
    ]
    links = [link(one) for one in listed(rest.pop("links", None))]
    known = {name: text(rest.pop(name, None)) for name in ("request", "summary", "why")}
    return Context(messages=messages, attempts=attempts, links=links, rest=text(rest) if rest else "", at=at, **known)


def exception_of(payload: Any) -> list[tuple[str, str]]:
    """Return the parts of the exception a source sent, line ends as line ends; empty when it sent none."""
    raised = payload.get("exception") if isinstance(payload, dict) else None
    return [(str(name), text(value)) for name, value in raised.items()] if isinstance(raised, dict) else []


def without_exception(payload: Any) -> Any:
    return {name: value for name, value in payload.items() if name != "exception"} if exception_of(payload) else payload


def text(value: Any) -> str:
    """Return text as it is, nothing for nothing, and anything else as readable JSON."""
    return "" if value in (None, "", [], {}) else value if isinstance(value, str) else values.editable(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "", {}) else [value]


def link(raw: Any) -> Link:
    label, url = (text(raw.get("label")), text(raw.get("url"))) if isinstance(raw, dict) else ("", text(raw))
    try:
        parts = urlsplit(url.strip())
        web = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and not has_hidden(url)
        host = parts.netloc if web else ""
    except ValueError:
        host = ""
    return Link(label, url, host)


def clock_of(proposal: Proposal) -> Clock:
    steps = proposal.policy.get("steps") or []
    ahead = steps[proposal.step] if proposal.step < len(steps) else {}
    fallback = proposal.policy.get("fallback", "reject")
    valid_for = timedelta(seconds=proposal.policy.get("valid_for") or 0)
    return Clock(
        proposal.routed_at or proposal.created_at,
        proposal.step,
        len(steps),
        str(ahead.get("name", "")),
        FALLBACKS.get(fallback, fallback),
        valid_for,
    )


def options_of(proposal: Proposal) -> list[Option]:
    """Return the allowed decisions in one order everywhere; no is always among them."""
    allowed = {*proposal.allowed_decisions, Verdict.REJECT}
    verbs = VERBS | ACKNOWLEDGED if is_acknowledgement(proposal) else VERBS
    return [Option(verdict, *verbs[verdict], outcome(proposal, verdict)) for verdict in VERBS if verdict in allowed]


def revisions_of(proposal: Proposal) -> list[Revision]:
    """Return the line, oldest first, each with what it changed of the one before. Two queries."""
    line = list(
        Proposal.objects.filter(incident_id=proposal.incident_id).select_related("decision", "author_person").order_by("revision")
    )
    out: list[Revision] = []
    for before, one in zip([None, *line], line, strict=False):
        changed = values.changes(values.signed(before), values.signed(one)) if before else []
        out.append(Revision(one, changed[:100], max(0, len(changed) - 100)))
    return out


def similar_to(proposal: Proposal, person: Person) -> list[Proposal]:
    """Return the last decisions on the same fingerprint, else on the same action of the same source. At most three queries."""
    decided = (
        access.proposals_for(person)
        .filter(source_id=proposal.source_id, settled_at__isnull=False, test=proposal.test)
        .exclude(state__in=UNDECIDED)
        .exclude(incident_id=proposal.incident_id)
        .select_related("decision")
        .defer("content", "rules", "policy", "args_schema", "description")
        .order_by("-settled_at")
    )
    fingerprint = proposal.incident.fingerprint
    if fingerprint:
        newest = Incident.objects.filter(source_id=proposal.source_id, fingerprint=fingerprint).order_by("-id")
        ids = list(newest.values_list("id", flat=True)[:LOOKED_THROUGH])
        if found := list(decided.filter(incident_id__in=ids)[:SIMILAR]):
            return found
    return list(decided.filter(action=proposal.action)[:SIMILAR])


def last_words(incident: Incident) -> list[Classification]:
    """Return what each engine said last: it speaks again of every revision. One query."""
    return list({word.engine: word for word in Classification.objects.filter(incident=incident)}.values())


def dossier_of(proposal: Proposal, person: Person) -> Dossier:
    """Gather the page of one proposal. About sixteen queries, however long its history is.

    The proposal was read before anything here: what changes in between raises the version, and the signature is refused.
    """
    seen_entry = newest_entry()
    incident = proposal.incident
    rows, more = values.table(proposal.args)
    pending = proposal.state == State.PENDING
    added = [context_of(item.context, item.received_at) for item in ContextItem.objects.filter(incident=incident)[:100]]
    entries = AuditEntry.objects.filter(incident_id=incident.pk).order_by("id")
    return Dossier(
        proposal=proposal,
        seen_entry=seen_entry,
        sentence=asked(proposal, most=8),
        options=options_of(proposal),
        why_not=authority.why_not(person, proposal) if pending else None,
        holder=proposal.claimed_by if pending and proposal.claim_until and proposal.claim_until > clock.now() else None,
        table=rows,
        table_more=more,
        hidden=has_hidden(proposal.content) or "\\u" in proposal.content,
        clock=clock_of(proposal),
        floor=FLOORS.get(Floor(proposal.floor), ""),
        classifications=last_words(incident),
        context=context_of(incident.context),
        exception=exception_of(incident.payload),
        payload=text(without_exception(incident.payload)),
        customer=text(incident.customer),
        added=added,
        questions=list(Question.objects.filter(incident=incident).select_related("person")),
        revisions=revisions_of(proposal),
        comments=list(Comment.objects.filter(proposal__incident=incident).select_related("person")),
        similar=similar_to(proposal, person),
        history=story.events_of(entries[:500]),
    )


def since(proposal: Proposal, seen_entry: int) -> list[story.Event]:
    """Return what happened to the incident after a page was drawn. One query."""
    return story.events_of(AuditEntry.objects.filter(incident_id=proposal.incident_id, id__gt=seen_entry).order_by("id")[:50])


def decision_of(proposal: Proposal) -> Decision | None:
    """Return the decision of a settled proposal; None for one that is open, withdrawn or superseded."""
    return Decision.objects.select_related("acknowledgement").filter(proposal=proposal).first()
