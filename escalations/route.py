"""Route what was classified: into a role's queue, or to a decision by policy. What cannot be judged goes to a person (law 6)."""

import logging
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from escalations import clock, lifecycle, queue, standstill
from escalations.floors import lanes, pattern, shadow
from escalations.floors.facts import context_texts
from escalations.floors.judge import Judgement, Known, judge, tightened
from escalations.floors.pattern import pattern_of
from escalations.floors.risk import risk_of
from escalations.floors.rulebook import Rulebook
from escalations.floors.triggers import effective_settings
from escalations.models import (
    Acknowledgement,
    Classification,
    ClassifierVersion,
    Estimate,
    Incident,
    Proposal,
    RoutingRule,
    SessionAlarm,
    ShadowVerdict,
    Trial,
    Work,
)
from escalations.states import Floor, Kind, Risk, Severity, Stage, State, Status, TrialMode, VersionState, worst

logger = logging.getLogger(__name__)

ASKED_WITHIN = timedelta(days=7)  # law 12
MATCHED_WITHIN = timedelta(hours=1)  # how exactly a rule says when it last matched
BATCH = 50
ALARMS = {"went_on": "agent_failed", "silent": "agent_failed"}  # the triggers of alarms; of all others loop_detected


@dataclass(frozen=True, slots=True)
class Routed:
    """What was routed, with what was said of it."""

    incident: Incident
    proposal: Proposal
    words: list[Classification]


def run_batch(limit: int = BATCH) -> int:
    """Route a batch of classified incidents; return how many were taken. One transaction each, about fifteen queries."""
    taken = queue.claim(Stage.ROUTE, limit)
    if not taken:
        return 0
    rulebook, granted = Rulebook.load(), lanes.Lanes.load()
    routed: list[Routed] = []
    for work in taken:
        try:
            if one := route_one(work, rulebook, granted):
                routed.append(one)
        except Exception as error:
            logger.exception("routing failed", extra={"incident": str(work.incident_id)})
            queue.retry(work, 5.0 * work.attempts, f"{type(error).__name__}: {error}"[:300])
    _remember(rulebook, routed)
    return len(taken)


def route_one(work: Work, rulebook: Rulebook, granted: lanes.Lanes | None = None) -> "Routed | None":
    """Route one incident, or do nothing and return None when somebody else finished it meanwhile. `granted`: lanes as read for a batch."""
    granted = lanes.Lanes.load() if granted is None else granted
    with transaction.atomic():
        pending = (
            Proposal.objects.select_for_update(of=("self",))
            .filter(pk=work.proposal_id, state=State.PENDING, routed_at=None).first()
            if work.proposal_id else None
        )
        incident = (
            Incident.objects.select_for_update(of=("self",)).select_related("source__owner")
            .prefetch_related("added_context").get(pk=work.incident_id)
        )
        # A copy: how often it was claimed is still to be judged by, and what fails below is given back as it was claimed.
        if not queue.finish(copy(work), Stage.DONE):
            return None  # the lease lapsed and another worker has it
        if incident.status == Status.SETTLED or (work.proposal_id and pending is None):
            return None  # withdrawn, revised or routed meanwhile
        words = list(Classification.objects.filter(work=work))
        proposal = pending or acknowledgement_of(incident, words)
        proposal.incident = incident
        judgement, trial = _judged(work, rulebook, incident, proposal, words, granted)
        if pending is None:
            proposal = acknowledgement_of(incident, words, judgement)
            proposal.incident = incident
            proposal.save(force_insert=True)
            proposal.refresh_from_db(fields=["version"])
        if judgement.settles is not None and judgement.floor != Floor.REVIEW:
            lifecycle.settle_by_policy(proposal, judgement, rulebook)
        else:
            lifecycle.place(proposal, judgement, rulebook)
        if trial is not None:
            trial.proposal = proposal
            trial.save(force_insert=True)
    return Routed(incident, proposal, words)


