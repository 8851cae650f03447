"""Simultaneous twins: however many post the same thing at once, it is one incident; however many decide, it is one decision."""

import threading
from collections import Counter

import pytest
from django.db import connections

from escalations.models import AuditEntry, Decision, Incident, Proposal, Work
from tests.escalations.api.speaking import Speaker, key_for, token_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


def together(count, act):
    """Run act(0) … act(count - 1), each in a thread of its own, all starting at once; return what they return."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def one(number):
        barrier.wait()
        try:
            results[number] = act(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def agent(transactional_db):
    source = SourceFactory(name="billing-agent")
    return Speaker(key_for(source), source=source)


@pytest.mark.parametrize("key", ["a", "b", "c", "d", "e"])
def test_twenty_twins_make_one_incident(agent, action, key):
    answers = together(20, lambda number: agent.post("/incidents", action, key=key))

    assert [one.status_code for one in answers] == [201] * 20, [one.content for one in answers if one.status_code != 201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert Counter(one.headers.get("Idempotent-Replayed") for one in answers) == {None: 1, "true": 19}
    assert Incident.objects.count() == Proposal.objects.count() == Work.objects.count() == 1
    assert AuditEntry.objects.filter(action="incident.received").count() == 1


def test_twins_with_different_bodies_make_one_incident_and_the_others_are_told(agent, action):
    answers = together(20, lambda number: agent.post("/incidents", {**action, "title": f"number {number % 2}"}, key="k"))

    assert Counter(one.status_code for one in answers) == {201: 10, 422: 10}
    assert Incident.objects.count() == 1


def test_twin_batches_in_opposite_orders_make_each_incident_once(agent, action):
    items = [{**action, "key": f"k{n}"} for n in range(20)]

    answers = together(6, lambda number: agent.post("/incidents/batch", {"items": items if number % 2 else items[::-1]}))

    assert {one.status_code for one in answers} <= {207, 503}, [one.content for one in answers]
    assert any(one.status_code == 207 for one in answers)
    for answer in answers:
        if answer.status_code == 207:
            assert {one["status"] for one in answer.json()["items"]} == {201}
    assert Incident.objects.count() == 20 == Work.objects.count()


def test_eight_deciders_make_one_decision(agent):
    people = [Speaker(token_for(PersonFactory(roles=["queue manager"]))) for _ in range(8)]
    for _ in range(3):
        proposal = ProposalFactory(incident=IncidentFactory(source=agent.source))
        body = {"args_digest": proposal.args_digest, "version": proposal.version, "reason": "r"}
        answers = together(8, lambda number, proposal=proposal, body=body: people[number].post(
            f"/proposals/{proposal.pk}/decision", {**body, "type": "approve" if number % 2 else "reject"}
        ))

        assert Counter(one.status_code for one in answers) == {200: 1, 409: 7}, [one.content for one in answers]
        assert {one.json()["code"] for one in answers if one.status_code == 409} == {"already_settled"}
        assert Decision.objects.filter(proposal=proposal).count() == 1


def test_one_decision_request_sent_eight_times_at_once_is_one_decision(agent):
    person = Speaker(token_for(PersonFactory(roles=["queue manager"])))
    proposal = ProposalFactory(incident=IncidentFactory(source=agent.source))
    body = {"type": "approve", "args_digest": proposal.args_digest, "version": proposal.version}

    answers = together(8, lambda number: person.post(f"/proposals/{proposal.pk}/decision", body, key="k"))

    assert {one.status_code for one in answers} == {200}, [one.content for one in answers if one.status_code != 200]
    assert Decision.objects.count() == 1
