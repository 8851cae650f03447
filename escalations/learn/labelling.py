"""From a decision to a label: was what the machine would have done what a person did?"""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from escalations import audit, clock
from escalations.models import Decision, Proposal, Signature, Trial
from escalations.states import State, TrialMode, Verdict

ONE_ACT = timedelta(seconds=60)  # what one person signs in a group form within so long of another is one act of judgement
LATELY = timedelta(minutes=2)  # what was settled before is found by the sweep


def label(limit: int, *, sweep: bool = False) -> tuple[int, set[int]]:
    """Label up to `limit` trials that were settled lately, of all times with `sweep`; return how many, and the lanes they are in.

    One transaction; trials somebody else is at are left to them. One query when there is nothing, seven otherwise.
    """
    waiting = Trial.objects.filter(labelled_at=None).exclude(mode=TrialMode.ALONE)
    waiting = waiting.filter(proposal__settled_at__isnull=False) if sweep else waiting.filter(
        proposal__settled_at__gt=clock.now() - LATELY
    )
    with transaction.atomic():
        rows = waiting.select_for_update(of=("self",), skip_locked=True).select_related("proposal__incident", "lane__source")
        trials = list(rows.order_by("proposal__settled_at", "pk")[:limit])
        if not trials:
            return 0, set()
        _label(trials)
    return len(trials), {trial.lane_id for trial in trials}


def _label(trials: Sequence[Trial]) -> None:
    ids = [trial.pk for trial in trials]
    decisions = {one.proposal_id: one for one in Decision.objects.filter(proposal__in=ids)}
    signatures: dict[object, list[Signature]] = {}
    for signature in Signature.objects.filter(proposal__in=ids).order_by("pk"):
        signatures.setdefault(signature.proposal_id, []).append(signature)
    superseded = [trial.proposal.incident_id for trial in trials if trial.proposal.state == State.SUPERSEDED]
    edits = Proposal.objects.filter(incident_id__in=superseded, author="person").values_list("incident_id", "revision")
    edited = set(edits) if superseded else set()
    now = clock.now()
    for trial in trials:
        proposal = trial.proposal
        trial.how, trial.labelled_at = "decision", now
        decision = decisions.get(trial.pk)
        if (proposal.incident_id, proposal.revision + 1) in edited:
            trial.right = False  # a person changed it; that somebody else signs the change makes no difference
        elif decision is not None and decision.by_kind == "person":
            trial.right = decision.type == Verdict.APPROVE
            trial.counts = _counts(trial, decision, signatures.get(trial.pk, []))
        else:
            trial.right = None  # the clock, a policy, its source: nobody judged it
    Trial.objects.bulk_update(trials, ["right", "how", "labelled_at", "counts"])
    audit.record_many([
        audit.entry(
            "lane.audited", actor=audit.SYSTEM, incident_id=trial.proposal.incident_id, proposal_id=trial.pk,
            subject=f"Lane {trial.lane_id}", lane=str(trial.lane), grant=trial.grant_id, right=trial.right, counts=trial.counts,
            score=trial.score, share=trial.share, high_risk=trial.high_risk,
        )
        for trial in trials if trial.mode == TrialMode.AUDIT
    ])


def _counts(trial: Trial, decision: Decision, signatures: Sequence[Signature]) -> bool:
    """Return whether this decision may be evidence: a person was there, and of what they approve in one group act it is the first.

    Each no counts, in a group as well: had many wrong ones counted once, what would have gone wrong were less than it is. One query for
    a yes in a group form, none for others.
    """
    own = next((one for one in reversed(signatures) if one.person_id == decision.person_id), None)
    if own is None or not own.interactive:
        return False
    if own.method != "group" or decision.type != Verdict.APPROVE:
        return True
    before = Signature.objects.filter(
        person_id=own.person_id, method="group", pk__lt=own.pk, at__gt=own.at - ONE_ACT, at__lte=own.at,
        proposal__source_id=trial.proposal.source_id,
    ).exclude(proposal=trial.pk)
    return not before.exists()
