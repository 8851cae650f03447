"""The clock: each step once, never early, all of them after an outage; what runs out is rejected."""

from datetime import timedelta

import pytest
from django.db.models import F

from escalations import clock, lifecycle
from escalations.models import AuditEntry, Decision, Delivery, Incident, Notice, Proposal, Role, StepRun
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def steps(defaults):
    manager = Role.objects.get(name="manager")
    return {**STANDARD, "steps": [{"role": manager.pk, "name": "manager", "after": 4 * 3600}] * 2}


@pytest.fixture
def proposal(steps):
    return ProposalFactory(policy=steps)


def test_a_proposal_is_escalated_at_its_moment_not_before(proposal):
    with clock.frozen_at(proposal.due_at - timedelta(milliseconds=1)):
        assert lifecycle.run_out() == 0
    with clock.frozen_at(proposal.due_at):
        assert lifecycle.run_out() == 1

    moved = Proposal.objects.get()
    assert (moved.step, moved.role.name, moved.version) == (1, "manager", 2)
    assert moved.due_at == proposal.due_at + 4 * HOUR
    assert moved.state == "pending"


def test_a_step_fires_once_however_often_the_clock_looks(proposal):
    with clock.frozen_at(proposal.due_at):
        assert [lifecycle.run_out() for _ in range(3)] == [1, 0, 0]
    assert StepRun.objects.count() == 1


def test_the_role_it_climbed_to_is_told_with_the_change(proposal):
    manager = PersonFactory(roles=["manager"])

    with clock.frozen_at(proposal.due_at):
        lifecycle.run_out()
    assert Notice.objects.get().person == manager


def test_the_first_role_may_go_on_reading(proposal):
    with clock.frozen_at(proposal.due_at):
        lifecycle.run_out()
    first = role("queue manager")
    assert Proposal.objects.get().asked == [first.pk, role("manager").pk]


def test_a_claim_ends_when_it_climbs(proposal):
    person = PersonFactory(roles=["queue manager"])
    lifecycle.claim(proposal.pk, person=person)

    with clock.frozen_at(proposal.due_at):
        lifecycle.run_out()
    assert Proposal.objects.get().claimed_by is None


def test_what_runs_out_is_rejected_by_the_clock(proposal):
    with clock.frozen_at(proposal.expires_at):
        while lifecycle.run_out():
            pass

    decision = Decision.objects.get()
    assert (decision.type, decision.by_kind, decision.args_digest) == ("reject", "clock", None)
    assert Proposal.objects.get().state == "expired"


def test_after_an_outage_everything_overdue_fires_once_in_order(steps):
    proposals = [ProposalFactory(policy=steps) for _ in range(5)]
    back = proposals[-1].due_at + 4 * HOUR + timedelta(minutes=5)

    with clock.frozen_at(back):
        while lifecycle.run_out(limit=3):
            pass
    assert StepRun.objects.count() == 10
    assert set(Proposal.objects.values_list("step", flat=True)) == {2}


def test_parking_keeps_it_pending_and_tells_the_managers(steps):
    PersonFactory(roles=["manager"])
    proposal = ProposalFactory(policy={**steps, "fallback": "park"})
    with clock.frozen_at(proposal.expires_at):
        while lifecycle.run_out():
            pass

    parked = Proposal.objects.get()
    assert parked.state == "pending" and parked.parked_at and parked.due_at is None
    assert Notice.objects.filter(kind="parked").exists()
    assert not Decision.objects.exists()


# -- a fallback that approves


@pytest.fixture
def approving(steps):
    PersonFactory(roles=["manager"])
    return ProposalFactory(policy={**steps, "fallback": "approve"})


def run_through(proposal, *, sent=True, late=timedelta(0), told_after=timedelta(0)):
    for _ in proposal.policy["steps"]:
        with clock.frozen_at(Proposal.objects.get().due_at + late):
            lifecycle.run_out()
    if sent:
        Notice.objects.update(state="sent", finished_at=F("created_at") + told_after)
    with clock.frozen_at(proposal.expires_at):
        lifecycle.run_out()
    return Decision.objects.get()


