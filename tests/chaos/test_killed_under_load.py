"""kill -9 of everything while agents post and people decide: nothing that was answered is lost, nothing is doubled."""

import concurrent.futures
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict

import httpx
import pytest

from tests.chaos.agent import Agent, alert, refund
from tests.e2e.company import ROOT, until
from tests.fakes.receiver import listening

pytestmark = pytest.mark.chaos

A_SECOND, POSTING = 50, 20
DEATHS = ["web", "web", "database", "web", "web"]
PROPOSALS, KILLS = 200, 10
LET_LEASES_LAPSE = (
    "UPDATE escalations_work SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL",
    "UPDATE escalations_delivery SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL",
    "UPDATE escalations_notice SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL",
)


@pytest.fixture(scope="module")
def agent(company):
    return Agent(company, company.manage("add_source", "under-fire")["key"])


def answers(company):
    try:
        return httpx.get(f"{company.url}/healthz", timeout=2).is_success
    except httpx.TransportError:
        return False


def while_agents_post(agent, prefix, act):
    """Do something while twenty threads post fifty alerts a second; return how many that were."""
    numbers, over = itertools.count(), threading.Event()

    def post():
        while not over.is_set():
            agent.insist(f"{prefix}-{(number := next(numbers))}", alert(number))
            over.wait(POSTING / A_SECOND)

    with concurrent.futures.ThreadPoolExecutor(POSTING) as pool:
        posting = [pool.submit(post) for _ in range(POSTING)]
        try:
            act(over)
        finally:
            over.set()
        for one in posting:
            one.result()
    return next(numbers)


def check_the_ledger(company, agent, prefix, posts):
    """Every key was answered, always with the one incident that is stored with its one audit entry."""
    said = defaultdict(set)
    for line in agent.ledger:
        if line.identifier and line.key.startswith(prefix):
            said[line.key].add(line.identifier)
    assert set(said) == {f"{prefix}-{number}" for number in range(posts)}
    assert all(len(ids) == 1 for ids in said.values()), "one key, one incident"
    stored = company.sql("SELECT key, id::text FROM escalations_incident WHERE key LIKE %s", f"{prefix}-%")
    assert sorted(stored) == sorted((key, identifier) for key, (identifier,) in said.items()), "lost, doubled or never answered"
    assert company.sql("SELECT count(*) FROM escalations_auditentry WHERE action = 'incident.received' AND incident_id IN "
                       "(SELECT id FROM escalations_incident WHERE key LIKE %s)", f"{prefix}-%") == [(posts,)]
    for statement in LET_LEASES_LAPSE:  # what a worker held when its database went away comes back after 120 s
        company.sql(statement)
    unrouted = "SELECT 1 FROM escalations_incident WHERE key LIKE %s AND status = 'received' LIMIT 1"
    until(lambda: not company.sql(unrouted, f"{prefix}-%"), 60, "all of them routed")


def test_what_was_answered_is_there_once_whatever_dies(company, agent, took):
    """The web process is killed every 2 s it runs, the database once; each agent repeats what it did not hear of, with its key."""
    killed = []

    def kill(over):
        for victim in DEATHS:
            until(lambda: answers(company), 60, "the pages again")
            over.wait(2)
            if victim == "web":
                company.kill("hitl_site.web")
            else:
                company.postmaster().send_signal(signal.SIGQUIT)  # immediate shutdown: as if the power had failed
            killed.append((victim, time.monotonic()))
        until(lambda: answers(company), 60, "the pages again")

    posts = while_agents_post(agent, "p", kill)

    assert posts >= 300 and len(killed) == len(DEATHS)
    assert [line for line in agent.ledger if line.status is None], "nobody was ever interrupted: this tested nothing"
    for victim, at in killed:
        first = min(line.at for line in agent.ledger if line.identifier and line.at > at + 0.2)
        assert took(f"{victim} killed under load, until a post was taken again", at, first) < 30
    check_the_ledger(company, agent, "p", posts)
    until(company.is_ready, 60, "ready again")


