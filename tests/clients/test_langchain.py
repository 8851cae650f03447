"""LangChain's own middleware asks, people decide in Countersign, and LangChain does what they said: batched and one by one."""

import json
import uuid
from pathlib import Path

import pytest

from .conftest import run

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "sdk" / "python" / "src"
REFUND = {"name": "refund", "args": {"order": "A-1", "cents": 1250}, "id": "call_1", "type": "tool_call"}
DELETE = {"name": "delete_user", "args": {"user": "bob"}, "id": "call_2", "type": "tool_call"}
MODES = ["batched", "per_call", "async_batched", "async_per_call"]


@pytest.fixture(scope="module")
def source(new_source):
    return new_source("langchain-program")


@pytest.fixture
def agent(environment, company, source):
    """Run the program with the calls its model makes; returns what it printed."""
    python = environment("langchain", "langgraph", "httpx>=0.27")

    def act(mode, *calls, **more):
        done = run(
            python, HERE / "langchain_program.py", mode, json.dumps(calls), f"thread-{uuid.uuid4()}", timeout=200,
            PYTHONPATH=str(SDK), COUNTERSIGN_URL=company.url, COUNTERSIGN_KEY=source["key"], LANGSMITH_TRACING="false",
            LANGCHAIN_TRACING_V2="false", **more,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return act


@pytest.mark.parametrize("mode", MODES)
def test_what_is_approved_runs_as_it_is_and_is_acknowledged(agent, desk, mode):
    with desk.deciding("langchain-program", lambda asked: {"verdict": "approve"}) as asked:
        done = agent(mode, REFUND)
    (incident,) = asked
    assert done["ran"] == [["refund", REFUND["args"]]] and done["last"] == "all done"
    assert incident["proposal"]["args"] == REFUND["args"]
    assert set(incident["proposal"]["allowed_decisions"]) == {"approve", "edit", "reject", "respond"}
    assert desk.acknowledged(incident)["result"] == "done"


@pytest.mark.parametrize("mode", MODES[:2])
def test_what_is_edited_runs_as_it_was_signed(agent, desk, mode):
    changed = {"order": "A-1", "cents": 900}
    with desk.deciding("langchain-program", lambda asked: {"verdict": "edit", "args": changed}):
        done = agent(mode, REFUND)
    assert done["ran"] == [["refund", changed]]
    ((status, told),) = done["told"]
    assert status == "success" and "refunded A-1 900" in told


@pytest.mark.parametrize("mode", MODES[:2])
def test_what_is_rejected_does_not_run_and_the_model_is_told_why(agent, desk, mode):
    with desk.deciding("langchain-program", lambda asked: {"verdict": "reject", "reason": "too much, the cap is 1000"}):
        done = agent(mode, REFUND)
    ((status, told),) = done["told"]
    assert done["ran"] == [] and status == "error" and "too much, the cap is 1000" in told


@pytest.mark.parametrize("mode", MODES[:2])
def test_an_answer_in_words_takes_the_place_of_the_call(agent, desk, mode):
    with desk.deciding("langchain-program", lambda asked: {"verdict": "respond", "message": "refunded by hand"}):
        done = agent(mode, REFUND)
    assert done["ran"] == [] and done["told"] == [["success", "refunded by hand"]]


@pytest.mark.parametrize("mode", MODES)
def test_two_calls_each_get_their_own_decision_and_run_once_at_most(agent, desk, mode):
    def decide(asked):
        if asked["proposal"]["action"] == "refund":
            return {"verdict": "approve"}
        assert set(asked["proposal"]["allowed_decisions"]) == {"approve", "reject"}
        return {"verdict": "reject", "reason": "bob stays"}

    with desk.deciding("langchain-program", decide) as asked:
        done = agent(mode, DELETE, REFUND)
    assert done["ran"] == [["refund", REFUND["args"]]] and len(asked) == 2
    assert sorted(status for status, _ in done["told"]) == ["error", "success"]


def test_an_edit_that_does_not_fit_the_tool_is_refused_before_anything_runs(agent, desk):
    """Asked one by one LangChain says what the tool takes, and Countersign holds people to it."""
    refused = []

    def decide(asked):
        proposal = asked["proposal"]
        answer = desk.http.post(f"/proposals/{proposal['id']}/decision", json={
            "type": "edit", "args_digest": proposal["args_digest"], "version": proposal["version"], "reason": "r",
            "args": {"order": "A-1", "cents": "plenty"},
        })
        refused.append(answer.status_code)
        return {"verdict": "reject"}

    with desk.deciding("langchain-program", decide):
        done = agent("per_call", REFUND)
    assert refused == [400] and done["ran"] == []


def test_a_tool_that_breaks_brings_the_incident_back_to_a_person(agent, desk):
    broken = {**REFUND, "args": {"order": "BROKEN", "cents": 5}}
    with desk.deciding("langchain-program", lambda asked: {"verdict": "approve"}) as asked:
        done = agent("batched", broken)
    assert "gateway is away" in done["raised"] and done["ran"] == []
    assert desk.back(asked[0])["proposal"]["revision"] == 2
