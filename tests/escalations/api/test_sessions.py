"""Runs under watch over HTTP: what agents and people may call, what is refused, and who waits for what."""

import asyncio
import json
from uuid import uuid4

import pytest
from django.db import connections
from django.test import AsyncClient

from escalations import oversight
from escalations.api import waiting
from escalations.models import OversightSession
from escalations.states import Order
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


def begin(speaker, **body):
    response = speaker.post("/sessions", {"agent": "researcher", **body})
    assert response.status_code == 201, response.content
    return response.json()


def test_a_run_from_its_beginning_to_its_end(agent):
    response = agent.post("/sessions", {"agent": "researcher", "goal": "Find flights", "limits": {"steps": 50, "cost": 1.5}}, key="k1")
    assert response.status_code == 201
    run = response.json()
    assert response["Location"] == f"/api/v1/sessions/{run['id']}"
    assert (run["state"], run["role"], run["source"]) == ("running", "supervisor", "billing-agent")
    assert run["limits"] == {"steps": 50, "repeats": None, "minutes": None, "cost": "1.500000"}

    said = agent.post(f"/sessions/{run['id']}/steps", {
        "tool": "search", "args": {"q": "Oslo"}, "result": {"found": 2}, "tokens": 12, "cost": "0.02", "took_ms": 40,
    }).json()
    assert (said["session"], said["accepted"], said["steps"], said["directive"]["directive"]) == (run["id"], 1, 1, "continue")
    said = agent.post(f"/sessions/{run['id']}/steps", {"steps": [{"tool": "read", "number": n} for n in (2, 3)], "seen": 0}).json()
    assert (said["accepted"], said["steps"]) == (2, 3)
    assert agent.get(f"/sessions/{run['id']}/directive").json() == said["directive"]

    ended = agent.post(f"/sessions/{run['id']}/end", {"outcome": "done", "detail": "booked"}).json()
    assert (ended["state"], ended["outcome"], ended["detail"], ended["cost"]) == ("ended", "done", "booked", "0.020000")
    assert agent.get(f"/sessions/{run['id']}").json() == ended


def test_the_same_key_begins_one_run(agent):
    first = agent.post("/sessions", {"agent": "a", "key": "k"})
    again = agent.post("/sessions", {"agent": "a"}, key="k")
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again["Idempotent-Replayed"] == "true"
    assert_problem(agent.post("/sessions", {"agent": "b"}, key="k"), 422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/agent"), ({"agent": " "}, "/agent"), ({"agent": "a", "x": 1}, "/x"), ({"agent": "a", "role": "nobody"}, "/role"),
        ({"agent": "a", "limits": {"steps": 0}}, "/limits/steps"), ({"agent": "a", "limits": {"cost": "-1"}}, "/limits/cost"),
        ({"agent": "a", "limits": {"repeats": 1}}, "/limits/repeats"), ({"agent": "a", "limits": {"cost": True}}, "/limits/cost"),
    ],
)
def test_a_run_that_is_asked_for_wrongly_is_refused_with_a_pointer(agent, body, pointer):
    assert_problem(agent.post("/sessions", body), 400, "invalid", pointer)
    assert not OversightSession.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/tool"), ({"tool": "t", "tokens": -1}, "/tokens"), ({"tool": "t", "cost": "a lot"}, "/cost"),
        ({"tool": "t", "cost": "0.0000001"}, "/cost"), ({"tool": "t", "number": 0}, "/number"), ({"tool": "t", "what": 1}, "/what"),
        ({"tool": "t", "number": 2**31 - 1}, "/number"),
        ({"steps": []}, "/steps"), ({"steps": [{"tool": "t"}] * 201}, "/steps"), ({"steps": [{"tool": "t"}, {}]}, "/steps/1/tool"),
        ({"steps": [{"tool": "t", "seen": 1}]}, "/steps/0/seen"), ({"tool": "t", "seen": "1"}, "/seen"),
    ],
)
def test_steps_that_are_none_are_refused_whole(agent, body, pointer):
    run = begin(agent)
    assert_problem(agent.post(f"/sessions/{run['id']}/steps", body), 400, "invalid", pointer)
    assert agent.get(f"/sessions/{run['id']}").json()["steps"] == 0


