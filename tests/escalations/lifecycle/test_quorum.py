"""A yes that several people have to sign: each on what was shown, the last one settles, one no is enough."""

import json
from datetime import timedelta

import pytest

from escalations import authority, clock, deliver, lifecycle, policies, wire
from escalations.errors import AlreadySettled, AlreadySigned, ChangedSinceSeen, Held
from escalations.lifecycle import quorum
from escalations.models import (
    AuditEntry,
    Decision,
    Delivery,
    EscalationPolicy,
    Hold,
    Notice,
    Proposal,
    RoutingRule,
    Signature,
    StepRun,
)
from escalations.states import Sending
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.escalations.lifecycle.holding import AGENT, SECONDS, entries, sign
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, SourceFactory, role

pytestmark = pytest.mark.django_db
TWO = {**STANDARD, "quorum": 2}


@pytest.fixture
def payment():
    return ProposalFactory(role=role("finance"), policy=TWO)


def open_still(proposal):
    before = proposal.version
    proposal.refresh_from_db()
    assert (proposal.state, proposal.version) == ("pending", before)
    assert not Decision.objects.exists() and not Delivery.objects.exists()
    return True


def test_the_first_yes_is_written_and_settles_nothing(payment, rosa):
    outcome = sign(payment, rosa, reason="looks right")

    assert (outcome.decision, outcome.held, outcome.signed, outcome.needed) == (None, None, 1, 2)
    assert open_still(payment)
    signature = Signature.objects.get()
    assert (signature.person, signature.digest, signature.version) == (rosa, payment.args_digest, payment.version)
    facts = json.loads(AuditEntry.objects.get(action="proposal.signed").body)["facts"]
    assert (facts["signed"], facts["needed"], facts["reason"], facts["signed_digest"]) == (1, 2, "looks right", payment.args_digest)


def test_the_second_yes_of_somebody_else_settles(payment, rosa, carl):
    sign(payment, rosa)
    outcome = sign(payment, carl)

    assert (outcome.decision.type, outcome.decision.person, outcome.signed) == ("approve", carl, 0)
    assert Signature.objects.filter(proposal=payment, version=payment.version, type="approve").count() == 2
    assert Delivery.objects.filter(type="proposal.settled").count() == 1
    with pytest.raises(AlreadySettled):
        sign(payment, rosa)


@pytest.mark.parametrize("people", [3, 5])
def test_five_at_most_all_of_them(people, rosa):
    proposal = ProposalFactory(role=role("finance"), policy={**STANDARD, "quorum": people})
    signers = [rosa, *(PersonFactory(roles=["finance"]) for _ in range(people - 1))]
    for count, person in enumerate(signers[:-1], start=1):
        assert sign(proposal, person).signed == count
    assert sign(proposal, signers[-1]).decision is not None


def test_nobody_signs_twice(payment, rosa):
    sign(payment, rosa)
    with pytest.raises(AlreadySigned) as told:
        sign(payment, rosa)
    assert told.value.extra == {"signed": 1, "needed": 2}
    assert open_still(payment) and Signature.objects.count() == 1


@pytest.mark.parametrize("type", ["reject", "respond"])
@pytest.mark.parametrize("who", ["another", "the first"])
def test_one_no_or_answer_is_enough_whoever_gives_it(payment, rosa, carl, type, who):
    sign(payment, rosa)
    outcome = sign(payment, carl if who == "another" else rosa, type, message="m", reason="no")
    assert outcome.decision.type == type
    assert Signature.objects.filter(type=type).count() == 1


def test_what_changes_leaves_the_signatures_to_what_was_signed(payment, rosa, carl):
    sign(payment, rosa)
    lifecycle.add_context(payment.incident_id, context={"summary": "another account"}, actor=AGENT)
    with pytest.raises(ChangedSinceSeen):
        sign(payment, carl)
    payment.refresh_from_db()

    assert sign(payment, carl).signed == 1
    assert sign(payment, rosa).decision is not None
    assert set(Signature.objects.values_list("person", "version")) == {
        (rosa.pk, payment.version - 1), (carl.pk, payment.version), (rosa.pk, payment.version)
    }


