"""Outcomes learned later, and the export, over the API."""

import asyncio
import json
import uuid

import pytest
from django.db import connection
from django.test import AsyncClient

from escalations import lifecycle
from escalations.feedback import rows
from escalations.models import AuditEntry, OutcomeReport, Stop
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory


def decided(source, person, **facts):
    one = ProposalFactory(incident=IncidentFactory(source=source), **facts)
    lifecycle.decide(one.pk, person=person, type="approve", digest=one.args_digest, version=one.version, reason="fine")
    return one


@pytest.fixture
def settled(agent, reviewer):
    return decided(agent.source, reviewer.person)


@pytest.fixture
def auditor(db):
    person = PersonFactory(username="aud", roles=["auditor"])
    return Speaker(token_for(person), person=person)


def test_a_source_reports_once_what_came_of_it(agent, settled):
    path = f"/incidents/{settled.incident_id}/feedback"
    first = agent.post(path, {"outcome": "wrong", "how": "correction", "detail": "the customer had been refunded before"})
    again = agent.post(path, {"outcome": "wrong", "how": "correction", "detail": "said otherwise"})
    other = agent.post(path, {"outcome": "resolved"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert first.json() == again.json()
    assert first.json() | {"id": 0, "at": ""} == {
        "id": 0, "incident": str(settled.incident_id), "outcome": "wrong", "how": "correction",
        "detail": "the customer had been refunded before", "complaint": None, "by": {"kind": "source", "id": "billing-agent"}, "at": "",
    }
    assert OutcomeReport.objects.count() == 2
    facts = [json.loads(one.body)["facts"] for one in AuditEntry.objects.filter(action="outcome.reported").order_by("pk")]
    assert [(one["outcome"], one["how"], one["interactive"]) for one in facts] == [("wrong", "correction", False), ("resolved", "feedback", False)]


@pytest.mark.parametrize("interactive", [True, False])
def test_a_person_who_was_there_speaks_as_one_and_a_token_does_not(settled, reviewer, interactive):
    speaker = Speaker(token_for(reviewer.person, interactive=interactive))

    told = speaker.post(f"/incidents/{settled.incident_id}/feedback", {"outcome": "right"})

    assert told.status_code == 201 and told.json()["by"] == {"kind": "person", "id": "rita"}
    assert OutcomeReport.objects.get().interactive is interactive


def test_whose_service_it_is_may_tell_and_not_speak_for_it(agent, settled, reviewer):
    agent.source.owner = reviewer.person
    agent.source.save()

    assert reviewer.post(f"/incidents/{settled.incident_id}/feedback", {"outcome": "right"}).status_code == 201
    assert OutcomeReport.objects.get().interactive is False


def test_a_complaint_names_the_incident_that_complains(agent, other_agent, settled):
    path = f"/incidents/{settled.incident_id}/feedback"
    complaint = IncidentFactory(source=agent.source, title="You charged me twice")
    strange = IncidentFactory(source=other_agent.source)
    tested = IncidentFactory(source=agent.source, test=True)

    told = agent.post(path, {"outcome": "wrong", "complaint": str(complaint.pk)})

    assert (told.status_code, told.json()["how"], told.json()["complaint"]) == (201, "complaint", str(complaint.pk))
    for other in (str(strange.pk), str(settled.incident_id), str(tested.pk), str(uuid.uuid4()), "no id"):
        assert_problem(agent.post(path, {"outcome": "wrong", "how": "complaint", "complaint": other}), 400, "invalid", "/complaint")
    assert_problem(agent.post(path, {"outcome": "wrong", "how": "feedback", "complaint": str(complaint.pk)}), 400, "invalid", "/complaint")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/outcome"), ({"outcome": "good"}, "/outcome"), ({"outcome": "right", "how": "complaint"}, "/how"),
        ({"outcome": "wrong", "how": "ack"}, "/how"), ({"outcome": "wrong", "by": "somebody"}, "/by"),
    ],
    ids=["nothing", "no such outcome", "contradicts", "an ack is an ack", "whose word is not said"],
)
def test_what_makes_no_sense_is_refused_with_where(agent, settled, body, pointer):
    assert_problem(agent.post(f"/incidents/{settled.incident_id}/feedback", body), 400, "invalid", pointer)
    assert not OutcomeReport.objects.exists()


