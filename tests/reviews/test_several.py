"""Where a yes needs several people the pages say who has signed, how many more are needed, and what counts no more."""

import pytest

from escalations import audit, lifecycle
from escalations.models import Decision, Signature
from reviews import groups, inbox
from reviews.filters import Filters
from tests.factories import STANDARD, IncidentFactory, ProposalFactory, SourceFactory, role
from tests.reviews.conftest import at

pytestmark = pytest.mark.django_db
TWO = {**STANDARD, "quorum": 2}


@pytest.fixture
def payment():
    return ProposalFactory(role=role("finance"), policy=TWO)


def form(proposal, type="approve", **more):
    return {"type": type, "digest": proposal.args_digest, "version": proposal.version, "read": "on", "reason": "because", **more}


def says(client, path):
    return " ".join(client.get(path).content.decode().split())


def test_the_page_says_how_many_before_anybody_signed(client, payment, rosa):
    page = says(at(client, rosa), payment.get_absolute_url())
    assert "A yes needs 2 people." in page and "nothing leaves before the last" in page


def test_the_first_signs_by_the_page_and_the_second_settles(client, payment, rosa, carl):
    answer = at(client, rosa).post(payment.get_absolute_url(), form(payment))
    assert answer.status_code == 303 and not Decision.objects.exists()
    assert "Signed by 1 of 2: one more person has to sign it." in says(client, "/")
    page = says(client, payment.get_absolute_url())
    assert "You are one of them" in page and 'value="approve"' not in page and 'value="reject"' in page

    page = says(at(client, carl), payment.get_absolute_url())
    assert "A yes needs 2 people; 1 signed." in page and "Yours would be the last" in page and "<li>Rosa Reviewer," in page
    assert client.post(payment.get_absolute_url(), form(payment)).status_code == 303
    assert Decision.objects.get().person == carl


def test_a_second_tab_is_told_that_one_yes_counts_once(client, payment, rosa):
    at(client, rosa).post(payment.get_absolute_url(), form(payment))
    answer = client.post(payment.get_absolute_url(), form(payment))
    assert answer.status_code == 409 and b"You have signed this" in answer.content
    assert Signature.objects.count() == 1


def test_who_signed_may_still_say_no(client, payment, rosa):
    at(client, rosa).post(payment.get_absolute_url(), form(payment))
    assert client.post(payment.get_absolute_url(), form(payment, "reject")).status_code == 303
    assert Decision.objects.get().type == "reject"


def test_what_was_signed_before_it_changed_is_shown_as_that(client, payment, rosa, carl):
    at(client, rosa).post(payment.get_absolute_url(), form(payment))
    lifecycle.add_context(payment.incident_id, context={"summary": "new"}, actor=audit.SYSTEM)
    page = says(at(client, carl), payment.get_absolute_url())
    assert "Rosa Reviewer signed version 1, before it changed: that does not count." in page
    rosa.groups.clear()
    assert 'value="approve"' in page


@pytest.mark.parametrize("side", ["", "?side=1"])
def test_the_row_says_how_many(client, payment, rosa, carl, side):
    at(client, rosa).post(payment.get_absolute_url(), form(payment))
    client = at(client, carl)
    assert "signed by 1 of 2" in says(client, "/") and "signed by 1 of 2" in says(client, payment.get_absolute_url())
    assert "signed by 1 of 2" in says(client, f"/rows/{payment.pk}/{side}")
    lifecycle.add_context(payment.incident_id, context={"summary": "new"}, actor=audit.SYSTEM)
    assert "signed by 1" not in says(client, "/") and "signed by 1" not in says(client, f"/rows/{payment.pk}/{side}")


def test_what_comes_next_is_not_what_waits_for_others(payment, rosa, carl):
    other = ProposalFactory(role=role("finance"), policy=TWO)
    lifecycle.decide(payment.pk, person=rosa, type="approve", digest=payment.args_digest, version=payment.version)
    assert inbox.next_for(rosa, Filters(), other) is None
    assert inbox.next_for(carl, Filters(), other) == payment


def test_a_group_is_signed_row_by_row(rosa, carl):
    source = SourceFactory()
    rows = [
        ProposalFactory(incident=IncidentFactory(source=source, fingerprint="f"), role=role("finance"), policy=TWO) for _ in range(3)
    ]
    picks = [groups.Pick(one.pk, one.version, one.args_digest) for one in rows]
    first = groups.decide(rosa, picks, {"type": "approve"})
    assert [(one.status, one.said) for one in first] == [(200, "Signed by 1 of 2: it waits for the others.")] * 3
    assert [one.status for one in groups.decide(rosa, picks, {"type": "approve"})] == [409] * 3
    assert [one.said for one in groups.decide(carl, picks, {"type": "approve"})] == ["Signed."] * 3
    assert Decision.objects.count() == 3


def test_the_story_tells_each_signature(client, payment, rosa, carl):
    for person in (rosa, carl):
        at(client, person).post(payment.get_absolute_url(), form(payment))
    page = says(client, f"/incidents/{payment.incident_id}/")
    assert "Signed" in page and "Rosa Reviewer" in page and "Carl Colleague" in page


@pytest.mark.parametrize("size", [1, 12])
def test_the_inbox_pays_nothing_for_it(client, rosa, carl, size, django_assert_num_queries):
    for _ in range(size):
        one = ProposalFactory(role=role("finance"), policy=TWO)
        lifecycle.decide(one.pk, person=carl, type="approve", digest=one.args_digest, version=one.version)
    parts = inbox.listing(rosa, Filters(order="due"))
    assert [(row.yeses, row.people) for row in parts.rows] == [(1, "2")] * size
    with django_assert_num_queries(2):  # ids of the page, the page; the roles are known
        inbox.listing(rosa, Filters(order="due"))
