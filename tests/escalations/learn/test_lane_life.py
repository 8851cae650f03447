"""A lane's life: it watches, it earns, it is granted, it lets go, it is audited, it loses the right."""


import pytest

from escalations import clock
from escalations.floors import lanes as floor_lanes
from escalations.learn import evidence, following
from escalations.models import AuditEntry, Decision, Lane, Notice, RoutingRule, Trial
from escalations.states import LaneState, TrialMode
from tests import earning

pytestmark = pytest.mark.django_db


def test_a_lane_that_watches_lets_nothing_go_and_remembers_what_it_would_have_done(source, version):
    proposal = earning.came(source, version, 0.99)
    trial = Trial.objects.get()
    assert proposal.state == "pending"
    assert (trial.proposal_id, trial.mode, trial.eligible, trial.score, trial.version) == (proposal.pk, TrialMode.WATCHED, True, 0.99, version)
    assert (trial.lane.by, trial.lane.subject, trial.lane.state) == ("action", "refund", LaneState.WATCHING)
    assert trial.right is None and trial.labelled_at is None


def test_what_people_decide_becomes_evidence(source, version, rosa, time):
    for type, right in (("approve", True), ("reject", False), ("edit", False), ("respond", False)):
        proposal = earning.came(source, version)
        more = {"edit": {"args": {"order": 1, "amount": 10}}, "respond": {"message": "Which order?"}}.get(type, {})
        earning.decide(proposal, rosa, type, **more)
        earning.second(time)
        trial = Trial.objects.get(pk=proposal.pk)
        assert (trial.right, trial.how, trial.counts) == (right, "decision", True), type
    lane = Lane.objects.get()
    assert [right for _, right, _ in evidence.of(lane, version)] == [True, False, False, False]
    assert lane.summary["labelled"] == 4 and lane.summary["wrong"] == 3


def test_enough_right_ones_certify_a_share_and_a_manager_may_grant_it(source, version, rosa, mona):
    lane = earning.decided(source, version, rosa, [(0.97, True)] * 100)
    view = evidence.seen(lane)
    assert view.certified and view.certified.bound < lane.alpha and view.labelled == 100
    grant = earning.granted(lane, mona)
    assert (lane.state, grant.threshold, grant.version) == (LaneState.GRANTED, view.certified.threshold, version)
    assert grant.terms_digest == view.digest and grant.evidence["selected"] == 100
    assert AuditEntry.objects.get(action="lane.granted").actor == "mona"
    assert Notice.objects.filter(kind="lane_granted", person=mona).exists()
    assert evidence.seen(lane).offer is None


def test_a_granted_lane_lets_go_what_scores_enough_and_says_who_let_it(source, version, rosa, mona, never_drawn):
    grant = earning.earned(source, version, rosa, mona)
    proposal = earning.came(source, version, 0.97)
    decision = Decision.objects.get(proposal=proposal)
    trial = Trial.objects.get(pk=proposal.pk)
    assert proposal.state == "approved" and proposal.floor == "auto"
    assert (decision.by_kind, decision.by_id) == ("policy", "What a lane has earned")
    assert "“refund” of billing" in decision.by_name and f"grant {grant.pk}" in decision.reason
    assert "0.97" not in decision.reason + decision.by_name and str(grant.threshold) not in decision.reason
    assert (trial.mode, trial.grant) == (TrialMode.ALONE, grant)


def test_below_the_threshold_a_person_decides(source, version, rosa, mona, never_drawn):
    grant = earning.earned(source, version, rosa, mona)
    assert grant.threshold > 0.4
    proposal = earning.came(source, version, 0.4)
    assert proposal.state == "pending" and Trial.objects.get(pk=proposal.pk).mode == TrialMode.BELOW


@pytest.mark.parametrize(("score", "novelty"), [(None, 0.1), (0.97, None), (0.97, 0.999), (float("nan"), 0.1)], ids=str)
def test_what_it_does_not_know_or_never_saw_goes_to_a_person(source, version, rosa, mona, never_drawn, score, novelty):
    earning.earned(source, version, rosa, mona)
    assert earning.came(source, version, score, novelty).state == "pending"


