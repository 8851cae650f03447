"""approve_tool_use: a coding agent's permission prompt. One yes runs one tool call, with the input that was signed."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from escalations import clock, lifecycle
from escalations.adapters.mcp import permission
from escalations.api import waiting
from escalations.models import Acknowledgement, Decision, Incident, Proposal
from tests.escalations.adapters.mcp_speaking import Host
from tests.escalations.api.speaking import key_for
from tests.factories import PersonFactory, SourceFactory

BASH = {"tool_name": "Bash", "input": {"command": "rm -rf build", "timeout": 60}}


@pytest.fixture
def host(db):
    source = SourceFactory(name="coding-agent")
    return Host(key_for(source), source=source)


@pytest.fixture
def reviewer(db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["manager"])


def decide(person, verdict, incident=None, **said):
    proposal = Proposal.objects.filter(incident=incident or Incident.objects.get()).order_by("-revision").first()
    lifecycle.decide(proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, **said)


def ask(host, use="toolu_1", **changes):
    """Return the host's answer, which is one text and nothing else."""
    result = host.result("approve_tool_use", **BASH | ({"tool_use_id": use} if use else {}) | changes)
    assert result["isError"] is False and set(result) == {"content", "isError"}
    [block] = result["content"]
    assert block["type"] == "text"
    return json.loads(block["text"])


def test_the_tool_call_comes_to_a_person_as_what_would_run(host, run_jobs):
    ask(host)
    run_jobs()
    incident = Incident.objects.get()
    proposal = incident.proposals.get()

    assert (incident.kind, incident.title, incident.external_id) == ("action", "Bash: rm -rf build", "toolu_1")
    assert (proposal.action, proposal.args, proposal.state) == ("Bash", BASH["input"], "pending")


def test_a_yes_lets_it_run_with_the_input_that_was_signed(host, reviewer, run_jobs):
    undecided = ask(host)
    run_jobs()
    decide(reviewer, "approve")

    said = ask(host)

    assert undecided["behavior"] == "deny" and "not a no" in undecided["message"] and "/proposals/" in undecided["message"]
    assert said == {"behavior": "allow", "updatedInput": BASH["input"]}
    assert Acknowledgement.objects.get().result == "done"


def test_an_edit_runs_as_it_was_signed(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "edit", args={"command": "rm -rf build/tmp", "timeout": 60})

    assert ask(host) == {"behavior": "allow", "updatedInput": {"command": "rm -rf build/tmp", "timeout": 60}}


@pytest.mark.parametrize(("verdict", "said", "message"), [
    ("reject", {"reason": "Not on Fridays."}, "Refused by Rosa Reviewer: Not on Fridays."),
    ("respond", {"message": "Use make clean."}, "A person answers instead: Use make clean."),
    ("reject", {"reason": "Less.", "retry": True}, "Refused by Rosa Reviewer: Less. Try it another way."),
])
def test_a_no_is_a_no_in_the_persons_words(host, reviewer, run_jobs, verdict, said, message):
    ask(host)
    run_jobs()
    decide(reviewer, verdict, **said)

    assert ask(host) == {"behavior": "deny", "message": message}
    assert ask(host) == {"behavior": "deny", "message": message}
    assert Incident.objects.get().status == "settled"


def test_time_that_runs_out_is_a_no(host, run_jobs):
    ask(host)
    run_jobs()
    with clock.frozen_at(Proposal.objects.get().expires_at + timedelta(seconds=1)):
        lifecycle.run_out()

        assert ask(host) == {"behavior": "deny", "message": "Nobody decided in time, which is a no."}


def test_the_same_tool_call_hears_its_yes_again(host, reviewer, run_jobs):
    """Its answer may have been lost on the way: the host may ask until it has it."""
    ask(host)
    run_jobs()
    decide(reviewer, "approve")

    assert ask(host) == ask(host) == {"behavior": "allow", "updatedInput": BASH["input"]}
    assert Incident.objects.count() == 1


def test_a_yes_is_not_repeated_long_after_it_was_given(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "approve")
    ask(host)

    with clock.frozen_at(clock.now() + permission.HEARD_AGAIN + timedelta(seconds=1)):
        said = ask(host)

    assert said == {"behavior": "deny", "message": permission.TAKEN}
    assert Incident.objects.count() == 1


def test_a_yes_is_not_repeated_when_its_time_is_over(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "approve")
    until = Decision.objects.get().valid_until
    with clock.frozen_at(until - timedelta(seconds=1)):
        assert ask(host)["behavior"] == "allow"

    with clock.frozen_at(until):
        assert ask(host) == {"behavior": "deny", "message": permission.TAKEN}


def test_another_call_of_the_same_tool_needs_a_yes_of_its_own(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "approve")
    ask(host)

    said = ask(host, "toolu_2")

    assert said["behavior"] == "deny"
    assert Incident.objects.count() == 2


