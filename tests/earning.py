"""A lane on its way: posts that are really classified and routed with a score of ours, decisions by people, and evidence in bulk."""

from datetime import timedelta
from itertools import count
from typing import Any

from escalations import canonical, clock, ingest, lifecycle, route
from escalations.learn import evidence, following
from escalations.models import (
    Classification,
    ClassifierVersion,
    Decision,
    Estimate,
    Incident,
    Lane,
    LaneGrant,
    Person,
    Proposal,
    Signature,
    Source,
    Trial,
    Work,
)
from escalations.policies import lanes, proving
from escalations.states import STATE_OF, Status, TrialMode, Verdict
from tests.factories import STANDARD

ALPHA = 0.1  # what may be wrong in these lanes: so much is shown by a hundred decisions
RUNGS = [0.99, 0.95, 0.9, 0.8, 0.7, 0.5]
_numbers = count(1)


def classifier(state: str = "live", rungs: Any = None) -> ClassifierVersion:
    """Return a version of the classifier that has spoken of nothing yet."""
    last = ClassifierVersion.objects.order_by("-number").first()
    return ClassifierVersion.objects.create(
        number=last.number + 1 if last else 1, state=state, rungs={"": RUNGS} if rungs is None else rungs, next_try_at=None,
        trained_at=clock.now(), promoted_at=clock.now() if state == "live" else None,
    )


def post(source: Source, *, env: str = "live", kind: str = "action", said: Any = ("info", "refund", 0.95), **more: Any) -> Work:
    """Post an incident and let the rules have spoken; it waits to be routed. Each is another request."""
    number = next(_numbers)
    data: dict[str, Any] = {"kind": kind, "title": f"Refund for order {number}"}
    if kind == "action":
        data["proposal"] = {"action": "refund", "args": {"order": number, "amount": 20}}
    incident, _ = ingest.receive(source=source, key_env=env, data={**data, **more}, key=None, body_digest=f"{number:064d}")
    work = Work.objects.get(incident=incident)
    severity, category, confidence = said
    Classification.objects.create(
        incident=incident, work=work, engine="rules", severity=severity, category=category, confidence=confidence, sure=True,
    )
    Work.objects.filter(pk=work.pk).update(stage="route")
    return work


def estimate(work: Work, version: ClassifierVersion, score: float | None, novelty: float | None = 0.1) -> None:
    Estimate.objects.create(work=work, version=version, approve=score, novelty=novelty)


def came(source: Source, version: ClassifierVersion | None, score: float | None = 0.97, novelty: float | None = 0.1, **more: Any) -> Proposal:
    """Post one, let the version have said its score, and route it. Returns the proposal as routing left it."""
    work = post(source, **more)
    if version is not None:
        estimate(work, version, score, novelty)
    while route.run_batch():
        pass
    return Proposal.objects.filter(incident=work.incident_id).order_by("-revision").get()


def decide(proposal: Proposal, person: Person, type: str = "approve", **more: Any) -> Proposal:
    """Sign it as it stands, by a person who is there."""
    more.setdefault("reason", "no" if type == "reject" else "because")
    lifecycle.decide(proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version, **more)
    proposal.refresh_from_db()
    return proposal


def decided(
    source: Source, version: ClassifierVersion, person: Person, outcomes: Any, *, subject: str = "refund", by: str = "action",
    grant: LaneGrant | None = None, mode: str = TrialMode.WATCHED, share: float = 1.0, ago: timedelta = timedelta(0), risky: bool = False,
) -> Lane:
    """Write many decided trials of one lane at once, as routing, deciding and labelling would have: (score, right) each."""
    outcomes = list(outcomes)
    lane, _ = Lane.objects.get_or_create(source=source, by=by, subject=subject, defaults={"alpha": ALPHA})
    now = clock.now() - ago
    incidents, works, proposals, decisions, signatures, estimates, trials = [], [], [], [], [], [], []
    for number, (score, right) in enumerate(outcomes):
        at = now - timedelta(seconds=len(outcomes) - number)
        one = next(_numbers)
        incident = Incident(
            source=source, body_digest=f"{one:064d}", kind="action", title=f"Refund {one}", status=Status.SETTLED, settled_at=at, received_at=at,
        )
        args = {"order": one, "amount": 20}
        text = canonical.content_text(subject, args, None)
        alone = mode == TrialMode.ALONE
        verdict = Verdict.APPROVE if right or alone else Verdict.REJECT
        proposal = Proposal(
            incident=incident, source=source, kind="action", title=incident.title, action=subject, args=args, content=text,
            args_digest=canonical.digest_of(text), policy=dict(STANDARD), routed_at=at, settled_at=at, state=STATE_OF[verdict],
            floor="auto" if alone else "review", created_at=at,
        )
        work = Work(incident=incident, proposal=proposal, stage="done")
        incidents.append(incident)
        proposals.append(proposal)
        works.append(work)
        decisions.append(Decision(
            proposal=proposal, type=verdict, by_kind="policy" if alone else "person", person=None if alone else person,
            by_id="lane" if alone else person.username, by_name="lane" if alone else person.name, signed_digest=proposal.args_digest,
            args_digest=proposal.args_digest if verdict == Verdict.APPROVE else None, decided_at=at, valid_until=at + timedelta(days=1),
        ))
        if not alone:
            signatures.append(Signature(
                proposal=proposal, person=person, type=verdict, digest=proposal.args_digest, version=1, method="page", at=at,
            ))
        estimates.append(Estimate(work=work, version=version, approve=score, novelty=0.1, created_at=at))
        trials.append(Trial(
            proposal=proposal, lane=lane, work=work, version=version, grant=grant, score=score, novelty=0.1, eligible=True, mode=mode,
            share=share, high_risk=risky, created_at=at, right=None if alone and right else right, how="harm" if alone and not right else
            "" if alone else "decision", labelled_at=None if alone and right else at,
        ))
    Incident.objects.bulk_create(incidents)
    Proposal.objects.bulk_create(proposals)
    for model, rows in ((Work, works), (Decision, decisions), (Signature, signatures), (Estimate, estimates), (Trial, trials)):
        model.objects.bulk_create(rows)
    return lane


def granted(lane: Lane, manager: Person, *, days: int = 30, threshold: float | None = None) -> LaneGrant:
    """Grant a lane as the page does: on what it shows."""
    view = evidence.seen(lane)
    assert view.offer is not None, "nothing is certified"
    grant = lanes.grant(
        lane.pk, person=manager, alpha=lane.alpha, delta=lane.delta, threshold=threshold or view.offer["threshold"], days=days,
        reason="It has shown what it can do.", digest=view.digest, until=view.until,
    )
    lane.refresh_from_db()
    return grant


def earned(source: Source, version: ClassifierVersion, person: Person, manager: Person, *, of: int = 100, wrong: int = 0) -> LaneGrant:
    """Return a lane's grant on so many decisions, all of a high score."""
    return granted(decided(source, version, person, [(0.97, number >= wrong) for number in range(of)]), manager)


def second(time: Any) -> None:
    """Let a second go by and the timers look."""
    time(seconds=2)
    following.follow()


__all__ = [
    "RUNGS", "came", "classifier", "decide", "decided", "earned", "estimate", "granted", "post", "proving", "second",
]
