"""The only writer of `Proposal.state` and `Incident.status`: what settling means, whoever does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q

from escalations import audit, canonical, clock, outbox, queue
from escalations.errors import AlreadySettled, ChangedSinceSeen, Conflict
from escalations.models import AuditEntry, Decision, Incident, Person, Proposal
from escalations.states import MOVES, UNDECIDED, State, Status, Verdict

from . import hold


@dataclass(frozen=True, slots=True)
class Content:
    """What may run: an action with args, or a draft, and its digest."""

    action: str
    args: dict[str, Any] | None
    draft: dict[str, Any] | None
    digest: str

    @classmethod
    def of(cls, proposal: Proposal) -> "Content":
        """Return what the proposal asks to sign."""
        return cls(proposal.action, proposal.args, proposal.draft, proposal.args_digest)

    @classmethod
    def made(cls, action: str, args: dict[str, Any] | None, draft: dict[str, Any] | None) -> "Content":
        """Return this content with its digest."""
        return cls(action, args, draft, canonical.args_digest(action or None, args, draft))


@dataclass(frozen=True, slots=True)
class Verdictum:
    """What was decided, before it is written: the type, by whom, the words, and what may run (None: nothing)."""

    type: Verdict
    by_kind: str
    by_id: str
    by_name: str
    reason: str = ""
    person: Person | None = None
    runs: Content | None = None
    message: str | None = None
    retry: bool = False
    request_key: str | None = None
    request_digest: str = ""

    @property
    def actor(self) -> audit.Actor:
        return audit.Actor(self.by_kind, self.by_id, self.by_name)


def move(
    proposal: Proposal, to: str, *, seen: Q | None = None, now: datetime | None = None, before_expiry: bool = False
) -> None:
    """Move a pending proposal, or raise who was first. One conditional UPDATE: whoever races, exactly one wins (law 3).

    `seen` are further conditions inside the UPDATE (digest and version); `before_expiry` loses against a clock that has run out.
    """
    if to not in MOVES[State.PENDING]:
        raise ValueError(f"{to} is no state to move to")
    moment = now or clock.now()
    wanted = Q(pk=proposal.pk, state=State.PENDING) & (seen or Q())
    if before_expiry:
        wanted &= Q(expires_at=None) | Q(expires_at__gt=moment)
    moved = Proposal.objects.filter(wanted).update(
        state=to, settled_at=moment, version=F("version") + 1, claimed_by=None, claim_until=None, due_at=None
    )
    if not moved:
        raise refusal(proposal.pk)
    proposal.refresh_from_db(fields=["state", "settled_at", "version", "claimed_by", "claim_until", "due_at"])


def refusal(proposal_id: Any) -> Conflict:
    """Return why a move did not happen: settled or held already (with who and when), or changed since it was seen. Two queries."""
    current = Proposal.objects.select_related("decision").get(pk=proposal_id)
    if current.state == State.PENDING:
        if held := hold.standing(current):
            return hold.refusal(held)
        if current.expires_at and current.expires_at <= clock.now():
            return AlreadySettled("Its time ran out; the clock settles it now.", by="clock", at=current.expires_at)
        return ChangedSinceSeen(version=current.version, args_digest=current.args_digest)
    if current.state in UNDECIDED:
        return AlreadySettled(f"It was {current.state} at {current.settled_at:%Y-%m-%d %H:%M:%S} UTC.", state=current.state)
    decision = current.decision
    return AlreadySettled(
        f"{decision.by_name} was first: {decision.type} at {decision.decided_at:%Y-%m-%d %H:%M:%S} UTC.",
        state=current.state,
        decision={
            "type": decision.type,
            "by": {"kind": decision.by_kind, "id": decision.by_id, "name": decision.by_name},
            "decided_at": decision.decided_at,
        },
    )


def settle(
    proposal: Proposal, to: State, verdict: Verdictum, *, seen: Q | None = None, before_expiry: bool = False, **facts: Any
) -> Decision:
    """Move, decide, record, open the outcome and wake who waits, in the caller's transaction. Return the decision.

    A `reject` with `retry` leaves the incident waiting for another revision; everything else settles the incident too.
    """
    now = clock.now()
    move(proposal, to, seen=seen, now=now, before_expiry=before_expiry)
    decision = _decision(proposal, verdict, now)
    decision.save(force_insert=True)
    incident = Incident.objects.select_related("source").get(pk=proposal.incident_id)
    entries = [_decided(proposal, decision, to, verdict, **facts)]
    outbox.open_outcome(proposal, incident)
    if not verdict.retry:
        entries.append(_settle_incident(incident, now, verdict.actor))
        outbox.open_incident_settled(incident)
    outbox.drop_notices([proposal])
    outbox.open_mail(proposal, decision)
    audit.record_many(entries)
    queue.announce(incident.pk)
    return decision


def settle_all(settling: Sequence[tuple[Proposal, Verdictum, dict[str, Any]]], to: State) -> None:
    """Settle many for good with a dozen statements: what the clock does after an outage. The same as `settle` for each.

    The proposals are locked by the caller and come with `incident__source`; a yes among them mails no draft unless its source
    allows it, as ever.
    """
    now = clock.now()
    proposals = [proposal for proposal, _, _ in settling]
    ids = [proposal.pk for proposal in proposals]
    moved = Proposal.objects.filter(pk__in=ids, state=State.PENDING).update(
        state=to, settled_at=now, version=F("version") + 1, claimed_by=None, claim_until=None, due_at=None
    )
    if moved != len(ids):
        raise ValueError(f"{len(ids) - moved} of these were not pending: lock them first")
    decisions, entries = [], []
    for proposal, verdict, facts in settling:
        proposal.state, proposal.settled_at, proposal.version = to, now, proposal.version + 1
        decisions.append(_decision(proposal, verdict, now))
        entries.append(_decided(proposal, decisions[-1], to, verdict, **facts))
        entries.append(audit.entry("incident.settled", actor=verdict.actor, incident_id=proposal.incident_id))
        proposal.incident.status, proposal.incident.settled_at = Status.SETTLED, now
    Decision.objects.bulk_create(decisions)
    Incident.objects.filter(pk__in=[one.incident_id for one in proposals]).update(status=Status.SETTLED, settled_at=now)
    outbox.open_outcomes([(proposal, proposal.incident) for proposal in proposals])
    outbox.open_incidents_settled([proposal.incident for proposal in proposals])
    outbox.drop_notices(proposals)
    for proposal, decision in zip(proposals, decisions, strict=True):
        outbox.open_mail(proposal, decision)
    audit.record_many(entries)
    for proposal in proposals:
        queue.announce(proposal.incident_id)


def leave(
    proposal: Proposal, to: str, *, actor: audit.Actor, seen: Q | None = None, before_expiry: bool = False, **facts: Any
) -> None:
    """Withdraw or supersede: settled with neither a decision nor a delivery; a signature held on it falls.

    `seen` and `before_expiry` are as in `move`.
    """
    if to not in UNDECIDED:
        raise ValueError(f"{to} needs a decision")
    move(proposal, to, seen=seen, before_expiry=before_expiry)
    hold.fall(proposal, actor=actor, why=f"it was {to}")
    outbox.drop_notices([proposal])
    audit.record(
        f"proposal.{to}", actor=actor, incident_id=proposal.incident_id, proposal_id=proposal.pk, version=proposal.version,
        **facts,
    )


def settle_incident(incident: Incident, *, actor: audit.Actor) -> None:
    """Settle an incident that needs no decision any more (withdrawn)."""
    audit.record_many([_settle_incident(incident, clock.now(), actor)])
    queue.announce(incident.pk)


def wait_again(incident_id: Any) -> None:
    """Say that an incident waits for a person (or for a revision) again."""
    Incident.objects.filter(pk=incident_id).update(status=Status.WAITING, settled_at=None)


def set_triage(incident_id: Any, **triage: Any) -> None:
    """Write what triage says of an incident, unless it was settled meanwhile."""
    Incident.objects.filter(pk=incident_id).exclude(status=Status.SETTLED).update(**triage)


def _decision(proposal: Proposal, verdict: Verdictum, now: datetime) -> Decision:
    """Return the unsaved decision; `proposal` is moved already."""
    runs = verdict.runs
    return Decision(
        proposal=proposal,
        type=verdict.type,
        by_kind=verdict.by_kind,
        person=verdict.person,
        by_id=verdict.by_id,
        by_name=verdict.by_name,
        reason=verdict.reason,
        action=runs.action if runs else "",
        args=runs.args if runs else None,
        draft=runs.draft if runs else None,
        message=verdict.message,
        retry=verdict.retry,
        signed_digest=proposal.args_digest,
        args_digest=runs.digest if runs else None,
        decided_at=now,
        valid_until=now + timedelta(seconds=proposal.policy.get("valid_for", 86_400)),
        request_key=verdict.request_key,
        request_digest=verdict.request_digest,
    )


def _decided(proposal: Proposal, decision: Decision, to: State, verdict: Verdictum, **facts: Any) -> AuditEntry:
    return audit.entry(
        "proposal.decided",
        actor=verdict.actor,
        incident_id=proposal.incident_id,
        proposal_id=proposal.pk,
        type=verdict.type,
        state=to,
        reason=verdict.reason,
        retry=verdict.retry,
        signed_digest=decision.signed_digest,
        args_digest=decision.args_digest,
        version=proposal.version,
        **facts,
    )


def _settle_incident(incident: Incident, now: datetime, actor: audit.Actor) -> AuditEntry:
    Incident.objects.filter(pk=incident.pk).update(status=Status.SETTLED, settled_at=now)
    incident.status, incident.settled_at = Status.SETTLED, now
    return audit.entry("incident.settled", actor=actor, incident_id=incident.pk)