def test_broken_text_in_a_step_is_mended(agent):
    run = begin(agent)
    raw = rb'{"tool": "t", "args": {"a": "x\u0000y"}, "result": "\ud800", "error": "\u0000"}'
    assert agent.post(f"/sessions/{run['id']}/steps", raw).status_code == 200
    step = OversightSession.objects.get().taken.get()
    assert (step.args, step.result, step.error) == ({"a": "x\ufffdy"}, "\ufffd", "\ufffd")


def test_a_run_belongs_to_its_source_and_a_rehearsal_to_test_keys(agent, other_agent):
    run = begin(agent)
    rehearsing = Speaker(key_for(agent.source, env="test"))
    rehearsal = begin(rehearsing)
    assert (run["test"], rehearsal["test"]) == (False, True)
    for speaker, pk in [(other_agent, run["id"]), (rehearsing, run["id"]), (agent, uuid4())]:
        assert_problem(speaker.get(f"/sessions/{pk}"), 404, "not_found")
        assert_problem(speaker.get(f"/sessions/{pk}/directive"), 404, "not_found")
        assert_problem(speaker.post(f"/sessions/{pk}/steps", {"tool": "t"}), 404, "not_found")
        assert_problem(speaker.post(f"/sessions/{pk}/end", {"outcome": "done"}), 404, "not_found")
    assert [one["id"] for one in rehearsing.get("/sessions").json()["items"]] == [rehearsal["id"]]
    assert len(agent.get("/sessions").json()["items"]) == 2


def test_a_key_that_may_only_read_reads(agent):
    run = begin(agent)
    reader = Speaker(key_for(agent.source, scopes=["incidents:read"]))
    assert reader.get(f"/sessions/{run['id']}").status_code == 200
    assert_problem(reader.get(f"/sessions/{run['id']}/directive"), 403, "not_allowed")
    assert_problem(reader.post(f"/sessions/{run['id']}/steps", {"tool": "t"}), 403, "not_allowed")


def test_people_read_the_runs_they_watch_and_speak_for_no_agent(agent):
    run = begin(agent)
    sue, fred = (Speaker(token_for(PersonFactory(roles=[name]))) for name in ("supervisor", "finance"))
    assert [one["id"] for one in sue.get("/sessions").json()["items"]] == [run["id"]]
    assert sue.get(f"/sessions/{run['id']}").json()["id"] == run["id"]
    assert fred.get("/sessions").json()["items"] == []
    assert_problem(fred.get(f"/sessions/{run['id']}"), 404, "not_found")
    assert_problem(sue.post("/sessions", {"agent": "a"}), 403, "not_allowed")
    assert_problem(sue.post(f"/sessions/{run['id']}/steps", {"tool": "t"}), 403, "not_allowed")
    assert_problem(sue.get(f"/sessions/{run['id']}/directive"), 403, "not_allowed")


def test_runs_come_in_pages_newest_first_by_state_and_agent(agent):
    ids = [begin(agent, agent=f"agent {n % 2}")["id"] for n in range(5)]
    agent.post(f"/sessions/{ids[0]}/end", {"outcome": "done"})
    page = agent.get("/sessions", limit=2).json()
    assert [one["id"] for one in page["items"]] == [ids[4], ids[3]]
    seen = []
    while page["next"]:
        page = agent.get("/sessions?" + page["next"].partition("?")[2]).json()
        seen += [one["id"] for one in page["items"]]
    assert seen == [ids[2], ids[1], ids[0]]
    assert [one["id"] for one in agent.get("/sessions", state="ended").json()["items"]] == [ids[0]]
    assert [one["id"] for one in agent.get("/sessions", agent="agent 1").json()["items"]] == [ids[3], ids[1]]
    for wrong in ({"state": "gone"}, {"limit": 0}, {"cursor": "x"}, {"status": "running"}):
        assert_problem(agent.get("/sessions", **wrong), 400, "invalid")


