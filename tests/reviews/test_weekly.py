"""The pages of weekly reviews: who reads and writes them, every act with and without what is needed, nothing of a stranger's as markup."""

from datetime import timedelta

import pytest

from escalations import clock, weekly
from escalations.models import Finding, FollowUp, Role, RoutingRule, SecondLook, Suggestion
from escalations.weekly.gathering import begins, monday_of
from tests.factories import PersonFactory, role
from tests.reviews.conftest import decided

pytestmark = pytest.mark.django_db
NASTY = "<script>alert(1)</script> \u202epay"


@pytest.fixture
def manager(db):
    role("manager")
    Role.objects.filter(name="manager").update(decides_everything=True, sees_everything=True)
    return PersonFactory(username="milan", roles=["manager"])


@pytest.fixture
def settled(ask, reviewer):
    return decided(ask(title=NASTY, incident_title=NASTY, confidence=0.9), reviewer, "It is <b>fine</b>.")


@pytest.fixture
def review(settled):
    """The review of this very week, made as it will be on the next Monday."""
    monday = monday_of(clock.now())
    with clock.frozen_at(begins(monday) + timedelta(days=7, minutes=1)):
        return weekly.make(role("finance").pk, monday)


@pytest.fixture
def suggestion(review):
    return Suggestion.objects.create(
        review=review, condition='incident.kind == "action" && proposal.action == "refund"', floor="auto", why="Of 84, people approved 84.",
        matched=84, agreed=84, low=0.957, high=1.0,
    )


def post(page, review, act, **said):
    return page.post(f"/weekly/{review.pk}/acts/", {"act": act, **said})


def test_the_list_names_the_reviews_of_ones_teams_and_what_one_has_to_do(page, review, reviewer):
    weekly.follow_up(review.pk, "Ask legal", owner=reviewer, due=None, person=reviewer)

    said = page.get("/weekly/").content.decode()

    assert f'href="/weekly/{review.pk}/"' in said and "finance" in said and "0 of 1" in said and "Ask legal" in said


def test_who_has_no_team_sees_none_and_learns_of_none(signed_in, stranger, review):
    client = signed_in(stranger)

    assert "There is no review yet" in client.get("/weekly/").content.decode()
    for url in (f"/weekly/{review.pk}/", f"/weekly/{review.pk}/minutes/", "/weekly/999999/"):
        assert client.get(url).status_code == 404
    assert client.post(f"/weekly/{review.pk}/acts/", {"act": "close"}).status_code == 404


def test_auditors_read_along_and_change_nothing(signed_in, review, settled):
    auditor = PersonFactory(roles=["auditor"])
    Role.objects.filter(name="auditor").update(sees_everything=True)
    client = signed_in(auditor)

    said = client.get(f"/weekly/{review.pk}/").content.decode()

    assert "You read along" in said and "weekly-form" not in said
    assert client.post(f"/weekly/{review.pk}/acts/", {"act": "find", "proposal": settled.pk, "found": "rule"}).status_code == 403
    assert not Finding.objects.exists()


def test_the_page_tells_the_week_and_a_strangers_text_is_text(page, review):
    answer = page.get(f"/weekly/{review.pk}/")
    said = answer.content.decode()

    assert "came to a person" in said
    assert "<script>alert" not in said and "&lt;script&gt;" in said and "hidden-char" in said and "<b>fine</b>" not in said
    assert answer["Cache-Control"] == "no-store"


def test_a_finding_with_what_is_to_be_done(page, review, settled, colleague):
    answer = post(
        page, review, "find", proposal=settled.pk, found="context", note="The photo was missing.", text="Send photos along",
        owner=colleague.pk, due=(clock.now() + timedelta(days=3)).date().isoformat(),
    )

    assert answer.status_code == 303 and answer["Location"] == f"/weekly/{review.pk}/#item-{settled.pk}"
    assert Finding.objects.get().note == "The photo was missing."
    todo = FollowUp.objects.get()
    assert (todo.owner, todo.finding) == (colleague, Finding.objects.get())
    said = page.get(f"/weekly/{review.pk}/").content.decode()
    assert "context was missing" in said and "Send photos along" in said and "1 of 1 escalations have a finding" in said
    assert "Each has a finding" in page.get(f"/weekly/{review.pk}/?show=open").content.decode()


def test_a_finding_without_saying_what_is_refused_and_what_was_typed_stays(page, review, settled):
    answer = post(page, review, "find", proposal=settled.pk, note="typed at length", text="and this", owner="", due="")

    said = answer.content.decode()
    assert answer.status_code == 422 and "Say what was found." in said and "Choose who does it." in said
    assert "typed at length" in said and 'value="and this"' in said and f'href="#f-find-found-{settled.pk}"' in said
    assert not Finding.objects.exists() and not FollowUp.objects.exists()


