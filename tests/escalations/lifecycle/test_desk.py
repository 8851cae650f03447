"""What a reviewer may do without settling."""

from datetime import timedelta

import pytest

from escalations import audit, clock, errors, lifecycle
from escalations.models import AuditEntry, Comment, Delivery, Notice, Proposal, Question, StepRun
from tests.factories import PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    return PersonFactory(roles=["finance"])


@pytest.fixture
def proposal():
    return ProposalFactory(role=role("finance"))


def test_a_claim_shows_who_holds_it_and_keeps_the_version(proposal, person):
    lifecycle.claim(proposal.pk, person=person)

    claimed = Proposal.objects.get()
    assert (claimed.claimed_by, claimed.version) == (person, 1)
    assert claimed.claim_until > clock.now()


def test_a_colleague_is_told_who_holds_it_and_may_take_over(proposal, person):
    colleague = PersonFactory(roles=["finance"])
    lifecycle.claim(proposal.pk, person=person)

    with pytest.raises(errors.AlreadyClaimed, match=person.name):
        lifecycle.claim(proposal.pk, person=colleague)
    lifecycle.claim(proposal.pk, person=colleague, take_over=True)
    assert Proposal.objects.get().claimed_by == colleague
    assert AuditEntry.objects.filter(action="proposal.claimed", body__contains=f'"taken_from":"{person.username}"').exists()


def test_a_lapsed_claim_is_free(proposal, person):
    until = lifecycle.claim(proposal.pk, person=person).claim_until

    with clock.frozen_at(until):
        lifecycle.claim(proposal.pk, person=PersonFactory(roles=["finance"]))


def test_releasing_what_a_colleague_took_does_nothing(proposal, person):
    colleague = PersonFactory(roles=["finance"])
    lifecycle.claim(proposal.pk, person=colleague)

    lifecycle.release(proposal.pk, person=person)
    assert Proposal.objects.get().claimed_by == colleague


def test_everything_a_person_holds_is_given_back_when_they_leave(proposal, person):
    lifecycle.claim(proposal.pk, person=person)

    assert lifecycle.release_all(person, actor=audit.SYSTEM) == 1
    assert Proposal.objects.get().claimed_by is None


def test_handing_over_asks_the_other_role_and_raises_the_version(proposal, person):
    PersonFactory(roles=["support"])
    lifecycle.hand_over(proposal.pk, person=person, role=role("support"), why="it is about the tone")

    moved = Proposal.objects.get()
    assert (moved.role.name, moved.version, moved.due_at) == ("support", 2, proposal.due_at)
    assert role("finance").pk in moved.asked
    assert Notice.objects.get().kind == "escalated"
    with pytest.raises(errors.NotYourQueue):
        lifecycle.claim(proposal.pk, person=person)


def test_escalating_now_fires_the_next_step_at_once(proposal, person):
    lifecycle.escalate_now(proposal.pk, person=person, why="a big customer")

    moved = Proposal.objects.get()
    assert (moved.role.name, moved.step) == ("manager", 1)
    assert StepRun.objects.get().why == "person"


def test_managers_cannot_escalate_to_themselves(proposal):
    manager = PersonFactory(roles=["manager"])
    lifecycle.escalate_now(proposal.pk, person=manager)

    with pytest.raises(errors.IllegalMove):
        lifecycle.escalate_now(proposal.pk, person=manager)


def test_extending_moves_both_moments(proposal, person):
    lifecycle.extend(proposal.pk, person=person, by=timedelta(hours=2), why="waiting for the invoice")

    moved = Proposal.objects.get()
    assert moved.due_at == proposal.due_at + timedelta(hours=2)
    assert moved.expires_at == proposal.expires_at + timedelta(hours=2)


@pytest.mark.parametrize("by", [timedelta(0), timedelta(hours=-1), timedelta(days=8)])
def test_no_time_is_taken_away_nor_given_without_end(proposal, person, by):
    with pytest.raises(errors.Invalid):
        lifecycle.extend(proposal.pk, person=person, by=by)


def test_asking_back_tells_the_source_and_settles_nothing(proposal, person):
    lifecycle.ask_back(proposal.pk, person=person, text="Which invoice?")

    assert Question.objects.get().answered_at is None
    assert Delivery.objects.get().type == "incident.question"
    assert Proposal.objects.get().state == "pending"

    lifecycle.add_context(proposal.incident_id, context={"summary": "invoice 7"}, actor=audit.SYSTEM)
    assert Question.objects.get().answered_at is not None
    assert Proposal.objects.get().version == 2


@pytest.mark.parametrize("act", ["claim", "escalate_now", "ask_back", "extend", "hand_over"])
def test_a_stranger_can_do_nothing_of_it(proposal, act):
    stranger = PersonFactory(roles=["support"])
    more = {
        "ask_back": {"text": "?"}, "extend": {"by": timedelta(hours=1)}, "hand_over": {"role": role("security")},
    }.get(act, {})

    with pytest.raises(errors.NotFound):
        getattr(lifecycle, act)(proposal.pk, person=stranger, **more)


# -- comments that call on somebody


def test_colleagues_who_can_read_it_are_told_once_each_and_oneself_is_not(proposal, person):
    carl = PersonFactory(username="carl", roles=["finance"])
    auditor = PersonFactory(username="ann.lee@acme.example", roles=["auditor"])

    said = lifecycle.comment(
        proposal.pk, person=person, text=f"@Carl and @ann.lee@acme.example. @carl, write to x@carl.example (cc @{person.username})"
    )

    assert said.mentions == [carl.pk, auditor.pk, person.pk]
    assert set(Notice.objects.filter(kind="mentioned").values_list("person", flat=True)) == {carl.pk, auditor.pk}


@pytest.mark.parametrize("name", ["sam", "gone", "nobody"])
def test_who_cannot_read_it_is_refused_by_name_and_nothing_is_said(proposal, person, name):
    PersonFactory(username="sam", roles=["security"])
    PersonFactory(username="gone", roles=["finance"], is_active=False)

    with pytest.raises(errors.Invalid, match=f"Nobody called @{name} can read this"):
        lifecycle.comment(proposal.pk, person=person, text=f"look at this, @{name}!")
    assert not Comment.objects.exists() and not Notice.objects.exists()


def test_at_most_twenty_are_called_on(proposal, person):
    with pytest.raises(errors.Invalid, match="at most"):
        lifecycle.comment(proposal.pk, person=person, text=" ".join(f"@p{number}" for number in range(21)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@a.b. @c-d, (@e_f)", ["a.b", "c-d", "e_f"]), ("mail a@b.example", []), ("@ nobody @", []), ("@x @x", ["x"]),
        ("https://h.example/@someone", []), ("@@twice", []),
    ],
)
def test_which_names_a_text_calls_on(text, names):
    assert lifecycle.names_in(text) == names


def test_revealing_is_for_who_may_read_it_and_changes_nothing(proposal, person):
    before = Proposal.objects.values().get()
    lifecycle.reveal(proposal.pk, person=person, why=" to call the bank ")

    assert Proposal.objects.values().get() == before
    assert '"why":"to call the bank"' in AuditEntry.objects.get(action="proposal.revealed").body
    with pytest.raises(errors.NotFound):
        lifecycle.reveal(proposal.pk, person=PersonFactory(roles=["support"]))
