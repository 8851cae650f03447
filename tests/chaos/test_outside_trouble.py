"""Trouble outside: a database that keeps everybody waiting or has no room, and a receiver that is away."""

import concurrent.futures
import contextlib
import os
import subprocess
import time
from collections import Counter

import httpx
import psycopg
import pytest
import standardwebhooks

from hitl_site import databases
from tests.chaos.agent import Agent, alert, refund
from tests.e2e.company import Company, until
from tests.fakes import receiver as fakes

pytestmark = pytest.mark.chaos


def test_when_every_connection_is_taken_posts_are_refused_and_the_rest_lives(company, took):
    agent = Agent(company, company.manage("add_source", "crowd")["key"])
    waited_for = agent.insist("waited for", alert(0))
    url = databases.embedded_url("postgres", company.folder / "var")
    with concurrent.futures.ThreadPoolExecutor(42) as pool:
        waiting = pool.submit(agent.http.get, f"/incidents/{waited_for}", params={"wait": 5})
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE escalations_incident IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            tried = [pool.submit(agent.post, f"crowd-{number}", alert(number)) for number in range(40)]
            for _ in range(10):
                asked = time.monotonic()
                assert httpx.get(f"{company.url}/healthz", timeout=5).status_code == 200
                assert time.monotonic() - asked < 2
            lines = [one.result() for one in tried]
            told = time.monotonic()
            connection.rollback()
        assert waiting.result().status_code in (200, 503)
    assert Counter(line.status for line in lines) == {503: 40}
    assert all(int(line.headers["retry-after"]) > 0 for line in lines)
    assert took("a table locked for all, until 40 callers were told 503", began, told) < 12
    for number in range(40):
        agent.insist(f"crowd-{number}", alert(number))
    assert company.sql("SELECT count(*), count(DISTINCT key) FROM escalations_incident WHERE key LIKE 'crowd-%%'") == [(40, 40)]


def test_a_receiver_that_was_down_gets_the_outcome_under_the_same_id(company, took):
    with fakes.listening() as receiver:
        port = receiver.port
        receiver.otherwise = fakes.status(500)
        made = company.manage("add_source", "receiver-down", "--callback", f"http://127.0.0.1:{port}/outcomes")
        agent = Agent(company, made["key"])
        token = company.manage("add_person", "rea", "--role", "finance", "--token", "--interactive")["token"]
        identifier = agent.insist("down", refund(2))
        proposal = until(lambda: (seen := agent.see(identifier)).get("status") == "waiting" and seen, 30, "routed")["proposal"]
        decided = httpx.post(
            f"{company.url}/api/v1/proposals/{proposal['id']}/decision", headers={"authorization": f"Bearer {token}"}, timeout=30,
            json={"type": "approve", "args_digest": proposal["args_digest"], "version": proposal["version"]},
        )
        assert decided.status_code == 200, decided.text
        until(lambda: receiver.requests, 30, "the first try")
        assert agent.see(identifier)["status"] == "settled", "whoever asks is told all the same"
    first_id, first_body = receiver.requests[0][1]["webhook-id"], receiver.requests[0][2]
    until(lambda: tries(company, first_id) >= 2, 60, "a second try, which met nobody")
    company.sql("UPDATE escalations_delivery SET next_try_at = clock_timestamp() + interval '1 s' WHERE id = %s", first_id)
    with fakes.listening(port=port) as receiver:
        up = time.monotonic()
        path, headers, body = until(lambda: receiver.requests, 60, "the outcome")[0]
        took("receiver up again and its next try due, until it had the outcome", up)
    assert (headers["webhook-id"], body) == (first_id, first_body)
    assert standardwebhooks.Webhook(made["signing_secret"]).verify(body, headers)["data"]["id"] == identifier
    until(lambda: company.sql("SELECT state FROM escalations_delivery WHERE id = %s", first_id) == [("sent",)], 30, "put down as sent")


def tries(company, delivery):
    return company.sql("SELECT count(*) FROM escalations_deliveryattempt WHERE delivery_id = %s", delivery)[0][0]


@pytest.fixture
def cramped():
    """A company whose whole data folder is a small disk of its own."""
    one = Company()
    disk = one.folder / "var"
    disk.mkdir(mode=0o711)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,mode=711", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("A SMALL DISK CANNOT BE MOUNTED HERE (root alone may): what a full disk does was not tried")
    try:
        with one:
            yield one
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def test_a_full_disk_refuses_and_loses_nothing(cramped, took):
    agent = Agent(cramped, cramped.manage("add_source", "hoarder")["key"])
    filler = cramped.folder / "var" / "filler"
    with filler.open("wb") as file:
        room = os.statvfs(filler).f_bavail * os.statvfs(filler).f_frsize
        os.posix_fallocate(file.fileno(), 0, room - 65536)
    large = {"text": os.urandom(150_000).hex()}
    bodies = {f"full-{number}": {**alert(number), "payload": large} for number in range(200)}

    refused = 0
    for key, body in bodies.items():
        line = agent.post(key, body)
        assert line.status in (201, 503, None), line
        refused += line.status != 201
        if refused >= 5:
            break
    assert refused >= 5, "the disk never was full: this tested nothing"
    with contextlib.suppress(psycopg.OperationalError):  # no room for the journal either: the database itself goes down
        for _ in range(3):
            cramped.sql("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'chaos', 'no room')")
    until(lambda: cramped.log_says("Trying again in 2 s"), 60, "a database that cannot start")
    assert agent.post("no database", alert(0)).status == 503
    assert httpx.get(f"{cramped.url}/healthz", timeout=5).status_code == 200

    filler.unlink()
    freed = time.monotonic()
    agent.insist("no database", alert(0))
    assert took("room on the disk again, until a post was taken", freed) < 30
    tried = {line.key for line in agent.ledger}
    for key in tried & set(bodies):
        agent.insist(key, bodies[key])
    assert cramped.sql("SELECT count(*), count(DISTINCT key) FROM escalations_incident WHERE key LIKE 'full-%%'") == [
        (len(tried) - 1, len(tried) - 1)
    ]
    answered = {line.identifier for line in agent.ledger if line.identifier}
    assert answered <= {str(pk) for (pk,) in cramped.sql("SELECT id FROM escalations_incident")}
    until(cramped.is_ready, 120, "ready again")
    assert cramped.manage("verify_audit")["ok"]
