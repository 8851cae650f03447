"""Workers that die, freeze or sleep at the worst moment. The work goes on, and nobody's late word counts."""

import signal
import time

import httpx
import psutil
import pytest

from tests.chaos.agent import Agent, alert
from tests.e2e.company import until

pytestmark = pytest.mark.chaos

LET_THE_LEASE_LAPSE = "UPDATE escalations_work SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL"
SPOKEN = (
    "SELECT engine, error FROM escalations_classification AS said JOIN escalations_incident AS incident ON incident.id = said.incident_id "
    "WHERE incident.key = %s ORDER BY engine"
)
EACH_ONCE = [("learned", ""), ("llm", ""), ("rules", "")]  # the demo company has a classifier of its own


@pytest.fixture(scope="module")
def agent(company):
    return Agent(company, company.manage("add_source", "patient")["key"])


@pytest.fixture(scope="module")
def slow_agent(slow):
    return Agent(slow, slow.manage("add_source", "patient")["key"])


def test_a_worker_killed_while_it_waited_freezes_the_queue_and_it_is_replaced(company, agent, took):
    """It dies holding the queue's own lock: whoever is started beside it waits for ever, and every process looks alive."""
    log = company.log.stat().st_size
    (victim,) = company.worker().workers
    victim.kill()
    killed = time.monotonic()
    identifier = agent.insist("frozen", alert(1))
    until(lambda: httpx.get(f"{company.url}/readyz", timeout=5).status_code == 503, 60, "not ready")
    assert not agent.is_past(identifier), "it did not freeze: this tested nothing"

    until(lambda: agent.is_past(identifier), 150, "routed")

    assert company.log_says("worker has had no heartbeat for 30 s", log)
    assert took("idle worker killed (the queue frozen, patience 30 s), until work flowed", killed) < 90
    until(company.is_ready, 60, "ready again")


@pytest.mark.parametrize("part", ["main", "sentinel", "pusher", "monitor"])
def test_any_part_of_the_queue_is_killed(company, agent, part, took):
    victim = getattr(until(company.whole_worker, 60, "a whole cluster"), part)
    killed = time.monotonic()
    victim.kill()

    identifier = agent.insist(f"without {part}", alert(2))
    until(lambda: agent.is_past(identifier), 150, "routed")

    took(f"{part} of the queue killed, until work flowed", killed)
    until(lambda: len(company.processes("qcluster")) == 5, 60, "five processes, and no orphans beside them")
    if part == "monitor":  # it died with the lock of the books; what that leads to takes minutes and has tests of its own
        company.worker().main.kill()
        until(company.whole_worker, 60, "a whole cluster")
    until(company.is_ready, 60, "ready again")


def who_asks(slow, model):
    """Return the process of the queue that has just asked the model and waits for its answer."""
    port = int(model.base_url.rsplit(":", 1)[1].split("/")[0])
    for one in slow.processes("qcluster"):
        if any(link.raddr and link.raddr.port == port and link.status == "ESTABLISHED" for link in one.net_connections("tcp")):
            return one
    return None


def ask_slowly(slow, slow_agent, model, key, seconds=8.0):
    """Post something; return its id and the process that asks the model about it, which will answer after so many seconds."""
    model.latency, asked = seconds, len(model.seen)
    identifier = slow_agent.insist(key, alert(3))
    until(lambda: len(model.seen) > asked, 30, "the model was asked")
    worker = until(lambda: who_asks(slow, model), 5, "whoever asks it")
    model.latency = 0.0
    return identifier, worker


def test_a_worker_killed_while_the_model_thinks(slow, slow_agent, model, took):
    identifier, worker = ask_slowly(slow, slow_agent, model, "killed")
    worker.kill()
    killed = time.monotonic()
    slow.sql(LET_THE_LEASE_LAPSE)

    until(lambda: slow_agent.is_past(identifier), 60, "routed")

    assert took("worker killed while the model thought, after its lease lapsed (120 s), until routed", killed) < 30
    assert slow.sql(SPOKEN, "killed") == EACH_ONCE


def test_a_worker_that_slept_past_its_lease_is_refused_when_it_wakes(slow, slow_agent, model):
    log = slow.log.stat().st_size
    identifier, worker = ask_slowly(slow, slow_agent, model, "asleep")
    worker.send_signal(signal.SIGSTOP)
    slow.sql(LET_THE_LEASE_LAPSE)
    until(lambda: slow_agent.is_past(identifier), 60, "routed by somebody else")
    before = slow.sql(SPOKEN, "asleep")

    worker.send_signal(signal.SIGCONT)
    until(lambda: slow.log_says("1 classifications came too late and were dropped", log), 30, "its word came too late")

    assert slow.sql(SPOKEN, "asleep") == before == EACH_ONCE
    assert slow.sql(
        "SELECT token, stage FROM escalations_work WHERE incident_id = (SELECT id FROM escalations_incident WHERE key = 'asleep')"
    )[0][0] >= 2
    assert slow.sql(
        "SELECT count(*) FROM escalations_auditentry WHERE action = 'incident.classified' AND incident_id = %s", identifier
    ) == [(1,)]


def test_the_supervisor_is_killed_and_nothing_outlives_it(slow, slow_agent, model, took):
    model.latency = 0.0
    everybody = psutil.Process(slow.process.pid).children(recursive=True)
    killed = time.monotonic()
    slow.process.kill()
    slow.process.wait()

    until(lambda: not [one for one in everybody if is_there(one)], 40, "everything ended")

    took("supervisor killed, until everything it had started was gone", killed)
    slow.start()
    identifier = slow_agent.insist("after the supervisor", alert(4))
    until(lambda: slow_agent.is_past(identifier), 60, "routed")


def is_there(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_told_to_stop_while_the_model_thinks_it_ends_in_time_and_finishes_later(slow, slow_agent, model, took):
    identifier, _ = ask_slowly(slow, slow_agent, model, "stopped", seconds=100)
    everybody = psutil.Process(slow.process.pid).children(recursive=True)
    told = time.monotonic()

    slow.stop()

    assert took("told to stop while the model thought, until everything had ended (30 s of patience)", told) < 45
    assert not [one for one in everybody if is_there(one)]
    slow.start()
    slow.sql(LET_THE_LEASE_LAPSE)
    until(lambda: slow_agent.is_past(identifier), 60, "routed")
    assert slow.sql(SPOKEN, "stopped") == EACH_ONCE
