"""Waiting for a person: at once when settled, after S seconds otherwise, and nobody spoils it for others."""

import asyncio
import json
import threading

import pytest
from django.db import connection, connections
from django.test import AsyncClient

from escalations import lifecycle
from escalations.api import doors, waiting
from escalations.models import Incident
from tests.escalations.api.speaking import Speaker, key_for, token_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def agent(transactional_db):
    source = SourceFactory(name="billing-agent")
    return Speaker(key_for(source), source=source)


@pytest.fixture
def waiting_proposal(agent):
    return ProposalFactory(incident=IncidentFactory(source=agent.source))


@pytest.fixture
def person(transactional_db):
    return PersonFactory(roles=["queue manager"])


def approve(proposal, person):
    lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version)
    connections.close_all()


def get(agent, proposal, wait):
    return AsyncClient().get(f"/api/v1/incidents/{proposal.incident_id}?wait={wait}", headers=agent.headers())


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_waiting_agent_has_come_when_a_person_decides(agent, waiting_proposal, person):
    async def story():
        loop = asyncio.get_running_loop()
        waiter = asyncio.create_task(get(agent, waiting_proposal, 30))
        await until(lambda: waiting.watch().count == 1)
        began = loop.time()
        await asyncio.to_thread(approve, waiting_proposal, person)
        return await waiter, loop.time() - began

    response, took = run(story())

    assert response.status_code == 200
    assert response.json()["status"] == "settled"
    assert response.json()["decision"]["type"] == "approve"
    assert took < waiting.POLL + 3


def test_without_a_hint_the_poll_finds_it(agent, waiting_proposal, person, monkeypatch):
    monkeypatch.setattr(waiting, "POLL", 0.3)
    monkeypatch.setattr(lifecycle.moves.queue, "announce", lambda incident_id: None)

    async def story():
        waiter = asyncio.create_task(get(agent, waiting_proposal, 30))
        await until(lambda: waiting.watch().count == 1 and waiting.watch().polls > 0)
        await asyncio.to_thread(approve, waiting_proposal, person)
        async with asyncio.timeout(10):
            return await waiter

    assert run(story()).json()["status"] == "settled"


def test_after_the_time_is_up_it_is_told_as_it_is(agent, waiting_proposal):
    async def story():
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = await get(agent, waiting_proposal, 0.4)
        return response, loop.time() - began

    response, took = run(story())

    assert (response.status_code, response.json()["status"]) == (200, "waiting")
    assert 0.35 <= took < 5


def test_what_is_settled_is_told_at_once(agent, waiting_proposal, person):
    approve(waiting_proposal, person)

    async def story():
        async with asyncio.timeout(10):
            return await get(agent, waiting_proposal, 60)

    assert run(story()).json()["status"] == "settled"


def test_an_agent_hears_at_once_that_it_should_try_again(agent, waiting_proposal, person):
    def reject():
        lifecycle.decide(
            waiting_proposal.pk, person=person, type="reject", digest=waiting_proposal.args_digest,
            version=waiting_proposal.version, reason="Less, please.", retry=True,
        )
        connections.close_all()

    async def story():
        waiter = asyncio.create_task(get(agent, waiting_proposal, 60))
        await until(lambda: waiting.watch().count == 1)
        await asyncio.to_thread(reject)
        async with asyncio.timeout(10):
            return await waiter

    said = run(story()).json()

    assert (said["status"], said["decision"]["type"], said["decision"]["retry"]) == ("waiting", "reject", True)


def test_a_post_waits_too_and_keeps_its_headers(agent, action):
    async def story():
        return await AsyncClient().post(
            "/api/v1/incidents?wait=0.3", json.dumps(action), content_type="application/json",
            headers=agent.headers({"Idempotency-Key": "k"}),
        )

    response = run(story())

    assert response.status_code == 201
    assert response["Location"].endswith(response.json()["id"])


