"""The line above a decision that keeps itself up to date: who holds it, whether it is still open, what changed since it was opened."""

import json
from dataclasses import dataclass, field
from functools import cached_property

from escalations import authority, clock
from escalations.errors import CountersignError
from escalations.models import AuditEntry, Decision, Hold, Person, Proposal
from escalations.states import State

from . import story

LONGEST = 50  # events since a page was opened that are told
# Who holds it is said beside; a look at masked values changes nothing of what is signed.
SAID_BESIDE = frozenset({"proposal.claimed", "proposal.released", "proposal.lapsed", "proposal.revealed"})


@dataclass
class Strip:
    proposal: Proposal
    holder: Person | None  # a colleague's living claim, or one's own
    why_not: CountersignError | None
    seen: int  # the audit entry its page was drawn after
    version: int  # that its page was drawn with
    opening: bool = False  # it is drawn with its page: a person who likes it so claims what they open
    news: list[story.Event] = field(default_factory=list)  # what others did since
    taken_by: str = ""  # who took it over from this person since
    decision: Decision | None = None

    @property
    def pending(self) -> bool:
        return bool(self.proposal.state == State.PENDING)

    @property
    def changed(self) -> bool:
        """Say whether what would be signed is not what the page shows."""
        return self.pending and self.proposal.version != self.version

    @cached_property
    def signed(self) -> bool:
        """Say whether it has a signature that can be taken back: nobody claims it then. One query where its policy knows such."""
        return bool(
            self.pending and self.proposal.policy.get("undo_seconds") and Hold.objects.filter(proposal=self.proposal).exists()
        )

    @property
    def free(self) -> bool:
        return self.pending and self.holder is None and self.why_not is None and not self.signed


def holder_of(proposal: Proposal) -> Person | None:
    """Return who holds it by a claim that has not lapsed. No query when `claimed_by` was read along."""
    alive = proposal.state == State.PENDING and proposal.claim_until is not None and proposal.claim_until > clock.now()
    return proposal.claimed_by if alive else None


def strip_of(person: Person, proposal: Proposal, seen: int, version: int) -> Strip:
    """Return the strip of a page drawn after entry `seen`, as things are now. At most five queries."""
    entries = list(AuditEntry.objects.filter(incident_id=proposal.incident_id, id__gt=seen).order_by("id")[:LONGEST])
    others = [one for one in entries if (one.actor_kind, one.actor) != ("person", person.username)]
    why_not = authority.why_not(person, proposal) if proposal.state == State.PENDING else None
    strip = Strip(proposal, holder_of(proposal), why_not, seen, version)
    strip.news = story.events_of([one for one in others if one.action not in SAID_BESIDE])
    for one in others:
        if one.action == "proposal.claimed":
            facts = json.loads(one.body).get("facts") or {}
            strip.taken_by = strip.holder.name if facts.get("taken_from") == person.username and strip.holder else strip.taken_by
    if strip.holder == person:
        strip.taken_by = ""
    if not strip.pending:
        strip.decision = Decision.objects.filter(proposal=proposal).first()
    return strip