def test_a_call_whose_host_had_stopped_waiting_finds_its_request_again(host, reviewer, run_jobs):
    """The model tries the denied call once more; its host gives the new call another id."""
    ask(host)
    run_jobs()
    pending = ask(host, "toolu_2")
    decide(reviewer, "approve")

    said = ask(host, "toolu_3")

    assert pending["behavior"] == "deny" and Incident.objects.count() == 1
    assert said == {"behavior": "allow", "updatedInput": BASH["input"]}
    assert ask(host, "toolu_3") == said, "and hears it again, should its answer have been lost"
    assert Incident.objects.count() == 1


def test_it_is_found_again_only_as_it_was(host, run_jobs):
    ask(host)
    ask(host, "toolu_2", input={"command": "rm -rf /"})
    ask(host, "toolu_3", tool_name="Shell")
    host.query = "?wait=0&session=another-run"
    ask(host, "toolu_4")
    other = Host(key_for(SourceFactory()))
    ask(other, "toolu_5")
    tester = Host(key_for(host.source, env="test"))
    ask(tester, "toolu_6")

    assert Incident.objects.count() == 6
    assert Incident.objects.filter(session="another-run").count() == 1


def test_a_request_of_yesterday_is_not_found_again(host):
    ask(host)
    with clock.frozen_at(clock.now() + permission.FOUND_AGAIN + timedelta(minutes=1)):
        ask(host, "toolu_2")

    assert Incident.objects.count() == 2


def test_an_edit_that_somebody_else_has_to_sign_is_still_open(host, run_jobs):
    ask(host)
    run_jobs()
    proposal = Proposal.objects.get()
    editor = PersonFactory(roles=[proposal.role.name])
    decide(editor, "edit", args={"command": "delete all customers, password hunter2hunter2", "timeout": 60, "amount": 999_999})
    run_jobs()

    assert Proposal.objects.filter(state="pending").count() == 1
    assert ask(host)["behavior"] == "deny"
    assert ask(host, "toolu_2")["behavior"] == "deny"
    assert Incident.objects.count() == 1


def test_the_same_id_for_another_input_is_refused(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "approve")

    said = ask(host, input={"command": "rm -rf /"})

    assert said["behavior"] == "deny" and "before" in said["message"]
    assert not Acknowledgement.objects.exists()


def test_an_approval_that_is_too_old_runs_nothing(host, reviewer, run_jobs):
    ask(host)
    run_jobs()
    decide(reviewer, "approve")

    with clock.frozen_at(clock.now() + timedelta(hours=25)):
        assert "too long ago" in ask(host)["message"]
        assert ask(host, "toolu_2")["behavior"] == "deny"
    assert Incident.objects.count() == 2 and not Acknowledgement.objects.exists()


def test_a_host_that_gives_no_id_is_served_too_but_only_once(host, reviewer, run_jobs):
    ask(host, None)
    run_jobs()
    ask(host, None)
    assert Incident.objects.count() == 1
    decide(reviewer, "approve")

    assert ask(host, None) == {"behavior": "allow", "updatedInput": BASH["input"]}
    assert ask(host, None)["behavior"] == "deny"
    assert Incident.objects.count() == 2


def test_what_was_withdrawn_is_asked_anew(host, run_jobs):
    ask(host)
    run_jobs()
    Proposal.objects.update(state="withdrawn", settled_at=clock.now())

    assert "withdrawn" in ask(host)["message"]
    assert ask(host, "toolu_2")["behavior"] == "deny"
    assert Incident.objects.count() == 2


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_many_calls_that_wait_for_the_same_yes_one_gets_it(transactional_db):
    source = SourceFactory()
    host = Host(key_for(source), source=source)
    person = PersonFactory(roles=["queue manager"])
    ask(host)
    Proposal.objects.update(role=person.groups.get().role, routed_at=clock.now(), due_at=clock.now() + timedelta(hours=1))
    Incident.objects.update(status="waiting")
    decide(person, "approve")

    def call(number):
        try:
            return ask(host, f"toolu_{number + 10}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(call, range(6)))

    assert [one["behavior"] for one in said].count("allow") == 1
    assert Acknowledgement.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_prompt_waits_for_the_person(transactional_db):
    source = SourceFactory()
    host = Host(key_for(source), source=source, query="?wait=50")
    person = PersonFactory(roles=["queue manager"])

    def approve():
        Proposal.objects.update(role=person.groups.get().role, routed_at=clock.now(), due_at=clock.now() + timedelta(hours=1))
        Incident.objects.update(status="waiting")
        decide(person, "approve")
        connections.close_all()

    async def story():
        waiter = asyncio.create_task(host.later("approve_tool_use", **BASH, tool_use_id="toolu_1"))
        async with asyncio.timeout(30):
            while waiting.watch().count != 1:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(approve)
        return await waiter

    assert asyncio.run(story()) == {"behavior": "allow", "updatedInput": BASH["input"]}
