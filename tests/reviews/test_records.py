"""What is over: the story of an incident, and what was settled."""

import json
from datetime import timedelta

import pytest

from escalations import audit, clock, ingest, lifecycle
from escalations.models import Classification, Delivery, DeliveryAttempt, Proposal
from reviews import settled, story, telling
from reviews.models import Glance
from tests.factories import SourceFactory, WorkFactory, role

from .conftest import decided, signature


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
        "Approved",
        "Classified by “rules”",
        "The engine “llm” could not say",
        "timed out after 20 s",
        "attempt 1: failed",
        "attempt 2: accepted",
    ):
        assert said in text, said
    assert "has not acknowledged" in text


def test_a_whole_life_stands_in_one_line_in_the_order_it_happened(page, ask, reviewer, colleague, run_jobs):
    """Posted, classified, routed, read, claimed, rejected with another try, revised, edited, delivered, acknowledged."""
    source = SourceFactory(callback_url="https://agent.example/hook")
    agent = audit.Actor.source(source)
    data = {
        "kind": "action", "title": "Refund for order 1182",
        "proposal": {"action": "refund", "args": {"order": 1182, "amount": 900}, "allowed_decisions": ["approve", "edit", "reject"]},
    }
    incident, _ = ingest.receive(source=source, key_env="live", data=data, key="k1", body_digest="a" * 64)
    run_jobs()
    first = Proposal.objects.get(incident=incident)
    reviewer.groups.add(first.role)
    colleague.groups.add(first.role)
    Glance.objects.create(proposal=first, person=colleague, version=first.version, length=100)
    page.get(f"/proposals/{first.pk}/")
    lifecycle.claim(first.pk, person=reviewer)
    lifecycle.comment(first.pk, person=colleague, text="Looks high to me")
    lifecycle.ask_back(first.pk, person=reviewer, text="Is there a receipt?")
    lifecycle.add_context(incident.pk, context={"receipt": "none"}, actor=agent)
    first.refresh_from_db()
    lifecycle.decide(
        first.pk, person=reviewer, type="reject", digest=first.args_digest, version=first.version, reason="Too much", retry=True
    )
    lifecycle.revise(incident.pk, content={**data["proposal"], "args": {"order": 1182, "amount": 90}}, actor=agent)
    run_jobs()
    second = Proposal.objects.get(incident=incident, revision=2)
    lifecycle.decide(
        second.pk, person=reviewer, type="edit", digest=second.args_digest, version=second.version, reason="Half",
        args={"order": 1182, "amount": 45},
    )
    second.refresh_from_db()
    delivery = Delivery.objects.get(proposal=second)
    DeliveryAttempt.objects.filter(delivery=delivery).delete()
    DeliveryAttempt.objects.create(delivery=delivery, status=503, error="busy", duration_ms=12)
    lifecycle.acknowledge(incident.pk, result="done", args_digest=second.decision.args_digest, detail="sent", actor=agent)

    answer = page.get(f"/incidents/{incident.pk}/")

    story = answer.context["story"]
    told = [event.what for event in story.events]
    wanted = [
        "Received: action", "Classified by “rules”", "Routed to a person", "Opened", "Claimed", "Commented", "Asked the agent back",
        "Context was added", "Rejected", "Revised", "Routed to a person", "Edited and approved",
        "The outcome, delivery attempt 1: failed", "The agent acknowledged the outcome",
    ]
    at = 0
    for one in wanted:
        assert one in told[at:], (one, told[at:])
        at += told[at:].index(one) + 1
    facts = {(event.what, event.revision): dict(event.facts) for event in story.events}
    assert facts["Commented", 1]["comment"] == "Looks high to me"
    assert facts["Asked the agent back", 1]["question"] == "Is there a receipt?"
    assert facts["Context was added", 1]["what"] == "receipt"
    assert facts["Rejected", 1]["reason"] == "Too much" and facts["Rejected", 1]["asked for another try"] == "yes"
    assert facts["Edited and approved", 2]["args.amount"] == "90 → 45"
    assert facts["The agent acknowledged the outcome", 2] == {"result": "done", "detail": "sent"}
    assert facts["Routed to a person", 1]["role"] == first.role.name and facts["Routed to a person", 1]["why there"]
    assert [event.who for event in story.events if event.what == "Opened" and event.revision == 1][0] == colleague.name
    text = answer.content.decode()
    assert "revision 1</span>" in text and "revision 2</span>" in text


def test_a_route_tells_which_rule_and_which_trigger_and_why(ask):
    proposal = ask(
        triggers=[{"name": "high_stakes", "why": "900 is over 100", "where": "args"}, {"name": "user_request", "why": "later", "where": "x"}],
        rules=[{"name": "big refunds", "floor": "review", "why": "Refunds over 100", "error": ""}, {"name": "odd", "floor": "auto", "why": "", "error": "no such key"}],
    )

    facts = dict(story.routed({"triggers": ["high_stakes"], "role_why": "rule"}, proposal))

    assert facts["high stakes"] == "900 is over 100" and "user request" not in facts
    assert facts["rule “big refunds”"] == "a person decides: Refunds over 100"
    assert facts["rule “odd”"] == "may go alone (it failed: no such key)"
    assert facts["why there"] == "a rule names this role"


