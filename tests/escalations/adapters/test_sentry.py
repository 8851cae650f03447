"""Sentry's two addresses: who may report, what is kept, and what an SDK is told."""

import gzip
import json
from io import BytesIO

import brotli
import pytest
from django.test import Client

from escalations import audit, errors, policies
from escalations.adapters import base
from escalations.adapters.sentry import views
from escalations.models import ApiKey, AuditEntry, Incident, Proposal
from hitl_site import body_cap
from tests.escalations.api.speaking import key_for
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db
ID = "76cc0000000040008000000000000001"


def failure(**more):
    return {"event_id": ID, "level": "error", "exception": {"values": [{"type": "ValueError", "value": "card declined for A-1"}]}, **more}


def wrapped(*events, head=None):
    lines = [json.dumps(head if head is not None else {"event_id": ID}).encode()]
    for event in events:
        raw = json.dumps(event).encode()
        lines += [json.dumps({"type": "event", "length": len(raw)}).encode(), raw]
    return b"\n".join(lines) + b"\n"


@pytest.fixture
def shop():
    return SourceFactory(name="shop")


@pytest.fixture
def key(shop):
    return policies.issue_dsn(shop, env="live", actor=audit.SYSTEM).partition("://")[2].partition("@")[0]


@pytest.fixture
def send(shop, key):
    def post(body, *, how="header", path="envelope", project=None, key=key, **headers):
        auth = {"X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7, sentry_client=sentry.python/2.75.0"} if how == "header" else {}
        if how == "authorization":
            auth = {"Authorization": f"Sentry sentry_version=7,sentry_key={key}"}
        query = f"?sentry_version=7&sentry_key={key}" if how == "query" else ""
        return Client().post(f"/api/{project or shop.pk}/{path}/{query}", body, content_type="application/x-sentry-envelope", headers={**auth, **headers})

    return post


@pytest.mark.parametrize("how", ["header", "authorization", "query"])
def test_a_failure_is_an_incident_before_it_is_answered(send, shop, how, run_jobs):
    answer = send(wrapped(failure()), how=how)

    assert (answer.status_code, answer.json()) == (200, {"id": ID})
    incident = Incident.objects.get()
    assert (incident.source, incident.kind, incident.title, incident.key) == (shop, "exception", "ValueError: card declined for A-1", f"sentry:{ID}")
    run_jobs()
    proposal = Proposal.objects.get()
    assert proposal.state == "pending" and proposal.role is not None


def test_a_key_is_found_where_a_tunnel_leaves_it(send, shop, key):
    body = wrapped(failure(), head={"event_id": ID, "dsn": f"https://{key}@countersign.example/{shop.pk}"})

    assert send(body, how="nowhere").json() == {"id": ID}


@pytest.mark.parametrize(("squeeze", "encoding"), [(gzip.compress, "gzip"), (brotli.compress, "br")])
def test_a_squeezed_body_is_taken(send, squeeze, encoding):
    assert send(squeeze(wrapped(failure())), **{"Content-Encoding": encoding}).status_code == 200
    assert Incident.objects.get().title == "ValueError: card declined for A-1"


def test_the_same_event_is_one_incident_however_often_it_comes(send):
    for _ in range(3):
        assert send(wrapped(failure())).json() == {"id": ID}
    assert send(wrapped(failure(level="fatal", message="mended on the way"))).json() == {"id": ID}

    assert Incident.objects.count() == 1


def test_an_event_without_an_id_has_the_same_one_every_time(send):
    event = {name: value for name, value in failure().items() if name != "event_id"}
    ids = {send(wrapped(event, head={})).json()["id"] for _ in range(2)}

    assert len(ids) == 1 == Incident.objects.count()


def test_the_older_address_takes_one_event(send):
    assert send(json.dumps(failure()).encode(), path="store").json() == {"id": ID}
    assert Incident.objects.get().key == f"sentry:{ID}"


def test_what_is_no_event_is_taken_and_let_go(send):
    body = b'{"sent_at":"2026-11-20T21:13:07Z"}\n{"type":"session"}\n{"sid":"1"}\n{"type":"client_report"}\n{}\n'

    assert (send(body).status_code, send(body).json()) == (200, {})
    assert send(wrapped({"type": "transaction", "event_id": ID, "transaction": "/pay"})).status_code == 200
    assert send(b"", path="store").json() == {}
    assert not Incident.objects.exists()


