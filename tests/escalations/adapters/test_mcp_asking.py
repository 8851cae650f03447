"""request_approval, ask_human, get_approval: asking a person over MCP, and doing what was signed."""

import asyncio
from datetime import timedelta

import pytest
from django.db import connections

from escalations import canonical, clock, lifecycle
from escalations.api import waiting
from escalations.audit import Actor
from escalations.models import Incident, Proposal, Question
from tests.escalations.adapters.mcp_speaking import Host
from tests.escalations.api.speaking import key_for
from tests.factories import PersonFactory, SourceFactory

REFUND = {"action": "refund", "args": {"order": 1182, "amount": 250}}


@pytest.fixture
def host(db):
    source = SourceFactory(name="desk-agent")
    return Host(key_for(source), source=source)


@pytest.fixture
def reviewer(db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance", "queue manager", "manager"])


def decide(person, verdict, incident_id, **said):
    proposal = Proposal.objects.filter(incident=incident_id).order_by("-revision").first()
    lifecycle.decide(proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, **said)


def test_what_an_agent_asks_for_comes_to_a_person_with_all_it_said(host, run_jobs):
    said = host.call(
        "request_approval", **REFUND, title="Refund $250 for order 1182", reason="The parcel was lost.", request="I want my money back",
        attempts=[{"tool": "track", "arguments": {"order": 1182}, "result": "lost"}], links=[{"url": "https://shop.example/1182"}],
        on_behalf_of="mallory@shop.example", severity="critical", confidence=0.9, reversible=False, impact="Money leaves.", session="run-7",
    )
    run_jobs()
    incident = Incident.objects.get(pk=said["id"])
    proposal = incident.proposals.get()

    assert said["status"] == "pending" and said["review_url"].endswith("/") and "get_approval" in said["next"]
    assert (incident.source, incident.kind, incident.title) == (host.source, "action", "Refund $250 for order 1182")
    assert incident.context == {
        "request": "I want my money back", "why": "The parcel was lost.",
        "attempts": [{"tool": "track", "arguments": {"order": 1182}, "result": "lost"}], "links": [{"url": "https://shop.example/1182"}],
    }
    assert (incident.on_behalf_of, incident.claimed_severity, incident.session) == ("mallory@shop.example", "critical", "run-7")
    assert (proposal.action, proposal.args, proposal.state, proposal.role.name) == ("refund", REFUND["args"], "pending", "finance")
    assert proposal.claims == {"confidence": 0.9, "reversible": False, "impact": "Money leaves."}


def test_a_title_is_made_where_none_is_given(host):
    host.call("request_approval", **REFUND)
    host.call("ask_human", question="Which region?\nThere are three.")
    host.call("request_approval", draft={"to": "kim@shop.example", "subject": "Your parcel", "body": "It is lost."})

    assert list(Incident.objects.order_by("received_at").values_list("kind", "title")) == [
        ("action", "refund (order: 1182, amount: 250)"), ("question", "Which region? There are three."),
        ("draft", "Send to kim@shop.example: Your parcel"),
    ]


def test_an_approval_names_exactly_what_may_run(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "approve", asked["id"], reason="Fine.")

    said = host.call("get_approval", id=asked["id"])

    assert said["status"] == "approved"
    assert (said["action"], said["args"], said["reason"], said["by"]) == ("refund", REFUND["args"], "Fine.", "Rosa Reviewer")
    assert said["args_digest"] == canonical.args_digest("refund", REFUND["args"], None)
    assert "valid_until" in said and "draft" not in said


def test_an_edit_never_reads_as_a_yes_to_what_was_asked(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "edit", asked["id"], args={"order": 1182, "amount": 200})

    said = host.call("get_approval", id=asked["id"])

    assert (said["status"], said["args"]) == ("edited", {"order": 1182, "amount": 200})
    assert said["args_digest"] == canonical.args_digest("refund", {"order": 1182, "amount": 200}, None)
    assert said["next"].startswith("Approved with changes. Do NOT do what you asked for")


def test_an_approved_draft_comes_back_word_by_word(host, reviewer, run_jobs):
    asked = host.call("request_approval", draft={"to": "kim@shop.example", "subject": "", "body": "It is lost."}, key="mail")
    run_jobs()
    decide(reviewer, "approve", asked["id"])

    said = host.call("request_approval", draft={"to": "kim@shop.example", "subject": "", "body": "It is lost."}, key="mail")

    assert (said["id"], said["status"]) == (asked["id"], "approved")
    assert said["draft"] == {"to": "kim@shop.example", "subject": "", "body": "It is lost.", "format": "text"}


def test_a_refusal_says_why_and_nothing_that_could_run(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "reject", asked["id"], reason="It arrived yesterday.")

    said = host.call("get_approval", id=asked["id"])

    assert (said["status"], said["reason"]) == ("rejected", "It arrived yesterday.")
    assert not {"action", "args", "draft", "args_digest"} & set(said)


def test_an_answer_instead_of_a_yes_approves_nothing(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "respond", asked["id"], message="Send a new parcel instead.")

    said = host.call("get_approval", id=asked["id"])

    assert (said["status"], said["answer"]) == ("answered", "Send a new parcel instead.")
    assert "args" not in said


def test_a_question_is_answered_in_words(host, reviewer, run_jobs):
    asked = host.call("ask_human", question="Which region?", background="The customer moved.", options=["eu", "us"])
    run_jobs()
    incident = Incident.objects.get(pk=asked["id"])
    decide(reviewer, "respond", asked["id"], message="eu")

    said = host.call("get_approval", id=asked["id"])

    assert incident.body == "Which region?\n\n* eu\n* us"
    assert (incident.payload, incident.context) == ({"options": ["eu", "us"]}, {"summary": "The customer moved."})
    assert (said["status"], said["answer"]) == ("answered", "eu")


def test_a_refusal_with_another_try_becomes_a_revision_of_the_same_request(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "reject", asked["id"], reason="At most 100.", retry=True)

    refused = host.call("get_approval", id=asked["id"])
    again = host.call("request_approval", action="refund", args={"order": 1182, "amount": 100}, reason="Less, then.", revises=asked["id"])
    twice = host.call("request_approval", action="refund", args={"order": 1182, "amount": 100}, reason="Less.", revises=asked["id"])
    run_jobs()
    decide(reviewer, "approve", asked["id"])

    assert refused["status"] == "rejected" and "revises" in refused["next"]
    assert again["id"] == twice["id"] == asked["id"] and again["status"] == "pending"
    assert Proposal.objects.filter(incident=asked["id"]).count() == 2
    assert host.call("get_approval", id=asked["id"])["args"] == {"order": 1182, "amount": 100}


def test_what_a_person_asks_back_is_answered(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    lifecycle.ask_back(Proposal.objects.get().pk, person=reviewer, text="Did you look at the tracking?")

    looked = host.call("get_approval", id=asked["id"])
    answered = host.call("get_approval", id=asked["id"], answer="Yes: it is lost.\x00")

    assert [one["text"] for one in looked["questions"]] == ["Did you look at the tracking?"]
    assert "answer" in looked["next"]
    assert answered["status"] == "pending" and "questions" not in answered
    assert Question.objects.get().answered_at is not None
    item = Incident.objects.get().added_context.get()
    assert item.context == {"messages": [{"role": "agent", "content": "Yes: it is lost.\ufffd"}]} and item.sanitised


def test_the_same_key_finds_the_same_request_however_the_reasons_are_worded(host, reviewer, run_jobs):
    first = host.call("request_approval", **REFUND, reason="It is lost.", key="refund-1182")
    again = host.call("request_approval", args={"amount": 250, "order": 1182}, action="refund", reason="The parcel is gone.", key="refund-1182")
    other = host.call("request_approval", **REFUND)

    assert first["id"] == again["id"] != other["id"]
    assert Incident.objects.count() == 2


def test_the_same_key_for_something_else_is_refused(host):
    host.call("request_approval", **REFUND, key="k")

    assert host.refused("request_approval", action="refund", args={"order": 1182, "amount": 251}, key="k")["error"] == "idempotency_mismatch"
    assert host.refused("ask_human", question="May I?", key="k")["error"] == "idempotency_mismatch"
    assert Incident.objects.count() == 1


def test_a_test_key_never_reads_what_lives(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND, key="k")
    run_jobs()
    decide(reviewer, "approve", asked["id"])
    tester = Host(key_for(host.source, env="test"))

    assert tester.refused("request_approval", **REFUND, key="k")["error"] == "idempotency_mismatch"
    assert tester.refused("get_approval", id=asked["id"])["error"] == "not_found"


def test_nobody_reads_what_another_source_asked(host):
    asked = host.call("request_approval", **REFUND)
    other = Host(key_for(SourceFactory()))

    assert other.refused("get_approval", id=asked["id"])["error"] == "not_found"
    assert other.refused("get_approval", id=asked["id"], answer="yes")["error"] == "not_found"
    assert other.refused("request_approval", **REFUND, revises=asked["id"])["error"] == "not_found"


def test_an_approval_that_is_too_old_is_none(host, reviewer, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "approve", asked["id"])

    with clock.frozen_at(clock.now() + timedelta(days=2)):
        said = host.call("get_approval", id=asked["id"])

    assert said["status"] == "lapsed"
    assert not {"action", "args", "args_digest"} & set(said)


def test_when_nobody_decides_it_is_a_no(host, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    with clock.frozen_at(Proposal.objects.get().expires_at + timedelta(seconds=1)):
        lifecycle.run_out()
        said = host.call("get_approval", id=asked["id"])

    assert said["status"] == "expired" and "a no" in said["next"]
    assert "args" not in said


def test_a_withdrawn_request_has_no_answer(host, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    lifecycle.withdraw(asked["id"], actor=Actor.source(host.source))

    assert host.call("get_approval", id=asked["id"])["status"] == "withdrawn"


def test_a_failed_approval_that_is_asked_again_is_open_again(host, reviewer, run_jobs):
    """The decision before it still stands in the record, and must not be read as the answer."""
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    decide(reviewer, "approve", asked["id"])
    host.call("report_step", approval=asked["id"], tool="refund", args=REFUND["args"], error="The bank is closed.")

    said = host.call("get_approval", id=asked["id"])

    assert said["status"] == "pending" and "args" not in said


def test_broken_text_outside_of_what_is_signed_turns_nobody_away(host):
    asked = host.call("request_approval", **REFUND, reason="log: \x00\ud800")
    again = host.call("ask_human", question="what is \x00 ?", key="q")
    once_more = host.call("ask_human", question="what is \x00 ?", key="q")

    assert Incident.objects.get(pk=asked["id"]).context["why"] == "log: \ufffd\ufffd"
    assert again["id"] == once_more["id"]


@pytest.mark.django_db(transaction=True)
def test_a_call_waits_for_the_person_without_a_thread(transactional_db):
    source = SourceFactory(name="desk-agent")
    host = Host(key_for(source), source=source, query="?wait=50")
    person = PersonFactory(roles=["queue manager"])
    asked = Host(host.key).call("request_approval", **REFUND)
    Proposal.objects.update(role=person.groups.get().role, routed_at=clock.now(), due_at=clock.now() + timedelta(hours=1))
    Incident.objects.update(status="waiting")

    def approve():
        decide(person, "approve", asked["id"])
        connections.close_all()

    async def story():
        waiter = asyncio.create_task(host.later("get_approval", id=asked["id"]))
        async with asyncio.timeout(30):
            while waiting.watch().count != 1:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(approve)
        return await waiter

    said = asyncio.run(story())

    assert (said["status"], said["args"]) == ("approved", REFUND["args"])


@pytest.mark.django_db(transaction=True)
def test_a_call_that_waited_long_enough_says_that_it_is_still_open(transactional_db):
    source = SourceFactory()
    host = Host(key_for(source), source=source, query="?wait=1")

    said = asyncio.run(host.later("request_approval", **REFUND, wait_seconds=200))

    assert said["status"] == "pending"