def test_an_audit_sample_is_an_item_like_one_below_the_threshold(source, version, rosa, mona, monkeypatch):
    earning.earned(source, version, rosa, mona)
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.0)
    drawn = earning.came(source, version, 0.97)
    below = earning.came(source, version, 0.3)
    assert Trial.objects.get(pk=drawn.pk).mode == TrialMode.AUDIT
    same = ("state", "floor", "rules", "triggers", "risk", "severity", "category", "confidence", "policy", "role_id", "asked", "step")
    assert [getattr(drawn, one) for one in same] == [getattr(below, one) for one in same]
    entries = [
        list(AuditEntry.objects.filter(proposal_id=one.pk).order_by("pk").values_list("action", "actor")) for one in (drawn, below)
    ]
    assert entries[0] == entries[1]


def test_a_failed_audit_too_many_ends_the_grant_within_a_look_and_managers_are_told(source, version, rosa, mona, always_drawn, time):
    grant = earning.earned(source, version, rosa, mona)
    for _ in range(9):
        earning.decide(earning.came(source, version, 0.97), rosa, "reject")
        earning.second(time)
        grant.refresh_from_db()
        if grant.ended_at:
            break
    assert grant.end == "bound" and grant.end_evidence["audits_wrong"] >= 1
    assert Lane.objects.get().state == LaneState.WATCHING
    assert Notice.objects.filter(kind="lane_withdrawn", person=mona).exists()
    entry = AuditEntry.objects.get(action="lane.withdrawn")
    assert entry.actor_kind == "system"
    assert earning.came(source, version, 0.99).state == "pending"


def test_one_high_risk_audit_that_fails_is_enough(source, version, rosa, mona, always_drawn, time):
    grant = earning.earned(source, version, rosa, mona)
    proposal = earning.came(source, version, 0.97)
    Trial.objects.filter(pk=proposal.pk).update(high_risk=True)
    earning.decide(proposal, rosa, "reject")
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "high_risk"


def test_after_the_machine_erred_evidence_begins_anew(source, version, rosa, mona, always_drawn, time):
    grant = earning.earned(source, version, rosa, mona)
    lane = grant.lane
    proposal = earning.came(source, version, 0.97)
    Trial.objects.filter(pk=proposal.pk).update(high_risk=True)
    earning.decide(proposal, rosa, "reject")
    earning.second(time)
    view = evidence.seen(Lane.objects.get(pk=lane.pk))
    assert view.labelled == 0 and view.offer is None and view.certified is None


def test_nothing_goes_when_nobody_looked_for_a_minute(source, version, rosa, mona, never_drawn, time):
    earning.earned(source, version, rosa, mona)
    time(seconds=61)
    proposal = earning.came(source, version, 0.97)
    assert proposal.state == "pending" and Trial.objects.get(pk=proposal.pk).mode == TrialMode.WATCHED
    following.follow()
    assert earning.came(source, version, 0.97).state == "approved"


def test_a_grant_ends_with_its_time_even_before_anybody_looks(source, version, rosa, mona, never_drawn, time):
    grant = earning.earned(source, version, rosa, mona)
    time(days=31)
    Lane.objects.update(checked_at=clock.now())
    assert earning.came(source, version, 0.97).state == "pending"
    following.follow()
    grant.refresh_from_db()
    assert grant.end == "expired" and AuditEntry.objects.get(action="lane.withdrawn").actor_kind == "clock"


def test_without_the_rule_no_lane_lets_anything_go(source, version, rosa, mona, never_drawn):
    earning.earned(source, version, rosa, mona)
    RoutingRule.objects.filter(by="lane").update(state="archived")
    proposal = earning.came(source, version, 0.97)
    assert proposal.state == "pending" and Trial.objects.get(pk=proposal.pk).mode == TrialMode.KEPT
