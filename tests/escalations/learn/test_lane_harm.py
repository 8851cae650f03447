"""Harm that shows later: what a person approved, or a lane let go, turns out wrong. It counts against a lane, never for it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from escalations import audit, clock, lifecycle
from escalations.floors import lanes as floor_lanes
from escalations.learn import evidence, harm
from escalations.models import AuditEntry, Lane, OutcomeReport, Proposal, Trial
from escalations.states import TrialMode
from tests import earning
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


def found(version):
    return [right for _, right, _ in evidence.of(Lane.objects.get(), version)]


@pytest.fixture
def alone(source, version, rosa, mona, monkeypatch):
    earning.earned(source, version, rosa, mona)
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
    proposal = earning.came(source, version, external_id="order-7", session="run-7", customer={"id": "c-7", "tier": "", "flags": []})
    assert proposal.state == "approved"
    return proposal


def test_an_ack_that_reports_failure_is_harm(alone, source, time):
    lifecycle.acknowledge(
        alone.incident_id, result="failed", args_digest=alone.args_digest, actor=audit.Actor.source(source), detail="card refused",
    )
    earning.second(time)
    trial = Trial.objects.get(pk=alone.pk)
    assert (trial.right, trial.how) == (False, "harm")
    entry = AuditEntry.objects.get(action="lane.harmed")
    assert "card refused" not in entry.body and evidence.seen(trial.lane).harm == [trial]
    earning.second(time)
    assert AuditEntry.objects.filter(action="lane.harmed").count() == 1


def test_an_ack_that_all_went_well_counts_for_nothing(alone, source, time):
    lifecycle.acknowledge(alone.incident_id, result="done", args_digest=alone.args_digest, actor=audit.Actor.source(source))
    earning.second(time)
    assert Trial.objects.get(pk=alone.pk).right is None


def test_what_was_failed_while_nobody_looked_is_found_by_the_sweep(alone, source):
    lifecycle.acknowledge(alone.incident_id, result="failed", args_digest=alone.args_digest, actor=audit.Actor.source(source))
    assert harm.look(clock.now() + timedelta(hours=1)) == set()
    assert harm.sweep() == {Lane.objects.get().pk} and harm.sweep() == set()


@pytest.mark.parametrize(("outcome", "how", "right"), [
    ("wrong", "feedback", False), ("wrong", "correction", False), ("resolved", "complaint", False), ("resolved", "correction", False),
    ("right", "feedback", None), ("resolved", "feedback", None),
], ids=str)
@pytest.mark.parametrize("by", ["source", "person"])
def test_what_is_reported_counts_only_against(alone, time, outcome, how, right, by):
    OutcomeReport.objects.create(incident=alone.incident, outcome=outcome, how=how, by_kind=by, by_id="x", interactive=by == "person")
    earning.second(time)
    assert Trial.objects.get(pk=alone.pk).right is right


@pytest.mark.parametrize("same", [
    {"external_id": "order-7"}, {"session": "run-7"}, {"customer": {"id": "c-7", "tier": "", "flags": []}},
], ids=str)
def test_a_complaint_in_the_same_matter_is_harm(alone, source, time, same):
    time(days=3)
    Lane.objects.update(checked_at=clock.now())
    complaint = earning.came(
        source, None, kind="handoff", context={"request": "Your bot was wrong, I want to complain about the refund."}, **same,
    )
    if "user_complaint" not in complaint.trigger_names:
        Proposal.objects.filter(pk=complaint.pk).update(triggers=[{"name": "user_complaint", "why": "", "where": ""}])
    earning.second(time)
    assert Trial.objects.get(pk=alone.pk).how == "harm"


def test_a_complaint_of_whoever_all_items_are_for_is_read_in_parts(alone, source, version):
    """A source may name one customer for all it asks, and each item may be large."""
    nobody = {"id": "anonymous", "tier": "", "flags": []}
    more = [earning.came(source, version, customer=nobody, payload={"log": "x" * 9_000}) for _ in range(3)]
    assert {one.state for one in more} == {"approved"}
    complaint = earning.came(source, None, kind="handoff", customer=nobody)
    Proposal.objects.filter(pk=complaint.pk).update(triggers=[{"name": "user_complaint", "why": "", "where": ""}])
    marked = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as said:
            harm.look(clock.now() - timedelta(minutes=1), limit=2)
        assert not any('"payload"' in one["sql"] for one in said.captured_queries if '"escalations_trial"' in one["sql"])
        marked.append(list(Trial.objects.filter(how="harm").order_by("created_at").values_list("pk", flat=True)))
    assert marked == [[one.pk for one in more[1:]], [one.pk for one in more], [one.pk for one in more]]


def test_a_complaint_about_something_else_or_by_another_source_is_none(alone, source, time):
    for one, more in ((source, {"external_id": "order-8"}), (SourceFactory(), {"external_id": "order-7"}), (source, {})):
        complaint = earning.came(one, None, kind="handoff", **more)
        Proposal.objects.filter(pk=complaint.pk).update(triggers=[{"name": "user_complaint", "why": "", "where": ""}])
    earning.second(time)
    assert Trial.objects.get(pk=alone.pk).right is None


def test_a_complaint_a_month_later_is_about_something_else(alone, source, time):
    time(days=31)
    complaint = earning.came(source, None, kind="handoff", external_id="order-7")
    Proposal.objects.filter(pk=complaint.pk).update(triggers=[{"name": "user_complaint", "why": "", "where": ""}])
    earning.second(time)
    assert Trial.objects.get(pk=alone.pk).right is None


def test_harm_to_what_a_person_had_approved_takes_back_the_evidence(source, version, rosa, time):
    proposal = earning.came(source, version)
    earning.decide(proposal, rosa)
    earning.second(time)
    assert found(version) == [True]
    lifecycle.acknowledge(proposal.incident_id, result="failed", args_digest=proposal.args_digest, actor=audit.Actor.source(source))
    earning.second(time)
    assert found(version) == [False]


def test_what_went_alone_is_read_as_runs_between_those_that_were_wrong(source, version, rosa, mona):
    """Hundreds of thousands may have gone: each second in which something is decided they are weighed again."""
    grant = earning.earned(source, version, rosa, mona)
    last = 0
    for share, risky, outcomes in ((0.2, False, "rrrwr"), (0.1, True, "rrw"), (0.1, False, "wrrrr"), (0.05, False, "rr")):
        last += 100
        said = [(0.97, one == "r") for one in outcomes]
        earning.decided(source, version, rosa, said, grant=grant, mode=TrialMode.ALONE, share=share, risky=risky, ago=-timedelta(seconds=last))
    right = [(many, share) for many, share, wrong, _ in evidence.went_alone(grant) if not wrong]
    assert evidence.went_alone(grant) == [
        (3, 0.2, False, False), (1, 0.2, True, False), (2, 0.1, False, False), (1, 0.2, False, False), (1, 0.1, True, True),
        (1, 0.1, True, False), (2, 0.05, False, False), (4, 0.1, False, False),
    ]
    watched = evidence.watch(grant)
    assert sum(many for many, _ in right) == 12 and (watched.harms, watched.estimate().alone) == (3, 15)


def test_harm_beyond_what_is_allowed_ends_the_grant(source, version, rosa, mona, time):
    grant = earning.earned(source, version, rosa, mona)
    earning.decided(source, version, rosa, [(0.97, number % 3 > 0) for number in range(40)], grant=grant, mode=TrialMode.ALONE, share=0.2)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "bound" and grant.end_evidence["harms"] >= 3


@pytest.mark.parametrize("how", [{"method": "group"}, {"method": "api", "interactive": False}], ids=["in a group", "by a token"])
def test_harm_counts_where_the_yes_did_not(source, version, rosa, time, how):
    first, later = (earning.came(source, version) for _ in range(2))
    for proposal in (first, later):
        earning.decide(proposal, rosa, **how)
    earning.second(time)
    before = found(version)
    lifecycle.acknowledge(later.incident_id, result="failed", args_digest=later.args_digest, actor=audit.Actor.source(source))
    earning.second(time)
    assert found(version) == [*before, False]