def test_an_event_that_is_none_is_told_to_people_all_the_same(send):
    answer = send(b'{}\n{"type":"event"}\n["not", "an event", "password=hunter2-XYZ"]\n')

    assert answer.status_code == 200 and answer.json()["id"]
    incident = Incident.objects.get()
    assert incident.title == "An SDK reported a failure that could not be read"
    assert "hunter2" not in json.dumps(incident.payload)


def test_an_incident_that_would_be_refused_is_stored_as_one_that_says_less(send, monkeypatch):
    whole = views.incident_of
    monkeypatch.setattr(views, "incident_of", lambda event, event_id: {**whole(event, event_id), "severity": "dreadful"})

    assert send(wrapped(failure(message="it broke"))).json() == {"id": ID}
    assert Incident.objects.get().payload["exception"]["message"] == "it broke"


def test_text_that_cannot_be_stored_is_mended(send):
    event = failure(extra={"note": "a\x00b\ud800c"})

    assert send(wrapped(event)).status_code == 200
    incident = Incident.objects.get()
    assert incident.sanitised and incident.payload["sentry"]["extra"]["note"] == "a\ufffdb\ufffdc"


def test_several_events_of_one_envelope_are_several_incidents(send):
    send(wrapped(failure(), failure(event_id="b" * 32), head={"event_id": "c" * 32}))

    assert set(Incident.objects.values_list("key", flat=True)) == {f"sentry:{ID}", f"sentry:{'b' * 32}"}


def test_secrets_are_gone_before_anything_is_stored(send):
    event = failure(extra={"password": "hunter2-XYZ", "note": "card 4111 1111 1111 1111"}, request={"headers": {"Authorization": "Bearer abcdef1234567"}})
    event["exception"]["values"][0]["stacktrace"] = {"frames": [{"filename": "a.py", "function": "f", "in_app": True, "vars": {"plain": "'very private words'"}}]}
    send(wrapped(event))

    stored = json.dumps(list(Incident.objects.values("title", "body", "payload", "context", "customer", "fingerprint", "raw", "external_id")), default=str)
    stored += "".join(AuditEntry.objects.values_list("body", flat=True))
    assert not [one for one in ("hunter2", "4111 1111", "abcdef1234567", "very private") if one in stored]


def test_what_a_test_dsn_reports_is_marked(send, shop):
    dsn = policies.issue_dsn(shop, env="test", actor=audit.SYSTEM)
    send(wrapped(failure()), key=dsn.partition("://")[2].partition("@")[0])

    assert Incident.objects.get().test is True
    assert send(wrapped(failure())).json() == {"id": ID}
    assert Incident.objects.filter(test=False).count() == 1  # a rehearsal does not stand in for the real thing


# -- who may not


def test_a_key_of_another_project_is_refused(send):
    answer = send(wrapped(failure()), project=SourceFactory().pk)

    assert answer.status_code == 403 and "does not belong" in answer.json()["detail"] and answer["X-Sentry-Error"]
    assert not Incident.objects.exists()


@pytest.mark.parametrize("key", ["", "nonsense", "cs_live_aaaaaaaaaaaa_" + "b" * 43])
def test_a_stranger_is_refused_in_json(send, key):
    answer = send(wrapped(failure()), key=key)

    assert answer.status_code == 401 and answer.json()["detail"] and "WWW-Authenticate" not in answer
    assert not Incident.objects.exists()


def test_a_dsn_reports_and_does_nothing_else(key, send):
    send(wrapped(failure()))
    incident = Incident.objects.get()
    bearer = {"Authorization": f"Bearer {key}"}
    action = {"kind": "action", "title": "Pay", "proposal": {"action": "pay", "args": {}}}

    assert Client().post("/api/v1/incidents", action, content_type="application/json", headers=bearer).status_code == 403
    assert Client().get("/api/v1/incidents", headers=bearer).status_code == 403
    assert Client().get(f"/api/v1/incidents/{incident.pk}", headers=bearer).status_code == 403
    assert Client().post(f"/api/v1/incidents/{incident.pk}/withdraw", headers=bearer).status_code == 403


