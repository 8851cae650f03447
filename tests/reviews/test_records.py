"""What is over: the story of an incident, and what was settled."""

import json
from datetime import timedelta

import pytest

from escalations import audit, clock, lifecycle
from escalations.models import Classification, Delivery, DeliveryAttempt
from tests.factories import WorkFactory, role

from .conftest import signature


def test_the_story_tells_a_life_from_receipt_to_delivery(page, ask, reviewer):
    proposal = ask()
    work = WorkFactory(incident=proposal.incident)
    Classification.objects.create(
        incident=proposal.incident, work=work, engine="rules", severity="warning", category="refund", confidence=0.8
    )
    Classification.objects.create(incident=proposal.incident, work=work, engine="llm", error="timed out after 20 s")
    lifecycle.claim(proposal.pk, person=reviewer)
    proposal.refresh_from_db()
    page.post(f"/proposals/{proposal.pk}/", signature(proposal, reason="fine"))
    delivery = Delivery.objects.filter(incident=proposal.incident).first()
    DeliveryAttempt.objects.create(delivery=delivery, status=503, error="busy")
    DeliveryAttempt.objects.create(delivery=delivery, status=200, at=clock.now() + timedelta(seconds=5))

    answer = page.get(f"/incidents/{proposal.incident_id}/")

    text = answer.content.decode()
    for said in (
        "Claimed",
        "Decided",
        "Classified by “rules”",
        "The engine “llm” could not say",
        "timed out after 20 s",
        "attempt 1: failed",
        "attempt 2: accepted",
    ):
        assert said in text, said
    assert "has not acknowledged" in text


def test_settled_shows_what_was_decided_newest_first_and_what_is_not_acknowledged(page, ask):
    first, second = ask(), ask()
    for one in (first, second):
        page.post(f"/proposals/{one.pk}/", signature(one, reason=f"because {one.pk}"))

    answer = page.get("/settled/")

    assert [row.pk for row in answer.context["rows"]] == [second.pk, first.pk]
    assert answer.content.decode().count(">not acknowledged</span>") == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("by=me", 1),
        ("by=clock", 0),
        ("state=approved", 1),
        ("state=rejected", 0),
        ("open=yes", 1),
        ("q=refund", 1),
        ("q=nothing", 0),
        ("state=pending", 1),
        ("after=garbage", 1),
    ],
)
def test_settled_filters(page, ask, query, found):
    one = ask()
    ask()
    page.post(f"/proposals/{one.pk}/", signature(one))

    answer = page.get(f"/settled/?{query}")
    fragment = page.get(f"/settled/?{query}", headers={"HX-Request": "true"})

    assert len(answer.context["rows"]) == found
    assert "<html" not in fragment.content.decode() and fragment.content.decode().count("data-row") == found


def test_what_another_role_settled_is_not_listed(page, ask, stranger, signed_in):
    proposal = ask(role=role("security"))
    client = signed_in(stranger)
    client.post(f"/proposals/{proposal.pk}/", signature(proposal))

    assert len(client.get("/settled/").context["rows"]) == 1
    assert not page.get("/settled/").context["rows"]


@pytest.mark.parametrize("size", [1, 30])
def test_settled_costs_the_same_whatever_its_length(page, ask, reviewer, size, django_assert_num_queries):
    for _ in range(size):
        one = ask()
        lifecycle.decide(one.pk, person=reviewer, type="approve", digest=one.args_digest, version=one.version)

    # session, person, may-I-read roles, the page with its decisions, sources; inbox roles and count
    with clock.frozen_at(clock.now()), django_assert_num_queries(7):
        page.get("/settled/")


def test_what_an_edit_made_of_it_stands_wherever_the_decision_does(page, ask):
    proposal = ask()
    args = {**proposal.args, "amount": 90}
    page.post(f"/proposals/{proposal.pk}/", signature(proposal, type="edit", args=json.dumps(args), reason="half"))
    twin = ask(source=proposal.source)

    for where in ("/settled/", f"/incidents/{proposal.incident_id}/", f"/proposals/{proposal.pk}/", f"/proposals/{twin.pk}/"):
        text = page.get(where).content.decode()
        assert "args.amount" in text, where
        assert "<del>250</del>" in text and "<ins>90</ins>" in text, where


def test_the_story_reads_like_a_sentence(page, ask, reviewer):
    proposal = ask()
    lifecycle.extend(proposal.pk, person=reviewer, by=timedelta(hours=1, minutes=30), why="")
    lifecycle.ask_back(proposal.pk, person=reviewer, text="Is there a photo?")
    source = audit.Actor.source(proposal.source)
    lifecycle.add_context(proposal.incident_id, context={"summary": "yes"}, actor=source)
    lifecycle.withdraw(proposal.incident_id, actor=source)

    events = {event.what: event for event in page.get(f"/proposals/{proposal.pk}/").context["d"].history}

    assert events["Given more time"].facts == [("more time", "1 h 30 min")]
    assert events["Context was added"].facts == [("questions answered", "1")]
    assert events["Withdrawn"].who == proposal.source.name
    assert events["Nothing is open any more"].who == ""
