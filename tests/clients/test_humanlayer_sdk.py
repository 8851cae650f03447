"""HumanLayer's SDK as it was last published, for Python and for Node: programs that were left without a server run on, and run nothing nobody signed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import run
from tests.e2e.company import until

PROGRAM = Path(__file__).with_name("humanlayer_program.py")


@pytest.fixture(scope="module")
def python(environment):
    return environment("humanlayer")


@pytest.fixture
def program(company, new_source, python, request):
    """Return (the source's name, a function that runs the program's steps as that source and returns what each said)."""
    name = "hl-" + request.node.name.removeprefix("test_").replace("_", "-")[:60]
    key = new_source(name)["key"]

    def steps(*wanted, key=key, **environment):
        done = run(
            python, PROGRAM, *wanted, timeout=240, HUMANLAYER_API_BASE=f"{company.url}/humanlayer/v1", HUMANLAYER_API_KEY=key, **environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["step"] for one in said] == list(wanted), done.stdout
        return said[0] if len(said) == 1 else said

    return name, steps


def by_order(**verdicts):
    """Return how to decide: by the order that is asked about, A-1 as `A1`."""
    return lambda incident: verdicts[str((incident["proposal"]["args"] or {}).get("order", "")).replace("-", "")]


def test_a_yes_runs_the_function_and_a_no_comes_back_in_words(program, desk):
    name, steps = program
    how = by_order(A1={"verdict": "approve"}, A3={"verdict": "reject", "reason": "Too much."})
    with desk.deciding(name, how) as asked:
        approved, rejected = steps("approve", "reject")
    assert (approved["said"], approved["ran"]) == ("refunded A-1 1250", [["A-1", 1250]])
    assert (rejected["said"], rejected["ran"]) == ("User in ops denied refund with message: Too much.", [])
    [first, second] = asked
    assert first["title"] == 'refund(order="A-1", cents=1250)' and first["kind"] == "action"
    assert second["proposal"]["args"] == {"order": "A-3", "cents": 1250}


def test_an_edit_never_runs_what_was_asked_and_lets_what_was_signed_run_once(program, desk):
    name, steps = program
    verdicts = iter([{"verdict": "edit", "args": {"order": "A-2", "cents": 900}, "reason": "cap"}, {"verdict": "reject", "reason": "Not twice."}])
    with desk.deciding(name, lambda incident: next(verdicts)) as asked:
        changed, wanted, again = steps("edit", "as_wanted", "as_wanted")
    assert changed["ran"] == [] and 'call refund again with exactly {"cents": 900, "order": "A-2"}' in changed["said"], changed
    assert (wanted["said"], wanted["ran"]) == ("refunded A-2 900", [["A-2", 900]])
    assert again["ran"] == [] and "Not twice." in again["said"]
    assert len(asked) == 2, "once asked, once edited, once let go by that signature, and asked again for the next"


def test_arguments_by_position_are_seen_to_be_invisible(program, desk):
    name, steps = program
    with desk.deciding(name, lambda incident: {"verdict": "reject", "reason": "I cannot see what this is."}) as asked:
        said = steps("by_position")
    [incident] = asked
    assert incident["proposal"]["args"] == {} and "irreversible" in incident["triggers"]
    assert said["ran"] == [] and "I cannot see what this is." in said["said"]


def test_when_nobody_decides_in_time_the_function_is_told_so(program, company, desk):
    name, steps = program

    def run_out(incident):
        company.sql(
            "UPDATE escalations_proposal SET due_at = clock_timestamp(), expires_at = clock_timestamp() WHERE id = %s", incident["proposal"]["id"]
        )
        until(lambda: not desk.waiting(name), 60, "the clock to settle it")
        raise AssertionError("the clock was first")

    with desk.deciding(name, lambda incident: run_out(incident)):
        said = steps("expire")
    assert said["ran"] == [] and "denied refund with message: Expired" in said["said"], said


def test_a_question_comes_back_with_its_answer(program, desk):
    name, steps = program
    with desk.deciding(name, lambda incident: {"verdict": "respond", "message": "eu-west"}) as asked:
        said = steps("contact")
    assert said["said"] == "eu-west" and asked[0]["title"] == "Which region?" and asked[0]["kind"] == "question"


def test_the_decorators_for_event_loops_wait_too(program, desk):
    name, steps = program

    def how(incident):
        return {"verdict": "respond", "message": "Go home."} if incident["kind"] == "question" else {"verdict": "approve"}

    with desk.deciding(name, how):
        said = steps("async")
    assert said["said"] == ["paid A-7", "Go home."] and said["ran"] == [["paid", "A-7"]]


def test_a_program_does_not_answer_itself_and_a_person_does_with_their_token(program, company, desk):
    name, steps = program
    made, refused = steps("create", "refuse", CALL="call-a")
    assert made["said"] == {"thread": "t1"} and "403" in refused["said"] and "Only people decide" in refused["said"]
    assert desk.next(name, kind="action")["status"] == "waiting"
    token = company.manage("add_person", "hl-person", "--role", "manager", "--token", "--interactive")["token"]
    assert steps("refuse", key=token, CALL="call-a")["said"] == "No, thank you."
    assert steps("look", CALL="call-a")["said"] == [False, "No, thank you."]


def test_what_is_escalated_is_read_again_before_it_is_signed(program, company, desk):
    name, steps = program
    _, escalated = steps("create", "escalate", CALL="call-b")
    assert escalated["said"] == "call-b"
    incident = desk.next(name, kind="action")
    token = company.manage("add_person", "hl-reader", "--role", "manager", "--token", "--interactive")["token"]
    assert "409" in steps("refuse", key=token, CALL="call-b")["said"]
    desk.decide(incident, "approve", reason="read, with what was added")
    assert steps("look", CALL="call-b")["said"] == [True, "read, with what was added"]


def test_a_key_that_is_not_known_runs_nothing(program):
    _, steps = program
    said = steps("approve", key="cs_live_nobody_knows")
    assert said["ran"] == [] and said["said"].startswith("Error fetching approval for refund") and "401" in said["said"]


@pytest.fixture(scope="module")
def node_program(node_environment):
    """The program for Node, beside the SDK it imports."""
    folder = node_environment("@humanlayer/sdk")
    return Path(shutil.copy(PROGRAM.with_suffix(".mjs"), folder))


def test_the_sdk_for_node_waits_and_runs_by_the_same_rules(company, new_source, desk, node_program):
    key = new_source("hl-node")["key"]

    def how(incident):
        if incident["kind"] == "question":
            return {"verdict": "respond", "message": "eu-west"}
        args = incident["proposal"]["args"]
        return {"verdict": "approve"} if args["order"] == "A-1" else {"verdict": "edit", "args": {**args, "cents": 900}}

    with desk.deciding("hl-node", how):
        done = run(
            shutil.which("node"), node_program, "approve", "edit", "as_wanted", "contact", timeout=240,
            HUMANLAYER_API_BASE=f"{company.url}/humanlayer/v1", HUMANLAYER_API_KEY=key,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    approved, edited, wanted, asked = (json.loads(line) for line in done.stdout.splitlines())
    assert (approved["said"], approved["ran"]) == ("refunded A-1 1250", [["A-1", 1250]])
    assert edited["ran"] == [] and "call refund again with exactly" in edited["said"]
    assert (wanted["said"], wanted["ran"]) == ("refunded A-2 900", [["A-2", 900]])
    assert asked["said"] == "eu-west"
