"""A judgement becomes a place in a queue, or a decision by policy."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import F, Q

from escalations import audit, clock, outbox, search, standstill, worktime
from escalations.floors.judge import Judgement, held_back
from escalations.floors.rulebook import Rulebook
from escalations.models import Proposal, StepRun
from escalations.states import Fallback, Floor, State, Status, Verdict

from . import moves
from .stepping import Rung, entry_of, next_due, past_nobody, run_of


def place(
    proposal: Proposal, judgement: Judgement, rulebook: Rulebook, *, actor: audit.Actor = audit.SYSTEM, people: int = 1
) -> bool:
    """Put a proposal into its role's queue with its clock running. Return False when it was settled meanwhile.

    In the caller's transaction; a yes needs the signatures of at least so many `people`. A critical one passes straight to the people
    of its role: they are told at once. Where nobody of its role is there it climbs at once to who is, on shift (`stepping`); off shift
    its clock stands still until somebody could be.
    """
    now = clock.now()
    policy = rulebook.frozen(judgement.policy)
    policy["quorum"] = max(policy["quorum"], people)
    begun = start(policy, judgement.role.pk, now, expires_at=_expires_at(proposal, policy, now), rulebook=rulebook)
    role = rulebook.roles.get(begun.role_id, rulebook.manager)
    if not _write(
        proposal, judgement, policy, routed_at=now, role=role, asked=begun.asked, step=begun.step, due_at=begun.due_at,
        expires_at=begun.expires_at,
    ):
        return False
    search.remember(proposal)
    _write_triage(proposal, judgement, status=Status.WAITING)
    audit.record(
        "proposal.routed", actor=actor, incident_id=proposal.incident_id, proposal_id=proposal.pk, floor=judgement.floor,
        role=judgement.role.name, role_why=judgement.role_why, triggers=judgement.trigger_names, risk=judgement.risk,
        rules=[rule["name"] for rule in judgement.rules], policy=policy["name"], policy_version=policy["version"],
        calendar_failed=policy.get("calendar_failed", ""),
    )
    _tell_of_rungs(proposal, judgement, begun.rungs, rulebook, now)
    if judgement.escalate == "auto":
        outbox.open_notice("critical", proposal=proposal, role=role, step=begun.step)
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
    earned: dict[str, Any] = {} if judgement.grant is None else {"lane": judgement.lane, "grant": judgement.grant}
    moves.settle(
        proposal,
        State.REJECTED if blocked else State.APPROVED,
        moves.Verdictum(
            type=Verdict.REJECT if blocked else Verdict.APPROVE,
            by_kind="policy",
            by_id=rule.name,
            by_name=judgement.title or rule.name,
            reason=judgement.said or rule.why or f"The rule “{rule.name}” {'blocks' if blocked else 'allows'} this.",
            runs=None if blocked else moves.Content.of(proposal),
        ),
        rule=rule.name,
        rule_version=rule.version,
        **earned,
    )
    return True


@dataclass(frozen=True, slots=True)
class Start:
    """Where a proposal begins its life in the queues."""

    role_id: int
    step: int
    asked: list[int]
    due_at: datetime | None
    expires_at: datetime
    rungs: list[Rung]  # the steps that fired at once, because nobody was there


def start(policy: dict[str, Any], role_id: int, now: datetime, *, expires_at: datetime, rulebook: Rulebook) -> Start:
    """Return where something asked of a role under a frozen policy begins. Pure: nothing is read or written."""
    rungs = past_nobody(policy, 0, role_id, now, present=rulebook.present, manager_id=rulebook.manager.pk)
    last = rungs[-1] if rungs else Rung(0, role_id, now, "")
    asked = list(dict.fromkeys([role_id, *(rung.role_id for rung in rungs)]))
    return Start(last.role_id, last.step, asked, next_due(policy, last.step, now, expires_at), expires_at, rungs)


def _tell_of_rungs(proposal: Proposal, judgement: Judgement, rungs: list[Rung], rulebook: Rulebook, now: datetime) -> None:
    """Keep what fired at once. Two INSERTs, none where somebody was there."""
    if not rungs:
        return
    names = [judgement.role.name, *(rulebook.roles.get(rung.role_id, rulebook.manager).name for rung in rungs)]
    StepRun.objects.bulk_create([run_of(proposal, rung, now) for rung in rungs])
    audit.record_many([
        entry_of(proposal, rung, to=to, was=was, now=now) for rung, (was, to) in zip(rungs, pairwise(names), strict=True)
    ])


def _expires_at(proposal: Proposal, policy: dict[str, Any], now: datetime) -> datetime:
    """The policy's expiry in its working time, or the caller's, by any clock, if that is sooner.

    A caller never shortens the way to a yes (law 5).
    """
    expires_at = worktime.add(policy["calendar"], now, policy["expires_after"])
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
