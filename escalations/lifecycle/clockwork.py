"""What the clock does: steps, expiries, lapsed claims, warnings. Called by the timers, in batches, safe to run anywhere twice.

Each function takes what is due with SKIP LOCKED and does it in one transaction: a kill leaves nothing half done, two callers never
do the same, and what is early by the database's clock is never touched.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from escalations import audit, clock, outbox, standstill
from escalations.models import ContextItem, Hold, Notice, Proposal, Question, Role, StepRun
from escalations.models.people import MANAGER
from escalations.states import Fallback, Sending, State, Verdict

from . import hold, moves, quorum
from .stepping import milliseconds, step_up

LATE = timedelta(minutes=2)  # a step that fired later than this was not waited out
TOLD_WITHIN = timedelta(minutes=5)  # a step whose message left later than this was not waited out either: a minute's gathering, one retry
WARN_BEFORE = timedelta(minutes=30)
EXPIRED_AT_ONCE = 100  # who wants to decide one of the others must not wait for all
# What a step needs of a proposal: thousands come due together after an outage, and the rest of the row is wide.
STEPPING = ("incident_id", "test", "step", "role_id", "asked", "due_at", "expires_at", "version", "policy")


def overdue_ids(limit: int = 200) -> list[Any]:
    """Return the ids of what is due now, oldest first. One indexed query, no lock."""
    return list(Proposal.objects.overdue(clock.read()).free().order_by("due_at").values_list("pk", flat=True)[:limit])


def run_out(limit: int = 200, only: Any = None) -> int:
    """Fire up to `limit` due steps and EXPIRED_AT_ONCE expiries; return how many, 0 when nothing is due.

    One transaction; `only` takes a single proposal (after a batch failed). What was signed in time and can still be taken back is
    left alone: it settles as signed, or its clock goes on where the hold ends.
    """
    with transaction.atomic():
        now = clock.read()
        due = _not_held(_take(now, limit, only))
        expired = [one for one in due if one.expires_at is not None and one.expires_at <= now][:EXPIRED_AT_ONCE]
        stepping = [one for one in due if one.expires_at is None or one.expires_at > now]
        step_up(stepping, now)
        _expire(_whole(expired), now)
    return len(stepping) + len(expired)


def push_back(proposal_id: Any, *, by: timedelta) -> None:
    """Move a due moment that cannot be dealt with, so that the rest of the line goes on. The auditor names it."""
    with transaction.atomic():
        stuck = Proposal.objects.select_for_update(of=("self",)).filter(pk=proposal_id, state=State.PENDING).first()
        if stuck is None:
            return
        due_at = clock.read() + by
        Proposal.objects.filter(pk=stuck.pk).update(due_at=due_at)
        audit.record(
            "proposal.pushed_back", actor=audit.CLOCK, incident_id=stuck.incident_id, proposal_id=stuck.pk, due_at=due_at,
            was=stuck.due_at,
        )


def lapse_claims(limit: int = 200) -> int:
    """Give back claims whose lease is over; return how many."""
    with transaction.atomic():
        now = clock.read()
        lapsed = list(
            Proposal.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(claim_until__lte=now, state=State.PENDING)
            .select_related("claimed_by")
            .order_by("claim_until")[:limit]
        )
        Proposal.objects.filter(pk__in=[one.pk for one in lapsed]).update(claimed_by=None, claim_until=None)
        audit.record_many([
            audit.entry(
                "proposal.lapsed", actor=audit.CLOCK, incident_id=one.incident_id, proposal_id=one.pk,
                of=one.claimed_by.username if one.claimed_by else None,
            )
            for one in lapsed
        ])
    return len(lapsed)


def warn_expiring(limit: int = 200) -> int:
    """Tell the role and the managers of what will soon run out; return how many. Once each."""
    with transaction.atomic():
        now = clock.read()
        soon = list(
            Proposal.objects.open()
            .free()
            .select_for_update(skip_locked=True, of=("self",))
            .filter(due_at=F("expires_at"), due_at__lte=now + WARN_BEFORE, due_at__gt=now, warned_at=None)
            .select_related("role", "incident__source")
            .order_by("due_at")[:limit]
        )
        Proposal.objects.filter(pk__in=[one.pk for one in soon]).update(warned_at=now)
        outbox.open_notices([outbox.Wanted("expiring", proposal=one, role=one.role, step=one.step) for one in soon])
    return len(soon)


def _take(now: datetime, limit: int, only: Any) -> list[Proposal]:
    due = Proposal.objects.overdue(now).free().select_for_update(skip_locked=True, of=("self",))
    if only is not None:
        due = due.filter(pk=only)
    return list(due.only(*STEPPING).order_by("due_at")[:limit])


def _not_held(locked: Sequence[Proposal]) -> list[Proposal]:
    """Leave out what was signed between the look and the lock. One query, none where no policy knows holds."""
    may_be = [one.pk for one in locked if hold.undo_seconds(one)]
    held = set(Hold.objects.filter(pk__in=may_be).values_list("pk", flat=True)) if may_be else set()
    return [one for one in locked if one.pk not in held]


def _whole(expired: Sequence[Proposal]) -> list[Proposal]:
    """Load the rest of what settling needs. They are locked already."""
    if not expired:
        return []
    ids = [one.pk for one in expired]
    return list(Proposal.objects.filter(pk__in=ids).select_related("incident__source", "source").order_by("due_at"))


def _expire(proposals: Sequence[Proposal], now: datetime) -> None:
    """Their time is up: reject, unless the policy says otherwise in writing (law 6)."""
    settling = []
    for proposal in proposals:
        fallback = proposal.policy.get("fallback", Fallback.REJECT)
        if fallback == Fallback.PARK:
            _park(proposal, now)
            continue
        no = _why_no_yes(proposal) if fallback == Fallback.APPROVE else ""
        yes = no is None
        if yes:
            reason = "Nobody objected in time; the policy approves."
        elif no:
            reason = f"Nobody answered in time, and the policy's approval does not apply: {no}."
        else:
            reason = "Nobody answered in time; the policy rejects."
        name = str(proposal.policy.get("name", "the policy"))
        verdict = moves.Verdictum(
            type=Verdict.APPROVE if yes else Verdict.REJECT, by_kind="clock", by_id=name, by_name=f"the clock ({name})",
            reason=reason, runs=moves.Content.of(proposal) if yes else None,
        )
        late = now - proposal.expires_at if proposal.expires_at else timedelta(0)
        settling.append((proposal, verdict, {"late_ms": milliseconds(late)}))
    if settling:
        moves.settle_all(settling, State.EXPIRED)


def _why_no_yes(proposal: Proposal) -> str | None:
    """Return why an approving fallback does not apply: a trigger fired, or a step was not told and waited out (section 5).

    Nor does it while everything is stopped, where only a person's yes counts (law 12) or those of several are asked for, where the
    caller wished for a no, or where what was waited out is not what stands there now: the agent owes an answer, or has added to it.
    """
    if stopped := standstill.enter():
        return stopped.rstrip(".")
    if (people := quorum.needed(proposal)) > 1:
        return f"the policy asks for the signatures of {people} people"
    if proposal.triggers:
        return f"{', '.join(proposal.trigger_names)} fired"
    if held := next((rule["why"] for rule in proposal.rules if not rule["name"]), ""):
        return held.rstrip(".")
    if proposal.claims.get("fallback") == Fallback.REJECT:
        return "whoever asked wants a no when nobody answers"
    if Question.objects.filter(incident_id=proposal.incident_id, answered_at=None).exists():
        return "the agent has not answered what it was asked"
    if ContextItem.objects.filter(incident_id=proposal.incident_id, received_at__gte=proposal.routed_at).exists():
        return "context was added while it waited"
    steps = proposal.policy.get("steps", [])
    runs = list(StepRun.objects.filter(proposal=proposal, why="clock"))
    if len(runs) < len(steps):
        return "not every step was asked"
    if any(run.fired_at - run.due_at > LATE for run in runs):
        return "a step was asked late"
    told = Notice.objects.filter(proposal=proposal, kind="escalated", state=Sending.SENT, finished_at__isnull=False)
    sent = dict(told.order_by("-finished_at").values_list("step", "finished_at"))  # the earliest of each step comes last, and stays
    if missing := [run.step for run in runs if run.step not in sent]:
        return f"nobody was reached for step {missing[0]}"
    if late := [run.step for run in runs if sent[run.step] - run.fired_at > TOLD_WITHIN]:
        return f"nobody was reached in time for step {late[0]}"
    return None


def _park(proposal: Proposal, now: datetime) -> None:
    """Leave it pending with the managers, without a clock, and tell them."""
    manager = Role.objects.get(name=MANAGER)
    asked = proposal.asked if manager.pk in proposal.asked else [*proposal.asked, manager.pk]
    Proposal.objects.filter(pk=proposal.pk).update(
        parked_at=now, due_at=None, expires_at=None, role=manager, asked=asked, claimed_by=None, claim_until=None,
        version=F("version") + 1,
    )
    audit.record(
        "proposal.parked", actor=audit.CLOCK, incident_id=proposal.incident_id, proposal_id=proposal.pk, to=manager.name
    )
    outbox.open_notice("parked", proposal=proposal, role=manager, step=proposal.step)