def test_a_caller_that_hangs_up_takes_only_itself_away(agent, waiting_proposal, person):
    async def story():
        gone = [asyncio.create_task(get(agent, waiting_proposal, 30)) for _ in range(3)]
        stays = [asyncio.create_task(get(agent, waiting_proposal, 30)) for _ in range(3)]
        await until(lambda: waiting.watch().count == 6)
        for task in gone[:2]:
            task.cancel()
        await asyncio.gather(*gone[:2], return_exceptions=True)
        next(iter(waiting.watch().waiting[waiting_proposal.incident_id])).cancel()  # a future cancelled by somebody else
        await asyncio.to_thread(approve, waiting_proposal, person)
        done = await asyncio.gather(*stays, gone[2], return_exceptions=True)
        return done, waiting.watch().count, dict(waiting.watch().waiting)

    done, count, left = run(story())

    answered = [one for one in done if not isinstance(one, BaseException)]
    assert len(answered) == 3 and all(one.json()["status"] == "settled" for one in answered)
    assert (count, left) == (0, {})


def test_waiting_holds_no_thread_and_no_connection(agent, waiting_proposal, person):
    async def story():
        threads = threading.active_count()
        tasks = [asyncio.create_task(get(agent, waiting_proposal, 30)) for _ in range(40)]
        await until(lambda: waiting.watch().count == 40)
        await asyncio.sleep(0.3)
        grown = threading.active_count() - threads
        busy = await asyncio.to_thread(backends)
        await asyncio.to_thread(approve, waiting_proposal, person)
        return grown, busy, [one.status_code for one in await asyncio.gather(*tasks)]

    before = backends()
    grown, busy, statuses = run(story())

    assert grown <= doors.THREADS + 2, "as many threads as the door has, however many wait"
    assert busy - before <= 2, "the watch's own connection, and the one that asks"
    assert statuses == [200] * 40


def backends():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        count = cursor.fetchone()[0]
    connection.close()
    return count


def test_a_lost_connection_is_replaced(agent, waiting_proposal, person, monkeypatch):
    monkeypatch.setattr(waiting, "POLL", 0.3)

    async def story():
        waiter = asyncio.create_task(get(agent, waiting_proposal, 30))
        await until(lambda: waiting.watch().polls > 0)
        await asyncio.to_thread(terminate_listeners)
        await asyncio.to_thread(approve, waiting_proposal, person)
        async with asyncio.timeout(15):
            return await waiter

    assert run(story()).json()["status"] == "settled"


def terminate_listeners():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = %s",
            [waiting.APPLICATION],
        )
        assert cursor.fetchone()[0] >= 1
    connection.close()


def test_when_the_process_ends_everybody_has_come_at_once(agent, waiting_proposal):
    async def story():
        waiter = asyncio.create_task(get(agent, waiting_proposal, 60))
        await until(lambda: waiting.watch().count == 1)
        waiting.watch().release()
        async with asyncio.timeout(5):
            return await waiter

    assert run(story()).json()["status"] == "waiting"


def test_too_many_at_once_are_told_to_come_back(agent, waiting_proposal, monkeypatch):
    monkeypatch.setattr(doors, "MOST_IN_FLIGHT", 0)

    async def story():
        return await get(agent, waiting_proposal, 0)

    response = run(story())

    assert response.status_code == 503
    assert response["Retry-After"] and response.json()["code"] == "overloaded"
    assert Incident.objects.count() == 1


def test_it_waits_without_an_event_loop_of_its_own_too(agent, waiting_proposal, person, monkeypatch):
    """Under WSGI the thread is held, but the answer is the same."""
    monkeypatch.setattr(doors, "STEP", 0.05)
    began = threading.Event()
    real = doors._has_come

    def looked(incident_id):
        began.set()
        return real(incident_id)

    monkeypatch.setattr(doors, "_has_come", looked)
    decider = threading.Thread(target=lambda: began.wait(5) and approve(waiting_proposal, person))
    decider.start()

    response = agent.get(f"/incidents/{waiting_proposal.incident_id}", wait="10")

    decider.join()
    assert response.json()["status"] == "settled"


def test_a_reader_with_a_token_waits_as_well(agent, waiting_proposal, person):
    speaker = Speaker(token_for(person))
    approve(waiting_proposal, person)

    assert speaker.get(f"/incidents/{waiting_proposal.incident_id}", wait="5").json()["status"] == "settled"
