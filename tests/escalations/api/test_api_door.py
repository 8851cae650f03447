"""Who gets in, how errors look, what the door is made of."""

import gzip
import json
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalations import clock, ingest
from escalations.api import auth, docs, problems, waiting
from escalations.models import ApiKey, Incident, PersonToken, RateWindow
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db


def test_without_a_key_nobody_gets_in(agent, action):
    assert agent.post("/incidents", action).status_code == 201
    refusal = Client().post("/api/v1/incidents", json.dumps(action), content_type="application/json")

    assert_problem(refusal, 401, "not_authenticated")
    assert refusal["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["nonsense", "cs_live_abc_def", "cs_live_" + "a" * 12 + "_" + "b" * 43, ""])
def test_a_key_that_is_none_is_refused(agent, action, key):
    assert_problem(Speaker(key).post("/incidents", action), 401, "not_authenticated")


def test_a_key_says_its_environment_truly(agent, action):
    assert_problem(Speaker(agent.key.replace("cs_live", "cs_test")).post("/incidents", action), 401, "not_authenticated")


@pytest.mark.parametrize(
    "change", [{"revoked_at": -1}, {"expires_at": -1}], ids=["revoked", "expired"]
)
def test_a_dead_key_is_refused(agent, action, change):
    assert agent.post("/incidents", action).status_code == 201
    ApiKey.objects.update(**{name: clock.now() + timedelta(seconds=by) for name, by in change.items()})

    assert_problem(agent.post("/incidents", action), 401, "not_authenticated")


def test_two_live_keys_work_side_by_side(agent, action):
    second = Speaker(key_for(agent.source))

    assert agent.post("/incidents", action).status_code == second.post("/incidents", action).status_code == 201


def test_a_disabled_source_is_refused(agent, action):
    agent.source.disabled_at = clock.now()
    agent.source.save()

    assert_problem(agent.post("/incidents", action), 401, "not_authenticated")


def test_a_key_without_the_scope_is_refused(agent, action):
    reader = Speaker(key_for(agent.source, scopes=["incidents:read"]))
    writer = Speaker(key_for(agent.source, scopes=["incidents:write"]))

    assert writer.post("/incidents", action).status_code == 201
    assert reader.get("/incidents").status_code == 200
    assert_problem(reader.post("/incidents", action), 403, "not_allowed")
    assert_problem(writer.get("/incidents"), 403, "not_allowed")


def test_last_use_is_remembered_once_a_minute(agent, django_assert_num_queries):
    agent.get("/incidents")
    first = ApiKey.objects.get().last_used_at
    agent.get("/incidents")
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))

    agent.get("/incidents")

    assert ApiKey.objects.get().last_used_at >= first


def test_a_token_of_somebody_who_left_is_refused(agent):
    person = PersonFactory()
    speaker = Speaker(token_for(person))
    assert speaker.get("/incidents").status_code == 200
    assert PersonToken.objects.get().last_used_at
    person.is_active = False
    person.save()

    assert_problem(speaker.get("/incidents"), 401, "not_authenticated")


def test_a_source_over_its_limit_is_told_when_to_come_back(agent, action):
    agent.source.requests_per_minute = 18  # three in ten seconds
    agent.source.save()
    with clock.frozen_at(clock.now().replace(second=12, microsecond=0)):
        answers = [agent.post("/incidents", action, key=str(n)) for n in range(4)]

        assert [one.status_code for one in answers] == [201, 201, 201, 429]
        assert_problem(answers[3], 429, "rate_limited")
        assert answers[3]["Retry-After"] == "8"
    assert Incident.objects.count() == 3
    with clock.frozen_at(clock.now() + timedelta(minutes=2)):
        assert agent.post("/incidents", action, key="3").status_code == 201


def test_the_items_of_a_batch_count_each(agent, action):
    agent.source.requests_per_minute = 18
    agent.source.save()

    assert_problem(agent.post("/incidents/batch", {"items": [{**action, "key": str(n)} for n in range(4)]}), 429, "rate_limited")
    assert Incident.objects.count() == 0


