"""report_step: a watched run over MCP, and approvals reported as carried out by what ran."""

import asyncio

import pytest
from django.db import connections

from escalations import lifecycle, oversight
from escalations.api import waiting
from escalations.models import Acknowledgement, OversightSession, Proposal, SessionStep
from escalations.states import Order, RunState
from tests.escalations.adapters.mcp_speaking import Host
from tests.escalations.api.speaking import key_for
from tests.factories import PersonFactory, SourceFactory

REFUND = {"action": "refund", "args": {"order": 1182, "amount": 25}}


@pytest.fixture
def host(db):
    source = SourceFactory(name="research-agent")
    return Host(key_for(source), source=source)


@pytest.fixture
def watcher(db):
    return PersonFactory(username="sam", first_name="Sam", last_name="Supervisor", roles=["supervisor", "manager", "finance"])


def test_the_first_step_begins_a_run_that_people_watch(host):
    said = host.call("report_step", agent="researcher", goal="Find the best offer.", tool="search", args={"q": "offers"}, result=["a", "b"])
    later = host.call("report_step", session=said["session"], tool="open", args={"url": "a"}, error="404", tokens=120, cost=0.25, took_ms=90)
    run = OversightSession.objects.get()

    assert (said["directive"], said["steps"], later["steps"]) == ("continue", 1, 2)
    assert (str(run.pk), run.agent, run.goal, run.source) == (said["session"], "researcher", "Find the best offer.", host.source)
    assert (run.errors, run.tokens, f"{run.cost:.2f}") == (1, 120, "0.25")
    assert list(SessionStep.objects.values_list("tool", "args", "error")) == [("search", {"q": "offers"}, ""), ("open", {"url": "a"}, "404")]


def test_a_run_that_was_begun_with_a_key_is_found_again(host):
    first = host.call("report_step", agent="researcher", goal="x", key="run-1", tool="search", number=1)
    again = host.call("report_step", agent="researcher", goal="x", key="run-1", tool="search", number=1)

    assert first["session"] == again["session"] and again["steps"] == 1


def test_what_people_say_reaches_the_agent_with_its_next_step(host, watcher):
    session = host.call("report_step", agent="researcher", tool="search")["session"]
    oversight.order(session, Order.NOTE, person=watcher, text="Prefer official sources.")
    noted = host.call("report_step", session=session, tool="open")
    oversight.order(session, Order.PAUSE, person=watcher, text="One moment.")
    paused = host.call("report_step", session=session, tool="open", args={"url": "b"})
    oversight.order(session, Order.STOP, person=watcher, text="Enough.")
    stopped = host.call("report_step", session=session)
    over = host.call("report_step", session=session, outcome="stopped", detail="As I was told.")

    assert noted["directive"] == "note" and noted["notes"][0]["text"] == "Prefer official sources."
    assert paused["directive"] == "pause" and "Do nothing more" in paused["next"]
    assert (stopped["directive"], stopped["reason"]) == ("stop", "Enough.")
    assert over["ended"] == "stopped"
    run = OversightSession.objects.get()
    assert (run.state, run.outcome, run.detail) == (RunState.STOPPED, "stopped", "As I was told.")


def test_a_run_that_is_done_says_so_with_its_last_step(host):
    session = host.call("report_step", agent="researcher", tool="search")["session"]

    said = host.call("report_step", session=session, tool="answer", result="42", outcome="done")

    assert (said["ended"], said["steps"]) == ("done", 2)
    assert OversightSession.objects.get().state == RunState.ENDED


def test_an_approval_inside_a_run_is_linked_to_it(host):
    session = host.call("report_step", agent="researcher", tool="search")["session"]
    host.call("request_approval", **REFUND, session=session)

    assert Proposal.objects.get().incident.session == session


def test_nobody_steps_in_another_sources_run(host):
    session = host.call("report_step", agent="researcher", tool="search")["session"]
    other = Host(key_for(SourceFactory()))
    tester = Host(key_for(host.source, env="test"))

    assert other.refused("report_step", session=session, tool="search")["error"] == "not_found"
    assert tester.refused("report_step", session=session)["error"] == "not_found"
    assert SessionStep.objects.count() == 1


@pytest.fixture
def approved(host, watcher, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    proposal = Proposal.objects.get()
    lifecycle.decide(proposal.pk, person=watcher, type="approve", digest=proposal.args_digest, version=proposal.version)
    return asked["id"]


def test_what_ran_is_acknowledged_by_its_own_digest(host, approved):
    said = host.call("report_step", approval=approved, tool="refund", args={"amount": 25, "order": 1182}, result="ok")
    again = host.call("report_step", approval=approved, tool="refund", args=REFUND["args"])

    assert said["approval"] == again["approval"] == {"id": approved, "carried_out": "done"}
    assert Acknowledgement.objects.get().result == "done"
    looked = host.call("get_approval", id=approved)
    assert looked["carried_out"] == "done" and "Do not do it again" in looked["next"]


def test_what_was_not_signed_is_not_acknowledged(host, approved):
    said = host.refused("report_step", approval=approved, tool="refund", args={"order": 1182, "amount": 26})

    assert said["errors"][0]["code"] == "digest_mismatch"
    assert not Acknowledgement.objects.exists()


def test_what_nobody_approved_cannot_be_reported_as_carried_out(host, run_jobs):
    asked = host.call("request_approval", **REFUND)
    run_jobs()
    other = Host(key_for(SourceFactory()))

    assert host.refused("report_step", approval=asked["id"], tool="refund", args=REFUND["args"])["error"] == "conflict"
    assert other.refused("report_step", approval=asked["id"], tool="refund", args=REFUND["args"])["error"] == "not_found"


def test_a_step_of_a_run_may_carry_out_an_approval(host, approved):
    session = host.call("report_step", agent="researcher", tool="search")["session"]

    said = host.call("report_step", session=session, approval=approved, tool="refund", args=REFUND["args"], error="The bank is closed.")

    assert (said["steps"], said["approval"]["carried_out"]) == (2, "failed")
    assert SessionStep.objects.last().error == "The bank is closed."


@pytest.mark.django_db(transaction=True)
def test_a_paused_agent_waits_until_people_let_it_go_on(transactional_db):
    source = SourceFactory()
    host = Host(key_for(source), source=source, query="?wait=50")
    watcher = PersonFactory(roles=["supervisor"])
    session = host.call("report_step", agent="researcher", tool="search")["session"]
    oversight.order(session, Order.PAUSE, person=watcher, text="One moment.")
    assert host.call("report_step", session=session, tool="open")["directive"] == "pause"
    connections.close_all()

    def resume():
        oversight.order(session, Order.RESUME, person=watcher)
        connections.close_all()

    async def story():
        waiter = asyncio.create_task(host.later("report_step", session=session))
        async with asyncio.timeout(30):
            while waiting.watch().count != 1:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(resume)
        return await waiter

    said = asyncio.run(story())

    assert said["directive"] == "continue"


def test_an_agent_that_looks_while_all_is_well_is_answered_at_once(host):
    host.query = "?wait=50"
    session = host.call("report_step", agent="researcher", tool="search")["session"]

    assert host.call("report_step", session=session)["directive"] == "continue"
