"""kill -9 in the middle: nothing half done, and the same request again brings the one result (laws 1, 2, 3 and 10).

Each act runs in a forked process that kills itself at a named point, as the kernel or an operator would; what is left in the
database is looked at from outside, and the caller's retry is played.
"""

import os
import signal
import threading
import time
from datetime import timedelta
from unittest import mock

import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from escalations import audit, clock, ingest, lifecycle, queue, route
from escalations.models import (
    AuditEntry,
    Classification,
    Decision,
    Delivery,
    Hold,
    Incident,
    Proposal,
    Signature,
    StepRun,
    WakeUp,
    Work,
)
from tests.factories import STANDARD, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

REFUND = {"kind": "action", "title": "Refund", "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}}}


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(original):
    def wrapped(*args, **kwargs):
        original(*args, **kwargs)
        die()

    return wrapped


def killed_at(point, act, after=False):
    """Run `act` in a process of its own that is killed at `point` (or right after it); return whether it was."""
    connection.close()
    pid = os.fork()
    if pid == 0:
        try:
            if point == "after_commit":
                with mock.patch.object(DatabaseWrapper, "_commit", die_after(DatabaseWrapper._commit)):
                    act()
            elif point == "at_commit":
                with mock.patch.object(DatabaseWrapper, "_commit", die):
                    act()
            else:
                with mock.patch(point, die_after(import_string(point)) if after else die):
                    act()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def post_refund(source):
    return ingest.receive(source=source, key_env="live", data=REFUND, key="k", body_digest="a" * 64)


def all_or_nothing():
    """Return whether the incident is there with everything that belongs to it, or nothing is."""
    counts = {model.objects.count() for model in (Incident, Proposal, Work)}
    counts.add(AuditEntry.objects.filter(action="incident.received").count())
    assert counts in ({0}, {1})
    return counts == {1}


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("escalations.ingest.insert_together", False),
        ("escalations.queue.wake", False),
        ("at_commit", False),
        ("after_commit", True),
    ],
)
def test_posting(point, stored):
    source = SourceFactory()

    assert killed_at(point, lambda: post_refund(source))
    assert all_or_nothing() is stored
    assert OrmQ.objects.count() == int(stored)  # a wake-up comes with the incident, or not at all

    incident, replayed = post_refund(source)
    assert replayed is stored
    assert Incident.objects.get() == incident and all_or_nothing()


@pytest.mark.parametrize("stored", [False, True], ids=["before the statement", "after it"])
def test_posting_while_a_wake_up_waits_already(stored):
    source = SourceFactory()
    queue.wake("classify")

    assert killed_at("escalations.ingest.insert_together", lambda: post_refund(source), after=stored)
    assert all_or_nothing() is stored

    incident, replayed = post_refund(source)
    assert replayed is stored
    assert Incident.objects.get() == incident and all_or_nothing()
    assert OrmQ.objects.count() == 1


def waits_for_the_audit(looking):
    """Return the server processes that wait to write to the audit, or are at it."""
    return looking.execute(
        "SELECT pid FROM pg_locks WHERE relation = 'escalations_auditentry'::regclass AND mode = 'RowExclusiveLock'"
    ).fetchall()


