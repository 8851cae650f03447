"""kill -9 while the switch is thrown or released, and between two people's yes: all of it or nothing, and the next try goes through."""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle, queue, route, standstill
from escalations.models import (
    AuditEntry,
    Classification,
    Decision,
    Delivery,
    Proposal,
    RoutingRule,
    Signature,
    Stop,
    Work,
)
from escalations.policies import stop as switch
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, role
from tests.faults.test_killed_at_any_line import killed_at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
TWO = {**STANDARD, "quorum": 2}
POINTS = [("escalations.audit.record", False), ("at_commit", False), ("after_commit", True)]


def entries(action):
    return AuditEntry.objects.filter(action=action).count()


def decide(proposal, person, **more):
    return lifecycle.decide(
        proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version, **more
    )


@pytest.mark.parametrize(("point", "stored"), [*POINTS, ("escalations.standstill.close", False)])
def test_throwing_the_switch(point, stored):
    person = PersonFactory(roles=["manager"])

    def throw():
        return switch.stop_everything(person=person, reason="x")

    assert killed_at(point, throw)
    assert (Stop.objects.count(), entries("everything.stopped"), standstill.is_stopped()) == (int(stored), int(stored), stored)
    if not stored:
        throw()  # and nobody holds the lock any more
    assert standstill.is_stopped()


@pytest.mark.parametrize(("point", "stored"), [*POINTS, ("escalations.queue.wake", False)])
def test_releasing(point, stored):
    mona, ada, rosa = PersonFactory(roles=["manager"]), PersonFactory(is_staff=True), PersonFactory(roles=["finance"])
    stop = switch.stop_everything(person=mona, reason="x")
    proposal = ProposalFactory(role=role("finance"))
    decide(proposal, rosa)
    asked = switch.ask_release(stop.pk, person=mona, why="x").release_asked_at

    def release():
        return switch.confirm_release(stop.pk, person=ada, asked_at=asked)

    assert killed_at(point, release)
    outcome = Delivery.objects.get(type="proposal.settled")
    assert standstill.is_stopped() is not stored and entries("everything.released") == int(stored)
    assert outcome.state == ("nothing_to_send" if stored else "waiting")
    if not stored:
        assert standstill.held_back([proposal.pk])
        release()
    assert not standstill.held_back([proposal.pk]) and not Delivery.objects.filter(state="waiting").exists()


@pytest.mark.parametrize(
    ("point", "stored"),
    [("escalations.lifecycle.place", False), ("escalations.standstill.enter", False), ("at_commit", False), ("after_commit", True)],
)
def test_routing_what_would_have_gone_alone(point, stored):
    RoutingRule.objects.update(state="archived")
    RuleFactory(floor="auto", condition='proposal.action == "refund"')
    switch.stop_everything(person=PersonFactory(roles=["manager"]), reason="x")
    incident = IncidentFactory(status="received")
    proposal = ProposalFactory(incident=incident, role=None, routed_at=None, due_at=None, expires_at=None, policy={}, args={"amount": 1})
    work = Work.objects.create(incident=incident, proposal=proposal, stage="route")
    Classification.objects.create(
        incident=incident, work=work, engine="rules", severity="info", category="refund", confidence=0.95, sure=True
    )
    point = point.replace("escalations.lifecycle.place", "escalations.lifecycle.placing.place")

    assert killed_at(point, route.run_batch)
    assert Proposal.objects.filter(routed_at__isnull=False).count() == int(stored)
    with clock.frozen_at(clock.now() + queue.LEASE + timedelta(seconds=1)):
        while route.run_batch():
            pass
    proposal.refresh_from_db()
    assert (proposal.state, proposal.floor) == ("pending", "review") and not Decision.objects.exists()


@pytest.mark.parametrize(
    ("point", "stored"),
    [*POINTS, ("escalations.lifecycle.quorum.Signature.objects.create", False), ("escalations.queue.announce", False)],
)
def test_the_first_yes_of_two(point, stored):
    rosa, carl = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"), policy=TWO)

    def sign():
        return decide(proposal, rosa, request_key="t:1", request_digest="a" * 64)

    assert killed_at(point, sign)
    assert (Signature.objects.count(), entries("proposal.signed")) == (int(stored), int(stored))
    outcome = sign()  # the caller who heard nothing sends it again
    assert (outcome.replayed, outcome.signed, outcome.needed) == (stored, 1, 2)
    assert decide(proposal, carl).decision and Signature.objects.count() == 2


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("escalations.lifecycle.moves.move", False), ("escalations.outbox.open_outcome", False),
        ("escalations.lifecycle.decide.Signature.objects.create", False), ("at_commit", False), ("after_commit", True),
    ],
)
def test_the_last_yes(point, stored):
    rosa, carl = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"), policy=TWO)
    decide(proposal, rosa)

    def sign():
        return decide(proposal, carl, request_key="t:1", request_digest="a" * 64)

    assert killed_at(point, sign)
    settled = {
        Decision.objects.count(), Signature.objects.count() - 1, Delivery.objects.filter(type="proposal.settled").count(),
        entries("proposal.decided"), Proposal.objects.filter(state="approved").count(),
    }
    assert settled == {int(stored)}
    assert sign().replayed is stored
    assert Decision.objects.count() == 1 and Signature.objects.count() == 2
