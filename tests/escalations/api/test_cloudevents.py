"""CloudEvents on the address incidents are posted to: binary and structured, each once, each an incident that can be read."""

import base64
import json

import pytest
from django.test import Client

from escalations.models import Incident
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db

ATTRIBUTES = {
    "specversion": "1.0", "id": "evt-1", "source": "/billing/worker-1", "type": "com.acme.payment.failed", "subject": "order/A-1",
    "time": "2026-01-02T03:04:05Z", "severity": "high",
}  # fmt: skip
DATA = {"order": "A-1", "error": "card declined"}


def binary(who, data=DATA, *, content_type="application/json", query="", headers=None, **attributes):
    said = {name: value for name, value in {**ATTRIBUTES, **attributes}.items() if value is not None}
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Client().post(
        f"/api/v1/incidents{query}", raw, content_type=content_type,
        headers=who.headers({**{f"ce-{name}": value for name, value in said.items()}, **(headers or {})}),
    )


def structured(who, data=DATA, *, content_type="application/cloudevents+json", **attributes):
    said = {name: value for name, value in {**ATTRIBUTES, "data": data, **attributes}.items() if value is not None}
    return Client().post("/api/v1/incidents", json.dumps(said).encode(), content_type=content_type, headers=who.headers())


@pytest.mark.parametrize("send", [binary, structured])
def test_an_event_becomes_an_incident_that_can_be_read(agent, send):
    response = send(agent)

    assert response.status_code == 201, response.content
    incident = Incident.objects.get()
    assert response["Location"] == f"/api/v1/incidents/{incident.pk}" and response.json()["pattern"] == "exception"
    assert (incident.kind, incident.claimed_severity) == ("alert", "warning")
    assert incident.title == "com.acme.payment.failed (order/A-1): card declined"
    assert (incident.external_id, incident.key) == ("evt-1", "cloudevents:/billing/worker-1 evt-1")
    assert incident.payload["order"] == "A-1" and incident.payload["cloudevent"]["time"] == "2026-01-02T03:04:05Z"
    assert incident.context["summary"] == "com.acme.payment.failed from /billing/worker-1, about order/A-1, at 2026-01-02T03:04:05Z."
    assert incident.fingerprint


def test_the_same_event_is_the_same_incident_in_whatever_mode_and_words_it_comes_again(agent):
    first = binary(agent).json()

    for again in (binary(agent), structured(agent), structured(agent, {"order": "A-1", "error": "declined again"}, time=None)):
        assert again.status_code == 201 and again["Idempotent-Replayed"] == "true"
        assert again.json()["id"] == first["id"]
    assert Incident.objects.count() == 1


def test_source_and_id_are_the_event_only_together(agent, other_agent):
    binary(agent)
    binary(agent, id="evt-2")
    binary(agent, source="/billing/worker-2")
    binary(other_agent)
    structured(agent, source="/billing/worker-1 evt", id="1")

    assert Incident.objects.count() == 5


def test_the_same_trouble_has_the_same_fingerprint(agent):
    for number, error in enumerate(["timeout after 30 s", "timeout after 31 s", "card declined"]):
        binary(agent, {"error": error}, id=str(number))

    first, second, third = Incident.objects.order_by("pk").values_list("fingerprint", flat=True)
    assert first == second != third


def test_without_a_version_it_is_no_event_in_binary_mode_but_an_incident_and_none_that_is_right(agent):
    assert_problem(binary(agent, specversion=None), 400, "invalid", "/order")


@pytest.mark.parametrize(("send", "name"), [
    (binary, "id"), (binary, "source"), (binary, "type"),
    (structured, "id"), (structured, "source"), (structured, "type"), (structured, "specversion"),
])  # fmt: skip
def test_what_an_event_must_have_is_asked_for_by_name(agent, send, name):
    assert_problem(send(agent, **{name: None}), 400, "invalid", f"/{name}")
    assert_problem(send(agent, **{name: " "}), 400, "invalid", f"/{name}")
    assert not Incident.objects.exists()


def test_another_version_is_refused(agent):
    assert_problem(structured(agent, specversion="0.3"), 400, "invalid", "/specversion")


@pytest.mark.parametrize("member", ["exception", "error"])
def test_an_exception_in_the_data_makes_it_an_exception(agent, member):
    structured(agent, {member: {"type": "TimeoutError", "message": "no answer from psp-2", "stacktrace": "at a\nat b"}})

    incident = Incident.objects.get()
    assert incident.kind == "exception" and incident.title.endswith(": TimeoutError: no answer from psp-2")
    assert incident.payload["exception"]["stacktrace"] == "at a\nat b"


def test_extensions_say_what_they_are_named_after(agent):
    structured(agent, kind="question", severity="fatal", session="run-7", environment="prod", onbehalfof="mia@example.org", fingerprint="f-1")

    incident = Incident.objects.get()
    assert (incident.kind, incident.claimed_severity, incident.session) == ("question", "critical", "run-7")
    assert (incident.environment, incident.on_behalf_of, incident.fingerprint) == ("prod", "mia@example.org", "f-1")


def test_an_extension_cannot_make_it_an_action_without_a_proposal(agent):
    assert structured(agent, kind="action").status_code == 201
    assert Incident.objects.get().kind == "alert"


def test_an_incident_may_travel_as_the_data_of_an_event(agent, action):
    told = structured(agent, action, type="countersign.incident").json()
    short = structured(agent, {name: value for name, value in action.items() if name != "kind"}, type="countersign.action", id="2").json()

    assert told["proposal"]["args"] == short["proposal"]["args"] == action["proposal"]["args"]
    assert (told["kind"], short["kind"]) == ("action", "action")


