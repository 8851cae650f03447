"""Lanes with evidence in them: rows as routing and following write them, for tests that look at what follows from those."""

from datetime import timedelta

from escalations import clock
from escalations.models import ClassifierVersion, Decision, Lane, Trial, Work
from escalations.states import DEFAULT_DECISIONS, Kind, State, TrialMode, Verdict, VersionState
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory

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
    """Return a lane of this source in which people approved so many as proposed and rejected so many, all with a score."""
    lane, _ = Lane.objects.get_or_create(source=source, by="action", subject=subject, defaults=facts)
    person = person or PersonFactory()
    for number in range(right + wrong):
        is_right = number >= wrong
        tried(lane, is_right, score=score if is_right or wrong_score is None else wrong_score, person=person, ago=right + wrong - number)
    return lane


def tried(lane, right, *, score=0.97, person=None, mode=TrialMode.WATCHED, ago=0, **facts):
    """Return one decided proposal's trial in this lane: approved as proposed, or rejected; `right=None` is still open."""
    at = clock.now() - timedelta(minutes=ago)
    incident = IncidentFactory(source=lane.source, title=f"{lane.subject} for somebody")
    work = Work.objects.create(incident=incident, stage="done")
    state = State.PENDING if right is None else State.APPROVED if right else State.REJECTED
    proposal = ProposalFactory(
        incident=incident, action=lane.subject, state=State.PENDING, allowed_decisions=[str(one) for one in DEFAULT_DECISIONS[Kind.ACTION]]
    )
    if right is not None:
        type(proposal).objects.filter(pk=proposal.pk).update(state=state, settled_at=at)
        proposal.refresh_from_db()
        who = person or PersonFactory()
        Decision.objects.create(
            proposal=proposal, type=Verdict.APPROVE if right else Verdict.REJECT, by_kind="person", person=who, by_id=who.username,
            by_name=who.name, reason="" if right else "Not this one.", action=proposal.action, args=proposal.args,
            signed_digest=proposal.args_digest, args_digest=proposal.args_digest if right else None, decided_at=at,
            valid_until=at + timedelta(days=1),
        )
    facts = {"eligible": True, "version": live_version(), "novelty": 0.1, **facts}
    return Trial.objects.create(
        proposal=proposal, lane=lane, work=work, score=score, mode=mode, right=right, how="" if right is None else "decision",
        labelled_at=None if right is None else at, **facts,
    )
