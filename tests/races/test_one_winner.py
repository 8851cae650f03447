"""Whoever races, exactly one wins, and the others are told who and when (laws 2 and 3). Real threads, real commits."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection

from escalations import audit, clock, errors, ingest, lifecycle
from escalations.models import AuditEntry, Decision, Delivery, Hold, Incident, Proposal, Signature, StepRun
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


# -- signatures that can still be taken back


HELD = {**STANDARD, "undo_seconds": 20}


def signs(proposal, person, method="page", verdict="approve"):
    return lambda: lifecycle.decide(
        proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, reason="r", method=method
    )


def later(moment, verb):
    def run():
        with clock.frozen_at(moment):
            return verb()

    return run


def counts(proposal):
    """Return how many holds, decisions, signatures, outcomes and decided-entries there are of it, all by a fresh look."""
    of = {"proposal": proposal}
    return (
        Hold.objects.filter(**of).count(), Decision.objects.filter(**of).count(), Signature.objects.filter(**of).count(),
        Delivery.objects.filter(type="proposal.settled", **of).count(),
        AuditEntry.objects.filter(action="proposal.decided", proposal_id=proposal.pk).count(),
    )


def test_taking_back_and_settling_at_once_is_one_of_the_two():
    person = PersonFactory(roles=["finance"])
    for _ in range(20):
        proposal = ProposalFactory(role=role("finance"), policy=HELD)
        over = signs(proposal, person)().held.settles_at
        # The two clocks differ by a moment, as those of two processes may: each is right by its own.
        undone, settled = together(
            later(over - timedelta(milliseconds=1), lambda p=proposal: lifecycle.undo(p.pk, person=person)),
            later(over, lifecycle.settle_held),
        )

        proposal.refresh_from_db()
        if isinstance(undone, Exception):
            assert isinstance(undone, errors.AlreadySettled) and person.name in undone.detail
            assert (settled, proposal.state, counts(proposal)) == (1, "approved", (0, 1, 1, 1, 1))
        else:
            assert (settled, proposal.state, counts(proposal)) == (0, "pending", (0, 0, 0, 0, 0))


def test_of_many_who_sign_at_once_one_is_held_or_one_token_settles():
    people = [PersonFactory(roles=["finance"]) for _ in range(4)]
    ended = Counter()
    for _ in range(25):
        proposal = ProposalFactory(role=role("finance"), policy=HELD)
        results = together(
            signs(proposal, people[0]), signs(proposal, people[1], "group", "reject"), signs(proposal, people[2]),
            signs(proposal, people[3], "api"),
        )

        refused = [one for one in results if isinstance(one, Exception)]
        assert len(refused) == 3 and all(isinstance(one, errors.Held | errors.AlreadySettled) for one in refused), results
        held, *settled = counts(proposal)
        assert settled in ([0] * 4, [1] * 4) and held == 1 - settled[0]
        ended[held] += 1
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert lifecycle.settle_held() == ended[1]
    assert Decision.objects.count() == Signature.objects.count() == 25


def test_the_source_withdraws_as_it_settles():
    person = PersonFactory(roles=["finance"])
    for number in range(20):
        proposal = ProposalFactory(role=role("finance"), policy=HELD)
        over = signs(proposal, person)().held.settles_at
        go = (
            (lambda p=proposal: lifecycle.withdraw(p.incident_id, actor=audit.SYSTEM)) if number % 2
            else (lambda p=proposal: lifecycle.add_context(p.incident_id, context={"summary": "no"}, actor=audit.SYSTEM))
        )
        went, _ = together(later(over, go), later(over, lifecycle.settle_held))

        proposal.refresh_from_db()
        if isinstance(went, Exception):
            assert isinstance(went, errors.AlreadySettled)
            assert (proposal.state, counts(proposal)) == ("approved", (0, 1, 1, 1, 1))
        else:
            assert proposal.state == ("withdrawn" if number % 2 else "pending")
            assert counts(proposal) == (0, 0, 0, 0, 0)
            assert AuditEntry.objects.filter(action="proposal.hold_fell", proposal_id=proposal.pk).count() == 1


def test_a_hold_and_the_last_moment_of_the_clock():
    person = PersonFactory(roles=["finance"])
    for _ in range(20):
        proposal = ProposalFactory(role=role("finance"), policy=HELD)
        signed, expired = together(
            later(proposal.expires_at - timedelta(milliseconds=1), signs(proposal, person)),
            later(proposal.expires_at, lambda p=proposal: lifecycle.run_out(only=p.pk)),
        )

        held, *settled = counts(proposal)
        if isinstance(signed, Exception):
            assert isinstance(signed, errors.AlreadySettled) and (held, expired) == (0, 1)
        else:
            assert (held, expired, settled) == (1, 0, [0] * 4)


def test_three_timers_settle_each_signature_once():
    person = PersonFactory(roles=["finance"])
    proposals = [ProposalFactory(role=role("finance"), policy=HELD) for _ in range(30)]
    for proposal in proposals:
        signs(proposal, person)()

    def sweep():
        with clock.frozen_at(clock.now() + timedelta(minutes=1)):
            ended = 0
            while Hold.objects.exists():
                ended += lifecycle.settle_held(limit=7)
            return ended

    results = together(sweep, sweep, sweep)
    assert sum(results) == Decision.objects.count() == Signature.objects.count() == 30
    assert AuditEntry.objects.filter(action="proposal.decided").count() == 30
