"""Alertmanager's webhook: each alert is an incident once for each start, whatever is repeated, and ends when the alert does."""

import base64
import json

import pytest
from django.test import Client

from escalations import lifecycle
from escalations.models import AuditEntry, Incident, Proposal
from tests.escalations.api.speaking import Speaker, key_for, token_for
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db

NEVER = "0001-01-01T00:00:00Z"


@pytest.fixture
def monitor(db) -> Speaker:
    source = SourceFactory(name="prometheus")
    return Speaker(key_for(source), source=source)


def alert(instance="db1", *, status="firing", starts="2026-11-20T21:14:10.221329717Z", ends=NEVER, fingerprint=None, **labels):
    return {
        "status": status, "labels": {"alertname": "DiskFull", "cluster": "eu", "instance": instance, "severity": "page", **labels},
        "annotations": {"runbook_url": "http://rb/1", "summary": "Disk is full"}, "startsAt": starts, "endsAt": ends,
        "generatorURL": "", "fingerprint": fingerprint or f"6bb4e2ef384c0a{instance}",
    }  # fmt: skip


def group(*alerts, **more):
    return {
        "receiver": "hook", "status": "firing", "alerts": list(alerts), "groupLabels": {"alertname": "DiskFull", "cluster": "eu"},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://vm:9193", "version": "4",
        "groupKey": '{}:{alertname="DiskFull", cluster="eu"}', "truncatedAlerts": 0, **more,
    }  # fmt: skip


def send(who, said, *, address="/alertmanager/webhook", **headers):
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Client().post(address, raw, content_type="application/json", headers=who.headers() if who and not headers else headers)


def counts(response):
    assert response.status_code == 200, response.content
    return {name: response.json()[name] for name in ("alerts", "opened", "resolved")}


def test_each_alert_of_a_group_becomes_an_incident_that_can_be_read(monitor):
    assert counts(send(monitor, group(alert("db1"), alert("db2")))) == {"alerts": 2, "opened": 2, "resolved": 0}

    first, second = Incident.objects.order_by("external_id")
    assert (first.kind, first.title, first.claimed_severity) == ("alert", "DiskFull: Disk is full (db1)", "critical")
    assert first.key == "alertmanager:6bb4e2ef384c0adb1:2026-11-20T21:14:10.221329717Z"
    assert first.fingerprint == second.fingerprint, "one trouble, which may be decided together"
    assert first.payload["endsAt"] is None and first.payload["labels"]["instance"] == "db1"
    assert first.context["summary"].startswith("DiskFull is firing since 2026-11-20T21:14:10.221329717Z: cluster eu, instance db1")
    assert {"label": "Runbook", "url": "http://rb/1"} in first.context["links"]
    assert {"label": "Alertmanager", "url": "http://vm:9193"} in first.context["links"]


def test_a_repeat_neither_duplicates_nor_raises_a_version(monitor, run_jobs):
    send(monitor, group(alert("db1")))
    run_jobs()
    before = Proposal.objects.values_list("version", flat=True).get()
    entries = AuditEntry.objects.count()

    again = group(alert("db1"), alert("db2"))
    again["alerts"][0]["annotations"]["summary"] = "Disk is fuller"

    assert counts(send(monitor, again)) == {"alerts": 2, "opened": 1, "resolved": 0}
    assert Incident.objects.count() == 2
    assert Proposal.objects.values_list("version", flat=True).get() == before
    assert AuditEntry.objects.count() == entries + 1, "nothing but the new one"


def test_an_alert_that_resolves_is_withdrawn_and_says_so_while_its_group_still_fires(monitor, run_jobs):
    send(monitor, group(alert("db1"), alert("db2")))
    run_jobs()

    said = counts(send(monitor, group(alert("db1", status="resolved", ends="2026-11-20T22:00:00Z"), alert("db2"))))

    assert said == {"alerts": 2, "opened": 0, "resolved": 1}
    gone = Incident.objects.get(external_id__endswith="db1")
    assert gone.status == "settled" and gone.proposals.get().state == "withdrawn"
    assert Incident.objects.get(external_id__endswith="db2").status == "waiting"
    [entry] = AuditEntry.objects.filter(action="proposal.withdrawn")
    assert "It resolved by itself at 2026-11-20T22:00:00Z, says Alertmanager." in entry.body
    assert (entry.actor_kind, entry.actor) == ("source", "prometheus")


def test_one_that_resolves_before_anybody_routed_it_is_withdrawn_too(monitor, run_jobs):
    send(monitor, group(alert()))

    assert counts(send(monitor, group(alert(status="resolved"))))["resolved"] == 1
    run_jobs()

    assert Incident.objects.get().status == "settled" and not Proposal.objects.exists()


def test_what_resolves_unknown_opens_nothing_and_what_resolves_twice_is_over_once(monitor):
    assert counts(send(monitor, group(alert(status="resolved")))) == {"alerts": 1, "opened": 0, "resolved": 0}
    assert not Incident.objects.exists()

    send(monitor, group(alert()))
    send(monitor, group(alert(status="resolved")))
    assert counts(send(monitor, group(alert(status="resolved"))))["resolved"] == 0


