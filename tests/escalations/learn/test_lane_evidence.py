"""What is evidence, and what is not: who decided, how, of what, and what came of it later."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import OperationalError

from escalations import audit, clock, lifecycle
from escalations.floors import lanes as floor_lanes
from escalations.learn import evidence, following
from escalations.models import AuditEntry, Estimate, Lane, Proposal, Signature, Trial
from escalations.policies import proving
from escalations.states import TrialMode
from escalations.timers.loop import Timers
from tests import earning
from tests.factories import PersonFactory, RuleFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


def found(version):
    lane = Lane.objects.get()
    return [right for _, right, _ in evidence.of(lane, version)]


def test_what_test_keys_post_teaches_nothing(source, version, rosa, time):
    proposal = earning.came(source, version, env="test")
    earning.decide(proposal, rosa)
    earning.second(time)
    assert not Trial.objects.exists() and not Lane.objects.exists()


def test_what_a_token_signed_that_nobody_sat_behind_teaches_nothing(source, version, rosa, time):
    proposal = earning.came(source, version)
    earning.decide(proposal, rosa, method="api", interactive=False)
    earning.second(time)
    trial = Trial.objects.get()
    assert trial.right is True and not trial.counts and found(version) == []


def test_of_one_act_over_a_group_the_first_counts(source, version, rosa, carl, time):
    proposals = [earning.came(source, version) for _ in range(4)]
    for proposal in proposals[:3]:
        earning.decide(proposal, rosa, method="group")
    earning.decide(proposals[3], carl, method="group")
    earning.second(time)
    assert Trial.objects.filter(counts=True).count() == 2 and found(version) == [True, True]
    later = earning.came(source, version)
    time(minutes=5)
    earning.decide(later, rosa, method="group")
    earning.second(time)
    assert Trial.objects.get(pk=later.pk).counts


def test_each_no_of_a_group_counts(source, version, rosa, time):
    """Else who approves one by one and refuses by the dozen would have shown a machine that hardly errs."""
    proposals = [earning.came(source, version) for _ in range(5)]
    for proposal in proposals[:2]:
        earning.decide(proposal, rosa)
    for proposal in proposals[2:]:
        earning.decide(proposal, rosa, "reject", method="group")
    earning.second(time)
    assert sorted(found(version)) == [False, False, False, True, True]


def test_what_nobody_judged_is_unknown(source, version, rosa, time):
    withdrawn, expired, superseded = (earning.came(source, version) for _ in range(3))
    agent = audit.Actor.source(source)
    lifecycle.withdraw(withdrawn.incident_id, actor=agent)
    lifecycle.revise(superseded.incident_id, content={"action": "refund", "args": {"order": 9}}, actor=agent)
    with clock.frozen_at(expired.expires_at + timedelta(seconds=1)):
        Proposal.objects.filter(pk=expired.pk).update(due_at=clock.now())
        Timers().turn()
    expired.refresh_from_db()
    assert expired.state == "expired"
    following.label(10, sweep=True)
    ended = Trial.objects.filter(pk__in=[withdrawn.pk, superseded.pk, expired.pk])
    assert [(one.right, one.labelled_at is not None) for one in ended] == [(None, True)] * 3
    assert found(version) == [] and evidence.seen(Lane.objects.get()).unknown == 3


def test_an_edit_that_somebody_else_has_to_sign_is_a_no_to_what_was_proposed(source, version, rosa, time):
    RuleFactory(condition="proposal.args.amount > 5000", role=role("support"), priority=10_000)
    proposal = earning.came(source, version)
    earning.decide(proposal, rosa, "edit", args={"order": 1, "amount": 6000})
    assert proposal.state == "superseded"
    earning.second(time)
    assert Trial.objects.get(pk=proposal.pk).right is False


@pytest.mark.parametrize("kept", ["rule", "trigger", "past"])
def test_what_something_else_keeps_is_no_evidence(source, version, rosa, time, kept):
    more = {}
    if kept == "rule":
        RuleFactory(floor="review", condition='proposal.action == "refund"')
    elif kept == "trigger":
        more = {"proposal": {"action": "refund", "args": {"order": 1, "amount": 90_000}}}
    else:
        more = {"proposal": {"action": "refund", "args": {"order": 1, "amount": 20}}}
        earning.decide(earning.came(source, version, **more), rosa)
        Trial.objects.all().delete()
    proposal = earning.came(source, version, **more)
    trial = Trial.objects.get(pk=proposal.pk)
    assert (trial.mode, trial.eligible) == (TrialMode.KEPT, False)
    earning.decide(proposal, PersonFactory(roles=["manager"]))
    earning.second(time)
    assert found(version) == []


def test_a_version_that_spoke_only_afterwards_has_no_evidence(source, version, rosa, time):
    proposal = earning.came(source, version)
    time(seconds=5)
    later = earning.classifier("ready")
    Estimate.objects.create(work=Trial.objects.get().work, version=later, approve=0.99, novelty=0.0)
    earning.decide(proposal, rosa)
    earning.second(time)
    assert found(version) == [True] and found(later) == []


def test_a_ready_version_earns_beside_the_live_one(source, version, rosa, time):
    ready = earning.classifier("ready")
    work = earning.post(source)
    earning.estimate(work, version, 0.6)
    earning.estimate(work, ready, 0.9)
    earning.came(source, version)
    proposal = Proposal.objects.get(incident=work.incident_id)
    trial = Trial.objects.get(pk=proposal.pk)
    assert (trial.version, trial.score) == (version, 0.6)
    earning.decide(proposal, rosa)
    earning.second(time)
    assert evidence.of(Lane.objects.get(), ready) == [(0.9, True, 1.0)]


def test_with_no_classifier_a_lane_still_remembers_who_came(source, rosa, time):
    proposal = earning.came(source, None)
    trial = Trial.objects.get(pk=proposal.pk)
    assert (trial.score, trial.version_id, trial.mode) == (None, None, TrialMode.WATCHED)
    earning.decide(proposal, rosa)
    earning.second(time)
    view = evidence.seen(Lane.objects.get())
    assert (view.version, view.decided, view.labelled, view.offer) == (None, 1, 0, None)


@pytest.mark.parametrize("mode", [TrialMode.AUDIT, TrialMode.BELOW])
def test_under_a_grant_each_is_kept_as_rarely_as_the_rarest(source, version, rosa, mona, mode):
    grant = earning.earned(source, version, rosa, mona)
    share = 0.2 if mode == TrialMode.AUDIT else 1.0
    earning.decided(source, version, rosa, [(0.97, True)] * 300, grant=grant, mode=mode, share=share)
    kept = len(evidence.of(grant.lane, version)) - 100
    expected = 300 * grant.audit_share / share
    assert expected / 3 < kept < expected * 2, (kept, expected)
    assert kept == len(evidence.of(grant.lane, version)) - 100, "always the same ones"
    assert {weight for _, _, weight in evidence.of(grant.lane, version)} == {1.0, 1 / grant.audit_share}


def test_audits_nobody_answers_end_the_grant(source, version, rosa, mona, time):
    grant = earning.earned(source, version, rosa, mona)
    earning.decided(source, version, rosa, [(0.97, True)] * 12, grant=grant, mode=TrialMode.AUDIT, share=0.2)
    Trial.objects.filter(grant=grant).update(right=None)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "unchecked"
    assert evidence.seen(grant.lane).offer is not None, "what was believed is believed still: it may be signed again"


def test_traffic_unlike_the_evidence_ends_the_grant(source, version, rosa, mona, time):
    earning.decided(source, version, rosa, [(0.95 + 0.0003 * number, True) for number in range(150)])
    grant = earning.granted(Lane.objects.get(), mona)
    earning.decided(source, version, rosa, [(0.91, True)] * 160, grant=grant, mode=TrialMode.BELOW, ago=timedelta(seconds=-200))
    time(seconds=400)
    following.follow()
    grant.refresh_from_db()
    assert grant.end == "drift" and grant.end_evidence["what"] == "scores"


def test_what_drifted_is_found_again_where_the_grant_could_not_be_ended(source, version, rosa, mona, time, monkeypatch):
    earning.decided(source, version, rosa, [(0.95 + 0.0003 * number, True) for number in range(150)])
    grant = earning.granted(Lane.objects.get(), mona)
    earning.decided(source, version, rosa, [(0.91, True)] * 160, grant=grant, mode=TrialMode.BELOW, ago=timedelta(seconds=-200))
    time(seconds=400)
    memory = following.Memory()
    with monkeypatch.context() as broken, pytest.raises(OperationalError):
        broken.setattr(following.lanes, "withdraw", Mock(side_effect=OperationalError))
        following.follow(memory=memory)
    memory.last.clear()  # ten seconds later
    time(seconds=10)
    following.follow(memory=memory)
    grant.refresh_from_db()
    assert grant.end == "drift"


def test_the_same_traffic_goes_on(source, version, rosa, mona, time):
    earning.decided(source, version, rosa, [(0.9 + 0.0005 * number, True) for number in range(150)])
    grant = earning.granted(Lane.objects.get(), mona)
    outcomes = [(0.9 + 0.0005 * (number * 7919 % 150), True) for number in range(200)]
    earning.decided(source, version, rosa, outcomes, grant=grant, mode=TrialMode.ALONE, share=0.05, ago=timedelta(seconds=-300))
    time(seconds=400)
    following.follow()
    grant.refresh_from_db()
    assert grant.ended_at is None


def test_a_look_that_fails_at_one_lane_looks_at_the_others_and_leaves_it_unmarked(source, version, rosa, mona, time, monkeypatch):
    bad = earning.earned(source, version, rosa, mona)
    good = earning.earned(SourceFactory(), version, rosa, mona)
    watch = evidence.watch

    def fails(grant):
        if grant.pk == bad.pk:
            raise ValueError("broken")
        return watch(grant)

    monkeypatch.setattr(evidence, "watch", fails)
    time(seconds=30)
    following.follow()
    now = clock.now()
    assert Lane.objects.get(pk=good.lane_id).checked_at == now and Lane.objects.get(pk=bad.lane_id).checked_at < now


def test_a_quiet_look_costs_little(source, version, rosa, mona, time, django_assert_max_num_queries):
    earning.earned(source, version, rosa, mona)
    memory = following.Memory()
    following.follow(memory=memory)
    with django_assert_max_num_queries(9):
        following.follow(memory=memory)


def test_an_audit_is_told_of_only_once_it_is_decided(source, version, rosa, mona, time, monkeypatch):
    earning.earned(source, version, rosa, mona)
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.0)
    proposal = earning.came(source, version)
    earning.second(time)
    assert not AuditEntry.objects.filter(action="lane.audited").exists()
    earning.decide(proposal, rosa)
    earning.second(time)
    assert AuditEntry.objects.get(action="lane.audited").proposal_id == proposal.pk


def test_the_share_of_audits_is_what_it_says():
    """The real draw, over many: deterministic for each, and as often as it says."""
    draws = [floor_lanes.drawn("audit", f"{number}/1") for number in range(20_000)]
    assert draws == [floor_lanes.drawn("audit", f"{number}/1") for number in range(20_000)]
    for share in (0.05, 0.2):
        assert abs(sum(one < share for one in draws) / len(draws) - share) < 0.01
    assert draws[:5] != [floor_lanes.drawn("evidence", f"{number}/1") for number in range(5)]


def test_the_draw_hangs_on_our_secret(settings):
    before = [floor_lanes.drawn("audit", str(number)) for number in range(20)]
    settings.SECRET_KEY = "another one that is as long as it has to be"
    assert before != [floor_lanes.drawn("audit", str(number)) for number in range(20)]


def test_a_source_that_makes_up_names_makes_no_lanes_without_end(source, version, monkeypatch):
    monkeypatch.setattr(floor_lanes, "MOST_LANES", 2)
    for number in range(4):
        proposal = earning.came(source, version, proposal={"action": f"act {number}", "args": {"n": number}})
        assert proposal.state == "pending"
    assert Lane.objects.count() == 2 and Trial.objects.count() == 2


def test_signatures_are_the_persons_own(source, version, rosa, time):
    """A signature of somebody else on the same proposal does not make a token's decision count."""
    proposal = earning.came(source, version)
    Signature.objects.create(proposal=proposal, person=PersonFactory(), type="reject", digest=proposal.args_digest, version=9, method="page")
    earning.decide(proposal, rosa, method="api", interactive=False)
    earning.second(time)
    assert not Trial.objects.get().counts


def test_only_who_sees_everything_sees_lanes(source, version, rosa, mona, ada):
    earning.decided(source, version, rosa, [(0.9, True)])
    auditor, nobody = PersonFactory(roles=["auditor"]), PersonFactory(roles=["manager"], is_active=False)
    assert [bool(evidence.listed(one)) for one in (mona, ada, auditor, rosa, nobody)] == [True, True, True, False, False]


def test_terms_are_of_this_lane_and_no_other(source, version, rosa):
    first = earning.decided(source, version, rosa, [(0.97, True)] * 100)
    second = earning.decided(SourceFactory(), version, rosa, [(0.97, True)] * 100)
    assert evidence.seen(first).digest != evidence.seen(second).digest
    assert proving.digest(None) == ""