@pytest.mark.parametrize("lost", ["active", "role", "queue"])
def test_who_may_not_sign_any_more_counts_no_more(payment, rosa, carl, mona, lost):
    sign(payment, rosa)
    if lost == "active":
        policies.deactivate(rosa, actor=AGENT)
    elif lost == "role":
        rosa.groups.clear()
    else:
        payment.incident.source.owner = rosa
        payment.incident.source.save()
    assert sign(payment, carl).signed == 1
    assert open_still(payment)
    assert sign(payment, mona).decision is not None


def test_the_signer_s_claim_passes_on_and_a_colleague_s_stays(payment, rosa, carl):
    lifecycle.claim(payment.pk, person=rosa)
    sign(payment, rosa)
    assert Proposal.objects.get().claimed_by is None

    other = ProposalFactory(role=role("finance"), policy=TWO)
    lifecycle.claim(other.pk, person=carl)
    sign(other, rosa)
    assert Proposal.objects.get(pk=other.pk).claimed_by == carl


def test_out_of_time_is_out_of_time(payment, rosa, carl):
    sign(payment, rosa)
    with clock.frozen_at(payment.expires_at), pytest.raises(AlreadySettled, match="time ran out"):
        sign(payment, carl)
    with clock.frozen_at(payment.expires_at), pytest.raises(AlreadySettled, match="time ran out"):
        sign(ProposalFactory(role=role("finance"), policy=TWO, expires_at=payment.expires_at), carl)
    with clock.frozen_at(payment.expires_at):
        lifecycle.run_out()
    assert Decision.objects.get(proposal=payment).type == "reject"


def test_silence_is_never_the_yes_of_several():
    manager = role("manager")
    policy = {**TWO, "steps": [{"role": manager.pk, "name": "manager", "after": 60}], "fallback": "approve"}
    proposal = ProposalFactory(policy=policy, step=1)
    Proposal.objects.update(due_at=proposal.expires_at)
    due = clock.now() - timedelta(hours=1)
    StepRun.objects.create(proposal=proposal, step=1, role=manager, due_at=due, fired_at=due)
    Notice.objects.create(kind="escalated", proposal=proposal, step=1, state=Sending.SENT, finished_at=due)
    with clock.frozen_at(proposal.expires_at):
        lifecycle.run_out()
    decision = Decision.objects.get()
    assert decision.type == "reject" and "signatures of 2 people" in decision.reason


# -- an edit, and what can be taken back


def test_an_edit_needs_all_the_others_and_no_fewer_than_before(payment, rosa, carl, mona):
    RoutingRule.objects.update(state="archived")
    sign(payment, carl)
    revision = sign(payment, rosa, "edit", args={"order": 1182, "amount": 20}).revision

    assert (revision.state, revision.policy["quorum"], revision.author_person) == ("pending", 2, rosa)
    with pytest.raises(authority.OwnRequest):
        sign(revision, rosa)
    assert sign(revision, carl).signed == 1  # what was signed before was signed of something else
    assert sign(revision, mona).decision.args == {"order": 1182, "amount": 20}


def test_a_stricter_policy_of_what_it_became_counts(payment, rosa):
    RoutingRule.objects.update(state="archived")
    three = EscalationPolicy.objects.create(name="three", quorum=3)
    RuleFactory(floor="review", policy=three, condition='proposal.action == "refund" && proposal.args.amount > 9000')
    revision = sign(payment, rosa, "edit", args={"order": 1182, "amount": 9999}).revision
    assert revision.policy["quorum"] == 3


