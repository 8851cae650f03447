"""The published MCP SDKs against the running server: agents that ask, coding agents that need permission, runs that are watched."""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.company import until

PATIENCE = 180  # seconds for what takes two
HERE = Path(__file__).parent
TOOLS = ["request_approval", "get_approval", "ask_human", "report_step", "approve_tool_use"]
CLIENTS = ["session", "client", "node"]  # Python's classic session, its newer client, and the SDK for TypeScript


class Agent:
    """One process of the client, which makes a call after the other."""

    def __init__(self, command, url, key):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.process = subprocess.Popen(
            [*command, url, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**kept, "NO_PROXY": "127.0.0.1,localhost"},
        )
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.began = self.heard()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def heard(self):
        line = self.lines.get(timeout=PATIENCE)
        assert line, f"the client ended with {self.process.wait(30)}"
        return json.loads(line)

    def send(self, tool, /, **arguments):
        self.process.stdin.write(json.dumps([tool, arguments]) + "\n")
        self.process.stdin.flush()

    def call(self, tool, /, **arguments):
        """Return what the tool says; fails when it says that it failed."""
        self.send(tool, **arguments)
        return self.answer()

    def answer(self):
        said = self.heard()
        assert not said["failed"], said
        [text] = said["texts"]
        return json.loads(text)

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(params=CLIENTS)
def start(request, company):
    """Call with a key, and with more of the address: returns an agent on one of the published clients."""
    if request.param == "node":
        folder = request.getfixturevalue("node_environment")("@modelcontextprotocol/sdk")
        command = ["node", str(HERE / "mcp_agent.mjs"), str(folder)]
    else:
        command = [request.getfixturevalue("environment")("mcp"), str(HERE / "mcp_agent.py"), request.param]
    running = []

    def begin(key, more=""):
        running.append(Agent(command, f"{company.url}/mcp{more}", key))
        return running[-1]

    begin.client = request.param
    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()


def refund(amount):
    return {"action": "refund", "args": {"order": "A-1", "amount": amount}, "reason": "The customer asked.", "request": "My money, please."}


def test_an_agent_asks_and_does_what_was_signed(start, new_source, desk):
    name = f"mcp-asker-{start.client}"
    agent = start(new_source(name)["key"])
    verdicts = {
        10: {"verdict": "approve"}, 20: {"verdict": "edit", "args": {"order": "A-1", "amount": 15}},
        30: {"verdict": "reject", "reason": "It arrived."}, 40: {"verdict": "respond", "message": "Send a new one."},
    }

    with desk.deciding(name, lambda one: dict(verdicts[one["proposal"]["args"]["amount"]])) as asked:
        said = {amount: agent.call("request_approval", **refund(amount)) for amount in verdicts}

    assert agent.began["tools"] == TOOLS
    assert [said[one]["status"] for one in verdicts] == ["approved", "edited", "rejected", "answered"]
    assert said[10]["args"] == {"order": "A-1", "amount": 10} and said[20]["args"] == {"order": "A-1", "amount": 15}
    assert said[30]["reason"] == "It arrived." and said[40]["answer"] == "Send a new one."
    assert "args" not in said[30] and "args" not in said[40]
    assert [one["title"] for one in asked][:1] == ["refund (order: A-1, amount: 10)"]
    done = agent.call("report_step", approval=said[20]["id"], tool="refund", args=said[20]["args"])
    assert done["approval"]["carried_out"] == "done"
    agent.end()


def test_a_question_is_answered(start, new_source, desk):
    name = f"mcp-question-{start.client}"
    agent = start(new_source(name)["key"])

    with desk.deciding(name, lambda one: {"verdict": "respond", "message": "eu-west"}):
        said = agent.call("ask_human", question="Which region?", options=["eu-west", "us-east"])

    assert (said["status"], said["answer"]) == ("answered", "eu-west")


def test_a_coding_agents_tool_runs_as_it_was_signed_or_not_at_all(start, new_source, desk):
    name = f"mcp-coder-{start.client}"
    agent = start(new_source(name)["key"])
    verdicts = {
        "ls": {"verdict": "approve"}, "make all": {"verdict": "edit", "args": {"command": "make lint"}},
        "make deploy": {"verdict": "reject", "reason": "Not on Fridays."},
    }

    with desk.deciding(name, lambda one: dict(verdicts[one["proposal"]["args"]["command"]])):
        said = [
            agent.call("approve_tool_use", tool_name="Bash", input={"command": command}, tool_use_id=f"toolu_{number}")
            for number, command in enumerate(verdicts)
        ]

    assert said[:2] == [
        {"behavior": "allow", "updatedInput": {"command": "ls"}}, {"behavior": "allow", "updatedInput": {"command": "make lint"}},
    ]
    assert said[2]["behavior"] == "deny" and "Not on Fridays." in said[2]["message"]


def test_an_agent_that_waited_long_enough_comes_back_with_the_id(start, new_source, desk):
    name = f"mcp-patient-{start.client}"
    agent = start(new_source(name)["key"], "?wait=1")
    pending = agent.call("request_approval", **refund(10))
    agent.end()

    again = start(new_source(f"{name}-b")["key"], "?wait=1")
    again.send("get_approval", id=pending["id"])
    assert again.heard()["failed"], "another source's approval is nobody's business"

    incident = desk.next(name)
    assert pending["status"] == "pending" and pending["id"] == incident["id"]
    assert pending["review_url"] == incident["review_url"]


def test_a_server_killed_in_the_middle_of_a_wait_costs_the_agent_nothing(start, company, new_source, desk):
    if start.client == "node":
        pytest.skip("the script for node does not come back by itself; the address is the same")
    name = f"mcp-survivor-{start.client}"
    agent = start(new_source(name)["key"])

    agent.send("request_approval", **refund(10), key="refund-A-1")
    incident = desk.next(name)
    company.kill("hitl_site.web")
    until(company.is_ready, 60, "the pages again")
    desk.decide(incident, "approve")
    said = agent.answer()

    assert (said["id"], said["status"], said["args"]) == (incident["id"], "approved", {"order": "A-1", "amount": 10})
    assert len(desk.waiting(name)) == 0


def test_arguments_that_are_wrong_are_told_to_the_model(start, new_source):
    agent = start(new_source(f"mcp-clumsy-{start.client}")["key"])

    agent.send("request_approval", action="refund", args={"amount": 2**60})
    said = agent.heard()

    assert said["failed"] and "/args/amount" in said["texts"][0]