def test_opening_it_again_while_reading_is_one_line(ask, reviewer, colleague):
    proposal, now = ask(), clock.now()
    for person, minutes in ((reviewer, 0), (colleague, 1), (reviewer, 5), (reviewer, 9), (reviewer, 300)):
        Glance.objects.create(proposal=proposal, person=person, version=1, length=9, at=now + timedelta(minutes=minutes))

    events = [(event.who, dict(event.facts).get("times")) for event in story.story_of(proposal.incident).events if event.what == "Opened"]

    assert events == [(reviewer.name, "3"), (colleague.name, None), (reviewer.name, None)]


def test_a_stranger_learns_nothing_of_a_story(ask, stranger, signed_in):
    proposal = ask()

    assert signed_in(stranger).get(f"/incidents/{proposal.incident_id}/").status_code == 404


@pytest.mark.parametrize("size", [1, 20])
def test_a_story_costs_the_same_however_long_it_was(page, ask, reviewer, size, django_assert_num_queries):
    proposal = ask()
    for number in range(size):
        Glance.objects.create(proposal=proposal, person=reviewer, version=1, length=9, at=clock.now() + timedelta(hours=number))
        lifecycle.comment(proposal.pk, person=reviewer, text="hm")
        lifecycle.ask_back(proposal.pk, person=reviewer, text="so?")
        DeliveryAttempt.objects.create(delivery=Delivery.objects.create(incident=proposal.incident, source=proposal.source, type="incident.question"))

    with django_assert_num_queries(9):
        told = story.story_of(proposal.incident)
    assert len(told.events) >= 3 * size


def test_everything_the_record_says_of_an_incident_has_words():
    for action in audit.ACTIONS:
        if action.split(".")[0] in ("incident", "proposal", "outcome", "delivery"):
            assert action in telling.SAID, action


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


@pytest.mark.parametrize(("query", "cost"), [("", 0), ("?q=refund", 3)])  # estimate, candidates, the best; their snippets instead of which
@pytest.mark.parametrize("size", [1, 30])
def test_settled_costs_the_same_whatever_its_length(page, ask, reviewer, size, query, cost, django_assert_num_queries):
    for _ in range(size):
        one = ask()
        lifecycle.decide(one.pk, person=reviewer, type="approve", digest=one.args_digest, version=one.version)

    # session, person, roles, which rows, those with their decisions, sources; preferences, inbox roles and count;
    # whether everything is stopped
    with clock.frozen_at(clock.now()), django_assert_num_queries(9 + cost):
        answer = page.get(f"/settled/{query}")
    assert len(answer.context["rows"]) == size


def test_a_search_among_what_was_settled_says_where_it_found_it(page, ask, reviewer):
    told = decided(ask(title="Broken turbine"), reviewer)
    inside = decided(ask(title="Other", incident_context={"request": "my turbine is gone"}), reviewer)
    decided(ask(title="Third"), reviewer)
    ask(title="Turbine, still open")

    answer = page.get("/settled/?q=turbine")

    text = answer.content.decode()
    assert [row.pk for row in answer.context["rows"]] == [told.pk, inside.pk]
    assert "Broken <mark>turbine</mark>" in text and "my <mark>turbine</mark> is gone" in text
    assert "Best matches first" in text
    assert "Nothing matches" in page.get("/settled/?q=turbines").content.decode()


@pytest.mark.parametrize("query", ["q=turbine&skip=1", "q=turbine&skip=abc", "q=turbine&skip=-1", "q=turbine&skip=99999999999999999999", f"skip={'9' * 5_000}", "skip=5"])
def test_a_page_of_a_search_is_a_number_or_the_first_one(page, query):
    assert page.get(f"/settled/?{query}").status_code == 200


def test_the_pages_of_a_search_follow_one_another(page, ask, reviewer, monkeypatch):
    monkeypatch.setattr(settled, "PAGE", 2)
    wanted = {decided(ask(title="Turbine"), reviewer).pk for _ in range(5)}

    found, url = [], "/settled/?q=turbine"
    while url:
        answer = page.get(url)
        found += [row.pk for row in answer.context["rows"]]
        onward = answer.context["listing"].onward
        url = f"/settled/?q=turbine&{onward}" if onward else ""

    assert len(found) == 5 and set(found) == wanted


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


def test_what_moved_on_to_another_role_stays_on_the_page_of_who_was_asked_first(page, ask, reviewer, stranger):
    ours, theirs = role("finance"), role("security")
    moved = decided(ask(role=theirs, asked=[ours.pk, theirs.pk], title="Turbine moved on"), stranger)
    decided(ask(role=theirs), stranger)
    own = decided(ask(title="Turbine"), reviewer)

    assert [row.pk for row in page.get("/settled/").context["rows"]] == [own.pk, moved.pk]
    assert {row.pk for row in page.get("/settled/?q=turbine").context["rows"]} == {own.pk, moved.pk}
    assert len(page.get("/settled/?q=-other ").context["rows"]) == 2