def test_only_the_last_yes_is_held(rosa, carl, mona):
    proposal = ProposalFactory(role=role("finance"), policy={**TWO, "undo_seconds": 20})
    assert sign(proposal, rosa).signed == 1 and not Hold.objects.exists()
    held = sign(proposal, carl).held
    with pytest.raises(Held):
        sign(proposal, mona)
    lifecycle.undo(proposal.pk, person=carl)
    assert open_still(proposal) and Signature.objects.count() == 1

    held = sign(proposal, carl).held
    with clock.frozen_at(held.settles_at):
        assert lifecycle.settle_held() == 1
    assert Decision.objects.get().person == carl and Signature.objects.count() == 2


def test_a_held_yes_falls_when_the_other_one_counts_no_more(rosa, carl):
    proposal = ProposalFactory(role=role("finance"), policy={**TWO, "undo_seconds": 20})
    sign(proposal, rosa)
    held = sign(proposal, carl).held
    rosa.groups.clear()
    with clock.frozen_at(held.settles_at):
        assert lifecycle.settle_held() == 1
    assert open_still(proposal) and not Hold.objects.exists() and entries("proposal.hold_fell") == 1


def test_a_no_is_held_alone(rosa, carl):
    proposal = ProposalFactory(role=role("finance"), policy={**TWO, "undo_seconds": 20})
    sign(proposal, rosa)
    rosa.groups.clear()
    held = sign(proposal, carl, "reject").held
    with clock.frozen_at(held.settles_at + SECONDS):
        lifecycle.settle_held()
    assert Decision.objects.get().type == "reject"


# -- over the API


def test_a_token_is_told_how_many_more(payment, rosa, carl):
    body = {"type": "approve", "args_digest": payment.args_digest, "version": payment.version}
    first = Speaker(token_for(rosa), person=rosa)
    answer = first.post(f"/proposals/{payment.pk}/decision", body, key="mine")
    told = answer.json()
    assert (answer.status_code, told["status"], told["decision"]) == (200, "waiting", None)
    assert told["proposal"]["signatures"] == {"given": 1, "needed": 2}

    again = first.post(f"/proposals/{payment.pk}/decision", body, key="mine")
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    problem = assert_problem(first.post(f"/proposals/{payment.pk}/decision", body), 409, "already_signed")
    assert (problem["signed"], problem["needed"]) == (1, 2)

    last = Speaker(token_for(carl), person=carl).post(f"/proposals/{payment.pk}/decision", body, key="mine")
    assert (last.json()["status"], last.json()["decision"]["by"]["id"]) == ("settled", "carl")
    assert "signatures" not in last.json()["proposal"]
    # Whoever gave the first one may ask again what came of it; the last one is known by its key alone.
    assert first.post(f"/proposals/{payment.pk}/decision", body, key="mine").json()["decision"]["by"]["id"] == "carl"
    assert_problem(
        Speaker(token_for(carl), person=carl).post(f"/proposals/{payment.pk}/decision", body, key="other"), 409, "already_settled"
    )


def test_a_source_sees_how_many_and_not_who(rosa):
    source = SourceFactory()
    proposal = ProposalFactory(incident=IncidentFactory(source=source), role=role("finance"), policy=TWO)
    agent = Speaker(key_for(source), source=source)
    assert agent.get(f"/incidents/{proposal.incident_id}").json()["proposal"]["signatures"] == {"given": 0, "needed": 2}
    sign(proposal, rosa)
    text = agent.get(f"/incidents/{proposal.incident_id}").content.decode()
    assert json.loads(text)["proposal"]["signatures"] == {"given": 1, "needed": 2} and "rosa" not in text


def test_where_one_is_enough_nothing_is_said_of_it_and_nothing_asked(rosa, django_assert_num_queries):
    proposal = ProposalFactory(role=role("finance"))
    assert "signatures" not in wire.incident_json(proposal.incident)["proposal"]
    with django_assert_num_queries(0):
        assert quorum.given(proposal) == [] and quorum.is_last(proposal)
        quorum.check_new(proposal, rosa)


def test_the_outcome_that_leaves_is_the_one_that_all_signed(payment, rosa, carl):
    sign(payment, rosa)
    assert deliver.run_batch() == 0
    assert sign(payment, carl).decision.args_digest == payment.args_digest
