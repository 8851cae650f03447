"""Twins decided together: one form, one signature each."""

import pytest

from escalations import clock, lifecycle
from escalations.models import Decision, Signature
from reviews.groups import Pick
from tests.factories import SourceFactory

HTMX = {"HX-Request": "true"}
URL = "/groups/?source=billing-agent&fingerprint=fp"


@pytest.fixture
def twins(ask):
    source = SourceFactory(name="billing-agent")
    return [ask(source=source, incident_fingerprint="fp") for _ in range(3)]


def picks(*proposals):
    return [str(Pick(one.pk, one.version, one.args_digest)) for one in proposals]


def test_equal_twins_are_approved_together_each_with_its_own_signature(page, twins):
    assert page.get(URL).status_code == 200

    answer = page.post(URL, {"pick": picks(*twins[:2]), "type": "approve"})

    assert answer.status_code == 200
    assert "2 of 2 signed" in answer.content.decode()
    assert Decision.objects.count() == 2
    assert {one.method for one in Signature.objects.all()} == {"group"}


def test_one_that_moved_on_does_not_hold_up_the_others(page, twins, colleague):
    lifecycle.decide(
        twins[0].pk, person=colleague, type="reject", reason="no", digest=twins[0].args_digest, version=twins[0].version
    )

    answer = page.post(URL, {"pick": picks(*twins), "type": "reject", "reason": "a storm"}, headers=HTMX)

    text = answer.content.decode()
    assert answer.status_code == 200 and "<html" not in text
    assert "2 of 3 signed" in text and "409" in text and "Carl Colleague" in text


def test_different_twins_may_be_rejected_together_but_not_approved(page, twins, ask):
    odd = ask(source=twins[0].source, incident_fingerprint="fp", args={"order": 1182, "amount": 9_999})

    shown = page.get(URL).content.decode()
    refused = page.post(URL, {"pick": picks(*twins, odd), "type": "approve"})
    rejected = page.post(URL, {"pick": picks(*twins, odd), "type": "reject", "reason": "all wrong"})

    assert '<mark class="differs">9999</mark>' in shown and 'value="approve"' not in shown
    assert refused.status_code == 422 and "ask for different things" in refused.content.decode()
    assert "4 of 4 signed" in rejected.content.decode()


def test_what_arrives_later_is_not_included(page, twins, ask):
    later = ask(source=twins[0].source, incident_fingerprint="fp")

    page.post(URL, {"pick": picks(*twins), "type": "approve"})

    later.refresh_from_db()
    assert later.state == "pending"


def test_a_group_form_without_a_choice_keeps_what_was_typed(page, twins):
    answer = page.post(URL, {"type": "reject", "reason": "half a thou"})

    assert answer.status_code == 422
    assert "Tick at least one row" in answer.content.decode() and "half a thou" in answer.content.decode()


def test_a_stranger_finds_no_group_and_signs_none(twins, stranger, signed_in):
    client = signed_in(stranger)

    assert client.get(URL).status_code == 404
    client.post(URL, {"pick": picks(*twins), "type": "approve"})
    assert not Decision.objects.exists()


@pytest.mark.parametrize("size", [2, 30])
def test_the_group_costs_the_same_whatever_its_size(page, ask, size, django_assert_num_queries):
    source = SourceFactory(name="billing-agent")
    for _ in range(size):
        ask(source=source, incident_fingerprint="fp")

    # session, person, newest incidents, roles, twins; may-I-decide: owner; inbox count; preferences;
    # whether everything is stopped
    with clock.frozen_at(clock.now()), django_assert_num_queries(9):
        page.get(URL)


def test_equal_twins_are_edited_together_each_by_itself(page, twins):
    answer = page.post(URL, {"pick": picks(*twins[:2]), "type": "edit", "args": '{"order": 1182, "amount": 99}'})

    assert "2 of 2 signed" in answer.content.decode()
    assert [one.args["amount"] for one in Decision.objects.all()] == [99, 99]
    assert {one.signed_digest for one in Decision.objects.all()} == {twins[0].args_digest}


def test_different_twins_are_not_edited_together(page, twins, ask):
    odd = ask(source=twins[0].source, incident_fingerprint="fp", args={"order": 1182, "amount": 9_999})

    answer = page.post(URL, {"pick": picks(twins[0], odd), "type": "edit", "args": "{}"})

    assert answer.status_code == 422 and not Decision.objects.exists()


def test_a_group_edit_that_is_no_json_says_where_and_keeps_what_was_typed(page, twins):
    answer = page.post(URL, {"pick": picks(*twins), "type": "edit", "args": '{"amount": }'})

    text = answer.content.decode()
    assert answer.status_code == 422 and "line 1" in text.lower() and "{&quot;amount&quot;: }" in text
    assert not Decision.objects.exists()


@pytest.mark.parametrize("form", [{"type": "reject", "reason": "a\0b"}, {"type": "respond", "message": "a\0b"}, {"type": "reject", "reason": "x" * 30_000}])
def test_a_group_takes_no_text_that_one_alone_would_not_take(page, twins, form):
    answer = page.post(URL, {"pick": picks(*twins), **form})

    assert answer.status_code == 422 and not Decision.objects.exists()


def test_a_row_of_another_group_is_not_signed_by_this_ones_form(page, twins, ask):
    """So that a tick asked for there is not left out here."""
    risky = ask(source=twins[0].source, incident_fingerprint="other", risk="critical")

    page.post(URL, {"pick": picks(twins[0], risky), "type": "approve"})

    assert [one.proposal_id for one in Decision.objects.all()] == [twins[0].pk]
