"""Taking a second look: by whom, once, and without any effect on what was decided."""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle, looks
from escalations.errors import Conflict, DecisionNotAllowed, Invalid, NotFound
from escalations.models import AuditEntry, Decision, Delivery, Proposal, SecondLook
from escalations.states import LookState
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


def answer(look, person, verdict="approve", **said):
    return looks.answer(look.pk, person=person, verdict=verdict, **said)


def everything_but_looks():
    return [list(model.objects.order_by("pk").values()) for model in (Proposal, Decision, Delivery)]


def test_an_answer_is_kept_and_changes_nothing(drawn, rosa, carl):
    look, before = drawn(rosa), everything_but_looks()

    answer(look, carl, "reject", reason=" it was paid twice ", category="refund")

    look.refresh_from_db()
    assert (look.state, look.person, look.verdict, look.reason, look.category) == (LookState.ANSWERED, carl, "reject", "it was paid twice", "refund")
    assert everything_but_looks() == before
    entry = AuditEntry.objects.get(action="second.answered")
    assert (entry.actor, entry.proposal_id, entry.incident_id) == ("carl", look.proposal_id, None)


def of_carls_own_service(rosa, carl, decided, drawn):
    return drawn(rosa, proposal=decided(rosa, incident=IncidentFactory(source=SourceFactory(owner=carl))))


def on_carls_behalf(rosa, carl, decided, drawn):
    return drawn(rosa, proposal=decided(rosa, incident=IncidentFactory(on_behalf_of="Carl Colleague")))


def commented_by_carl(rosa, carl, decided, drawn):
    one = ProposalFactory(role=role("finance"))
    lifecycle.comment(one.pk, person=carl, text="hm")
    lifecycle.decide(one.pk, person=rosa, type="approve", digest=one.args_digest, version=one.version + 0)
    return drawn(rosa, proposal=Proposal.objects.get(pk=one.pk))


def decided_by_carl(rosa, carl, decided, drawn):
    return drawn(carl)


def opened_by_another(rosa, carl, decided, drawn):
    return drawn(rosa, opened_by=PersonFactory(roles=["finance"]), opened_at=clock.now())


def lapsed(rosa, carl, decided, drawn):
    look = drawn(rosa)
    SecondLook.objects.filter(pk=look.pk).update(lapses_at=clock.now() - timedelta(seconds=1))
    return look


@pytest.mark.parametrize(
    "make", [of_carls_own_service, on_carls_behalf, commented_by_carl, decided_by_carl, opened_by_another, lapsed]
)
def test_who_had_a_hand_in_it_may_not_look(make, decided, drawn, rosa, carl):
    look = make(rosa, carl, decided, drawn)

    with pytest.raises(NotFound):
        answer(look, carl)
    with pytest.raises(NotFound):
        looks.open_look(look.pk, person=carl)

    look.refresh_from_db()
    assert look.state == LookState.OPEN and look.person is None


def test_people_of_other_roles_learn_nothing(drawn, rosa, mona):
    look, stranger = drawn(rosa), PersonFactory(roles=["security"])

    for person in (stranger, mona):
        assert not looks.open_for(person).exists()
        with pytest.raises(NotFound):
            answer(look, person)


def test_it_is_answered_once_and_a_known_answer_once_by_each(drawn, rosa, carl):
    third, look = PersonFactory(roles=["finance"]), drawn(rosa, expected="reject")
    answer(look, carl)

    with pytest.raises(Conflict):
        answer(look, third)
    again = drawn(rosa, proposal=look.proposal, expected="reject")
    with pytest.raises(NotFound):
        answer(again, carl)
    answer(again, third)


def test_a_no_needs_words_and_a_decision_must_be_one_it_took(decided, drawn, rosa, carl):
    look = drawn(rosa)

    with pytest.raises(Invalid):
        answer(look, carl, "reject", reason="  ")
    with pytest.raises(Invalid):
        answer(look, carl, "approve", category="no such thing")
    with pytest.raises(DecisionNotAllowed):
        answer(look, carl, "maybe", reason="r")


def test_who_opened_it_keeps_it_for_an_hour_and_may_give_it_back(drawn, rosa, carl):
    third, look = PersonFactory(roles=["finance"]), drawn(rosa)
    looks.open_look(look.pk, person=carl)

    assert not looks.open_for(third).exists() and looks.open_for(carl).exists()
    assert looks.looking_at(carl, look.proposal.incident_id) == look and looks.looking_at(third, look.proposal.incident_id) is None
    with clock.frozen_at(clock.now() + timedelta(hours=1, seconds=1)):
        assert looks.open_for(third).exists()
    with pytest.raises(NotFound):
        looks.leave(look.pk, person=third)
    looks.leave(look.pk, person=carl)
    assert looks.open_for(third).exists() and looks.looking_at(carl, look.proposal.incident_id) is None


def test_retiring_a_known_answer_lapses_what_waits_of_it(drawn, decided, rosa, ada):
    one = decided(rosa)
    looks.mark(one.pk, person=ada, verdict="reject", why="w")
    look = drawn(rosa, proposal=one, expected="reject")

    looks.retire(one.pk, person=ada, why="not so sure any more")

    look.refresh_from_db()
    assert look.state == LookState.LAPSED
    assert [AuditEntry.objects.get(action=f"known.{what}").incident_id for what in ("marked", "retired")] == [None, None]
