"""Law 10, for runs under watch: every order and every alarm leaves an entry in its transaction.

Steps leave none of their own, a thousand a second: they cannot be changed or removed, and the entry of a run's end binds them all by
their digest.
"""

import contextlib
from datetime import timedelta

import pytest
from django.db import DatabaseError

from escalations import clock, lifecycle, oversight
from escalations.models import AuditEntry, Decision, Incident, OversightSession, Proposal, SessionAlarm, SessionOrder, SessionStep
from escalations.states import Order
from tests.factories import PersonFactory, ProposalFactory, SourceFactory
from tests.laws.test_law_10 import leave_no_room, make_room

pytestmark = pytest.mark.django_db

RECORD = [OversightSession, SessionStep, SessionOrder, SessionAlarm, Incident, Proposal, Decision]
NO_VERBS = {"Answer", "Look", "digest_of", "look", "told", "told_many", "withdraw_open"}  # answers, questions, a part of `order`


def later(seconds, verb):
    def act():
        with clock.frozen_at(clock.now() + timedelta(seconds=seconds)):
            return verb()

    return act


def decided(run, person):
    for _ in range(5):
        oversight.take_steps(run.pk, source=run.source, steps=[{"tool": "t"}])
    alarm = SessionAlarm.objects.get()
    one = ProposalFactory(incident=alarm.incident, allowed_decisions=["respond", "reject"])
    lifecycle.decide(one.pk, person=person, type="reject", digest=one.args_digest, version=one.version, reason="r")
    return oversight.follow


def told_to_stop(run, person):
    oversight.order(run.pk, Order.STOP, person=person)


def ordered(order):
    return lambda run, person: lambda: oversight.order(run.pk, order, person=person, text="t")


def resumed(run, person):
    oversight.order(run.pk, Order.PAUSE, person=person)
    return ordered(Order.RESUME)(run, person)


def hearing(run, person):
    told_to_stop(run, person)
    return lambda: oversight.directive(run.pk, source=run.source)


def confirming(run, person):
    hearing(run, person)()
    return lambda: oversight.directive(run.pk, source=run.source)


def going_on(run, person):
    hearing(run, person)()
    return later(30, lambda: oversight.take_steps(run.pk, source=run.source, steps=[{"tool": "t"}]))


VERBS = {
    "start": [lambda run, person: lambda: oversight.start(
        source=run.source, key_env="live", data={"agent": "a"}, key="k", body_digest="0" * 64
    )],
    "end": [lambda run, person: lambda: oversight.end(run.pk, source=run.source, outcome="done")],
    "order": [ordered(Order.PAUSE), ordered(Order.STOP), ordered(Order.NOTE), resumed],
    "hand_over": [lambda run, person: lambda: oversight.hand_over(run.pk, to=PersonFactory(roles=["supervisor"]), person=person)],
    "stop_many": [lambda run, person: lambda: oversight.stop_many([run.pk], person=person)],
    "directive": [hearing, confirming],
    "take_steps": [
        lambda run, person: lambda: oversight.take_steps(run.pk, source=run.source, steps=[{"tool": "t"}] * 5), going_on,
    ],
    "follow": [decided],
    "find_silent": [lambda run, person: later(4000, oversight.find_silent)],
    "end_overdue": [lambda run, person: later(4000, oversight.end_overdue)],
}
CASES = [pytest.param(make, id=f"{name}-{number}") for name, several in VERBS.items() for number, make in enumerate(several)]


@pytest.fixture
def run():
    data = {"agent": "a", "limits": {"minutes": 60}}
    return oversight.start(source=SourceFactory(), key_env="live", data=data, key=None, body_digest="0" * 64)[0]


@pytest.fixture
def manager():
    return PersonFactory(roles=["manager"])


def record():
    return {model: list(model.objects.order_by("pk").values()) for model in RECORD}


def test_every_verb_is_tried():
    assert set(VERBS) == set(oversight.__all__) - NO_VERBS


@pytest.mark.parametrize("make", CASES)
def test_a_verb_leaves_an_entry_that_says_who(make, run, manager):
    act = make(run, manager)
    before, newest = record(), AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    act()
    assert record() != before
    entries = list(AuditEntry.objects.filter(pk__gt=newest))
    assert entries and all(entry.actor and entry.actor_kind and (entry.incident_id or entry.subject) for entry in entries)


@pytest.mark.parametrize("make", CASES)
def test_without_its_entry_a_change_does_not_happen(make, run, manager):
    act = make(run, manager)
    before, entries = record(), AuditEntry.objects.count()
    leave_no_room()
    with contextlib.suppress(DatabaseError):
        act()
    make_room()
    assert (record(), AuditEntry.objects.count()) == (before, entries)


def test_the_entry_of_a_runs_end_binds_its_steps(run):
    oversight.take_steps(run.pk, source=run.source, steps=[{"tool": "t", "args": {"n": n}} for n in range(3)])
    oversight.end(run.pk, source=run.source, outcome="done")
    digest = oversight.digest_of(SessionStep.objects.filter(session=run).order_by("number"))
    assert digest and digest in AuditEntry.objects.get(action="session.ended").body
