"""All a person reads before signing (law 11), gathered in a constant number of queries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from escalations import authority, clock, lifecycle, worktime
from escalations.errors import CountersignError
from escalations.floors import explain
from escalations.floors.explain import Explanation
from escalations.floors.provenance import Part
from escalations.floors.text import has_hidden
from escalations.models import (
    AuditEntry,
    Category,
    Classification,
    Comment,
    ContextItem,
    Decision,
    Hold,
    Incident,
    Person,
    Proposal,
    Question,
    Role,
    StepRun,
    roles_with_somebody,
)
from escalations.states import State, Verdict
from escalations.waits import Wait, estimates

from . import reading, story, values
from .access import roles_of
from .context import Context, context_of, exception_of, text, without_exception
from .inbox import newest_entry
from .precedents import Precedent, nearest
from .run_page import Run, run_of
from .sentences import Bit, asked, is_acknowledgement, outcome

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
    calendar: str  # by whose hours it goes; empty for none
    calendar_failed: str
    stands_still_until: datetime | None  # off shift now: when it goes on


@dataclass
class Reason:
    """A trigger that fired, in words, and the place that set it off."""

    name: str
    why: str
    where: str
    anchor: str


class Dossier:
    """All there is to know of a proposal. What costs a query or a look through the texts is gathered when it is first drawn.

    The proposal was read before anything here: what changes in between raises the version, and the signature is refused.
    """

    def __init__(self, proposal: Proposal, person: Person) -> None:
        pending = proposal.state == State.PENDING
        self.proposal, self.person, self.incident = proposal, person, proposal.incident
        self.seen_entry = newest_entry()  # the audit entry this page was drawn after: what came later is "what changed"
        self.sentence = asked(proposal, most=5)
        self.options = options_of(proposal)
        self.why_not: CountersignError | None = authority.why_not(person, proposal, roles=roles_of(person)) if pending else None
        held = pending and proposal.claim_until and proposal.claim_until > clock.now()
        self.holder: Person | None = proposal.claimed_by if held else None  # a colleague's living claim, or one's own
        self.hidden = has_hidden(proposal.content) or "\\u" in proposal.content
        self.clock = clock_of(proposal)
        self.acknowledgement = is_acknowledgement(proposal)

    @cached_property
    def hold(self) -> Hold | None:
        """Return the signature that can still be taken back. One query where the policy knows holds."""
        return lifecycle.standing(self.proposal) if self.proposal.state == State.PENDING else None

    @cached_property
    def wait(self) -> Wait | None:
        """Return how long it may still take, as its source is told. Two queries while it is pending."""
        return estimates([self.proposal]).get(self.proposal.pk) if self.proposal.state == State.PENDING else None

    @cached_property
    def passed(self) -> list[str]:
        """Return the roles it climbed past because nobody was there. Two queries where a step fired."""
        if not self.proposal.step:
            return []
        runs = StepRun.objects.filter(proposal=self.proposal).order_by("step").values_list("step", "role__name", "why")
        asked_before = dict(enumerate([self.first_role, *(name for _, name, _ in runs)]))
        return list(dict.fromkeys(asked_before[number] for number, (_, _, why) in enumerate(runs) if why == "nobody"))

    @property
    def first_role(self) -> str:
        """Return the name of the role that was asked first. One query."""
        first = self.proposal.asked[:1]
        return Role.objects.filter(pk__in=first).values_list("name", flat=True).first() or ""

    @cached_property
    def nobody_there(self) -> bool:
        """Return whether nobody of the role that is asked is there now. One query; none for who is of it, being there."""
        if self.proposal.state != State.PENDING or self.proposal.role_id in {role.pk for role in roles_of(self.person)}:
            return False
        return self.proposal.role_id not in roles_with_somebody(clock.now())

    @cached_property
    def category(self) -> Category | None:
        """Return the category, for its guidance. One query; none without a category."""
        return Category.objects.filter(name=self.proposal.category).first() if self.proposal.category else None

    @cached_property
    def _added(self) -> list[ContextItem]:
        return list(ContextItem.objects.filter(incident=self.incident)[:100])

    @cached_property
    def context(self) -> Context:
        return context_of(self.incident.context)

    @cached_property
    def added(self) -> list[Context]:
        """Return the context that came later. One query."""
        return [context_of(one.context, one.received_at, f"c{number}") for number, one in enumerate(self._added, start=1)]

    @cached_property
    def payload(self) -> str:
        return text(without_exception(self.incident.payload))

    @cached_property
    def customer(self) -> str:
        return text(self.incident.customer)

    @cached_property
    def exception(self) -> list[tuple[str, str]]:
        """Return what is known of an exception: type, message, stacktrace and the like."""
        return exception_of(self.incident.payload)

    @cached_property
    def parts(self) -> list[Part]:
        """Return all that was said or read, in order."""
        proposal, incident = self.proposal, self.incident
        titled = {"the title": incident.title, "the description": proposal.description, "why it asks": self.context.why}
        own = [("said-h", label, said) for label, said in titled.items()]
        told = [part for context in (self.context, *self.added) for part in context.parts]
        return reading.parts_read(told, payload=self.payload, customer=self.customer, body=incident.body, said=own)

    @cached_property
    def args(self) -> reading.Reading:
        """Return the args as a person reads them, with their origins."""
        return reading.read(self.proposal.args, self.parts, [self.context, *self.added])

    @cached_property
    def draft(self) -> reading.Reading:
        draft = self.proposal.draft or {}
        content = {name: draft[name] for name in ("to", "subject", "body") if draft.get(name) not in (None, "")}
        return reading.read(content, self.parts, [self.context, *self.added], "draft")

    @cached_property
    def flags(self) -> list[reading.Value]:
        """Return the values that lead somewhere no person named."""
        return [*self.args.flags, *self.draft.flags]

    @property
    def speaks(self) -> bool:
        """Say whether a text that brought one of them also speaks to the machine."""
        return any(one.origin.beside for one in self.flags)

    @cached_property
    def reasons(self) -> list[Reason]:
        """Return the triggers with the places that set them off."""
        found = [*self.args.values, *self.draft.values]
        out = []
        for one in self.proposal.triggers:
            anchor, words = reading.place_of(str(one.get("where") or ""), found)
            out.append(Reason(str(one.get("name", "")), str(one.get("why", "")), words, anchor))
        return out

    @cached_property
    def why(self) -> Explanation:
        """Return why it came to a person, the triggers with their places here. One query when it was sent on since, else none."""
        told = explain.recorded(self.proposal)
        for trigger, reason in zip(told.triggers, self.reasons, strict=True):
            trigger.where, trigger.anchor = reason.where, reason.anchor
        return told

    @cached_property
    def classifications(self) -> list[Classification]:
        return last_words(self.incident)

    @cached_property
    def questions(self) -> list[Question]:
        return list(Question.objects.filter(incident=self.incident).select_related("person"))

    @cached_property
    def revisions(self) -> list["Revision"]:
        """Return the line of revisions. One query; none for a first one that is open, for only a settled one has a successor."""
        if self.proposal.is_alone:
            return [Revision(self.proposal, [], 0)]
        return revisions_of(self.proposal)

    @property
    def before(self) -> "Revision | None":
        """Return this revision with what it changed, when there was one before it; the one before is `before_that`."""
        return next((one for one in self.revisions[1:] if one.proposal.pk == self.proposal.pk), None)

    @property
    def before_that(self) -> Proposal | None:
        numbers = {one.proposal.revision: one.proposal for one in self.revisions}
        earlier = [number for number in numbers if number < self.proposal.revision]
        return numbers[max(earlier)] if earlier else None

    @cached_property
    def comments(self) -> list[Comment]:
        return list(Comment.objects.filter(proposal__incident=self.incident).select_related("person"))

    @cached_property
    def similar(self) -> list[Precedent]:
        return nearest(self.proposal, self.person)

    @cached_property
    def history(self) -> list[story.Event]:
        return story.events_of(AuditEntry.objects.filter(incident_id=self.incident.pk).order_by("id")[:500])

    @cached_property
    def run(self) -> Run | None:
        """Return the agent's run this came from. One query, or two, where its session is one's id; else none."""
        return run_of(self.incident, self.person)

    @property
    def length(self) -> int:
        """Return how many characters there are to read."""
        return len(self.proposal.content) + sum(len(part.text) for part in self.parts)


def clock_of(proposal: Proposal) -> Clock:
    steps = proposal.policy.get("steps") or []
    ahead = steps[proposal.step] if proposal.step < len(steps) else {}
    fallback = proposal.policy.get("fallback", "reject")
    valid_for = timedelta(seconds=proposal.policy.get("valid_for") or 0)
    now, calendar, pending = clock.now(), proposal.policy.get("calendar"), proposal.state == State.PENDING
    opens = worktime.opens_at(calendar, now)
    return Clock(
        proposal.routed_at or proposal.created_at,
        proposal.step,
        len(steps),
        str(ahead.get("name", "")),
        FALLBACKS.get(fallback, fallback),
        valid_for,
        str((calendar or {}).get("name", "")),
        str(proposal.policy.get("calendar_failed", "")),
        opens if pending and opens > now else None,
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


def last_words(incident: Incident) -> list[Classification]:
    """Return what each engine said last: it speaks again of every revision. One query."""
    return list({word.engine: word for word in Classification.objects.filter(incident=incident)}.values())


def dossier_of(proposal: Proposal, person: Person) -> Dossier:
    """Return what the page of one proposal is made of. About eighteen queries when all of it is drawn, however long its history is."""
    return Dossier(proposal, person)


def since(proposal: Proposal, seen_entry: int) -> list[story.Event]:
    """Return what happened to the incident after a page was drawn. One query."""
    return story.events_of(AuditEntry.objects.filter(incident_id=proposal.incident_id, id__gt=seen_entry).order_by("id")[:50])


def decision_of(proposal: Proposal) -> Decision | None:
    """Return the decision of a settled proposal; None for one that is open, withdrawn or superseded."""
    return Decision.objects.select_related("acknowledgement").filter(proposal=proposal).first()
