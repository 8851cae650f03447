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
TRIES = 5  # of a call that waits for a minute, where a second is enough
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

    def asked(self, tool, /, **arguments):
        """Return the same, once it is decided: `pending` is followed up as a model is told to."""
        said = self.call(tool, **arguments)
        for _ in range(TRIES):
            if said.get("status") == "pending":
                said = self.call("get_approval", id=said["id"])
            elif "not a no" in said.get("message", ""):
                said = self.call(tool, **arguments)
            else:
                break
        return said

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="module")
def source_of(new_source):
    """Call with a name: returns the source of that name, registered once for all tests here."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = new_source(name)
        return made[name]

    return find


@pytest.fixture(params=CLIENTS)
def start(request, company, source_of):
    """Call it for an agent on one of the published clients; `start.source` names who asks. More may be said in the address."""
    if request.param == "node":
        folder = request.getfixturevalue("node_environment")("@modelcontextprotocol/sdk")
        command = ["node", str(HERE / "mcp_agent.mjs"), str(folder)]
    else:
        command = [request.getfixturevalue("environment")("mcp"), str(HERE / "mcp_agent.py"), request.param]
    running = []

    def begin(more="", source=f"mcp-{request.param}"):
        running.append(Agent(command, f"{company.url}/mcp{more}", source_of(source)["key"]))
        return running[-1]

    begin.source = f"mcp-{request.param}"
    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()


def refund(amount):
    return {"action": "refund", "args": {"order": "A-1", "amount": amount}, "reason": "The customer asked.", "request": "My money, please."}


def test_an_agent_asks_and_does_what_was_signed(start, desk):
    agent = start()
    verdicts = {
        10: {"verdict": "approve"}, 20: {"verdict": "edit", "args": {"order": "A-1", "amount": 15}},
        30: {"verdict": "reject", "reason": "It arrived."}, 40: {"verdict": "respond", "message": "Send a new one."},
    }

    with desk.deciding(start.source, lambda one: dict(verdicts[one["proposal"]["args"]["amount"]])) as asked:
        said = {amount: agent.asked("request_approval", **refund(amount)) for amount in verdicts}

    assert agent.began["tools"] == TOOLS
    assert [said[one]["status"] for one in verdicts] == ["approved", "edited", "rejected", "answered"]
    assert said[10]["args"] == {"order": "A-1", "amount": 10} and said[20]["args"] == {"order": "A-1", "amount": 15}
    assert said[30]["reason"] == "It arrived." and said[40]["answer"] == "Send a new one."
    assert "args" not in said[30] and "args" not in said[40]
    assert [one["title"] for one in asked][:1] == ["refund (order: A-1, amount: 10)"]
    done = agent.call("report_step", approval=said[20]["id"], tool="refund", args=said[20]["args"])
    assert done["approval"]["carried_out"] == "done"
    agent.end()


def test_a_question_is_answered(start, desk):
    agent = start()

    with desk.deciding(start.source, lambda one: {"verdict": "respond", "message": "eu-west"}):
        said = agent.asked("ask_human", question="Which region?", options=["eu-west", "us-east"])

    assert (said["status"], said["answer"]) == ("answered", "eu-west")


def test_a_coding_agents_tool_runs_as_it_was_signed_or_not_at_all(start, desk):
    agent = start()
    verdicts = {
        "ls": {"verdict": "approve"}, "make all": {"verdict": "edit", "args": {"command": "make lint"}},
        "make deploy": {"verdict": "reject", "reason": "Not on Fridays."},
    }

    with desk.deciding(start.source, lambda one: dict(verdicts[one["proposal"]["args"]["command"]])):
        said = [
            agent.asked("approve_tool_use", tool_name="Bash", input={"command": command}, tool_use_id=f"toolu_{number}")
            for number, command in enumerate(verdicts)
        ]

    assert said[:2] == [
        {"behavior": "allow", "updatedInput": {"command": "ls"}}, {"behavior": "allow", "updatedInput": {"command": "make lint"}},
    ]
    assert said[2]["behavior"] == "deny" and "Not on Fridays." in said[2]["message"]


def test_an_agent_that_waited_long_enough_comes_back_with_the_id(start, desk):
    agent = start("?wait=1")
    pending = agent.call("request_approval", **refund(10))
    agent.end()

    again = start("?wait=1", source="mcp-stranger")
    again.send("get_approval", id=pending["id"])
    assert again.heard()["failed"], "another source's approval is nobody's business"

    incident = desk.next(start.source)
    assert pending["status"] == "pending" and pending["id"] == incident["id"]
    assert pending["review_url"] == incident["review_url"]
    desk.decide(incident, "reject")


def test_a_server_killed_in_the_middle_of_a_wait_costs_the_agent_nothing(start, company, desk):
    agent = start()

    agent.send("request_approval", **refund(10), key="refund-A-1")
    incident = desk.next(start.source)
    company.kill("hitl_site.web")
    until(company.is_ready, 60, "the pages again")
    desk.decide(incident, "approve")
    said = agent.answer()
    if said["status"] == "pending":
        said = agent.asked("get_approval", id=said["id"])

    assert (said["id"], said["status"], said["args"]) == (incident["id"], "approved", {"order": "A-1", "amount": 10})
    assert len(desk.waiting(start.source)) == 0


def test_arguments_that_are_wrong_are_told_to_the_model(start):
    agent = start()

    agent.send("request_approval", action="refund", args={"amount": 2**60})
    said = agent.heard()

    assert said["failed"] and "/args/amount" in said["texts"][0]
