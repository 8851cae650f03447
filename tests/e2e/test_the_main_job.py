"""From a POST to a resumed agent with a person in the middle, on real processes and real incidents.

A few hundred records of the evaluation data are posted over HTTP, classified with an OpenAI-compatible server that is not ours,
decided by their labels through the pages' own forms, while a worker and the timers are killed; in the end every incident is
settled once, every outcome was received and verified, and the audit chain holds.
"""

import concurrent.futures
import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
import standardwebhooks

from escalations.management.replaying import incident_of, key_of, read_records
from tests.fakes.receiver import listening

from .company import ROOT, Reviewer, until

pytestmark = pytest.mark.e2e

DATA = Path(os.environ.get("COUNTERSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))
TAKEN = {  # file -> how many records
    "agentdojo_actions": 90, "taubench_airline_actions": 40, "agent_safety_judgement": 40, "sgd_confirmations": 30,
    "ossfuzz_crashes": 30, "sentry_events": 20, "loghub_severity": 30, "banking77": 30,
}

@pytest.fixture(scope="module")
def receiver():
    with listening() as one:
        yield one


@pytest.fixture(scope="module")
def source(company, receiver):
    return company.manage("add_source", "fleet", "--callback", f"http://127.0.0.1:{receiver.port}/outcomes")


@pytest.fixture(scope="module")
def agent(company, source):
    with httpx.Client(
        base_url=f"{company.url}/api/v1", headers={"authorization": f"Bearer {source['key']}"}, timeout=90
    ) as http:
        yield http


@pytest.fixture(scope="module")
def manager(company):
    made = company.manage("add_person", "mira", "--role", "manager")
    return Reviewer(company.url, "mira", made["password"])


def records():
    if not DATA.is_dir():
        pytest.skip(f"THE EVALUATION DATA IS NOT AT {DATA}: the end-to-end run did not happen")
    found = []
    for name, count in TAKEN.items():
        every = read_records(DATA / f"{name}.jsonl.gz")
        found += every[:: max(1, len(every) // count)][:count]
    return found


def verdict_of(record, incident):
    """Return what the data's label says a person does, as the fields of the form."""
    label, allowed = record["label"], incident["proposal"]["allowed_decisions"]
    if "approve" not in allowed:
        return {"verdict": "respond", "message": f"It is about {label.get('category', 'something else')}."}
    if incident["proposal"]["action"] == "acknowledge":
        severity = label.get("severity")
        said = incident["proposal"]["args"]
        if severity and severity != said["severity"]:
            return {"verdict": "edit", "severity": severity, "category": said["category"]}
        return {"verdict": "approve"}
    good = label.get("should_approve", not label.get("unsafe", False))
    return {"verdict": "approve"} if good else {"verdict": "reject", "reason": "The label says that this should not run."}


def test_a_waiting_agent_gets_the_decision_at_once(company, agent, manager, receiver, source):
    posted = agent.post("/incidents", json={
        "kind": "action", "title": "Refund $250 for order 1182",
        "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}, "confidence": 0.62},
    }, headers={"idempotency-key": "refund-1182"})
    assert posted.status_code == 201, posted.text
    identifier = posted.json()["id"]

    started = time.monotonic()
    incident = until(
        lambda: (found := agent.get(f"/incidents/{identifier}").json())["status"] == "waiting" and found, 5, "in the queue"
    )
    assert time.monotonic() - started < 4
    assert incident["proposal"]["role"] == "finance"
    assert "high_stakes" in incident["triggers"]
    found = manager.http.get("/", params={"q": identifier}).text  # much else waits, and is due sooner
    assert f'/proposals/{incident["proposal"]["id"]}/' in found

    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(lambda: (agent.get(f"/incidents/{identifier}", params={"wait": 60}).json(), time.monotonic()))
        signed = manager.decide(incident["proposal"]["id"], "approve")
        at = time.monotonic()
        outcome, answered = waiting.result(60)
    assert signed.status_code == 303, signed.text[-2000:]
    assert answered - at < 2
    assert outcome["decision"]["type"] == "approve"
    assert outcome["decision"]["args_digest"] == incident["proposal"]["args_digest"]

    acked = agent.post(f"/incidents/{identifier}/ack", json={
        "result": "done", "args_digest": outcome["decision"]["args_digest"],
    })
    assert acked.status_code == 200, acked.text
    until(lambda: any(identifier.encode() in body for _, _, body in receiver.requests), 20, "the webhook")


def test_hundreds_of_real_incidents_are_settled_once_each(company, agent, manager, receiver, source):
    given = records()
    ledger = {}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        posts = [
            (record, pool.submit(agent.post, "/incidents", json=incident_of(record), headers={"idempotency-key": key_of(record)}))
            for record in given
        ]
        for record, post in posts:
            answer = post.result()
            assert answer.status_code == 201, (record["id"], answer.text)
            ledger[answer.json()["id"]] = record
    assert len(ledger) == len(given) >= 300

    killed = {"worker": company.kill("qcluster"), "timers": company.kill("manage.py", "timers")}
    settled_by_person = decide_all(agent, manager, ledger, killed, company)

    # Every incident is settled, once, as its label says.
    outcomes = {identifier: agent.get(f"/incidents/{identifier}", params={"wait": 30}).json() for identifier in ledger}
    assert {one["status"] for one in outcomes.values()} == {"settled"}
    assert all(outcomes[identifier]["decision"]["type"] == verdict for identifier, verdict in settled_by_person.items())
    # A model that finds everything harmless let nothing through: what runs was signed by a person.
    alone = [one for one in outcomes.values() if one["decision"]["by"]["kind"] == "policy"]
    assert not [one for one in alone if one["proposal"]["action"] != "acknowledge"]

    until(lambda: settled_heard(receiver) >= set(ledger), 120, "every outcome received")
    verify(receiver, source["signing_secret"], outcomes)
    assert company.processes("manage.py", "timers") and company.processes("qcluster")
    until(company.is_ready, 150, "ready again after the kills")
    report = until(lambda: (said := company.manage("verify_audit"))["unsealed"] == 0 and said, 30, "everything sealed")
    assert report["ok"], report


def decide_all(agent, manager, ledger, killed, company):
    """Decide what waits until nothing does, as the labels say; return what was decided by incident."""
    assert all(killed.values())
    decided = {}
    lock = threading.Lock()

    def settle(identifier):
        incident = until(
            lambda: (found := agent.get(f"/incidents/{identifier}").json())["status"] != "received" and found, 240, "routed"
        )
        if incident["status"] == "settled":
            return
        said = verdict_of(ledger[identifier], incident)
        answer = manager.decide(incident["proposal"]["id"], **said)
        assert answer.status_code == 303, (said, answer.status_code, answer.text[-1500:])
        with lock:
            decided[identifier] = said["verdict"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, ledger))
    return decided


def settled_heard(receiver):
    return {
        json.loads(body)["data"]["id"] for _, _, body in list(receiver.requests) if b'"proposal.settled"' in body
    }


def verify(receiver, secret, outcomes):
    """Every delivery verifies with somebody else's library; the same id always has the same bytes; one outcome a proposal."""
    checker = standardwebhooks.Webhook(secret)
    bodies = defaultdict(set)
    said = {}
    for _, headers, body in list(receiver.requests):
        event = checker.verify(body, headers)
        bodies[headers["webhook-id"]].add(body)
        if event["type"] == "proposal.settled" and event["data"]["id"] in outcomes:
            said.setdefault(event["data"]["proposal"]["id"], set()).add(headers["webhook-id"])
            decision = outcomes[event["data"]["id"]]["decision"]
            assert event["data"]["decision"]["args_digest"] == decision["args_digest"]
    assert all(len(one) == 1 for one in bodies.values())
    assert all(len(ids) == 1 for ids in said.values())
