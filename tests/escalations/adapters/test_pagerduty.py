"""PagerDuty's Events API v2: a dedup key is one trouble while it lasts."""

import json
import threading

import pytest
from django.db import connection
from django.test import Client

from escalations import lifecycle
from escalations.models import AuditEntry, ContextItem, Incident, Proposal
from tests.escalations.api.speaking import Speaker, key_for, token_for
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def monitor(db) -> Speaker:
    source = SourceFactory(name="nagios")
    return Speaker(key_for(source), source=source)


def event(action="trigger", dedup="crash-1", **payload):
    said = {
        "event_action": action,
        "payload": {
            "summary": "payment worker crashed", "source": "billing-host-1", "severity": "critical", "component": "worker",
            "group": "billing", "class": "crash", "custom_details": {"order": "A-1"}, **payload,
        },
        "links": [{"href": "http://x/1", "text": "log"}], "dedup_key": dedup,
    }  # fmt: skip
    if action != "trigger":
        del said["payload"], said["links"]
    if dedup is None:
        del said["dedup_key"]
    return said


def send(who, said, **headers):
    whole = {"routing_key": who.key, **said} if who and isinstance(said, dict) else said
    raw = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
    return Client().post("/v2/enqueue", raw, content_type="application/json", headers=headers)


def taken(response, dedup="crash-1"):
    assert response.status_code == 202, response.content
    assert response.json() == {"status": "success", "message": "Event processed", "dedup_key": dedup}


def test_a_trigger_becomes_an_incident_that_can_be_read(monitor):
    taken(send(monitor, event()))

    incident = Incident.objects.get()
    assert (incident.kind, incident.title, incident.claimed_severity) == ("alert", "payment worker crashed", "critical")
    assert (incident.external_id, incident.key, incident.fingerprint) == ("crash-1", "pagerduty:crash-1:1", "pagerduty:crash-1")
    assert incident.payload["custom_details"] == {"order": "A-1"}
    assert incident.context["summary"] == "critical event from billing-host-1, component worker, group billing, class crash."
    assert incident.context["links"] == [{"label": "log", "url": "http://x/1"}]
    assert monitor.key not in json.dumps([incident.payload, incident.context, incident.body])


def test_a_trigger_without_a_dedup_key_is_given_one(monitor):
    first, second = (send(monitor, event(dedup=None)).json()["dedup_key"] for _ in range(2))

    assert first and second and first != second
    assert set(Incident.objects.values_list("external_id", flat=True)) == {first, second}
    taken(send(monitor, event("resolve", first)), first)
    assert Incident.objects.get(external_id=first).status == "settled"


def test_the_same_trigger_again_adds_nothing_and_raises_no_version(monitor, run_jobs):
    send(monitor, event())
    run_jobs()
    before = Proposal.objects.get().version

    taken(send(monitor, event()))
    taken(send(monitor, event(custom_details={"order": "A-2"})))

    assert Incident.objects.count() == 1 and not ContextItem.objects.exists()
    assert Proposal.objects.get().version == before


def test_a_trigger_that_is_worse_by_now_is_told_to_whoever_reads_it_once(monitor, run_jobs):
    send(monitor, event(severity="warning"))
    run_jobs()
    before = Proposal.objects.get().version

    for _ in range(3):
        taken(send(monitor, event(severity="critical", summary="all workers crashed")))

    assert Incident.objects.count() == 1
    assert [one.context for one in ContextItem.objects.all()] == [{"summary": "Triggered again, now critical: all workers crashed"}]
    assert Proposal.objects.get().version == before + 1


def test_numbers_that_move_are_no_news_and_news_come_to_an_end(monitor, monkeypatch):
    monkeypatch.setattr("escalations.adapters.pagerduty.MOST_NOTES", 3)
    send(monitor, event(summary="CPU at 91 %"))

    taken(send(monitor, event(summary="CPU at 97 %")))
    assert not ContextItem.objects.exists()

    for word in "abcdef":
        taken(send(monitor, event(summary=f"CPU and {word}")))
    assert ContextItem.objects.count() == 3


def test_acknowledge_is_noted_once_and_settles_nothing(monitor):
    send(monitor, event())

    taken(send(monitor, event("acknowledge")))
    taken(send(monitor, event("acknowledge")))

    assert ContextItem.objects.get().context["summary"] == "PagerDuty event: it was acknowledged where it comes from."
    assert Incident.objects.get().status == "received"


def test_resolve_withdraws_and_says_so_and_the_next_trigger_opens_another(monitor, run_jobs):
    send(monitor, event())
    run_jobs()

    taken(send(monitor, event("resolve")))
    assert Proposal.objects.get().state == "withdrawn"
    assert "It was resolved where it comes from" in AuditEntry.objects.get(action="proposal.withdrawn").body

    taken(send(monitor, event("resolve")))
    taken(send(monitor, event()))
    assert list(Incident.objects.order_by("pk").values_list("key", "status")) == [
        ("pagerduty:crash-1:1", "settled"), ("pagerduty:crash-1:2", "received"),
    ]  # fmt: skip


