"""The meeting: findings, notes, follow-ups that carry over, closing; who may; and the minutes."""

from datetime import timedelta
from uuid import uuid4

import pytest
from teams_week import MONDAY, NEXT

from escalations import clock, weekly
from escalations.errors import Invalid, NotAllowed, NotFound
from escalations.models import AuditEntry, Finding, FollowUp
from tests.factories import PersonFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(came):
    return came(confidence=0.9, title="Pay *Helder* to GB33BUKB20201555555555 <b>now</b>")


@pytest.fixture
def review(item):
    with clock.frozen_at(NEXT):
        return weekly.make(role("finance").pk, MONDAY)


@pytest.fixture
def stranger(db):
    return PersonFactory(username="sam", roles=["security"])


@pytest.fixture
def auditor(db):
    PersonFactory(username="ann", roles=["auditor"])
    found = role("auditor")
    found.sees_everything = True
    found.save()
    return found.user_set.get()


def test_a_finding_is_written_and_written_anew(review, item, rosa):
    weekly.find(review.pk, item.pk, found="rule", note="The limit is too low.", person=rosa)
    weekly.find(review.pk, item.pk, found="context", note="", person=rosa)

    assert [(one.found, one.note) for one in Finding.objects.all()] == [("context", "")]
    assert AuditEntry.objects.filter(action="weekly.found", actor="rosa").count() == 2


def test_only_what_is_on_the_list_gets_a_finding_and_only_one_there_is(review, item, rosa):
    with pytest.raises(Invalid):
        weekly.find(review.pk, uuid4(), found="rule", note="", person=rosa)
    with pytest.raises(Invalid):
        weekly.find(review.pk, item.pk, found="nonsense", note="", person=rosa)
    assert not Finding.objects.exists()


VERBS = {
    "find": lambda review, item, person: weekly.find(review.pk, item.pk, found="right", note="", person=person),
    "notes": lambda review, item, person: weekly.write_notes(review.pk, "Seen by all.", person=person),
    "follow up": lambda review, item, person: weekly.follow_up(review.pk, "Ask", owner=person, due=None, person=person),
    "close": lambda review, item, person: weekly.close(review.pk, person=person),
}


@pytest.mark.parametrize("verb", VERBS)
def test_strangers_and_auditors_write_nothing(review, item, stranger, auditor, verb):
    for person in (stranger, auditor):
        with pytest.raises(NotAllowed):
            VERBS[verb](review, item, person)
    assert not AuditEntry.objects.filter(action__startswith="weekly.").exclude(action="weekly.made").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_managers_write_like_members(review, item, manager, verb):
    VERBS[verb](review, item, manager)
    assert AuditEntry.objects.filter(action__startswith="weekly.", actor="milan").count() == 1


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_written_into_a_closed_week(review, item, rosa, verb):
    weekly.close(review.pk, person=rosa)
    with pytest.raises(weekly.Closed):
        VERBS[verb](review, item, rosa)


def test_a_follow_up_carries_over_until_it_is_done(review, came, rosa):
    todo = weekly.follow_up(review.pk, "Ask purchasing", owner=rosa, due=None, person=rosa)
    weekly.close(review.pk, person=rosa)
    came(7 * 24 + 5)
    with clock.frozen_at(NEXT + timedelta(days=7)):
        second = weekly.make(role("finance").pk, MONDAY + timedelta(days=7))
        assert [one.pk for one in weekly.shown_on(second)] == [todo.pk]
    with clock.frozen_at(NEXT + timedelta(days=8)):
        weekly.end(todo.pk, outcome="They agree.", dropped=False, person=rosa)
    with clock.frozen_at(NEXT + timedelta(days=14)):
        came(14 * 24 + 5)
        third = weekly.make(role("finance").pk, MONDAY + timedelta(days=14))

    assert [one.outcome for one in weekly.shown_on(second)] == ["They agree."]
    assert not weekly.shown_on(third).exists()
    with pytest.raises(weekly.Ended):
        weekly.end(todo.pk, outcome="", dropped=False, person=rosa)


def test_a_follow_up_needs_words_an_owner_of_the_team_and_a_day_to_come(review, rosa, stranger):
    yesterday = clock.now().date() - timedelta(days=1)
    for text, owner, due in (("", rosa, None), ("x", None, None), ("x", stranger, None), ("x", rosa, yesterday), ("x" * 501, rosa, None)):
        with pytest.raises(Invalid):
            weekly.follow_up(review.pk, text, owner=owner, due=due, person=rosa)
    assert not FollowUp.objects.exists()


def test_its_owner_ends_it_even_from_outside_and_nobody_else_does(review, rosa, manager, stranger):
    todo = weekly.follow_up(review.pk, "Ask", owner=manager, due=None, person=rosa)

    with pytest.raises(NotAllowed):
        weekly.end(todo.pk, outcome="", dropped=False, person=stranger)
    with pytest.raises(Invalid):
        weekly.end(todo.pk, outcome=" ", dropped=True, person=manager)
    manager.groups.clear()
    assert weekly.end(todo.pk, outcome="No longer needed.", dropped=True, person=manager).dropped
    with pytest.raises(NotFound):
        weekly.end(10**9, outcome="", dropped=False, person=rosa)


def test_the_minutes_say_it_all_and_a_strangers_marks_are_text(review, item, rosa):
    weekly.find(review.pk, item.pk, found="rule", note="Too *low*", person=rosa)
    weekly.follow_up(review.pk, "Raise the limit", owner=rosa, due=None, person=rosa, proposal_id=item.pk)
    weekly.write_notes(review.pk, "# All were there", person=rosa)
    review.refresh_from_db()

    markdown, plain = weekly.minutes(review, "md"), weekly.minutes(review, "txt")

    assert "# Escalation review: finance" in markdown and "Week of 2 March 2026 to 8 March 2026 (UTC). Not closed yet." in markdown
    assert "**the rule was wrong**: Pay \\*Helder\\*" in markdown and "\\<b\\>now" in markdown and "<b>" not in markdown
    assert "> \\# All were there" in markdown and "- [ ] Raise the limit" in markdown
    assert "the rule was wrong: Pay *Helder*" in plain and "ESCALATION REVIEW: FINANCE\n======" in plain
    for text in (markdown, plain):
        assert "BUKB" not in text and "a bank account number" in text
    assert "BUKB" in weekly.minutes(review, "txt", say=str)


def test_the_minutes_of_a_closed_week_say_who_closed_it(review, rosa):
    weekly.close(review.pk, person=rosa)
    review.refresh_from_db()

    assert f"by {rosa.name}" in weekly.minutes(review, "txt")
    assert "1 of 1 escalations have no finding" in weekly.minutes(review, "txt")
