"""The OpenAI Agents SDK stops before a tool, people decide in Countersign, and the run goes on as they said."""

import json
from pathlib import Path

import pytest

from .conftest import run

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "sdk" / "python" / "src"
REFUND = ["refund", {"order": "A-1", "cents": 1250}, "call_1"]
LESS = {"order": "A-1", "cents": 900}


@pytest.fixture(scope="module")
def source(new_source):
    return new_source("openai-agent")


@pytest.fixture
def agent(environment, company, source):
    """Run the program with its model's turns; returns what it printed."""
    python = environment("openai-agents", "httpx>=0.27")

    def act(*turns, **more):
        done = run(
            python, HERE / "openai_agents_program.py", json.dumps(turns), timeout=200, PYTHONPATH=str(SDK), COUNTERSIGN_URL=company.url,
            COUNTERSIGN_KEY=source["key"], OPENAI_AGENTS_DISABLE_TRACING="1", **more,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return act


def test_what_is_approved_runs_and_is_acknowledged(agent, desk):
    with desk.deciding("openai-agent", lambda asked: {"verdict": "approve"}) as asked:
        done = agent([REFUND])
    assert done["ran"] == [["refund", REFUND[1]]] and done["last"] == "all done"
    (incident,) = asked
    assert incident["proposal"]["args"] == REFUND[1] and desk.acknowledged(incident)["result"] == "done"


def test_what_is_rejected_does_not_run_and_the_model_is_told_why(agent, desk):
    with desk.deciding("openai-agent", lambda asked: {"verdict": "reject", "reason": "the cap is 1000"}):
        done = agent([REFUND])
    assert done["ran"] == [] and "the cap is 1000" in done["told"][0]


def test_an_answer_in_words_takes_the_place_of_the_call(agent, desk):
    with desk.deciding("openai-agent", lambda asked: {"verdict": "respond", "message": "refunded by hand"}):
        done = agent([REFUND])
    assert done["ran"] == [] and "refunded by hand" in done["told"][0]


def test_an_edit_names_what_is_wanted_and_exactly_that_runs_once_without_asking_again(agent, desk):
    again = ["refund", LESS, "call_2"]
    with desk.deciding("openai-agent", lambda asked: {"verdict": "edit", "args": LESS}) as asked:
        done = agent([REFUND], [again])
    assert '"cents": 900' in done["told"][0] and "Call refund again" in done["told"][0]
    assert done["ran"] == [["refund", LESS]] and len(asked) == 1, "the person signed exactly this"
    assert desk.acknowledged(asked[0])["args_digest"] == done_digest(desk, asked[0])


def done_digest(desk, incident):
    return desk.http.get(f"/incidents/{incident['id']}").json()["decision"]["args_digest"]


def test_what_an_edit_allowed_runs_once_and_anything_else_is_asked_about(agent, desk):
    """The model makes the changed call twice, and then the first one again: one signature is good for one run."""

    def decide(asked):
        if asked["proposal"]["args"]["cents"] == 1250 and not first:
            first.append(asked)
            return {"verdict": "edit", "args": LESS}
        return {"verdict": "reject", "reason": "once is enough"}

    first = []
    with desk.deciding("openai-agent", decide) as asked:
        done = agent([REFUND], [["refund", LESS, "call_2"]], [["refund", LESS, "call_3"]], [["refund", REFUND[1], "call_4"]])
    assert done["ran"] == [["refund", LESS]] and len(asked) == 3


def test_two_calls_of_one_turn_each_get_their_own_decision(agent, desk):
    def decide(asked):
        return {"verdict": "approve"} if asked["proposal"]["action"] == "refund" else {"verdict": "reject", "reason": "bob stays"}

    with desk.deciding("openai-agent", decide) as asked:
        done = agent([["delete_user", {"user": "bob"}, "call_1"], ["refund", REFUND[1], "call_2"]])
    assert done["ran"] == [["refund", REFUND[1]]] and len(asked) == 2


def test_a_tool_that_breaks_brings_the_incident_back_to_a_person(agent, desk):
    with desk.deciding("openai-agent", lambda asked: {"verdict": "approve"}) as asked:
        done = agent([["delete_user", {"user": "nobody"}, "call_1"]])
    assert "there is no such user" in done["raised"] and done["ran"] == []
    assert desk.back(asked[0])["proposal"]["revision"] == 2


def test_a_run_that_was_given_up_goes_on_from_its_state_with_the_same_question(agent, desk, tmp_path):
    kept = str(tmp_path / f"run-{tmp_path.name}-{id(tmp_path)}")
    late = agent([REFUND], KEPT=kept, TIMEOUT="0.1")
    assert late["ran"] == [] and "TimedOut" in late["raised"]

    with desk.deciding("openai-agent", lambda asked: {"verdict": "approve"}) as asked:
        done = agent(KEPT=kept)
    assert done["ran"] == [["refund", REFUND[1]]] and len(asked) == 1