def test_an_incident_that_travels_is_checked_as_every_other(agent, action):
    assert_problem(structured(agent, {**action, "colour": 1}, type="countersign.incident"), 400, "invalid", "/data/colour")
    assert_problem(structured(agent, {**action, "key": "k"}, type="countersign.incident"), 400, "invalid", "/data/key")
    assert_problem(structured(agent, "words", type="countersign.incident"), 400, "invalid", "/data")
    action["proposal"]["args"]["note"] = "a\x00b"
    assert_problem(structured(agent, action, type="countersign.incident"), 400, "invalid", "/data")
    assert not Incident.objects.exists()


def test_words_in_binary_mode_are_decoded_as_the_binding_says(agent):
    binary(agent, b"\xc3\xbcber den Rand", content_type="text/plain; charset=utf-8", subject="caf%C3%A9%20%E2%82%AC")

    incident = Incident.objects.get()
    assert incident.payload["cloudevent"]["subject"] == "café €"
    assert incident.body == "über den Rand" and incident.payload["data"] == "über den Rand"


@pytest.mark.parametrize(("raw", "content_type", "data"), [
    (b"[1, 2]", "application/json", [1, 2]), (b"7", "application/vnd.acme+json", 7), (b"\xff\x00", "application/octet-stream", "/wA="),
    (b"", "application/json", None),
])  # fmt: skip
def test_whatever_an_event_carries_is_kept(agent, raw, content_type, data):
    assert binary(agent, raw, content_type=content_type).status_code == 201

    payload = Incident.objects.get().payload
    assert payload.get("base64", payload.get("data")) == data


def test_data_in_base64_is_opened(agent):
    carried = base64.b64encode(json.dumps(DATA).encode()).decode()
    structured(agent, None, data_base64=carried, datacontenttype="application/json")

    assert Incident.objects.get().payload["order"] == "A-1"
    assert_problem(structured(agent, None, data_base64="%%", id="2"), 400, "invalid", "/data_base64")


@pytest.mark.parametrize("raw", [b"{", b'1,"more":2', b'{"a":1,"a":2}', b"NaN", b"[" * 70 + b"]" * 70])
def test_json_that_is_none_is_refused(agent, raw):
    assert_problem(binary(agent, raw), 400, "malformed_json")


def test_what_cannot_be_read_is_refused_by_its_media_type(agent):
    assert_problem(structured(agent, content_type="application/cloudevents-batch+json"), 415, "unsupported_media_type")
    assert_problem(structured(agent, content_type="application/cloudevents+avro"), 415, "unsupported_media_type")
    assert_problem(binary(agent, headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type")


def test_a_key_in_the_header_may_not_contradict_the_event(agent):
    assert_problem(binary(agent, headers={"Idempotency-Key": "another"}), 400, "invalid", "/key")


def test_long_and_odd_words_do_not_cost_the_event(agent):
    response = structured(
        agent, {"message": "x\x00" * 5_000, "level": 7}, id="i" * 400, subject="s" * 900, environment="e" * 200, dataschema="javascript:1", severity=3,
    )

    assert response.status_code == 201, response.content
    incident = Incident.objects.get()
    assert incident.sanitised and incident.raw and len(incident.title) == 500 and incident.key.startswith("cloudevents:sha256:")
    assert incident.context["links"] == [] and incident.claimed_severity == ""


def test_a_rehearsal_with_a_test_key_is_another_event(agent):
    tester = Speaker(key_for(agent.source, env="test"))

    assert binary(tester).json()["test"] is True
    assert "Idempotent-Replayed" not in binary(agent)
    assert Incident.objects.count() == 2


def test_without_the_right_key_nothing_is_stored(agent):
    reader = Speaker(key_for(agent.source, scopes=["incidents:read"]))
    person = Speaker(token_for(PersonFactory(roles=["manager"])))

    assert_problem(binary(reader), 403, "not_allowed")
    assert_problem(binary(person), 403, "not_allowed")
    assert_problem(binary(Speaker("cs_live_no_no")), 401, "not_authenticated")
    assert not Incident.objects.exists()


def test_one_may_wait_for_the_answer_as_ever(agent):
    assert binary(agent, query="?wait=0").status_code == 201
    assert_problem(binary(agent, query="?wait=99"), 400, "invalid")


def test_an_event_that_asks_for_something_else_is_never_told_of_the_first_ones_answer(agent, action):
    first = structured(agent, action, type="countersign.incident").json()
    again = structured(agent, {**action, "title": "Told in other words"}, type="countersign.incident", time=None)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])

    action["proposal"]["args"]["amount"] = 999_999
    for send in (structured, binary):
        assert_problem(send(agent, action, type="countersign.incident"), 422, "idempotency_mismatch")
    draft = {"kind": "draft", "title": "A letter", "proposal": {"draft": {"to": "a", "subject": "b", "body": "c"}}}
    assert_problem(structured(agent, draft, type="countersign.incident"), 422, "idempotency_mismatch")
    assert Incident.objects.count() == 1


def test_what_would_be_signed_is_not_mended_in_base64_either(agent, action):
    action["proposal"]["args"]["note"] = "a\x00b"
    hidden = base64.b64encode(json.dumps(action).encode()).decode()

    answer = structured(agent, None, data_base64=hidden, datacontenttype="application/json", type="countersign.incident")

    assert_problem(answer, 400, "invalid", "/data")
    assert not Incident.objects.exists()