def test_a_sources_own_key_may_report_and_a_key_that_only_reads_may_not(send, shop):
    assert send(wrapped(failure()), key=key_for(shop)).status_code == 200
    assert send(wrapped(failure()), key=key_for(shop, scopes=["incidents:read"])).status_code == 403


def test_a_person_is_no_sdk(send, rosa):
    text = policies.mint_token(rosa, actor=audit.SYSTEM, interactive=False, days=1).text

    assert send(wrapped(failure()), key=text).status_code == 403


# -- what an SDK is told when it is too much


def test_too_many_calls_are_told_for_how_long_to_be_quiet(send, shop):
    shop.requests_per_minute = 6  # one in ten seconds
    shop.save()
    answers = [send(wrapped(failure())) for _ in range(3)]

    refused = [one for one in answers if one.status_code == 429]
    assert refused and answers[0].status_code == 200
    seconds = int(refused[0]["Retry-After"])
    assert 1 <= seconds <= 10
    assert refused[0]["X-Sentry-Rate-Limits"] == f"{seconds}::key:rate_limited"


def test_a_database_that_is_away_is_said_as_what_may_pass(send, monkeypatch):
    def away(*args, **options):
        raise errors.Overloaded(retry_after=2)

    monkeypatch.setattr(base, "post", away)
    answer = send(wrapped(failure()))

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")


def test_a_page_of_any_origin_may_report(shop):
    asked = Client().options(f"/api/{shop.pk}/envelope/", headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"})

    assert asked.status_code == 200 and asked["Access-Control-Allow-Origin"] == "*" and "X-Sentry-Auth" in asked["Access-Control-Allow-Headers"]
    assert Client().post(f"/api/{shop.pk}/envelope/", b"", content_type="text/plain")["Access-Control-Allow-Origin"] == "*"
    assert Client().get(f"/api/{shop.pk}/envelope/").status_code == 405


def test_an_envelope_may_be_larger_than_a_call(settings):
    assert body_cap.limit_of("/api/7/envelope/") == body_cap.limit_of("/api/123/store/") == settings.MAX_ENVELOPE_BYTES
    for path in ("/api/7/envelope", "/api/0/envelope/", "/api/7/other/", "/api/7/envelope/x", "/login/", "/api/v1/incidents"):
        assert body_cap.limit_of(path) == settings.MAX_BODY_BYTES


def test_a_chunked_body_is_read_under_wsgi_too(shop, key):
    """No length is declared, and the server says that it knows where the body ends."""
    raw = gzip.compress(wrapped(failure()))
    answer = Client().generic(
        "POST", f"/api/{shop.pk}/envelope/?sentry_key={key}", raw, content_type="",
        **{"CONTENT_LENGTH": "", "wsgi.input_terminated": True, "wsgi.input": BytesIO(raw)},
    )

    assert (answer.status_code, answer.json()) == (200, {"id": ID})


def test_reporting_costs_few_queries(send, django_assert_max_num_queries):
    send(wrapped(failure()))
    with django_assert_max_num_queries(8):  # the key and the count; the incident in one statement, and a wake-up at most
        send(wrapped(failure(event_id="b" * 32)))


# -- issuing


def test_a_dsn_leads_here(shop, settings):
    settings.PUBLIC_URL = "https://countersign.example/room/"
    dsn = policies.issue_dsn(shop, env="live", actor=audit.SYSTEM)

    key = ApiKey.objects.get(source=shop)
    assert dsn.startswith(f"https://cs_live_{key.key_id}_") and dsn.endswith(f"@countersign.example/room/{shop.pk}")
    assert key.scopes == ["events:write"]
    assert not AuditEntry.objects.filter(body__contains=dsn.partition("://")[2].partition("@")[0]).exists()


def test_dsns_and_keys_are_counted_apart(shop):
    for _ in range(2):
        policies.issue_key(shop, env="live", actor=audit.SYSTEM)
        policies.issue_dsn(shop, env="live", actor=audit.SYSTEM)

    with pytest.raises(errors.Conflict, match="DSNs"):
        policies.issue_dsn(shop, env="live", actor=audit.SYSTEM)
    with pytest.raises(errors.Conflict, match="keys"):
        policies.issue_key(shop, env="live", actor=audit.SYSTEM)
