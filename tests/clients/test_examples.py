"""Each example, started as its reader would start it, with a person at the other end."""

import os
import subprocess
import sys

import pytest

from tests.e2e.company import ROOT

KNOWN = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.name != "run.py")


@pytest.fixture
def example(company, environments, new_source):
    """Call with an example's name: runs it as examples/run.py does; its source is called as it is, with hyphens, unless told."""

    def start(name, *arguments, source=None):
        source = new_source(source or name.replace("_", "-"))
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "run.py", name, *arguments], capture_output=True, text=True, timeout=400, check=False,
            env={
                **kept, "COUNTERSIGN_URL": company.url, "COUNTERSIGN_KEY": source["key"], "COUNTERSIGN_DATA": str(environments),
                "NO_PROXY": "127.0.0.1", "TMPDIR": str(environments),
            },
        )
        if "pip" in done.stderr and "CalledProcessError" in done.stderr:
            pytest.skip(f"WHAT {name.upper()} NEEDS COULD NOT BE INSTALLED: {done.stderr.strip().splitlines()[-1]}")
        return done

    return start


def told(done, status):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr[-3000:])
    return done.stdout


def test_the_refund_that_was_signed_is_the_one_that_runs(example, desk):
    less = {"verdict": "edit", "args": {"order": 1182, "amount": 100}, "reason": "the frame alone"}

    with desk.deciding("refund-agent", lambda incident: less) as asked:
        done = example("refund_agent")

    assert "refunded EUR 100 for order 1182" in told(done, 0)
    assert asked[0]["proposal"]["args"] == {"order": 1182, "amount": 250}
    [settled] = desk.http.get("/incidents", params={"status": "settled"}).json()["items"][:1]
    assert (settled["source"], settled["acknowledged"]["result"]) == ("refund-agent", "done")


def test_a_reply_is_sent_as_it_was_signed(example, desk):
    better = {"verdict": "edit", "draft": {"body": "Dear Ann,\n\nit arrives tomorrow.\n\nThe shop"}, "reason": "no promises"}

    with desk.deciding("support-reply", lambda incident: better):
        said = told(example("support_reply"), 0)

    assert "sent to ann@customer.example: Your order 4411" in said
    assert "it arrives tomorrow" in said and "money back" not in said


def test_who_calls_a_failing_service_is_told_what_becomes_of_it(example):
    said = told(example("fastapi_service", "--once"), 0)

    assert said.splitlines()[-1].startswith("500 ")
    assert "routed for human review" in said or "escalated automatically" in said
    assert "insufficient funds" not in said.splitlines()[-1]


def test_a_research_agent_that_goes_round_in_circles_is_paused_and_stopped(example, desk):
    with desk.deciding("research-agent", lambda incident: {"verdict": "reject", "reason": "it gets nowhere"}) as asked:
        done = example("research_agent")

    said = told(done, 5)
    assert "paused: " in said and "stopped: " in said
    assert "loop_detected" in asked[0]["triggers"]
    assert asked[0]["pattern"] == "oversight"


def test_or_goes_on_with_the_words_of_who_was_asked(example, desk):
    with desk.deciding("research-again", lambda incident: {"verdict": "respond", "message": "Learn then test"}):
        said = told(example("research_agent", source="research-again"), 0)

    assert "told: Learn then test" in said
    assert "Angelopoulos 2021" in said


def test_an_agent_of_langchain_runs_what_was_signed_and_hears_why_not(example, desk):
    def decide(incident):
        if incident["proposal"]["action"] == "refund":
            return {"verdict": "edit", "args": {"order": "A-1", "cents": 9000}}
        return {"verdict": "reject", "reason": "not on a mail alone"}

    with desk.deciding("langchain-agent", decide):
        said = told(example("langchain_agent"), 0)

    assert "ran refund(A-1, 9000)" in said and "ran delete_user" not in said
    assert "not on a mail alone" in said


def test_an_agent_of_openai_is_told_what_would_be_allowed_and_asks_for_that(example, desk):
    def decide(incident):
        if incident["proposal"]["args"]["cents"] > 9000:
            return {"verdict": "edit", "args": {"order": "A-1", "cents": 9000}}
        return {"verdict": "approve"}

    with desk.deciding("openai-agents-agent", decide):
        said = told(example("openai_agents_agent"), 0)

    assert "ran refund(A-1, 25000)" not in said
    assert said.count("ran refund(A-1, 9000)") == 1
