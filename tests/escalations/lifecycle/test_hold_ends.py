"""How a signature that could be taken back ends: it settles as it was signed, or falls; and the line goes on."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from escalations import audit, clock, lifecycle, outbox, policies
from escalations.lifecycle import moves
from escalations.models import (
    AuditEntry,
    Decision,
    Delivery,
    Hold,
    Incident,
    Notice,
    Signature,
    Work,
)
from tests.escalations.lifecycle.holding import AGENT, SECONDS, UNDO, entries, nothing_settled, settled_after, sign
from tests.factories import IncidentFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

# -- settled


@pytest.mark.parametrize(
    ("type", "more", "state"),
    [
        ("approve", {"reason": "fine"}, "approved"), ("reject", {}, "rejected"), ("respond", {"message": "because"}, "answered"),
        ("edit", {"args": {"order": 1182, "amount": 10.5, "note": "é", "n": [1, 1e-7, 2**53 - 1, None]}}, "edited"),
    ],
)
def test_it_settles_as_it_was_signed_and_never_early(refund, rosa, type, more, state):
    held = sign(refund, rosa, type, **more).held
    assert settled_after(refund, 19.999) == 0 and nothing_settled(refund)

    with clock.frozen_at(held.settles_at + 3 * SECONDS):
        assert lifecycle.settle_held() == 1
        assert lifecycle.settle_held() == 0

    refund.refresh_from_db()
    decision, signature = Decision.objects.get(), Signature.objects.get()
    assert refund.state == state and not Hold.objects.exists()
    assert (decision.person, decision.type, decision.reason, decision.message) == (rosa, type, held.reason, held.message)
    assert decision.decided_at == refund.settled_at == held.settles_at + 3 * SECONDS
    assert decision.valid_until - decision.decided_at == timedelta(days=1)
    assert (signature.at, signature.digest, signature.version, signature.method) == (held.signed_at, held.digest, 1, "page")
    assert signature.interactive
    if type == "edit":
        assert decision.args == more["args"]
        assert decision.args_digest == moves.Content.made("refund", more["args"], None).digest
        assert decision.args_digest in AuditEntry.objects.get(action="proposal.held").body
    assert Delivery.objects.filter(type="proposal.settled").count() == entries("proposal.decided") == 1
    assert Incident.objects.get().status == "settled"


def test_a_held_edit_of_a_draft_settles_whole(rosa):
    draft = {"to": "a@b.example", "subject": "Re", "body": "Line\none", "format": "text"}
    proposal = ProposalFactory(role=role("finance"), policy=UNDO, incident=IncidentFactory(kind="draft"), action="", args=None, draft=draft)
    sign(proposal, rosa, "edit", draft={"body": "Line\ntwo "})

    settled_after(proposal)

    decision = Decision.objects.get()
    assert decision.draft == {**draft, "body": "Line\ntwo "}
    assert decision.args_digest == moves.Content.made("", None, decision.draft).digest


def test_a_held_rejection_with_retry_leaves_the_incident_waiting_and_redrafts(rosa, settings):
    settings.COUNTERSIGN_MODEL = "a-model"
    draft = {"to": "a@b.example", "subject": "Re", "body": "b", "format": "text"}
    proposal = ProposalFactory(role=role("finance"), policy=UNDO, incident=IncidentFactory(kind="draft"), action="", args=None, draft=draft)
    sign(proposal, rosa, "reject", retry=True)
    assert not Work.objects.exists()

    settled_after(proposal)

    assert Work.objects.get().stage == "redraft" and Incident.objects.get().status == "waiting"


@pytest.mark.parametrize("gone", ["deactivated", "role", "owner"])
def test_rights_are_looked_at_again_when_it_settles(refund, rosa, gone):
    sign(refund, rosa)
    if gone == "deactivated":
        type(rosa).objects.filter(pk=rosa.pk).update(is_active=False)
    elif gone == "role":
        rosa.groups.clear()
    else:
        type(refund.source).objects.update(owner=rosa)

    assert settled_after(refund) == 1

    assert not Hold.objects.exists() and nothing_settled(refund)
    assert entries("proposal.hold_fell") == 1


def test_deactivating_somebody_lets_what_they_hold_fall_at_once(refund, rosa, carl):
    sign(refund, rosa)

    policies.deactivate(rosa, actor=audit.SYSTEM)

    assert not Hold.objects.exists() and sign(refund, carl).held


# -- fallen


def test_context_lets_it_fall_and_its_signer_is_told(refund, rosa):
    sign(refund, rosa)

    lifecycle.add_context(refund.incident_id, context={"summary": "it was 25"}, actor=AGENT)

    assert not Hold.objects.exists() and nothing_settled(refund)
    notice = Notice.objects.get(kind="hold_fell")
    assert notice.person == rosa and notice.facts["why"] == "context was added"
    assert entries("proposal.hold_fell") == 1
    assert lifecycle.settle_held() == 0


@pytest.mark.parametrize("act", ["withdraw", "revise"])
def test_the_source_may_take_it_away_or_correct_it(refund, rosa, act):
    sign(refund, rosa)

    if act == "withdraw":
        lifecycle.withdraw(refund.incident_id, actor=AGENT)
    else:
        lifecycle.revise(refund.incident_id, content={"action": "refund", "args": {"n": 1}}, actor=AGENT)

    refund.refresh_from_db()
    assert refund.state == ("withdrawn" if act == "withdraw" else "superseded")
    assert not Hold.objects.exists() and not Decision.objects.exists()
    assert Notice.objects.get(kind="hold_fell").person == rosa


# -- the line goes on


def test_a_poisoned_one_does_not_stop_the_line_and_its_item_is_open_again(rosa, monkeypatch):
    bad, *good = [ProposalFactory(role=role("finance"), policy=UNDO) for _ in range(4)]
    for one in (bad, *good):
        sign(one, rosa)
    opened = outbox.open_outcome

    def broken(proposal, incident):
        if proposal.pk == bad.pk:
            raise RuntimeError("boom")
        return opened(proposal, incident)

    monkeypatch.setattr(outbox, "open_outcome", broken)
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert lifecycle.settle_held() == 4

    assert Decision.objects.count() == 3 and not Hold.objects.exists()
    bad.refresh_from_db()
    assert bad.state == "pending" and not Signature.objects.filter(proposal=bad).exists()
    assert "could not be settled: RuntimeError" in AuditEntry.objects.get(action="proposal.hold_fell").body


def test_a_deadlock_is_no_reason_to_let_it_fall(refund, rosa, monkeypatch):
    sign(refund, rosa)

    def deadlock(*args):
        raise OperationalError("deadlock detected")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "open_outcome", deadlock)
        assert settled_after(refund) == 0
    assert Hold.objects.exists()
    assert settled_after(refund) == 1 and Decision.objects.exists()


def test_it_does_at_most_so_many(rosa):
    for _ in range(3):
        sign(ProposalFactory(role=role("finance"), policy=UNDO), rosa)

    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert [lifecycle.settle_held(limit=2) for _ in range(3)] == [2, 1, 0]


def test_a_test_keys_item_is_held_like_any_other(rosa):
    proposal = ProposalFactory(role=role("finance"), policy=UNDO, incident=IncidentFactory(test=True, source=SourceFactory()))
    sign(proposal, rosa)
    lifecycle.add_context(proposal.incident_id, context={"summary": "x"}, actor=AGENT)

    assert not Hold.objects.exists() and not Notice.objects.exists()