def _remember(rulebook: Rulebook, routed: list[Routed]) -> None:
    """Write what rules in shadow would have done, and when rules last matched. At most two queries a batch, none as a rule.

    After the routing and apart from it, so that nothing of this can hold it up or take it along: a worker that dies in between
    leaves a batch without verdicts, which are evidence and not the record.
    """
    try:
        verdicts = [verdict for one in routed for verdict in shadow.verdicts(rulebook, one.incident, one.proposal, one.words)]
        if verdicts:
            ShadowVerdict.objects.bulk_create(verdicts, ignore_conflicts=True)
        stale = clock.now() - MATCHED_WITHIN
        names = {entry["name"] for one in routed for entry in one.proposal.rules if not entry.get("error")}
        seen = {live.rule.pk for live in rulebook.rules if live.rule.name in names} | {one.rule_id for one in verdicts if not one.error}
        old = {live.rule.pk for live in (*rulebook.rules, *rulebook.shadow) if (live.rule.matched_at or stale) <= stale}
        if due := seen & old:
            with transaction.atomic():  # a rule that is just being edited is left for the next batch: nobody waits for anybody
                free = RoutingRule.objects.select_for_update(skip_locked=True).filter(pk__in=due).values_list("pk", flat=True)
                RoutingRule.objects.filter(pk__in=list(free)).update(matched_at=clock.now())
    except Exception:
        logger.exception("what rules in shadow said of a batch was not written")


def acknowledgement_of(incident: Incident, words: list[Classification], judgement: Judgement | None = None) -> Proposal:
    """Return the unsaved proposal of an incident that came without one: acknowledge, with the classification to confirm."""
    severity = judgement.severity if judgement else worst(incident.claimed_severity, *(word.severity for word in words))
    category = judgement.category if judgement else "other"
    return lifecycle.new_proposal(
        incident, {"action": "acknowledge", "args": {"severity": str(severity), "category": category}}, author="system"
    )


def _judged(
    work: Work, rulebook: Rulebook, incident: Incident, proposal: Proposal, words: list[Classification], granted: lanes.Lanes
) -> tuple[Judgement, Trial | None]:
    """Return the judgement that holds, and what is to be remembered of it for its lane; nothing of a lane where judging broke."""
    if work.attempts > queue.MAX_ATTEMPTS:
        return without_judgement(rulebook, incident, words, f"could not be routed: {work.error or 'its worker never finished'}"), None
    try:
        with transaction.atomic():  # a savepoint: a query that fails inside must not take the routing with it
            key = lanes.lane_of(incident, proposal, words)
            grant = granted.open.get((incident.source_id, *key)) if key else None
            known = known_of(incident, proposal)
            known["granted"] = grant is not None
            judgement = judge(rulebook, incident, proposal, words, **known)
            return _tried(work, rulebook, incident, proposal, judgement, granted, key) if key else (judgement, None)
    except Exception as error:
        logger.exception("judging failed", extra={"incident": str(incident.pk)})
        why = f"could not be judged: {type(error).__name__}"
        return without_judgement(rulebook, incident, words, why), None


def _tried(
    work: Work, rulebook: Rulebook, incident: Incident, proposal: Proposal, judgement: Judgement, granted: lanes.Lanes,
    key: tuple[str, str],
) -> tuple[Judgement, Trial | None]:
    """Return the judgement after its lane was asked, and the unsaved trial. Two queries, two more where a grant stands.

    What another rule lets go, or blocks, is no matter of the lane. Whoever only sees what a person is asked cannot tell why the lane
    left it: it scored too little, it was drawn, nobody looks after the lane; the judgement is the same to the letter.
    """
    if judgement.settles is not None or (lane := granted.id_of((incident.source_id, *key))) is None:
        return judgement, None
    estimates = {one.version_id: one for one in Estimate.objects.filter(work=work)}
    risky = judgement.risk in (Risk.HIGH, Risk.CRITICAL)
    trial = Trial(lane_id=lane, work=work, eligible=judgement.by_lane is not None, high_risk=risky, created_at=clock.now())
    grant = granted.open.get((incident.source_id, *key))
    estimate = estimates.get(grant.version if grant else _speaking(estimates))
    if estimate is not None:
        trial.version_id, trial.score, trial.novelty = estimate.version_id, estimate.approve, estimate.novelty
    trial.mode = TrialMode.WATCHED if trial.eligible else TrialMode.KEPT
    if grant is None or judgement.by_lane is None:
        return judgement, trial
    # Asked of those below the threshold too: while nothing goes alone all are evidence alike, or good ones would outweigh their share.
    if not lanes.enter(grant, clock.now()) or standstill.enter():
        return judgement, trial  # nothing goes alone at this moment, so a person sees every one: watched
    if trial.score is None or not grant.threshold <= trial.score <= 1 or _strange(rulebook, trial.novelty):  # NaN is no score
        trial.mode, trial.grant_id = TrialMode.BELOW, grant.grant
        return judgement, trial
    trial.grant_id, trial.share = grant.grant, granted.share(grant)
    if lanes.draw("audit", incident, proposal.revision) < trial.share:
        trial.mode = TrialMode.AUDIT
        return judgement, trial
    trial.mode = TrialMode.ALONE
    return replace(judgement.by_lane, title=grant.title, said=grant.why, lane=lane, grant=grant.grant), trial