def test_what_people_settled_is_not_touched_by_what_comes_later(monitor, run_jobs):
    send(monitor, event())
    run_jobs()
    proposal = Proposal.objects.get()
    lifecycle.decide(
        proposal.pk, person=PersonFactory(roles=["manager"]), type="approve", digest=proposal.args_digest, version=proposal.version,
        reason="seen", method="page",
    )

    taken(send(monitor, event("acknowledge")))
    taken(send(monitor, event("resolve")))

    assert Proposal.objects.get().state == "approved" and not ContextItem.objects.exists()


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
def test_what_is_not_known_is_taken_all_the_same(monitor, action):
    taken(send(monitor, event(action, "nobody")), "nobody")

    assert not Incident.objects.exists()


@pytest.mark.parametrize(("said", "wrong"), [
    ({"event_action": "explode", "dedup_key": "x"}, "event_action"),
    ({"event_action": "resolve"}, "dedup_key"),
    ({"event_action": "trigger"}, "payload"),
    ({"event_action": "trigger", "payload": {"summary": " "}}, "payload.summary"),
    ({"event_action": "trigger", "payload": {"summary": "x"}, "dedup_key": "d" * 256}, "dedup_key"),
    ({"event_action": "trigger", "payload": {"summary": "x"}, "dedup_key": 7}, "dedup_key"),
])  # fmt: skip
def test_what_is_wrong_is_said_as_pagerduty_says_it(monitor, said, wrong):
    response = send(monitor, said)

    assert response.status_code == 400
    told = response.json()
    assert (told["status"], told["message"]) == ("invalid event", "Event object is invalid")
    assert any(one.startswith(wrong) for one in told["errors"]), told
    assert not Incident.objects.exists()


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_json_is_refused_in_json(monitor, raw):
    assert send(None, raw).json()["status"] == "invalid event"


def test_without_a_good_routing_key_nothing_is_stored(monitor):
    reader = Speaker(key_for(monitor.source, scopes=["incidents:read"]))
    person = Speaker(token_for(PersonFactory(roles=["manager"])))

    for who in (Speaker("R0000000000000000000000000000000"), Speaker(""), reader, person):
        response = send(who, event())
        assert response.status_code == 400 and response.json()["errors"][0].startswith("routing_key"), response.content
    assert not Incident.objects.exists()


def test_the_routing_key_may_come_in_its_header(monitor):
    taken(send(None, event(), **{"X-Routing-Key": monitor.key}))


def test_too_many_events_are_throttled_as_pagerduty_does(monitor):
    monitor.source.requests_per_minute = 6
    monitor.source.save()
    answers = [send(monitor, event()) for _ in range(12)]

    assert {one.status_code for one in answers} == {202, 429}
    assert next(one for one in answers if one.status_code == 429).json()["status"] == "throttle exceeded"


def test_odd_words_do_not_cost_the_event(monitor):
    dedup = "a\x00b\n" + "k" * 240
    said = event(
        dedup=dedup, summary="x\x00" * 900, severity="catastrophic", source=["x"], component=None, timestamp="2026-11-20T00:00:00Z",
        custom_details="[\x00FIRING]\nevery host",
    )
    said |= {"client": "nagios\n", "client_url": "javascript:alert(1)", "links": "no list", "images": [{"src": "https://x/i.png", "alt": "load"}, 7]}

    response = send(monitor, said)

    assert response.status_code == 202 and response.json()["dedup_key"] == dedup.replace("\x00", "�")
    incident = Incident.objects.get()
    assert incident.sanitised and len(incident.title) <= 500 and incident.claimed_severity == ""
    assert incident.body == "[�FIRING]\nevery host"
    assert incident.context["links"] == [{"label": "load", "url": "https://x/i.png"}]
    assert send(monitor, said).status_code == 202 and Incident.objects.count() == 1


def test_a_rehearsal_with_a_test_key_is_not_the_real_thing(monitor):
    tester = Speaker(key_for(monitor.source, env="test"))
    taken(send(tester, event()))
    taken(send(monitor, event()))
    taken(send(tester, event("resolve")))

    assert list(Incident.objects.order_by("pk").values_list("test", "status")) == [(True, "settled"), (False, "received")]


def test_an_incident_with_the_same_id_that_came_another_way_is_left_alone(monitor):
    monitor.post("/incidents", {"kind": "question", "title": "Which region?", "external_id": "crash-1"})

    taken(send(monitor, event("resolve")))
    taken(send(monitor, event()))

    assert sorted(Incident.objects.values_list("kind", "status")) == [("alert", "received"), ("question", "received")]


def test_what_alertmanager_sends_as_a_pagerduty_client_is_readable(monitor):
    firing = "Labels:\n - alertname = DiskFull\n - instance = db1\nAnnotations:\n - summary = Disk is full\n"
    details = {"firing": firing, "num_firing": "1", "num_resolved": "0", "resolved": ""}
    said = event(dedup="a" * 64, severity="error", custom_details=details) | {"client": "Alertmanager", "client_url": "http://vm:9193/#/alerts"}

    taken(send(monitor, said), "a" * 64)

    incident = Incident.objects.get()
    assert incident.body == firing.strip() and incident.claimed_severity == "warning"
    assert incident.context["why"].startswith("Alertmanager triggered it.")
    assert {"label": "Alertmanager", "url": "http://vm:9193/#/alerts"} in incident.context["links"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_triggers_at_once_are_one_incident():
    source = SourceFactory(name="nagios")
    monitor = Speaker(key_for(source), source=source)
    together = threading.Barrier(4)
    answers = []

    def speak():
        together.wait(timeout=30)
        try:
            answers.append(send(monitor, event()).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert answers == [202] * 4
    assert Incident.objects.count() == 1
