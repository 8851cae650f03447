"""Law 2: no 2xx before COMMIT; the same Idempotency-Key never makes a second incident.

Twins at once are in tests/escalations/api/test_races.py and tests/races; processes killed at each line in tests/faults. Here whatever breaks
on the way of a POST, at the real door, and every way to send the same thing again.
"""

import json

import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django_q.models import OrmQ

from escalations.models import AuditEntry, Incident, Proposal, Work
from tests.escalations.api.speaking import ACTION, Speaker, assert_problem, key_for
from tests.factories import SourceFactory

from .conftest import said

pytestmark = pytest.mark.django_db

TABLES = ["escalations_incident", "escalations_proposal", "escalations_work", "escalations_auditentry", "django_q_ormq"]


def stored():
    return [model.objects.count() for model in (Incident, Proposal, Work)] + [AuditEntry.objects.filter(action="incident.received").count()]


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("table", TABLES)
def test_where_one_row_of_it_cannot_be_written_there_is_no_2xx_and_no_other_row(agent, table, batch):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full of secrets'; END $$;"
            f"CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
        )
    answer = agent.post("/incidents/batch", {"items": [{**ACTION, "key": "k"}]}) if batch else agent.post("/incidents", ACTION, key="k")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER no_room ON {table}")

    assert answer.status_code >= 500 and answer["Content-Type"] == "application/problem+json"
    assert "disk full of secrets" not in answer.content.decode()
    assert stored() == [0, 0, 0, 0] and not OrmQ.objects.exists()
    again = agent.post("/incidents", ACTION, key="k")
    assert again.status_code == 201 and "Idempotent-Replayed" not in again
    assert stored() == [1, 1, 1, 1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("batch", [False, True])
def test_a_commit_that_fails_is_no_2xx(agent, monkeypatch, batch):
    """The only 2xx stands after the COMMIT, not before it."""
    commit, refused = DatabaseWrapper._commit, []

    def broken(self):
        if Incident.objects.exists():  # the transaction of the incident itself, not the count of the key's use
            refused.append(1)
            self.rollback()
            raise OperationalError("the connection was lost during COMMIT")
        return commit(self)

    with monkeypatch.context() as breaking:
        breaking.setattr(DatabaseWrapper, "_commit", broken)
        body = {"items": [{**ACTION, "key": "k"}]} if batch else ACTION
        answer = agent.post("/incidents/batch" if batch else "/incidents", body, **({} if batch else {"key": "k"}))

    assert refused and answer.status_code >= 500, answer.content
    assert stored() == [0, 0, 0, 0]
    assert agent.post("/incidents", ACTION, key="k").status_code == 201


SAME = {
    "other spaces": b'{ "kind" : "action",\n\t"title":"Refund $250 for order 1182", '
    b'"proposal":{"action":"refund","args":{"order":1182,"amount":250}}}',
    "another order": b'{"title":"Refund $250 for order 1182","proposal":{"args":{"amount":250,"order":1182},"action":"refund"},'
    b'"kind":"action"}',
    "escapes": b'{"kind":"\\u0061ction","title":"Refund $250 for order 1182",'
    b'"proposal":{"action":"refund","args":{"order":1182,"amount":250}}}',
    "numbers written otherwise": b'{"kind":"action","title":"Refund $250 for order 1182",'
    b'"proposal":{"action":"refund","args":{"order":1182.0,"amount":2.5e2}}}',
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_json_written_otherwise_is_the_same_incident(agent, how):
    first = agent.post("/incidents", ACTION, key="k")
    again = agent.post("/incidents", SAME[how], key="k")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true" and again.json()["id"] == first.json()["id"]
    assert stored() == [1, 1, 1, 1]


CHANGED = [
    {"title": "Refund $251"}, {"severity": "info"}, {"proposal": {"action": "refund", "args": {"order": 1182, "amount": 251}}},
    {"proposal": {"action": "refund", "args": {"order": "1182", "amount": 250}}}, {"body": ""}, {"payload": None}, {"context": {}},
]


@pytest.mark.parametrize("change", CHANGED, ids=lambda change: json.dumps(change)[:40])
def test_the_same_key_with_anything_else_is_a_mismatch_for_good(agent, posted, token, rosa, change):
    one = posted(key="k")
    assert_problem(agent.post("/incidents", {**ACTION, **change}, key="k"), 422, "idempotency_mismatch")
    token(rosa).post(f"/proposals/{one.pk}/decision", said(one))

    assert_problem(agent.post("/incidents", {**ACTION, **change}, key="k"), 422, "idempotency_mismatch")
    (item,) = agent.post("/incidents/batch", {"items": [{**ACTION, **change, "key": "k"}]}).json()["items"]
    assert item["status"] == 422
    assert stored() == [1, 1, 1, 1]


def test_a_replay_tells_how_it_stands_now_and_starts_nothing_again(agent, posted, token, rosa, run_jobs):
    one = posted(key="k")
    token(rosa).post(f"/proposals/{one.pk}/decision", said(one, "reject"))
    run_jobs()
    before = AuditEntry.objects.count()

    again = agent.post("/incidents", ACTION, key="k").json()
    run_jobs()

    assert (again["status"], again["decision"]["type"]) == ("settled", "reject")
    assert stored() == [1, 1, 1, 1] and AuditEntry.objects.count() == before


def test_a_key_means_the_same_in_the_header_the_body_and_a_batch(agent):
    ids = {
        agent.post("/incidents", ACTION, key="k").json()["id"],
        agent.post("/incidents", {**ACTION, "key": "k"}).json()["id"],
        agent.post("/incidents/batch", {"items": [{**ACTION, "key": "k"}]}).json()["items"][0]["incident"]["id"],
    }

    assert len(ids) == 1 and stored() == [1, 1, 1, 1]
    assert_problem(agent.post("/incidents", {**ACTION, "key": "k"}, key="other"), 400, "invalid", "/key")


def test_a_key_is_one_sources_through_all_its_keys_and_nobody_elses(agent):
    first = agent.post("/incidents", ACTION, key="k").json()["id"]

    assert Speaker(key_for(agent.source)).post("/incidents", ACTION, key="k").json()["id"] == first
    assert Speaker(key_for(SourceFactory())).post("/incidents", ACTION, key="k").json()["id"] != first


@pytest.mark.parametrize("pair", [("k", "K"), ("k", "k "), ("é", "e\u0301"), ("1", "01")])
def test_keys_that_look_alike_are_two(agent, pair):
    ids = {agent.post("/incidents", {**ACTION, "key": key}).json().get("id") for key in pair}

    assert len(ids - {None}) == Incident.objects.count() >= 1
    assert Incident.objects.filter(key=pair[0]).count() == 1
