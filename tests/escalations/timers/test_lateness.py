import threading
from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError, connection

from escalations import audit, clock, lifecycle
from escalations.models import AuditEntry, Decision, Proposal, StepRun
from escalations.states import State
from escalations.timers import lateness
from escalations.timers.lateness import DatabaseLost, Steps
from tests.factories import STANDARD, IncidentFactory, ProposalFactory, SourceFactory, role

HOUR = timedelta(hours=1)


def climbing(count, *, due_at, **fields):
    """Open proposals whose policy asks the manager twice before it rejects."""
    manager = role("manager")
    steps = [{"role": manager.pk, "name": manager.name, "after": 14_400}] * 2
    source = SourceFactory()
    return [
        ProposalFactory(
            incident=IncidentFactory(source=source), policy={**STANDARD, "steps": steps}, due_at=due_at,
            expires_at=due_at + 8 * HOUR, **fields,
        )
        for _ in range(count)
    ]


@pytest.mark.django_db
def test_a_step_fires_at_its_moment_and_not_before():
    (proposal,) = climbing(1, due_at=clock.now() + HOUR)
    steps = Steps()

    with clock.frozen_at(proposal.due_at - timedelta(milliseconds=1)):
        assert steps.fire(Event(), 5) == 0
    with clock.frozen_at(proposal.due_at):
        assert steps.fire(Event(), 5) == 1
        assert steps.fire(Event(), 5) == 0

    run = StepRun.objects.get()
    assert (run.step, run.due_at, run.fired_at) == (1, proposal.due_at, proposal.due_at)


@pytest.mark.django_db
def test_after_an_outage_everything_overdue_fires_in_one_turn():
    climbing(450, due_at=clock.now() - HOUR)  # three batches

    assert Steps().fire(Event(), 60) == 450

    assert StepRun.objects.count() == 450
    assert Proposal.objects.overdue(clock.now()).count() == 0


@pytest.mark.django_db
def test_a_poisoned_proposal_is_pushed_back_and_named_and_the_line_goes_on(monkeypatch, caplog):
    proposals = climbing(10, due_at=clock.now() - HOUR)
    poisoned = proposals[4]
    # What a wrong hand in the database can do: a policy that is no policy.
    Proposal.objects.filter(pk=poisoned.pk).update(policy={"steps": "none of this is a step"})
    steps = Steps()

    assert steps.fire(Event(), 5) == 9

    assert StepRun.objects.count() == 9
    assert not StepRun.objects.filter(proposal=poisoned).exists()
    assert list(steps.poisoned) == [poisoned.pk]
    assert str(poisoned.pk) in caplog.text
    poisoned.refresh_from_db()
    assert poisoned.state == State.PENDING
    assert clock.now() < poisoned.due_at <= clock.now() + lateness.PUSH_BACK

    # It comes back by itself once what was wrong is put right.
    Proposal.objects.filter(pk=poisoned.pk).update(policy=proposals[0].policy)
    with clock.frozen_at(poisoned.due_at):
        assert steps.fire(Event(), 5) == 1


@pytest.mark.django_db
def test_what_fails_for_the_moment_is_not_pushed_back(monkeypatch):
    (proposal,) = climbing(1, due_at=clock.now() - HOUR)

    def deadlocked(**kwargs):
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(lifecycle, "run_out", deadlocked)
    steps = Steps()

    assert steps.fire(Event(), 5) == 0

    assert steps.poisoned == {}
    assert Proposal.objects.get().due_at == proposal.due_at


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_not_taken_for_a_poisoned_row(monkeypatch):
    climbing(1, due_at=clock.now() - HOUR)

    def cut_off(**kwargs):
        connection.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(lifecycle, "run_out", cut_off)
    steps = Steps()

    with pytest.raises(DatabaseLost):
        steps.fire(Event(), 5)

    connection.close()
    assert steps.poisoned == {}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_three_timers_at_once_fire_each_step_once():
    climbing(300, due_at=clock.now() - HOUR)
    expiring = climbing(30, due_at=clock.now() - 10 * HOUR)
    Proposal.objects.filter(pk__in=[one.pk for one in expiring]).update(expires_at=clock.now() - HOUR)
    barrier, fired = threading.Barrier(3), []

    def timers():
        try:
            steps = Steps()
            barrier.wait()
            fired.append(steps.fire(Event(), 30))
        finally:
            connection.close()

    threads = [threading.Thread(target=timers) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fired.append(Steps().fire(Event(), 30))  # what SKIP LOCKED left over

    assert sum(fired) == 330
    assert StepRun.objects.count() == 300
    assert Decision.objects.filter(by_kind="clock").count() == 30
    assert AuditEntry.objects.filter(action="proposal.stepped").count() == 300


@pytest.mark.django_db
def test_a_settled_proposal_never_steps():
    (proposal,) = climbing(1, due_at=clock.now() - HOUR)
    lifecycle.withdraw(proposal.incident_id, actor=audit.Actor.source(proposal.source))

    assert Steps().fire(Event(), 5) == 0
    assert not StepRun.objects.exists()