def test_nothing_comes_of_what_is_not_decided(agent):
    pending = ProposalFactory(incident=IncidentFactory(source=agent.source))
    assert_problem(agent.post(f"/incidents/{pending.incident_id}/feedback", {"outcome": "right"}), 409, "nothing_decided")


def test_strangers_do_not_learn_that_it_exists(agent, other_agent, settled):
    path, said = f"/incidents/{settled.incident_id}/feedback", {"outcome": "wrong"}
    stranger = Speaker(token_for(PersonFactory(roles=["security"])))
    tester = Speaker(key_for(agent.source, env="test"))
    reader = Speaker(key_for(agent.source, scopes=["incidents:read"]))
    for speaker in (other_agent, stranger, tester):
        assert_problem(speaker.post(path, said), 404, "not_found")
    assert_problem(reader.post(path, said), 403, "not_allowed")
    assert not OutcomeReport.objects.exists()


def test_while_everything_is_stopped_a_source_does_not_learn_of_the_decision(agent, settled, reviewer, mona):
    Stop.objects.create(by=mona, reason="a drill")
    path = f"/incidents/{settled.incident_id}/feedback"
    assert_problem(agent.post(path, {"outcome": "right"}), 409, "stopped")
    assert reviewer.post(path, {"outcome": "right"}).status_code == 201


def test_what_was_said_is_never_changed(agent, settled):
    agent.post(f"/incidents/{settled.incident_id}/feedback", {"outcome": "wrong"})
    with pytest.raises(Exception, match="append|never|refuse"), connection.cursor() as cursor:
        cursor.execute("UPDATE escalations_outcomereport SET outcome = 'right'")


# -- the export


def test_who_sees_everything_takes_it_away_and_the_record_says_so(agent, settled, auditor, reviewer):
    agent.post(f"/incidents/{settled.incident_id}/feedback", {"outcome": "resolved", "detail": "paid"})

    answer = auditor.get("/feedback")
    [row] = [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]

    assert answer["Content-Type"] == "application/x-ndjson" and "attachment" in answer["Content-Disposition"]
    assert (row["proposal"], row["decision"]["type"], row["decision"]["reason"], row["teaches"]) == (str(settled.pk), "approve", "fine", True)
    assert [one["outcome"] for one in row["outcomes"]] == ["resolved"]
    entry = json.loads(AuditEntry.objects.get(action="feedback.exported").body)
    assert entry["actor"]["id"] == "aud" and entry["facts"]["redacted"] is True and entry["facts"]["format"] == "jsonl"
    assert_problem(reviewer.get("/feedback"), 403, "not_allowed")
    assert_problem(agent.get("/feedback"), 403, "not_allowed")


@pytest.mark.parametrize(
    "query", [
        {"format": "xml"}, {"redact": "perhaps"}, {"since": "yesterday"}, {"until": "2026-01-01T00:00:00"}, {"role": "nobody"}, {"x": "1"},
        {"since": "0001-01-01T00:00:00+14:00"}, {"until": "9999-12-31T23:59:59-14:00"},
    ],
    ids=str,
)
def test_what_is_asked_for_wrongly_is_refused(auditor, query):
    assert_problem(auditor.get("/feedback", **query), 400, "invalid")
    assert not AuditEntry.objects.filter(action="feedback.exported").exists()


@pytest.mark.django_db(transaction=True)
def test_a_server_that_waits_for_nobody_sends_it_piece_by_piece(agent, reviewer, auditor, monkeypatch):
    monkeypatch.setattr(rows, "BATCH", 2)
    for _ in range(5):
        decided(agent.source, reviewer.person)

    async def read():
        answer = await AsyncClient().get("/api/v1/feedback", {"redact": "false"}, headers=auditor.headers())
        assert answer.status_code == 200 and answer.is_async and "Content-Length" not in answer
        return [part async for part in answer.streaming_content]

    assert [part.count(b"\n") for part in asyncio.run(read())] == [2, 2, 1]