def _speaking(estimates: dict[int, Estimate]) -> int:
    """Return the version a watched trial shows: the live one, else the newest. One query where there are several; 0 for none."""
    if len(estimates) < 2:
        return next(iter(estimates), 0)
    live = ClassifierVersion.objects.filter(pk__in=estimates, state=VersionState.LIVE).values_list("pk", flat=True).first()
    return live or max(estimates)


def _strange(rulebook: Rulebook, novelty: float | None) -> bool:
    """Return whether something is so unlike the past, or of nobody knows which likeness, that no lane lets it go."""
    limit = effective_settings("unfamiliar", rulebook.settings().get("unfamiliar", {}))["above"]
    return novelty is None or not novelty <= float(limit)


def known_of(incident: Incident, proposal: Proposal, stored: bool = True) -> Known:
    """Return what is known of a proposal before it is judged. Of one that is not `stored` less can be. About three queries."""
    before = alarmed(incident) if stored else []
    before += failed_before(incident) if stored and proposal.revision > 1 else []
    return Known(
        held=held_by_the_past(incident, proposal) or (before[0]["why"] if before else ""),
        fired_before=before,
        texts=[pair for item in incident.added_context.all() for pair in context_texts(item.context)] if stored else [],
    )


def without_judgement(rulebook: Rulebook, incident: Incident, words: list[Classification], why: str) -> Judgement:
    """Return what holds when judging itself broke: review, by the queue manager, with the reason as a trigger."""
    trigger = {"name": "classifier_failed", "why": why, "where": "judgement"}
    severity = worst(incident.claimed_severity, Severity.WARNING, *(word.severity for word in words))
    bare = Judgement(
        floor=Floor.REVIEW, settles=None, role=rulebook.queue_manager, role_why="trigger", policy=rulebook.default_policy,
        severity=severity, category="other", confidence=None, triggers=[], rules=[], escalate="human", pattern=pattern_of(incident.kind),
        risk=risk_of(triggers=(), floor=Floor.REVIEW, category="other", severity=severity),
    )
    return tightened(bare, rulebook, [trigger])


def failed_before(incident: Incident) -> list[dict[str, Any]]:
    """Return agent_failed where the agent reported that an outcome of this line failed: whoever writes the next revision, it stays."""
    failed = Acknowledgement.objects.filter(decision__proposal__incident=incident, result="failed").order_by("-at").first()
    if failed is None:
        return []
    why = f"The agent reports that it failed: {failed.detail}" if failed.detail else "The agent reports that it failed."
    return [{"name": "agent_failed", "why": why[:400], "where": "acknowledgement"}]


def alarmed(incident: Incident) -> list[dict[str, Any]]:
    """Return the trigger of an incident that was opened because of what a run under watch did. One query for a hand-off inside a run."""
    if incident.kind != Kind.HANDOFF or not incident.session:
        return []
    alarm = SessionAlarm.objects.filter(incident=incident).first()
    if alarm is None:
        return []  # a hand-off of the agent's own
    return [{"name": ALARMS.get(alarm.name, "loop_detected"), "why": alarm.why[:400], "where": pattern.WATCHED}]


def held_by_the_past(incident: Incident, proposal: Proposal) -> str:
    """Return why a person must look whatever the rules say (law 12), or "". Two indexed queries at most.

    A person (or a block) once stood before this line of revisions, or before the same action and args of this source: is asked
    still, or was asked, or answered, within seven days. What Countersign itself proposes (acknowledge) runs nothing and is the same
    for unlike incidents: only its own line holds it.
    """
    asked = Proposal.objects.filter(routed_at__isnull=False).exclude(floor=Floor.AUTO)
    if proposal.revision > 1 and asked.filter(incident=incident).exists():
        return "A person was asked about this line before."
    if proposal.is_acknowledgement:
        return ""
    since = clock.now() - ASKED_WITHIN
    lately = Q(routed_at__gt=since) | Q(settled_at=None) | Q(settled_at__gt=since)
    same: dict[str, Any] = {"source_id": incident.source_id, "args_digest": proposal.args_digest}
    if asked.filter(lately, **same).exclude(incident=incident).exists():
        return "A person was asked the same thing within seven days."
    return ""


