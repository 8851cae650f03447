"""Whoever races with the switch either was before it or sees it; and one person never makes two. Real threads, real commits."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from escalations import audit, clock, deliver, errors, lifecycle, route, standstill
from escalations.deliver import rows
from escalations.models import (
    AuditEntry,
    Classification,
    Decision,
    Delivery,
    Hold,
    Proposal,
    RoutingRule,
    Signature,
    Stop,
    Work,
)
from escalations.policies import stop as switch
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, SourceFactory, role
from tests.races.test_one_winner import later, together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
TWO = {**STANDARD, "quorum": 2}


def manager():
    return PersonFactory(roles=["manager"])


def let_go(stop, first, second):
    asked = switch.ask_release(stop.pk, person=first, why="x")
    switch.confirm_release(stop.pk, person=second, asked_at=asked.release_asked_at)


def yes(proposal, person, method="page", **more):
    return lambda: lifecycle.decide(
        proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version, method=method, **more
    )


# -- the switch


def test_the_lock_needs_a_transaction():
    for lock in (standstill.enter, standstill.close):
        with pytest.raises(TransactionManagementError):
            lock()


def test_of_many_who_stop_at_once_one_does():
    people = [manager() for _ in range(6)]
    for _ in range(10):
        results = together(*[lambda p=person: switch.stop_everything(person=p, reason="x") for person in people])
        won = [one for one in results if isinstance(one, Stop)]
        assert len(won) == 1 and all(isinstance(one, errors.IllegalMove) for one in results if one not in won)
        let_go(won[0], people[0], people[1])
    assert AuditEntry.objects.filter(action="everything.stopped").count() == 10


def test_of_many_who_confirm_at_once_one_does_and_never_who_asked():
    people = [manager() for _ in range(5)]
    for _ in range(20):
        stop = switch.stop_everything(person=people[0], reason="x")
        asked = switch.ask_release(stop.pk, person=people[0], why="x").release_asked_at
        results = together(
            *[lambda p=person, s=stop, at=asked: switch.confirm_release(s.pk, person=p, asked_at=at) for person in people],
            lambda s=stop: switch.withdraw_release(s.pk, person=people[4]),
        )
        unexpected = [
            one for one in results
            if isinstance(one, Exception) and not isinstance(one, errors.Conflict | errors.NotFound | errors.OwnRequest)
        ]
        assert not unexpected
        stop.refresh_from_db()
        if stop.released_at is None:
            assert stop.release_asked_by is None
            let_go(stop, people[0], people[1])
        else:
            assert sum(isinstance(one, Stop) for one in results) == 1
            assert stop.release_asked_by == people[0] != stop.released_by
    assert AuditEntry.objects.filter(action="everything.released").count() == 20


def classified(source, number):
    """An incident that a rule lets go, all but routed."""
    incident = IncidentFactory(source=source, status="received")
    proposal = ProposalFactory(
        incident=incident, args={"order": number, "amount": 1}, role=None, routed_at=None, due_at=None, expires_at=None, policy={}
    )
    work = Work.objects.create(incident=incident, proposal=proposal, stage="route")
    Classification.objects.create(
        incident=incident, work=work, engine="rules", severity="info", category="refund", confidence=0.95, sure=True
    )
    return proposal


def test_no_rule_says_yes_after_the_switch_was_thrown():
    """Two workers route forty that may go alone while somebody stops everything: what was let go was let go before."""
    RoutingRule.objects.update(state="archived")
    RuleFactory(floor="auto", condition='proposal.action == "refund" && proposal.args.amount <= 50')
    first, second, source = manager(), manager(), SourceFactory()
    PersonFactory(roles=["finance"])
    split = Counter()
    for number in range(8):
        proposals = [classified(source, number * 100 + one) for one in range(10)]
        gone_on = threading.Event()

        def work(gone_on=gone_on):
            while route.run_batch(limit=1):
                gone_on.set()

        def throw(gone_on=gone_on):
            gone_on.wait(20)
            return switch.stop_everything(person=first, reason="x")

        *_, stop = together(work, work, throw)
        ids = [one.pk for one in proposals]
        thrown = AuditEntry.objects.get(action="everything.stopped", subject=f"Stop {stop.pk}")
        # The entry of the stop is written with everybody else shut out: what was decided by policy has a smaller number.
        let = AuditEntry.objects.filter(action="proposal.decided", proposal_id__in=ids)
        assert all(one.pk < thrown.pk for one in let)
        assert Proposal.objects.filter(pk__in=ids, state="pending", floor="review").count() == 10 - let.count()
        assert not Work.objects.exclude(stage="done").exists()
        split["alone"] += let.count()
        split["to people"] += 10 - let.count()
        let_go(stop, first, second)
    assert split["alone"] and split["to people"]


def test_a_rule_that_was_about_to_say_yes_is_waited_for_or_sees_the_switch():
    """The worst moment by hand: the switch is thrown while a rule is between looking and committing."""
    person, entered, stopped = manager(), threading.Event(), threading.Event()

    def settle():
        with transaction.atomic():
            assert standstill.enter() == ""
            entered.set()
            assert not stopped.wait(1)  # the switch waits for this transaction
            assert standstill.enter() == ""  # and what was seen holds until it ends

    def throw():
        entered.wait(20)
        switch.stop_everything(person=person, reason="x")
        stopped.set()

    assert together(settle, throw) == [None, None]
    assert stopped.is_set()
    with transaction.atomic():
        assert standstill.enter().startswith("Everything was stopped at")


def test_nothing_is_taken_to_be_sent_after_the_switch_was_thrown():
    first, second = manager(), manager()
    source = SourceFactory(callback_url="https://agent.example/hook")
    signer = PersonFactory(roles=["finance"])
    for _ in range(15):
        proposal = ProposalFactory(incident=IncidentFactory(source=source), role=role("finance"))
        *_, stop = together(yes(proposal, signer), lambda: rows.claim(1), lambda: switch.stop_everything(person=first, reason="x"))
        before = set(Delivery.objects.filter(token__gt=0).values_list("pk", flat=True))
        assert rows.claim(100) == [] and deliver.run_batch() == 0
        assert set(Delivery.objects.filter(token__gt=0).values_list("pk", flat=True)) == before
        let_go(stop, first, second)


def test_a_decision_and_the_switch_at_once_are_handed_out_or_held():
    """A caller who polls: the outcome of each is either out before the stop, or held until the release. Never lost, never both."""
    first, second, signer = manager(), manager(), PersonFactory(roles=["finance"])
    ended = Counter()
    for _ in range(25):
        proposal = ProposalFactory(role=role("finance"))
        _, stop = together(yes(proposal, signer), lambda: switch.stop_everything(person=first, reason="x"))
        decided = AuditEntry.objects.get(action="proposal.decided", proposal_id=proposal.pk)
        thrown = AuditEntry.objects.get(action="everything.stopped", subject=f"Stop {stop.pk}")
        held = standstill.held_back([proposal.pk]) == {proposal.pk}
        assert held or decided.pk < thrown.pk
        ended[held] += 1
        let_go(stop, first, second)
        assert standstill.held_back([proposal.pk]) == set()
        assert Delivery.objects.get(proposal=proposal, type="proposal.settled").state == "nothing_to_send"
    assert Decision.objects.count() == 25 and sum(ended.values()) == 25


def test_deciding_and_releasing_at_once_leaves_nothing_held():
    first, second, signer = manager(), manager(), PersonFactory(roles=["finance"])
    for _ in range(20):
        proposal = ProposalFactory(role=role("finance"))
        stop = switch.stop_everything(person=first, reason="x")
        asked = switch.ask_release(stop.pk, person=first, why="x").release_asked_at
        results = together(
            yes(proposal, signer), lambda s=stop, at=asked: switch.confirm_release(s.pk, person=second, asked_at=at)
        )
        assert not [one for one in results if isinstance(one, Exception)]
        assert not Delivery.objects.filter(state="waiting").exists()


# -- several people's yes


def test_one_person_is_never_two():
    """Two hundred proposals, one person in two sessions at once, at pages and with a token: the quorum is never met."""
    person = PersonFactory(roles=["finance"])
    for number in range(200):
        proposal = ProposalFactory(role=role("finance"), policy=TWO)
        ways = [("page", "page"), ("page", "api"), ("group", "page"), ("api", "api")][number % 4]
        keys = [{"request_key": f"t:{number}", "request_digest": "a" * 64} if way == "api" else {} for way in ways]
        results = together(*[yes(proposal, person, way, **key) for way, key in zip(ways, keys, strict=True)])
        refused = [one for one in results if isinstance(one, Exception)]
        assert all(isinstance(one, errors.AlreadySigned) for one in refused), results
        assert {(one.signed, one.needed, one.decision) for one in results if one not in refused} == {(1, 2, None)}
    assert not Decision.objects.exists() and not Hold.objects.exists()
    assert Signature.objects.count() == 200
    assert AuditEntry.objects.filter(action="proposal.signed").count() == 200
    assert Proposal.objects.filter(state="pending").count() == 200


@pytest.mark.parametrize("people", [2, 3, 5])
def test_as_many_as_are_needed_sign_and_the_last_settles(people):
    signers = [PersonFactory(roles=["finance"]) for _ in range(6)]
    for _ in range(15):
        proposal = ProposalFactory(role=role("finance"), policy={**STANDARD, "quorum": people})
        results = together(*[yes(proposal, one) for one in signers])
        refused = [one for one in results if isinstance(one, Exception)]
        done = [one for one in results if one not in refused]
        assert len(done) == people and all(isinstance(one, errors.AlreadySettled) for one in refused), results
        assert sorted(one.signed for one in done if one.decision is None) == list(range(1, people))
        assert Decision.objects.filter(proposal=proposal).count() == 1
        signed = Signature.objects.filter(proposal=proposal)
        assert {(one.version, one.digest, one.type) for one in signed} == {(proposal.version, proposal.args_digest, "approve")}
        assert len({one.person_id for one in signed}) == len(signed) == people
        assert Delivery.objects.filter(proposal=proposal, type="proposal.settled").count() == 1


def test_the_last_yes_a_no_context_and_the_clock_at_once():
    people = [PersonFactory(roles=["finance"]) for _ in range(4)]
    ended = Counter()
    for _ in range(25):
        proposal = ProposalFactory(role=role("finance"), policy=TWO)
        yes(proposal, people[0])()
        results = together(
            yes(proposal, people[1]), yes(proposal, people[2]),
            lambda p=proposal: lifecycle.decide(
                p.pk, person=people[3], type="reject", digest=p.args_digest, version=p.version, reason="no"
            ),
            lambda p=proposal: lifecycle.add_context(p.incident_id, context={"summary": "new"}, actor=audit.SYSTEM),
            later(proposal.expires_at, lambda p=proposal: lifecycle.run_out(only=p.pk)),
        )
        assert all(isinstance(one, errors.Conflict) for one in results if isinstance(one, Exception)), results
        proposal.refresh_from_db()
        decision = Decision.objects.filter(proposal=proposal).first()
        ended[decision.type if decision else "pending"] += 1
        if decision is not None and decision.type == "approve":
            signed = Signature.objects.filter(proposal=proposal, type="approve", version=proposal.version - 1)
            assert len({one.person_id for one in signed}) == 2
    assert sum(ended.values()) == 25


def test_of_the_last_yeses_one_is_held_and_settles_once():
    people = [PersonFactory(roles=["finance"]) for _ in range(4)]
    for _ in range(15):
        proposal = ProposalFactory(role=role("finance"), policy={**TWO, "undo_seconds": 20})
        results = together(*[yes(proposal, one) for one in people])
        held = [one for one in results if not isinstance(one, Exception) and one.held]
        first = [one for one in results if not isinstance(one, Exception) and one.signed == 1]
        assert (len(held), len(first)) == (1, 1)
        assert all(isinstance(one, errors.Held) for one in results if isinstance(one, Exception))
    over = clock.now() + timedelta(minutes=1)
    assert sum(together(later(over, lifecycle.settle_held), later(over, lifecycle.settle_held))) == 15
    assert Decision.objects.count() == 15 and Signature.objects.count() == 30