def test_guessing_keys_is_slowed_down(agent, action, monkeypatch):
    monkeypatch.setattr(auth, "BAD_KEYS", 2)
    with clock.frozen_at(clock.now()):
        answers = [Speaker("wrong").post("/incidents", action).status_code for _ in range(4)]

    assert answers == [401, 401, 429, 429]
    assert agent.post("/incidents", action).status_code == 201, "a good key from the same address still works"


def test_old_rate_windows_are_swept_up(agent, action):
    RateWindow.objects.create(who="old", window=1, count=1)

    agent.post("/incidents", action)

    assert not RateWindow.objects.filter(who="old").exists()


@pytest.mark.parametrize(
    ("content_type", "headers", "status"),
    [
        ("application/json", {}, 201),
        ("application/json; charset=utf-8", {}, 201),
        ('application/json; charset="UTF-8"', {}, 201),
        ("application/json", {"Content-Encoding": "identity"}, 201),
        ("application/json; charset=latin-1", {}, 415),
        ("application/json; charset=utf-16", {}, 415),
        ("text/plain", {}, 415),
        ("application/x-www-form-urlencoded", {}, 415),
        ("multipart/form-data; boundary=x", {}, 415),
        ("application/cloudevents-batch+json", {}, 415),
        ("", {}, 415),
        ("application/json", {"Content-Encoding": "gzip"}, 415),
        ("application/json", {"Content-Encoding": "br"}, 415),
    ],
)
def test_only_json_in_utf8_is_taken(agent, action, content_type, headers, status):
    response = agent.post("/incidents", action, content_type=content_type, **headers)

    assert response.status_code == status, response.content
    if status == 415:
        assert_problem(response, 415, "unsupported_media_type")


def test_a_compressed_body_is_never_unpacked(agent):
    assert_problem(agent.post("/incidents", gzip.compress(b"0" * 10**7)), 400, "malformed_json")


def test_a_body_over_a_mebibyte_is_too_large(agent, action):
    fits = {**action, "body": "x" * (1024 * 1024 - 400)}
    assert agent.post("/incidents", fits).status_code == 201
    assert_problem(agent.post("/incidents", {**action, "body": "x" * 1024 * 1024}), 413, "too_large")
    assert_problem(agent.post("/incidents", b"[" * 10_000_000), 413, "too_large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", "/api/v1/incidents"), ("delete", "/api/v1/incidents"), ("patch", "/api/v1/incidents"), ("options", "/api/v1/incidents"),
        ("get", "/api/v1/incidents/batch"), ("post", "/api/v1/schema"), ("post", "/api/docs/"),
    ],
)
def test_other_methods_are_refused_in_json(agent, method, path):
    response = getattr(Client(), method)(path, headers=agent.headers())

    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"]


