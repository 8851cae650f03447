"""Law 10 for second looks: what changes one leaves an entry in the same transaction, or does not happen."""

from datetime import timedelta

import pytest
from django.db import DatabaseError

from escalations import clock, lifecycle, looks
from escalations.looks import drawing, vigilance
from escalations.models import AuditEntry, KnownAnswer, Proposal, SecondLook, VigilanceAlarm
from tests.factories import ProposalFactory, role

from .test_law_10 import leave_no_room, make_room

pytestmark = pytest.mark.django_db


def look_of(settled, **facts):
    return SecondLook(proposal=settled, role=settled.role, lapses_at=clock.now() + drawing.LASTS, **facts)


def kept(settled, **facts):
    look = look_of(settled, **facts)
    look.save()
    return look


def lapsing(settled, rosa, carl, ada):
    look = kept(settled)
    SecondLook.objects.filter(pk=look.pk).update(lapses_at=clock.now() - timedelta(seconds=1))
    return looks.lapse


def retiring(settled, rosa, carl, ada):
    looks.mark(settled.pk, person=ada, verdict="reject", why="w")
    return lambda: looks.retire(settled.pk, person=ada)


def alarming(settled, rosa, carl, ada):
    return lambda: vigilance.raise_alarm(vigilance.Sign(rosa.pk, "pace", "w", {}))


def answering_alarm(settled, rosa, carl, ada):
    alarming(settled, rosa, carl, ada)()
    return lambda: looks.answer_alarm(VigilanceAlarm.objects.get().pk, person=rosa, text="t")


def answering(settled, rosa, carl, ada):
    look = kept(settled)
    return lambda: looks.answer(look.pk, person=carl, verdict="approve")


VERBS = {
    "put": lambda settled, rosa, carl, ada: lambda: drawing.put([look_of(settled)]),
    "answer": answering,
    "lapse": lapsing,
    "mark": lambda settled, rosa, carl, ada: lambda: looks.mark(settled.pk, person=ada, verdict="reject", why="w"),
    "retire": retiring,
    "raise_alarm": alarming,
    "answer_alarm": answering_alarm,
}
# Opening one and giving it back changes nothing that anybody is told, nor what comes of it.


@pytest.fixture
def settled(rosa):
    one = ProposalFactory(role=role("finance"))
    lifecycle.decide(one.pk, person=rosa, type="approve", digest=one.args_digest, version=one.version)
    return Proposal.objects.get(pk=one.pk)


def record():
    return [list(model.objects.order_by("pk").values()) for model in (SecondLook, KnownAnswer, VigilanceAlarm)]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_it_leaves_an_entry_or_does_not_happen(verb, settled, rosa, carl, ada):
    act = VERBS[verb](settled, rosa, carl, ada)
    before, entries = record(), AuditEntry.objects.count()

    leave_no_room()
    with pytest.raises(DatabaseError):
        act()
    make_room()
    assert record() == before and AuditEntry.objects.count() == entries

    act()
    assert record() != before and AuditEntry.objects.count() == entries + 1
    newest = AuditEntry.objects.order_by("-pk").first()
    assert newest.actor and newest.subject and newest.incident_id is None
