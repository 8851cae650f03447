"""Two clockworks on one Monday, and two colleagues at one review."""

import threading

import pytest
from django.db import connection

from escalations import weekly
from escalations.errors import CountersignError
from escalations.models import AuditEntry, EscalationReview, Finding, FollowUp, Suggestion
from escalations.weekly.gathering import monday_of
from tests.factories import PersonFactory, ProposalFactory, role
from tests.weeks import review_of, suggested

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


def at_once(*verbs):
    """Run each on a thread and connection of its own, beginning together; return what each returned or refused with."""
    ready, came_back = threading.Barrier(len(verbs)), [None] * len(verbs)

    def run(number, verb):
        try:
            ready.wait(timeout=20)
            came_back[number] = verb()
        except CountersignError as error:
            came_back[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(verbs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return came_back


@pytest.fixture
def waiting():
    return ProposalFactory(role=role("finance"))


@pytest.fixture
def rosa():
    return PersonFactory(username="rosa", roles=["finance"])


def test_two_clockworks_make_one_review(waiting):
    finance = role("finance")
    monday = monday_of(waiting.routed_at)

    made = at_once(*[lambda: weekly.make(finance.pk, monday)] * 4)

    assert sum(one is not None for one in made) == 1
    assert EscalationReview.objects.count() == 1
    assert AuditEntry.objects.filter(action="weekly.made").count() == 1


def test_a_suggestion_is_answered_once(waiting, rosa):
    row = suggested(review_of())
    role("manager").__class__.objects.filter(name="manager").update(decides_everything=True)
    milan = PersonFactory(username="milan", roles=["manager"])

    came = at_once(
        lambda: weekly.draft(row.pk, person=milan), lambda: weekly.dismiss(row.pk, why="no", person=rosa),
        lambda: weekly.draft(row.pk, person=milan),
    )

    assert sum(isinstance(one, weekly.Done) for one in came) == 2
    row = Suggestion.objects.get()
    assert (row.rule_id is None) != (row.dismissed_at is None)


def test_nothing_is_written_behind_the_close(waiting, rosa):
    review = review_of()

    came = at_once(
        lambda: weekly.close(review.pk, person=rosa),
        lambda: weekly.find(review.pk, waiting.pk, found="right", note="", person=rosa),
        lambda: weekly.follow_up(review.pk, "Ask", owner=rosa, due=None, person=rosa),
    )

    review.refresh_from_db()
    assert review.state == "closed"
    for number, model in ((1, Finding), (2, FollowUp)):
        assert isinstance(came[number], weekly.Closed) == (not model.objects.exists())
