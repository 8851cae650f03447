"""A signature that can be taken back: held, undone, fallen, settled; and what nobody else may do meanwhile."""

from datetime import timedelta

import pytest

from escalations import clock, errors, lifecycle
from escalations.floors.rulebook import Rulebook
from escalations.models import (
    Decision,
    EscalationPolicy,
    Hold,
    Proposal,
    StepRun,
)
from tests.escalations.lifecycle.holding import SECONDS, UNDO, entries, nothing_settled, sign
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, role

pytestmark = pytest.mark.django_db

# -- held


def test_the_frozen_policy_carries_the_seconds(rosa):
    EscalationPolicy.objects.filter(is_default=True).update(undo_seconds=45)
    rulebook = Rulebook.load()

    assert rulebook.frozen(rulebook.default_policy)["undo_seconds"] == 45


@pytest.mark.parametrize("method", ["page", "group"])
@pytest.mark.parametrize(("type", "more"), [("approve", {}), ("reject", {}), ("respond", {"message": "m"}), ("edit", {"args": {"order": 1, "amount": 9}})])
def test_what_is_signed_at_a_page_is_held_and_nothing_leaves(refund, rosa, type, more, method):
    outcome = sign(refund, rosa, type, method=method, **more)

    held = Hold.objects.get()
    assert outcome.held == held and outcome.decision is None and outcome.revision is None
    assert nothing_settled(refund)
    assert (held.person, held.type, held.digest, held.version, held.method) == (rosa, type, refund.args_digest, 1, method)
    assert held.settles_at - held.signed_at == 20 * SECONDS
    assert entries("proposal.held") == 1 and entries("proposal.decided") == 0
    assert refund.version == 1  # nothing of what is signed changed


def test_without_seconds_in_the_policy_it_settles_at_once(rosa):
    assert sign(ProposalFactory(role=role("finance")), rosa).decision
    assert sign(ProposalFactory(role=role("finance"), policy={**STANDARD, "undo_seconds": 0}), rosa).decision
    assert not Hold.objects.exists()


def test_a_token_settles_at_once(refund, rosa):
    assert sign(refund, rosa, method="api").decision.type == "approve"
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"version": 2}, errors.ChangedSinceSeen), ({"digest": "sha256:0"}, errors.ChangedSinceSeen),
        ({"type": "reject", "reason": " "}, errors.Invalid), ({"type": "respond"}, errors.Invalid),
        ({"type": "edit", "args": {"order": 1182, "amount": 250}}, errors.Invalid),
    ],
)
def test_everything_a_decision_is_checked_for_is_checked_when_it_is_held(refund, rosa, more, refused):
    with pytest.raises(refused):
        sign(refund, rosa, **more)
    assert not Hold.objects.exists()


def test_who_may_not_decide_may_not_hold(refund):
    with pytest.raises(errors.NotFound):
        sign(refund, PersonFactory(roles=["support"]))
    refund.incident.source.owner = owner = PersonFactory(roles=["finance"])
    refund.incident.source.save()
    with pytest.raises(errors.OwnRequest):
        sign(refund, owner)
    assert not Hold.objects.exists()


def test_a_blocked_edit_is_refused_now_and_one_for_another_role_becomes_a_revision_now(rosa):
    RuleFactory(name="never", condition='incident.kind == "action" && proposal.args.amount > 1000', floor="block", state="live", priority=990)
    RuleFactory(
        name="odd", condition='incident.kind == "action" && proposal.args.amount == 666', role=role("security"), state="live", priority=980
    )
    refund = ProposalFactory(role=role("finance"), policy=UNDO)

    with pytest.raises(errors.Blocked):
        sign(refund, rosa, "edit", args={"order": 1, "amount": 5000})
    outcome = sign(refund, rosa, "edit", args={"order": 1, "amount": 666})

    assert outcome.revision.role.name == "security" and outcome.held is None
    assert not Hold.objects.exists() and not Decision.objects.exists()


def test_nobody_holds_after_the_time_ran_out(refund, rosa):
    with clock.frozen_at(refund.expires_at), pytest.raises(errors.AlreadySettled):
        sign(refund, rosa)
    assert not Hold.objects.exists()


# -- while it is held


def test_others_and_oneself_are_told_who_signed_until_when(refund, rosa, carl):
    held = sign(refund, rosa).held

    for person, method in ((carl, "page"), (carl, "api"), (rosa, "page"), (rosa, "api")):
        with pytest.raises(errors.Held) as refused:
            sign(refund, person, method=method)
        assert refused.value.status == 409
        assert "Rosa Reviewer" in refused.value.detail and f"{held.settles_at:%H:%M:%S}" in refused.value.detail
        assert refused.value.extra["until"] == held.settles_at
    assert Hold.objects.count() == 1 and nothing_settled(refund)