@pytest.mark.parametrize("query", ["wait=61", "wait=-1", "seen=x", "seen=-1"])
def test_a_directive_that_is_asked_for_wrongly(agent, query):
    run = begin(agent)
    assert_problem(agent.get(f"/sessions/{run['id']}/directive?{query}"), 400, "invalid")


# -- waiting


@pytest.fixture
def run(transactional_db):
    agent = Speaker(key_for(source := SourceFactory()), source=source)
    return agent, begin(agent)["id"]


@pytest.fixture
def sue(transactional_db):
    return PersonFactory(first_name="Sue", last_name="Super", roles=["supervisor"])


def tell(pk, person, order=Order.STOP):
    oversight.order(pk, order, person=person, text="Now.")
    connections.close_all()


def ask(run, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return AsyncClient().get(f"/api/v1/sessions/{run[1]}/directive?{asked}", headers=run[0].headers())


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_a_waiting_agent_hears_of_an_order_at_once_and_only_the_next_call_confirms_it(run, sue):
    async def story():
        waiter = asyncio.create_task(ask(run, wait=60))
        await until(lambda: waiting.watch().count == 1)
        await asyncio.to_thread(tell, run[1], sue)
        async with asyncio.timeout(30):
            return (await waiter).json()

    said = asyncio.run(story())
    assert (said["directive"], said["number"], said["reason"], said["by"]["name"]) == ("stop", 1, "Now.", "Sue Super")
    assert OversightSession.objects.get().state == "stopping"
    assert run[0].get(f"/sessions/{run[1]}/directive").json()["directive"] == "stop"
    assert OversightSession.objects.get().state == "stopped"


@pytest.mark.django_db(transaction=True)
def test_many_runs_wait_in_one_task_and_each_hears_its_own(transactional_db, sue):
    agent = Speaker(key_for(source := SourceFactory()), source=source)
    runs = [(agent, begin(agent)["id"]) for _ in range(8)]

    async def story():
        tasks = [asyncio.create_task(ask(run, wait=2 if run is runs[-1] else 60)) for run in runs]
        await until(lambda: waiting.watch().count == 8)
        for _, pk in runs[:-1]:
            await asyncio.to_thread(tell, pk, sue, Order.NOTE)
        async with asyncio.timeout(40):
            answers = [(await one).json()["directive"] for one in tasks]
        return answers, waiting.watch().count, dict(waiting.watch().waiting), dict(waiting.watch().named)

    answers, *left = asyncio.run(story())
    assert answers == ["note"] * 7 + ["continue"]
    assert left == [0, {}, {}]


@pytest.mark.django_db(transaction=True)
def test_what_the_agent_has_not_seen_is_told_at_once(run, sue):
    tell(run[1], sue, Order.NOTE)

    async def story():
        async with asyncio.timeout(30):
            return [(await ask(run, wait=60, seen=0)).json()["directive"] for _ in range(2)]

    assert asyncio.run(story()) == ["note", "note"]


@pytest.mark.django_db(transaction=True)
def test_a_paused_agent_waits_to_be_let_go_on(run, sue):
    tell(run[1], sue, Order.PAUSE)

    async def story():
        first = (await ask(run, wait=60)).json()
        waiter = asyncio.create_task(ask(run, wait=60, seen=first["number"]))
        await until(lambda: waiting.watch().count == 1)
        await asyncio.to_thread(tell, run[1], sue, Order.RESUME)
        async with asyncio.timeout(30):
            return first["directive"], (await waiter).json()["directive"]

    assert asyncio.run(story()) == ("pause", "continue")


def test_without_an_event_loop_of_ours_it_waits_too(agent):
    run = begin(agent)
    assert json.loads(agent.get(f"/sessions/{run['id']}/directive", wait="0.2").content)["directive"] == "continue"
