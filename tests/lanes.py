"""Lanes with evidence in them: rows as routing and following write them, for tests that look at what follows from those."""

from datetime import timedelta

from escalations import clock
from escalations.models import ClassifierVersion, Decision, Estimate, Incident, Lane, Proposal, Trial, Work
from escalations.states import State, TrialMode, Verdict, VersionState
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, role

RUNGS = [0.99, 0.95, 0.9, 0.8, 0.7, 0.5]


def live_version(rungs=None, **facts):
    """Return the live version of the classifier, with thresholds of which some are strict."""
    found = ClassifierVersion.objects.filter(state=VersionState.LIVE).first()
    if found is not None:
        return found
    number = ClassifierVersion.objects.count() + 1
    scores = {"approve": {"n": 200, "accuracy": 0.94, "base": 0.81, "auroc": 0.953, "ece": 0.021}}
    return ClassifierVersion.objects.create(
        number=number, state=VersionState.LIVE, rungs={"": rungs or RUNGS}, rows=900, scores=scores, trained_at=clock.now(),
        promoted_at=clock.now(), next_try_at=None, **facts,
    )


def lane_with(source, subject="refund", *, right=0, wrong=0, score=0.97, wrong_score=None, person=None, **facts):
    """Return a lane of this source in which people approved so many as proposed and rejected so many, all with a score. Nine queries."""
    lane, _ = Lane.objects.get_or_create(source=source, by="action", subject=subject, defaults=facts)
    came = [number >= wrong for number in range(right + wrong)]
    scores = [score if is_right or wrong_score is None else wrong_score for is_right in came]
    _trials(lane, list(zip(came, scores, strict=True)), person=person)
    return lane


def tried(lane, right, *, score=0.97, person=None, mode=TrialMode.WATCHED, **facts):
    """Return one decided proposal's trial in this lane: approved as proposed, or rejected; `right=None` is still open."""
    return _trials(lane, [(right, score)], person=person, mode=mode, **facts)[0]


def _trials(lane, came, *, person=None, mode=TrialMode.WATCHED, **facts):
    """Write trials (right, score), the last a minute ago, as if all of it had happened; return them."""
    if not came:
        return []
    facts = {"eligible": True, "version": live_version(), "novelty": 0.1, **facts}
    asked, who, now = role(), person or PersonFactory(), clock.now()
    times = [now - timedelta(minutes=len(came) - number) for number in range(len(came))]
    incidents = Incident.objects.bulk_create(
        IncidentFactory.build(source=lane.source, title=f"{lane.subject} for somebody", received_at=at) for at in times
    )
    works = Work.objects.bulk_create(Work(incident=one, stage="done") for one in incidents)
    proposals = Proposal.objects.bulk_create(
        ProposalFactory.build(
            incident=one, action=lane.subject, role=asked, routed_at=at, settled_at=None if right is None else at,
            state=State.PENDING if right is None else State.APPROVED if right else State.REJECTED,
        )
        for one, (right, _), at in zip(incidents, came, times, strict=True)
    )
    Decision.objects.bulk_create(
        Decision(
            proposal=one, type=Verdict.APPROVE if right else Verdict.REJECT, by_kind="person", person=who, by_id=who.username,
            by_name=who.name, reason="" if right else "Not this one.", action=one.action, args=one.args, signed_digest=one.args_digest,
            args_digest=one.args_digest if right else None, decided_at=at, valid_until=at + timedelta(days=1),
        )
        for one, (right, _), at in zip(proposals, came, times, strict=True) if right is not None
    )
    Estimate.objects.bulk_create(
        Estimate(work=work, version=facts["version"], approve=score, novelty=facts["novelty"], created_at=at)
        for work, (_, score), at in zip(works, came, times, strict=True)
    )
    return Trial.objects.bulk_create(
        Trial(
            proposal=one, lane=lane, work=work, score=score, mode=mode, right=right, how="" if right is None else "decision",
            labelled_at=None if right is None else at, created_at=at, **facts,
        )
        for one, work, (right, score), at in zip(proposals, works, came, times, strict=True)
    )