@pytest.mark.parametrize(
    "act",
    [
        lambda one, who: lifecycle.claim(one.pk, person=who),
        lambda one, who: lifecycle.claim(one.pk, person=who, take_over=True),
        lambda one, who: lifecycle.hand_over(one.pk, person=who, role=role("support")),
        lambda one, who: lifecycle.escalate_now(one.pk, person=who),
        lambda one, who: lifecycle.extend(one.pk, person=who, by=timedelta(hours=1)),
        lambda one, who: lifecycle.ask_back(one.pk, person=who, text="?"),
        lambda one, who: sign(one, who, "edit", args={"order": 1, "amount": 2}),
    ],
    ids=["claim", "take over", "hand over", "escalate", "extend", "ask back", "edit"],
)
def test_nothing_is_done_to_it_meanwhile(refund, rosa, carl, act):
    sign(refund, rosa)
    before = Proposal.objects.values().get()

    for person in (carl, rosa):
        with pytest.raises(errors.Held):
            act(refund, person)
    assert Proposal.objects.values().get() == before


def test_a_comment_is_possible_meanwhile(refund, rosa, carl):
    sign(refund, rosa)

    assert lifecycle.comment(refund.pk, person=carl, text="are you sure?")
    assert Hold.objects.exists()


def test_no_step_fires_while_it_is_held_and_it_fires_when_it_was_taken_back(rosa):
    policy = {**UNDO, "steps": [{"role": role("manager").pk, "name": "manager", "after": 3600}]}
    proposal = ProposalFactory(role=role("finance"), policy=policy)
    with clock.frozen_at(proposal.due_at - SECONDS):
        sign(proposal, rosa)

    with clock.frozen_at(proposal.due_at + 5 * SECONDS):
        assert lifecycle.run_out() == lifecycle.run_out(only=proposal.pk) == 0
        assert lifecycle.overdue_ids() == []
        lifecycle.undo(proposal.pk, person=rosa)
        assert lifecycle.run_out() == 1
    assert StepRun.objects.get().role.name == "manager"


def test_what_was_signed_in_time_settles_although_its_time_ran_out_meanwhile(refund, rosa):
    with clock.frozen_at(refund.expires_at - SECONDS):
        held = sign(refund, rosa).held
    with clock.frozen_at(refund.expires_at + SECONDS):
        assert lifecycle.run_out() == 0 and nothing_settled(refund)

    with clock.frozen_at(held.settles_at):
        assert lifecycle.settle_held() == 1
    assert Decision.objects.get().by_id == "rosa"


def test_taken_back_after_its_time_ran_out_it_expires(refund, rosa):
    with clock.frozen_at(refund.expires_at - SECONDS):
        sign(refund, rosa)
    with clock.frozen_at(refund.expires_at + SECONDS):
        lifecycle.undo(refund.pk, person=rosa)
        assert lifecycle.run_out() == 1
    assert Decision.objects.get().by_kind == "clock"


def test_nobody_is_warned_of_what_is_about_to_settle(refund, rosa):
    Proposal.objects.update(due_at=refund.expires_at)
    with clock.frozen_at(refund.expires_at - timedelta(minutes=5)):
        sign(refund, rosa)
        assert lifecycle.warn_expiring() == 0


# -- taken back


def test_its_signer_takes_it_back_and_it_is_as_open_as_before(refund, rosa, carl):
    before = Proposal.objects.values().get()
    sign(refund, rosa)

    lifecycle.undo(refund.pk, person=rosa)

    assert not Hold.objects.exists() and Proposal.objects.values().get() == before and nothing_settled(refund)
    assert entries("proposal.undone") == 1
    assert sign(refund, carl).held.person == carl  # and anybody may sign it, what was shown is still right


def test_nobody_else_takes_it_back_not_even_a_manager(refund, rosa, carl):
    sign(refund, rosa)

    for person in (carl, PersonFactory(roles=["manager"])):
        with pytest.raises(errors.IllegalMove):
            lifecycle.undo(refund.pk, person=person)
    with pytest.raises(errors.NotFound):
        lifecycle.undo(refund.pk, person=PersonFactory(roles=["support"]))
    assert Hold.objects.exists()


@pytest.mark.parametrize("late", [0, 1, 3600])
def test_it_is_too_late_when_its_time_is_over_settled_yet_or_not(refund, rosa, late):
    held = sign(refund, rosa).held

    with clock.frozen_at(held.settles_at + late * SECONDS):
        with pytest.raises(errors.AlreadySettled):
            lifecycle.undo(refund.pk, person=rosa)
        lifecycle.settle_held()
        with pytest.raises(errors.AlreadySettled, match="Rosa Reviewer"):
            lifecycle.undo(refund.pk, person=rosa)
    assert Decision.objects.count() == 1


def test_what_was_never_signed_is_not_taken_back(refund, rosa):
    with pytest.raises(errors.IllegalMove):
        lifecycle.undo(refund.pk, person=rosa)
    with pytest.raises(errors.NotFound):
        lifecycle.undo(IncidentFactory().pk, person=rosa)
