"""The strip above a decision: who holds it, what changed, who was first; told to an open page without touching it."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from escalations import audit, clock, lifecycle
from escalations.models import AuditEntry
from reviews import kept
from reviews.inbox import newest_entry
from reviews.models import Preferences
from reviews.strip import strip_of


@pytest.fixture
def opened(page, ask):
    """A proposal and the strip of its page, as htmx would ask for it again."""
    proposal = ask()
    text = page.get(proposal.get_absolute_url()).content.decode()
    url = re.search(r'hx-get="([^"]*/strip/[^"]*)"', text).group(1).replace("&amp;", "&")
    return proposal, lambda: page.get(url, headers={"HX-Request": "true"}).content.decode()


def act(browser, proposal, name, **said):
    said |= {"act": name, "strip": "1", "seen": str(newest_entry()), "drawn_version": str(proposal.version)}
    return browser.post(f"{proposal.get_absolute_url()}acts/", said, headers={"HX-Request": "true"})


def test_nothing_new_is_said_when_nothing_happened(opened):
    proposal, look = opened

    assert "Nothing changed since you opened it" in look()
    assert f'data-live="{proposal.pk}"' in look()


def test_a_colleagues_claim_shows_and_can_be_taken_over(opened, colleague):
    proposal, look = opened
    lifecycle.claim(proposal.pk, person=colleague)

    assert "Carl Colleague holds this" in look() and "from Carl Colleague</span></button>" in look()


def test_who_it_was_taken_from_is_told_and_stands_on_record(opened, page, reviewer, colleague, signed_in):
    proposal, look = opened
    lifecycle.claim(proposal.pk, person=reviewer)

    answer = act(signed_in(colleague), proposal, "take_over")

    assert answer.status_code == 200 and "yours" in answer.content.decode()
    assert "Carl Colleague</b> took this over from you" in look()
    entry = AuditEntry.objects.filter(action="proposal.claimed").latest("id")
    assert json.loads(entry.body)["facts"]["taken_from"] == "rosa"
    assert "rosa" in page.get(f"/incidents/{proposal.incident_id}/").content.decode()


def test_a_claim_that_had_lapsed_is_taken_from_nobody(ask, reviewer, colleague):
    proposal = ask()
    with clock.frozen_at(clock.now() - timedelta(days=1)):
        lifecycle.claim(proposal.pk, person=reviewer)

    lifecycle.claim(proposal.pk, person=colleague, take_over=True)

    entry = AuditEntry.objects.filter(action="proposal.claimed").latest("id")
    assert json.loads(entry.body)["facts"]["taken_from"] is None


def test_one_who_has_it_back_is_not_told_that_it_was_taken(opened, page, reviewer, colleague):
    proposal, look = opened
    lifecycle.claim(proposal.pk, person=reviewer)
    lifecycle.claim(proposal.pk, person=colleague, take_over=True)
    lifecycle.claim(proposal.pk, person=reviewer, take_over=True)

    assert "took this over" not in look()


def test_what_changed_is_told_with_a_way_to_read_it_that_keeps_what_was_typed(opened):
    proposal, look = opened
    lifecycle.add_context(
        proposal.incident_id, context={"summary": "x"}, sanitised=False, actor=audit.Actor.source(proposal.source)
    )

    assert "This changed since you opened it" in look() and "Context was added" in look()
    assert 'hx-include="form[data-decision]"' in look() and 'value="again"' in look()


def test_reading_it_again_keeps_what_was_typed_and_signs_nothing(opened, page):
    proposal, look = opened
    said = {"show": "again", "type": "reject", "reason": "half a thought", "digest": proposal.args_digest, "version": "1"}

    answer = page.post(proposal.get_absolute_url(), said, headers={"HX-Request": "true", "HX-Target": "decision"})

    assert answer.status_code == 409 and answer["HX-Retarget"] == "#item"
    assert "half a thought" in answer.content.decode()
    assert not AuditEntry.objects.filter(action="proposal.decided").exists()


def test_who_was_first_shows_at_once(opened, colleague):
    proposal, look = opened
    lifecycle.decide(proposal.pk, person=colleague, type="approve", digest=proposal.args_digest, version=proposal.version)

    assert "Carl Colleague</b> was first: approved" in look()
    assert "Your text stays" in look()
    assert "Claim" not in look()


def test_ones_own_doings_are_no_news(opened, reviewer):
    proposal, look = opened
    lifecycle.comment(proposal.pk, person=reviewer, text="mine")

    assert "Nothing changed" in look()


def test_a_hostile_name_stays_text(opened, colleague):
    proposal, look = opened
    type(colleague).objects.update(first_name="<b>Eve</b>\u202e", last_name="x")
    colleague.refresh_from_db()
    lifecycle.claim(proposal.pk, person=colleague)

    assert "&lt;b&gt;Eve" in look() and "U+202E" in look()


def test_a_stranger_learns_nothing_by_asking_for_a_strip(opened, stranger, signed_in):
    proposal, _ = opened

    assert signed_in(stranger).get(f"/proposals/{proposal.pk}/strip/?seen=0&version=1").status_code == 404


@pytest.mark.parametrize("query", ["", "seen=x&version=-1", "seen=99999999999999999999"])
def test_nonsense_in_the_address_is_no_error(opened, page, query):
    assert page.get(f"/proposals/{opened[0].pk}/strip/?{query}").status_code == 200


def test_claiming_releasing_and_failing_answer_with_the_strip_alone(opened, page, colleague, reviewer):
    proposal, _ = opened
    claimed = act(page, proposal, "claim")
    released = act(page, proposal, "release")
    lifecycle.claim(proposal.pk, person=colleague)
    refused = act(page, proposal, "claim")

    assert "yours" in claimed.content.decode() and "Release" in claimed.content.decode()
    assert "Nothing changed" in released.content.decode()
    assert refused.status_code == 409 and "Carl Colleague holds this" in refused.content.decode()
    assert all("<h1" not in one.content.decode() for one in (claimed, released, refused))


def test_a_strip_that_was_asked_for_again_claims_nothing_by_itself(opened, reviewer):
    """Only opening claims: who released it on the open page has it not thrust upon them by the next change."""
    _, look = opened
    Preferences.objects.create(person=reviewer, claim_on_open=True)

    assert "submit, load" not in look()


@pytest.mark.parametrize("size", [0, 20])
def test_a_strip_costs_the_same_whatever_happened(ask, reviewer, colleague, size, django_assert_num_queries):
    proposal = ask()
    seen = newest_entry()
    for _ in range(size):
        lifecycle.comment(proposal.pk, person=colleague, text="x")
    with clock.frozen_at(clock.now()), django_assert_num_queries(2):  # what happened since, the roles
        assert len(strip_of(reviewer, proposal, seen, proposal.version).news) == size


def test_nobody_has_no_note():
    request = RequestFactory().get("/login/")
    request.user = AnonymousUser()

    assert kept.drawn_for(request) == ""
