"""Whoever races, exactly one wins, and the others are told who and when (laws 2 and 3). Real threads, real commits."""

import threading
from collections import Counter

import pytest
from django.db import close_old_connections, connection

from escalations import audit, clock, errors, ingest, lifecycle
from escalations.models import AuditEntry, Decision, Delivery, Incident, Proposal, Signature, StepRun
from tests.factories import STANDARD, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


def together(*acts):
    """Run all acts at once, each in a thread of its own with a connection of its own; return what each returned or raised."""
    gate = threading.Barrier(len(acts))
    results = [None] * len(acts)

    def run(index, act):
        try:
            gate.wait()
            results[index] = act()
        except Exception as error:  # noqa: BLE001 - what a racer was told is what the test looks at
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    close_old_connections()
    return results


def test_eight_deciders_on_each_proposal_make_one_decision():
    people = [PersonFactory(roles=["finance"]) for _ in range(6)]
    for _ in range(40):
        proposal = ProposalFactory(role=role("finance"))

        def act(person, verdict, proposal=proposal):
            return lambda: lifecycle.decide(
                proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version,
                reason="r", message="m",
            )

        def clock_strikes(proposal=proposal):
            with clock.frozen_at(proposal.expires_at):
                return lifecycle.run_out(only=proposal.pk)

        def withdraw(proposal=proposal):
            return lifecycle.withdraw(proposal.incident_id, actor=audit.SYSTEM)

        verdicts = ["approve", "reject", "respond", "approve", "reject", "approve"]
        results = together(*[act(*pair) for pair in zip(people, verdicts, strict=True)], clock_strikes, withdraw)

        unexpected = [one for one in results if isinstance(one, Exception) and not isinstance(one, errors.Conflict)]
        assert not unexpected
    # 40 proposals settled once each, by whoever it was; nothing half done.
    assert not Proposal.objects.filter(state="pending").exists()
    decided = Proposal.objects.exclude(state="withdrawn")
    withdrawn = Proposal.objects.filter(state="withdrawn")
    assert Decision.objects.count() == decided.count()
    assert not Decision.objects.filter(proposal__in=withdrawn).exists()
    assert Delivery.objects.filter(type="proposal.settled").count() == decided.count()
    assert AuditEntry.objects.filter(action="proposal.decided").count() == decided.count()
    signed = Counter(Signature.objects.values_list("proposal_id", flat=True))
    assert all(count == 1 for count in signed.values())


def test_the_losers_are_told_who_was_first():
    people = [PersonFactory(roles=["finance"]) for _ in range(8)]
    proposal = ProposalFactory(role=role("finance"))
    results = together(*[
        lambda person=person: lifecycle.decide(
            proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version
        )
        for person in people
    ])

    winner = Decision.objects.get()
    losers = [one for one in results if isinstance(one, Exception)]
    assert len(losers) == 7
    assert all(isinstance(one, errors.AlreadySettled) and winner.by_name in one.detail for one in losers)


def test_one_person_with_two_tabs_signs_once():
    person = PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"))
    results = together(*[
        lambda verdict=verdict: lifecycle.decide(
            proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, reason="r"
        )
        for verdict in ("approve", "reject", "approve", "reject")
    ])

    assert sum(not isinstance(one, Exception) for one in results) == 1
    assert Signature.objects.count() == Decision.objects.count() == 1


def test_the_same_api_request_at_once_is_one_decision_and_the_same_answer():
    person = PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"))
    results = together(*[
        lambda: lifecycle.decide(
            proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version,
            request_key="t:1", request_digest="a" * 64,
        )
    ] * 6)

    refused = [one for one in results if isinstance(one, Exception)]
    assert all(isinstance(one, errors.AlreadySettled) for one in refused)
    assert len({one.decision.pk for one in results if not isinstance(one, Exception)}) == 1


def test_twenty_twins_are_one_incident():
    source = SourceFactory()
    for number in range(20):
        data = {"kind": "action", "title": "t", "proposal": {"action": "refund", "args": {"n": number}}}
        results = together(*[
            lambda data=data, number=number: ingest.receive(
                source=source, key_env="live", data=data, key=f"k{number}", body_digest="a" * 64
            )
        ] * 20)

        assert not [one for one in results if isinstance(one, Exception)]
        assert len({incident.pk for incident, _ in results}) == 1
        assert sum(not replayed for _, replayed in results) == 1
    assert Incident.objects.count() == Proposal.objects.count() == 20


def test_two_timers_fire_each_step_once():
    manager = role("manager")
    policy = {**STANDARD, "steps": [{"role": manager.pk, "name": "manager", "after": 60}] * 3}
    proposals = [ProposalFactory(policy=policy) for _ in range(60)]
    late = max(one.due_at for one in proposals)

    def sweep():
        with clock.frozen_at(late):
            fired = 0
            while (one := lifecycle.run_out(limit=7)) or lifecycle.overdue_ids(1):
                fired += one
            return fired

    results = together(sweep, sweep, sweep)
    assert sum(results) == StepRun.objects.count() == 60
    assert AuditEntry.objects.filter(action="proposal.stepped").count() == 60


def test_a_claim_has_one_holder():
    people = [PersonFactory(roles=["finance"]) for _ in range(6)]
    proposal = ProposalFactory(role=role("finance"))
    results = together(*[lambda person=person: lifecycle.claim(proposal.pk, person=person) for person in people])

    assert sum(not isinstance(one, Exception) for one in results) == 1
    assert Proposal.objects.get().claimed_by in people


def test_context_and_a_signature_at_once_never_sign_what_was_not_shown():
    person = PersonFactory(roles=["finance"])
    for _ in range(20):
        proposal = ProposalFactory(role=role("finance"))
        results = together(
            lambda p=proposal: lifecycle.decide(
                p.pk, person=person, type="approve", digest=p.args_digest, version=p.version
            ),
            lambda p=proposal: lifecycle.add_context(
                p.incident_id, context={"summary": "no"}, actor=audit.SYSTEM
            ),
        )
        assert sum(isinstance(one, Exception) for one in results) == 1
        assert all(isinstance(one, errors.Conflict) for one in results if isinstance(one, Exception))