def test_a_release_under_load_loses_and_doubles_nothing(company, agent):
    """What systemd does at a release: `setup`, then each process is asked to end and is started anew."""

    def release(over):
        setup = [sys.executable, "manage.py", "setup"]
        assert subprocess.run(setup, cwd=ROOT, env=company.environment, capture_output=True, check=False, timeout=60).returncode == 0
        for words in (("qcluster",), ("manage.py", "timers"), ("hitl_site.web",)):
            before = min(company.processes(*words), key=lambda process: process.create_time())
            before.terminate()
            until(lambda before=before, words=words: not before.is_running() and company.processes(*words), 60, f"another {words[-1]}")
        until(lambda: answers(company), 60, "the pages again")
        over.wait(1)

    posts = while_agents_post(agent, "r", release)

    assert posts >= 100
    check_the_ledger(company, agent, "r", posts)
    until(company.is_ready, 60, "ready again")


def test_what_people_decide_meanwhile_is_decided_once_and_told_once(company, took):
    """Timers and parts of the queue are killed all the while; leases lapse early, so that slow hands lose them to others, too."""
    with listening() as receiver:
        made = company.manage("add_source", "settler", "--callback", f"http://127.0.0.1:{receiver.port}/outcomes")
        agent = Agent(company, made["key"])
        token = company.manage("add_person", "ira", "--role", "finance", "--token", "--interactive")["token"]
        person = httpx.Client(base_url=f"{company.url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60)
        over, killed, chance = threading.Event(), Counter(), random.Random(20_261_121)

        def kill():
            for victim in itertools.islice(itertools.cycle(["timers", "queue"]), KILLS):
                if over.wait(2):
                    return
                if victim == "timers":
                    until(lambda: company.processes("manage.py", "timers"), 30, "the timers again")[0].kill()
                else:  # not a worker that waits: that has a test of its own, and takes its time
                    cluster = until(company.whole_worker, 60, "a whole queue again")
                    getattr(cluster, chance.choice(["main", "sentinel", "pusher", "monitor"])).kill()
                killed[victim] += 1
                for statement in LET_LEASES_LAPSE:
                    company.sql(statement)

        def settle(number):
            identifier = agent.insist(f"s-{number}", refund(number))
            proposal = until(lambda: (seen := agent.see(identifier)).get("status") == "waiting" and seen, 120, "routed")["proposal"]
            decided = person.post(f"/proposals/{proposal['id']}/decision", json={
                "type": "approve", "args_digest": proposal["args_digest"], "version": proposal["version"],
            })
            assert decided.status_code == 200, decided.text
            return identifier

        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            killing = pool.submit(kill)
            try:
                ids = set(pool.map(settle, range(PROPOSALS)))
                until(lambda: heard(receiver) >= ids, 120, "every outcome")
            finally:
                over.set()
            killing.result()
        ended = time.monotonic()

        assert len(ids) == PROPOSALS and min(killed.values()) >= 2, killed
        assert heard(receiver) == ids
        bodies = defaultdict(set)
        for _, headers, body in receiver.requests:
            bodies[headers["webhook-id"]].add(body)
        assert all(len(same) == 1 for same in bodies.values()), "one id, one text, however often it is sent"
        told = Counter(json.loads(body)["type"] for (body,) in bodies.values())
        assert told["proposal.settled"] == PROPOSALS
    assert company.sql(
        "SELECT count(*), count(DISTINCT incident_id) FROM escalations_auditentry WHERE action = 'proposal.decided' "
        "AND incident_id IN (SELECT id FROM escalations_incident WHERE key LIKE 's-%%')"
    ) == [(PROPOSALS, PROPOSALS)]
    until(company.is_ready, 90, "ready again")
    took("timers and queue killed all the while, until everything beat again", ended)
    report = until(lambda: (said := company.manage("verify_audit"))["unsealed"] == 0 and said, 60, "everything sealed")
    assert report["ok"], report


def heard(receiver):
    return {
        event["data"]["id"] for event in (json.loads(body) for _, _, body in list(receiver.requests)) if event["type"] == "proposal.settled"
    }