def test_what_people_settled_stays_settled_when_it_resolves_or_is_sent_again(monitor, run_jobs):
    send(monitor, group(alert()))
    run_jobs()
    proposal = Proposal.objects.get()
    clara = PersonFactory(roles=["manager"])
    lifecycle.decide(
        proposal.pk, person=clara, type="approve", digest=proposal.args_digest, version=proposal.version, reason="seen", method="page",
    )

    assert counts(send(monitor, group(alert()))) == {"alerts": 1, "opened": 0, "resolved": 0}
    assert counts(send(monitor, group(alert(status="resolved")))) == {"alerts": 1, "opened": 0, "resolved": 0}
    assert Proposal.objects.get().state == "approved"


def test_an_alert_that_fires_anew_is_another_incident(monitor):
    send(monitor, group(alert()))
    send(monitor, group(alert(status="resolved")))
    send(monitor, group(alert(starts="2026-11-21T03:00:00Z")))

    assert sorted(Incident.objects.values_list("status", flat=True)) == ["received", "settled"]


def test_the_key_is_taken_as_bearer_as_password_and_in_the_address(monitor):
    basic = base64.b64encode(f"anybody:{monitor.key}".encode()).decode()

    assert send(None, group(alert("a")), Authorization=f"Bearer {monitor.key}").status_code == 200
    assert send(None, group(alert("b")), Authorization=f"Basic {basic}").status_code == 200
    assert send(None, group(alert("c")), address=f"/alertmanager/webhook?key={monitor.key}", Accept="*/*").status_code == 200
    assert Incident.objects.count() == 3


@pytest.mark.parametrize("authorization", ["", "Bearer cs_live_nobody_nothing", "Basic %%%", "Basic aGk=", "Digest x"])
def test_without_a_good_key_nothing_is_stored(monitor, authorization):
    response = send(None, group(alert()), Authorization=authorization)

    assert response.status_code == 401 and response.json()["code"] == "not_authenticated"
    assert not Incident.objects.exists()


def test_a_key_that_may_not_write_and_a_persons_token_are_refused(monitor):
    reader = Speaker(key_for(monitor.source, scopes=["incidents:read"]))
    person = Speaker(token_for(PersonFactory(roles=["manager"])))

    assert send(reader, group(alert())).status_code == 403
    assert send(person, group(alert())).status_code == 403
    assert not Incident.objects.exists()


def test_too_many_calls_are_told_to_come_again_as_it_understands_it(monitor):
    monitor.source.requests_per_minute = 6
    monitor.source.save()
    answers = [send(monitor, group(alert(str(number)))) for number in range(12)]

    assert {one.status_code for one in answers} == {200, 503}, "never 429: Alertmanager would drop the group"
    assert next(one for one in answers if one.status_code == 503)["Retry-After"]


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"alerts": {}}', b'{"status": "firing"}'])
def test_what_is_no_group_is_refused_in_json(monitor, said):
    response = send(monitor, said)

    assert response.status_code == 400 and response.json()["status"] == "error"


def test_an_odd_alert_costs_neither_itself_nor_the_others(monitor):
    odd = alert("odd", fingerprint="f" * 400, severity=["x"])
    odd["annotations"] = {"summary": "x" * 9_000, "description": "a\x00b", "runbook_url": "javascript:alert(1)", "dashboard": 7}
    odd["labels"]["environment"] = "e" * 300
    bare = {"status": "firing", "labels": {"alertname": "Watchdog"}}
    spaced = {"labels": None, "annotations": [], "startsAt": 5, "fingerprint": {}}

    assert counts(send(monitor, group(odd, "no alert", None, bare, spaced, alert("fine"))))["opened"] == 4

    stored = Incident.objects.get(title__startswith="DiskFull: xxx")
    assert len(stored.title) <= 500 and stored.sanitised and "�" in stored.body
    assert stored.key.startswith("alertmanager:sha256:") and stored.claimed_severity == ""
    assert [one["label"] for one in stored.context["links"]] == ["Alertmanager"]
    assert {one.title for one in Incident.objects.all()} >= {"Watchdog", "Alert"}
    assert counts(send(monitor, group(odd, "no alert", None, bare, spaced, alert("fine"))))["opened"] == 0


def test_the_same_alert_twice_in_one_group_is_one_incident(monitor):
    assert counts(send(monitor, group(alert(), alert())))["opened"] == 1


def test_a_rehearsal_with_a_test_key_does_not_swallow_the_real_alert(monitor):
    tester = Speaker(key_for(monitor.source, env="test"))
    send(tester, group(alert()))

    assert counts(send(monitor, group(alert())))["opened"] == 1
    assert counts(send(tester, group(alert(status="resolved"))))["resolved"] == 1
    assert Incident.objects.get(test=False).status == "received"


def test_another_sources_alerts_are_its_own(monitor):
    other = SourceFactory(name="elsewhere")
    send(monitor, group(alert()))

    assert counts(send(Speaker(key_for(other)), group(alert(status="resolved"))))["resolved"] == 0
    assert Incident.objects.get().status == "received"


def test_a_great_outage_is_taken_whole_and_a_repeat_of_it_costs_two_queries(monitor, django_assert_max_num_queries):
    storm = group(*[alert(f"host-{number}") for number in range(700)])

    assert counts(send(monitor, storm)) == {"alerts": 700, "opened": 700, "resolved": 0}
    with django_assert_max_num_queries(4):  # the key and the call counted, the group's size counted, what is there
        assert counts(send(monitor, storm))["opened"] == 0


def test_other_methods_and_addresses_are_answered_in_json(monitor):
    assert Client().get("/alertmanager/webhook", headers=monitor.headers()).status_code == 405
    assert Client().get("/alertmanager/webhook", headers=monitor.headers()).json()["code"] == "method_not_allowed"
