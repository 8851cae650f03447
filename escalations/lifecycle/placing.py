"""A judgement becomes a place in a queue, or a decision by policy."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q

from escalations import audit, clock, outbox, search, standstill
from escalations.floors.judge import Judgement, held_back
from escalations.floors.rulebook import Rulebook
from escalations.models import Proposal
from escalations.states import Fallback, Floor, State, Status, Verdict

from . import moves


def place(
    proposal: Proposal, judgement: Judgement, rulebook: Rulebook, *, actor: audit.Actor = audit.SYSTEM, people: int = 1
) -> bool:
    """Put a proposal into its role's queue with its clock running. Return False when it was settled meanwhile.

    In the caller's transaction; a yes needs the signatures of at least so many `people`. A critical one passes straight to the people
    of its role: they are told at once.
    """
    now = clock.now()
    policy = rulebook.frozen(judgement.policy)
    policy["quorum"] = max(policy["quorum"], people)
    expires_at = _expires_at(proposal, policy, now)
    if not _write(
        proposal, judgement, policy, routed_at=now, role=judgement.role, asked=[judgement.role.pk], step=0,
        due_at=next_due(policy, 0, now, expires_at), expires_at=expires_at,
    ):
        return False
    search.remember(proposal)
    _write_triage(proposal, judgement, status=Status.WAITING)
    audit.record(
        "proposal.routed", actor=actor, incident_id=proposal.incident_id, proposal_id=proposal.pk, floor=judgement.floor,
        role=judgement.role.name, role_why=judgement.role_why, triggers=judgement.trigger_names, risk=judgement.risk,
        rules=[rule["name"] for rule in judgement.rules], policy=policy["name"], policy_version=policy["version"],
    )
    if judgement.escalate == "auto":
        outbox.open_notice("critical", proposal=proposal, role=judgement.role, step=0)
    return True


def settle_by_policy(proposal: Proposal, judgement: Judgement, rulebook: Rulebook) -> bool:
    """Settle without a person what a live rule lets go alone, or refuse what one blocks. Return False when settled meanwhile.

    While everything is stopped nothing goes alone: it is placed, and a person decides. What is blocked stays blocked.
    """
    rule = judgement.settles
    if rule is None or judgement.floor == Floor.REVIEW:
        raise ValueError("a person must look at this")
    if judgement.floor == Floor.AUTO and (stopped := standstill.enter()):
        return place(proposal, held_back(judgement, stopped), rulebook)
    policy = rulebook.frozen(judgement.policy)
    if not _write(proposal, judgement, policy, routed_at=clock.now(), role=judgement.role):
        return False
    search.remember(proposal)
    _write_triage(proposal, judgement)
    audit.record(
        "proposal.routed", actor=audit.SYSTEM, incident_id=proposal.incident_id, proposal_id=proposal.pk, floor=judgement.floor,
        role=None, triggers=judgement.trigger_names, rules=[one["name"] for one in judgement.rules], by_rule=rule.name,
    )
    blocked = judgement.floor == Floor.BLOCK
    moves.settle(
        proposal,
        State.REJECTED if blocked else State.APPROVED,
        moves.Verdictum(
            type=Verdict.REJECT if blocked else Verdict.APPROVE,
            by_kind="policy",
            by_id=rule.name,
            by_name=rule.name,
            reason=rule.why or f"The rule “{rule.name}” {'blocks' if blocked else 'allows'} this.",
            runs=None if blocked else moves.Content.of(proposal),
        ),
        rule=rule.name,
        rule_version=rule.version,
    )
    return True


def next_due(policy: dict[str, Any], step: int, since: datetime, expires_at: datetime | None) -> datetime | None:
    """Return when the step after `step` is due, counted from `since`; the expiry when there is none or it comes first."""
    steps = policy["steps"]
    if step >= len(steps):
        return expires_at
    due = since + timedelta(seconds=steps[step]["after"])
    return min(due, expires_at) if expires_at else due


def _expires_at(proposal: Proposal, policy: dict[str, Any], now: datetime) -> datetime:
    """The policy's expiry, or the caller's if that is sooner; a caller never shortens the way to a yes (law 5)."""
    expires_at = now + timedelta(seconds=policy["expires_after"])
    timeout = proposal.incident.timeout_seconds
    if timeout and policy["fallback"] != Fallback.APPROVE:
        since = proposal.incident.received_at if proposal.revision == 1 else now
        expires_at = min(expires_at, since + timedelta(seconds=timeout))
    return expires_at


def _write(proposal: Proposal, judgement: Judgement, policy: dict[str, Any], **places: Any) -> bool:
    values = {
        "title": proposal.incident.title,
        "severity": judgement.severity,
        "category": judgement.category,
        "confidence": judgement.confidence,
        "risk": judgement.risk,
        "floor": judgement.floor,
        "triggers": judgement.triggers,
        "rules": judgement.rules,
        "policy": policy,
        **places,
    }
    wanted = Q(pk=proposal.pk, state=State.PENDING, routed_at=None)
    if not Proposal.objects.filter(wanted).update(version=F("version") + 1, **values):
        return False
    for name, value in values.items():
        setattr(proposal, name, value)
    proposal.version += 1
    return True


def _write_triage(proposal: Proposal, judgement: Judgement, **more: Any) -> None:
    moves.set_triage(
        proposal.incident_id, severity=judgement.severity, category=judgement.category, triggers=judgement.trigger_names,
        escalate=judgement.escalate, pattern=judgement.pattern, **more,
    )