def until(is_so, seconds=30):
    """Wait for something to become so, looking twenty times a second."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.05)


def test_posting_killed_while_the_database_is_at_it():
    source = SourceFactory()
    queue.wake("classify")
    with connection.get_new_connection(connection.get_connection_params()) as holding:
        # The last row of the statement has to wait; the others are written and not committed.
        holding.execute("LOCK TABLE escalations_auditentry IN EXCLUSIVE MODE")
        connection.close()
        pid = os.fork()
        if pid == 0:
            try:
                post_refund(source)
            finally:
                os._exit(0)
        until(lambda: waits_for_the_audit(holding))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        holding.rollback()
        until(lambda: not waits_for_the_audit(holding))

    stored = all_or_nothing()  # either is right: the database did not hear that the caller was gone
    _, replayed = post_refund(source)
    assert replayed is stored
    assert all_or_nothing()


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("escalations.lifecycle.moves.move", False),
        ("escalations.lifecycle.moves.Decision.save", False),
        ("escalations.outbox.open_outcome", False),
        ("escalations.outbox.open_incident_settled", False),
        ("escalations.audit.record_many", False),
        ("escalations.queue.announce", False),
        ("escalations.lifecycle.decide.Signature.objects.create", False),
        ("at_commit", False),
        ("after_commit", True),
    ],
)
def test_deciding(point, stored):
    person = PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"))

    def decide():
        return lifecycle.decide(
            proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=1, request_key="t:1",
            request_digest="a" * 64,
        )

    assert killed_at(point, decide)
    everything = [
        Decision.objects.count(), Signature.objects.count(), Delivery.objects.filter(type="proposal.settled").count(),
        AuditEntry.objects.filter(action="proposal.decided").count(), Proposal.objects.filter(state="approved").count(),
        Incident.objects.filter(status="settled").count(),
    ]
    assert set(everything) == {int(stored)}

    outcome = decide()
    assert outcome.replayed is stored
    assert Decision.objects.get() == outcome.decision
    assert Delivery.objects.filter(type="proposal.settled").count() == Signature.objects.count() == 1


HELD = {**STANDARD, "undo_seconds": 20}


def held_and_settled():
    """Return how many holds and how many decisions there are, with everything that belongs to a decision or nothing of it."""
    settled = {
        Decision.objects.count(), Signature.objects.count(), Delivery.objects.filter(type="proposal.settled").count(),
        AuditEntry.objects.filter(action="proposal.decided").count(), Proposal.objects.filter(state="approved").count(),
        Incident.objects.filter(status="settled").count(),
    }
    assert len(settled) == 1
    return Hold.objects.count(), settled.pop()


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("escalations.lifecycle.hold.put", False), ("escalations.lifecycle.hold.Hold.objects.create", False),
        ("escalations.audit.record", False), ("escalations.queue.announce", False), ("at_commit", False), ("after_commit", True),
    ],
)
def test_holding_a_signature(point, stored):
    person, proposal = PersonFactory(roles=["finance"]), ProposalFactory(role=role("finance"), policy=HELD)

    def sign():
        return lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=1)

    assert killed_at(point, sign)
    assert held_and_settled() == (int(stored), 0)
    assert AuditEntry.objects.filter(action="proposal.held").count() == int(stored)
    if not stored:
        assert sign().held
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert lifecycle.settle_held() == 1
    assert held_and_settled() == (0, 1)


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("escalations.lifecycle.settling._why_not", False), ("escalations.lifecycle.settling.sign", False),
        ("escalations.lifecycle.moves.move", False), ("escalations.lifecycle.moves.Decision.save", False),
        ("escalations.outbox.open_outcome", False), ("escalations.audit.record_many", False), ("escalations.queue.announce", False),
        ("escalations.lifecycle.decide.Signature.objects.create", False), ("at_commit", False), ("after_commit", True),
    ],
)
def test_settling_what_was_held(point, stored):
    person, proposal = PersonFactory(roles=["finance"]), ProposalFactory(role=role("finance"), policy=HELD)
    held = lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=1).held

    def settle():
        with clock.frozen_at(held.settles_at):
            return lifecycle.settle_held()

    assert killed_at(point, settle)
    assert held_and_settled() == (int(not stored), int(stored))

    assert settle() == int(not stored)
    assert held_and_settled() == (0, 1)
    assert Signature.objects.get().at == held.signed_at


@pytest.mark.parametrize(("point", "stored"), [("escalations.audit.record", False), ("at_commit", False), ("after_commit", True)])
@pytest.mark.parametrize("way", ["undo", "context"])
def test_ending_a_hold_without_settling(point, stored, way):
    person, proposal = PersonFactory(roles=["finance"]), ProposalFactory(role=role("finance"), policy=HELD)
    lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=1)

    def end():
        if way == "undo":
            lifecycle.undo(proposal.pk, person=person)
        else:
            lifecycle.add_context(proposal.incident_id, context={"summary": "x"}, actor=audit.SYSTEM)

    assert killed_at(point, end)
    assert held_and_settled() == (int(not stored), 0)
    told = AuditEntry.objects.filter(action__in=["proposal.undone", "proposal.hold_fell"]).count()
    assert told == int(stored)
    if not stored:
        end()
    assert held_and_settled() == (0, 0) and Proposal.objects.get().state == "pending"


@pytest.mark.parametrize("point", ["escalations.audit.record_many", "escalations.outbox.open_notices", "at_commit", "after_commit"])
def test_the_clock(point):
    policy = {**STANDARD, "steps": [{"role": role("manager").pk, "name": "manager", "after": 3600}] * 2}
    proposals = [ProposalFactory(policy=policy) for _ in range(10)]
    late = max(one.due_at for one in proposals) + timedelta(minutes=1)

    def sweep():
        with clock.frozen_at(late):
            return lifecycle.run_out()

    assert killed_at(point, sweep)
    sweep()
    assert StepRun.objects.count() == 10
    assert set(Proposal.objects.values_list("step", flat=True)) == {1}
    assert AuditEntry.objects.filter(action="proposal.stepped").count() == 10


@pytest.mark.parametrize("point", ["escalations.lifecycle.place", "escalations.audit.record", "at_commit", "after_commit"])
def test_routing(point):
    incident, _ = ingest.receive(source=SourceFactory(), key_env="live", data=REFUND, key="k", body_digest="a" * 64)
    work = Work.objects.get()
    Classification.objects.create(incident=incident, work=work, engine="rules", severity="info", category="refund", confidence=0.9)
    Work.objects.update(stage="route")

    assert killed_at(point, route.run_batch)
    # The lease is still there; when it lapses, another worker takes it up where the first was killed.
    with clock.frozen_at(clock.now() + queue.LEASE + timedelta(seconds=1)):
        while route.run_batch():
            pass
    assert Work.objects.get().stage == "done"
    assert Proposal.objects.get().routed_at
    assert AuditEntry.objects.filter(action="proposal.routed").count() == 1


def test_a_wake_up_that_died_with_its_task_does_not_silence_the_kind():
    queue.wake("classify")
    connection.close()

    with clock.frozen_at(clock.now() + queue.STALE + timedelta(seconds=1)):
        assert queue.wake("classify")
    assert WakeUp.objects.get(kind="classify").queued_at