@pytest.mark.parametrize("path", ["/api/", "/api/v1", "/api/v1/", "/api/v2/incidents", "/api/v1/incidents/", "/api/v1/incidents/batch/", "/api/docs"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_here_redirects_or_answers_in_html(agent, path, method):
    assert_problem(getattr(Client(), method)(path, headers=agent.headers()), 404, "not_found")


def test_whatever_is_accepted_the_answer_is_json(agent, action):
    assert agent.post("/incidents", action, Accept="text/html").status_code == 201
    assert agent.post("/incidents", action, Accept="nonsense")["Content-Type"] == "application/json"


class Trouble(Exception):
    sqlstate = "40P01"


def failing(times, error, cause=None):
    left = [times]
    real = ingest.receive

    def receive(**given):
        if left[0]:
            left[0] -= 1
            raise error from cause
        return real(**given)

    return receive


def test_a_deadlock_is_tried_once_more(agent, action, monkeypatch):
    monkeypatch.setattr(ingest, "receive", failing(1, OperationalError("deadlock"), Trouble()))
    assert agent.post("/incidents", action).status_code == 201
    assert Incident.objects.count() == 1

    monkeypatch.setattr(ingest, "receive", failing(2, OperationalError("deadlock"), Trouble()))
    refused = agent.post("/incidents", action)
    assert_problem(refused, 503, "overloaded")
    assert int(refused["Retry-After"]) > 0


@pytest.mark.parametrize("error", [OperationalError("no"), InterfaceError("no")])
def test_a_database_that_cannot_is_503_and_not_tried_again(agent, action, monkeypatch, error):
    monkeypatch.setattr(ingest, "receive", failing(1, error))

    refused = agent.post("/incidents", action)

    assert_problem(refused, 503, "overloaded")
    assert refused["Retry-After"]
    assert agent.post("/incidents", action).status_code == 201


def test_what_nobody_foresaw_is_a_problem_without_a_traceback(agent, action, monkeypatch):
    monkeypatch.setattr(ingest, "receive", failing(1, ZeroDivisionError("secret detail")))

    refused = agent.post("/incidents", action)

    assert_problem(refused, 500, "internal_error")
    assert b"secret" not in refused.content


def test_too_many_waiters_are_refused_before_anything_is_stored(agent, action, monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITERS", 0)

    assert_problem(agent.post("/incidents?wait=1", action), 503, "overloaded")
    assert Incident.objects.count() == 0


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan", "inf", "", "1e1", "٣", "1_0"])
def test_a_wait_that_is_none_is_refused_before_anything_is_stored(agent, action, wait):
    assert_problem(agent.post(f"/incidents?wait={wait}", action), 400, "invalid")
    assert Incident.objects.count() == 0


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["action", "draft", "\ud800", "\x00"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["kind", "title", "proposal", "action", "args", "draft", "context", "payload", "customer", "key", "\ud800", "items", "type"])
        | st.text(max_size=4),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, valid=st.booleans())
def test_no_body_is_answered_with_a_500(agent, reviewer, body, valid):
    if valid and isinstance(body, dict):
        body = {**body, "kind": "question", "title": "t"}
    raw = json.dumps(body).encode()
    incident = "00000000-0000-7000-8000-000000000000"
    for speaker, path in [
        (agent, "/incidents"), (agent, "/incidents/batch"), (reviewer, f"/proposals/{incident}/decision"),
    ]:
        response = speaker.post(path, raw)
        assert response.status_code < 500, response.content
        json.loads(response.content)


def test_every_code_has_a_title_and_a_heading_in_the_docs(settings):
    text = (settings.BASE_DIR / "docs" / "api.md").read_text()
    for one in docs.codes():
        assert f"\n### `{one['code']}`" in text, one["code"]
    assert set(problems.TITLES) <= {one["code"] for one in docs.codes()}


def test_the_openapi_document_names_every_call():
    document = Client().get("/api/v1/schema").json()

    assert document["openapi"].startswith("3.")
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/api/v1/incidents", "post"), ("/api/v1/incidents", "get"), ("/api/v1/incidents/batch", "post"),
        ("/api/v1/incidents/{id}", "get"), ("/api/v1/incidents/{id}/proposals", "post"),
        ("/api/v1/incidents/{id}/context", "post"), ("/api/v1/incidents/{id}/withdraw", "post"),
        ("/api/v1/incidents/{id}/ack", "post"), ("/api/v1/proposals/{id}/decision", "post"),
        ("/api/v1/incidents/{id}/feedback", "post"), ("/api/v1/feedback", "get"),
        ("/api/v1/sessions", "get"), ("/api/v1/sessions", "post"), ("/api/v1/sessions/{id}", "get"),
        ("/api/v1/sessions/{id}/steps", "post"), ("/api/v1/sessions/{id}/directive", "get"), ("/api/v1/sessions/{id}/end", "post"),
    }


def test_the_document_and_the_wire_agree(agent, action):
    properties = docs.document()["components"]["schemas"]["IncidentOut"]["properties"]

    assert set(agent.post("/incidents", action).json()) == set(properties)


def test_the_docs_need_nothing_from_elsewhere():
    page = Client().get("/api/docs/")

    assert page.status_code == 200
    text = page.content.decode()
    assert "<script" not in text and "style=" not in text and "<style" not in text
    assert "https://" not in text.replace("https://json-schema.org", "")
    assert "idempotency_mismatch" in text and "/api/v1/incidents/{id}/ack" in text
