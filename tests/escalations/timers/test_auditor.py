from datetime import timedelta

import pytest
from django_q.models import OrmQ

from escalations import audit, clock, queue
from escalations.models import AuditEntry, Heartbeat, Proposal, Work
from escalations.states import Stage
from escalations.timers import auditor
from tests.factories import ProposalFactory, WorkFactory

LONG_AGO = timedelta(hours=1)


@pytest.mark.django_db
def test_a_house_in_order_is_clean():
    ProposalFactory()
    WorkFactory()

    findings = auditor.look()

    assert findings.clean
    assert Heartbeat.objects.get(name="auditor").detail == {"clean": True, "found": {}, "repaired": {}}


@pytest.mark.django_db
def test_a_proposal_without_a_due_step_is_put_on_its_expiry():
    proposal = ProposalFactory(due_at=None)

    findings = auditor.look()

    proposal.refresh_from_db()
    assert proposal.due_at == proposal.expires_at
    assert findings.repaired == {"proposals without a due step": [str(proposal.pk)]}
    assert AuditEntry.objects.get().action == "proposal.repaired"
    assert auditor.look().clean


@pytest.mark.django_db
def test_one_that_has_no_expiry_either_is_named_and_not_the_parked_one():
    lost = ProposalFactory(due_at=None, expires_at=None)
    ProposalFactory(due_at=None, expires_at=None, parked_at=clock.now())

    findings = auditor.look()

    assert findings.found == {"proposals without a due step": [str(lost.pk)]}


@pytest.mark.django_db
def test_a_step_set_after_the_expiry_comes_back_to_it():
    proposal = ProposalFactory(due_at=clock.now() + timedelta(days=3650))

    auditor.look()

    proposal.refresh_from_db()
    assert proposal.due_at == proposal.expires_at


@pytest.mark.django_db
def test_steps_that_do_not_fire_are_named(caplog):
    proposal = ProposalFactory(due_at=clock.now() - timedelta(seconds=61))
    ProposalFactory(due_at=clock.now() - timedelta(seconds=30))

    assert auditor.look().found == {"steps more than 60 s late": [str(proposal.pk)]}
    assert str(proposal.pk) in caplog.text


@pytest.mark.django_db
def test_work_that_nobody_ends_is_named():
    old = WorkFactory(created_at=clock.now() - LONG_AGO)
    WorkFactory(created_at=clock.now() - LONG_AGO, stage=Stage.DONE)

    assert auditor.look().found == {"work older than 10 minutes": [str(old.pk)]}


@pytest.mark.django_db
def test_a_proposal_nobody_routed_gets_its_work_back():
    unrouted = {"routed_at": None, "role": None, "due_at": None, "expires_at": None, "created_at": clock.now() - LONG_AGO}
    forgotten = ProposalFactory(**unrouted)
    WorkFactory(incident=forgotten.incident, proposal=forgotten, stage=Stage.DONE)
    under_way = ProposalFactory(**unrouted)
    WorkFactory(incident=under_way.incident, proposal=None)
    ProposalFactory(**{**unrouted, "created_at": clock.now()})

    findings = auditor.look()

    assert findings.repaired == {"proposals nobody routed": [str(forgotten.pk)]}
    assert Work.objects.get(proposal=forgotten, stage=Stage.CLASSIFY).incident_id == forgotten.incident_id
    assert [task.task["func"] for task in OrmQ.objects.all()] == [queue.JOBS["classify"]]
    assert auditor.look().repaired == {}
    assert Proposal.objects.get(pk=forgotten.pk).routed_at is None


@pytest.mark.django_db
def test_what_cannot_be_fired_keeps_the_signal_back():
    findings = auditor.look(["1f: KeyError at escalations.lifecycle.clockwork:90"])

    assert not findings.clean


@pytest.mark.django_db
@pytest.mark.parametrize("broken", ["auditor", "queue", "unclean", "sealer", None])
def test_the_dead_mans_signal_goes_out_only_while_all_is_well(broken):
    auditor.look(["something"] if broken == "unclean" else [])
    queue.beat("queue")
    stale = clock.now() - timedelta(seconds=91)
    Heartbeat.objects.filter(name=broken).update(at=stale)
    if broken == "sealer":
        with clock.frozen_at(stale):
            audit.record("rule.saved", actor=audit.SYSTEM)

    assert auditor.all_is_well() is (broken is None)