def test_an_approving_fallback_approves_when_everybody_was_told_in_time(approving):
    decision = run_through(approving)

    assert (decision.type, decision.by_kind) == ("approve", "clock")
    assert decision.args_digest == approving.args_digest
    assert Proposal.objects.get().state == "expired"


def test_it_rejects_when_a_notice_was_never_sent(approving):
    assert run_through(approving, sent=False).type == "reject"


@pytest.mark.parametrize(("told_after", "verdict"), [(timedelta(minutes=3), "approve"), (timedelta(minutes=30), "reject")])
def test_it_rejects_when_people_were_told_long_after_they_were_asked(approving, told_after, verdict):
    """Quiet hours, maintenance and a mail server that is down keep a message back: nobody can have let that time pass knowingly."""
    assert run_through(approving, told_after=told_after).type == verdict


def test_it_rejects_when_a_step_was_asked_late(approving):
    assert run_through(approving, late=timedelta(minutes=10)).type == "reject"


def test_it_rejects_when_a_trigger_fired(approving):
    Proposal.objects.update(triggers=[{"name": "high_stakes", "why": "", "where": ""}])

    assert run_through(approving).type == "reject"


def test_it_rejects_when_the_steps_were_skipped_by_an_outage(approving):
    with clock.frozen_at(approving.expires_at):
        while lifecycle.run_out():
            pass
    assert Decision.objects.get().type == "reject"


# -- claims and warnings


def test_a_claim_lapses_and_says_so(proposal):
    person = PersonFactory(roles=["queue manager"])
    claimed = lifecycle.claim(proposal.pk, person=person)

    assert lifecycle.lapse_claims() == 0
    with clock.frozen_at(claimed.claim_until):
        assert lifecycle.lapse_claims() == 1
    assert Proposal.objects.get().claimed_by is None
    assert AuditEntry.objects.filter(action="proposal.lapsed").count() == 1


def test_a_warning_is_said_once_before_it_runs_out():
    PersonFactory(roles=["queue manager"])
    proposal = ProposalFactory()
    Proposal.objects.update(due_at=proposal.expires_at)

    with clock.frozen_at(proposal.expires_at - timedelta(hours=2)):
        assert lifecycle.warn_expiring() == 0
    with clock.frozen_at(proposal.expires_at - timedelta(minutes=20)):
        assert [lifecycle.warn_expiring() for _ in range(2)] == [1, 0]
    assert Notice.objects.get().kind == "expiring"


def test_many_that_run_out_together_are_each_settled_whole(steps):
    """The batch leaves of each what settling one would leave."""
    proposals = [ProposalFactory(policy=steps) for _ in range(12)]
    parked = ProposalFactory(policy={**steps, "fallback": "park"})
    Proposal.objects.update(step=2, due_at=proposals[0].expires_at, expires_at=proposals[0].expires_at)

    with clock.frozen_at(proposals[0].expires_at):
        assert lifecycle.run_out() == 13

    assert Decision.objects.count() == Delivery.objects.filter(type="proposal.settled").count() == 12
    assert Delivery.objects.filter(type="incident.settled").count() == 12
    assert AuditEntry.objects.filter(action="proposal.decided").count() == 12
    assert AuditEntry.objects.filter(action="incident.settled").count() == 12
    assert Incident.objects.filter(status="settled").count() == 12
    assert set(Decision.objects.values_list("signed_digest", flat=True)) == {one.args_digest for one in proposals}
    parked.refresh_from_db()
    assert (parked.state, parked.due_at) == ("pending", None)


def test_a_hundred_expiries_cost_the_statements_of_a_few(steps, django_assert_max_num_queries):
    expires_at = [ProposalFactory(policy=steps) for _ in range(40)][0].expires_at
    Proposal.objects.update(due_at=expires_at, expires_at=expires_at)

    with clock.frozen_at(expires_at), django_assert_max_num_queries(60):  # 40 of them are the hints to who waits
        assert lifecycle.run_out() == 40