def test_a_follow_up_is_written_done_and_dropped(page, review, reviewer, colleague):
    assert post(page, review, "follow", text="", owner="").status_code == 422
    post(page, review, "follow", text="Ask purchasing", owner=reviewer.pk, due="")
    post(page, review, "follow", text="Ask sales", owner=colleague.pk, due="")
    first, second = FollowUp.objects.order_by("pk")

    assert post(page, review, "done", follow_up=first.pk, outcome="They agree.").status_code == 303
    assert post(page, review, "drop", follow_up=second.pk, outcome="").status_code == 422
    assert post(page, review, "drop", follow_up=second.pk, outcome="Moot.").status_code == 303
    assert post(page, review, "done", follow_up=second.pk, outcome="").status_code == 409
    assert "They agree." in page.get(f"/weekly/{review.pk}/").content.decode()


def test_notes_are_kept_and_the_closed_week_is_read_only(page, review, settled):
    post(page, review, "notes", notes="All were there.\r\nNobody objected.")
    assert post(page, review, "close").status_code == 303

    said = page.get(f"/weekly/{review.pk}/").content.decode()
    assert "Closed" in said and "All were there." in said and "What was found?" not in said
    answer = post(page, review, "find", proposal=settled.pk, found="rule")
    assert answer.status_code == 409 and "This week is closed." in answer.content.decode()


def test_a_manager_drafts_a_suggestion_and_a_member_may_only_dismiss_it(page, signed_in, manager, review, suggestion):
    said = page.get(f"/weekly/{review.pk}/").content.decode()
    assert "Draft it and replay it" not in said and "Dismiss" in said and "84 of 84; 95 % sure: 96 % to 100 %" in said
    assert post(page, review, "draft", suggestion=suggestion.pk).status_code == 403

    client = signed_in(manager)
    assert post(client, review, "draft", suggestion=suggestion.pk).status_code == 303
    said = client.get(f"/weekly/{review.pk}/").content.decode()
    assert "Its replay over thirty days is under way" in said
    assert not RoutingRule.objects.filter(state="live", condition=suggestion.condition).exists()
    assert post(page, review, "dismiss", suggestion=suggestion.pk, why="no").status_code == 409


def test_where_no_rule_is_suggested_the_page_says_so_and_why_that_is_usual(page, review):
    said = page.get(f"/weekly/{review.pk}/").content.decode()

    assert "What was decided suggests none. That is usual" in said
    Suggestion.objects.create(review=review, condition="true", floor="auto", why="w", matched=84, agreed=84, low=0.957, high=1.0)
    assert "suggests none" not in page.get(f"/weekly/{review.pk}/").content.decode()


def test_a_dismissal_needs_its_reason(page, review, suggestion):
    assert post(page, review, "dismiss", suggestion=suggestion.pk, why="").status_code == 422
    assert post(page, review, "dismiss", suggestion=suggestion.pk, why="Refunds stay with us.").status_code == 303
    assert "Refunds stay with us." in page.get(f"/weekly/{review.pk}/").content.decode()


def test_the_minutes_come_as_a_file(page, review):
    for form, kind in (("md", "text/markdown"), ("txt", "text/plain")):
        answer = page.get(f"/weekly/{review.pk}/minutes/?format={form}")
        assert answer["Content-Type"].startswith(kind) and f".{form}" in answer["Content-Disposition"]
        assert "finance" in answer.content.decode().casefold()
    assert page.get(f"/weekly/{review.pk}/minutes/?format=exe").status_code == 400


def test_an_act_there_is_not_does_nothing(page, review):
    assert post(page, review, "explode").status_code == 400
    assert page.get(f"/weekly/{review.pk}/acts/").status_code == 405


def test_who_gives_one_a_second_look_is_told_nothing_of_it(page, review, settled, reviewer):
    SecondLook.objects.create(
        proposal=settled, role=role("finance"), opened_by=reviewer, opened_at=clock.now(), lapses_at=clock.now() + timedelta(days=1)
    )

    said = page.get(f"/weekly/{review.pk}/").content.decode()

    assert "You are giving this one a second look" in said
    assert str(settled.incident_id) not in said and "state-approved" not in said


def test_it_costs_the_same_queries_however_much_is_on_it(page, ask, reviewer, django_assert_max_num_queries):
    for _ in range(8):
        decided(ask(), reviewer)
    monday = monday_of(clock.now())
    with clock.frozen_at(begins(monday) + timedelta(days=7, minutes=1)):
        review = weekly.make(role("finance").pk, monday)
    for one in review.agenda["items"]:
        weekly.find_and_follow(
            review.pk, one["proposal"], found="right", note="", text="Do it", owner=reviewer, due=None, person=reviewer
        )

    with django_assert_max_num_queries(24):
        page.get(f"/weekly/{review.pk}/")
    with django_assert_max_num_queries(12):
        page.get("/weekly/")
