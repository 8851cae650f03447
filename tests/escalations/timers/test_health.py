import json
from datetime import timedelta

import pytest
from django.db import OperationalError
from prometheus_client.parser import text_string_to_metric_families

from escalations import audit, clock, health, queue
from escalations.health import checks
from escalations.models import Heartbeat, Stop
from tests.factories import PersonFactory, ProposalFactory, role


@pytest.fixture(autouse=True)
def nothing_remembered():
    health.ready_answer.forget()
    health.metrics_answer.forget()


def everything_alive():
    queue.beat("queue")
    queue.beat("timers:here:1")
    audit.seal()


def test_alive_asks_the_database_nothing(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_ready_when_everything_beats(client, django_assert_max_num_queries):
    everything_alive()

    with django_assert_max_num_queries(5):
        answer = client.get("/readyz")

    assert answer.status_code == 200, answer.content
    assert answer.json()["ready"] is True
    assert set(answer.json()["checks"]) == {"database", "queue", "timers", "sealer", "auditor", "channels", "stopped", "configuration"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "seconds", "check"),
    [("queue", 91, "queue"), ("timers:here:1", 31, "timers"), ("sealer", 61, "sealer")],
)
def test_red_when_one_of_them_stops(client, name, seconds, check):
    everything_alive()
    Heartbeat.objects.filter(name=name).update(at=clock.now() - timedelta(seconds=seconds))

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert [one for one, how in answer.json()["checks"].items() if not how["ok"]] == [check]


@pytest.mark.django_db
def test_red_when_entries_wait_a_minute_for_the_sealer(client):
    everything_alive()
    with clock.frozen_at(clock.now() - timedelta(seconds=61)):
        audit.record("rule.saved", actor=audit.SYSTEM)

    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db
def test_red_with_the_reason_when_the_database_is_away(client, monkeypatch):
    def away():
        raise OperationalError("connection refused")

    monkeypatch.setattr(checks.clock, "read", away)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": {"ok": False, "detail": "OperationalError"}}
    assert "refused" not in json.dumps(answer.json())


@pytest.mark.django_db
def test_a_fresh_installation_is_not_ready_before_anything_beats(client):
    Heartbeat.objects.all().delete()

    assert client.get("/readyz").status_code == 503


def figures(client, **headers):
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


@pytest.mark.django_db
def test_the_figures_are_prometheus_text(client):
    ProposalFactory(role=role("finance"), routed_at=clock.now() - timedelta(seconds=90))
    ProposalFactory(role=role("finance"), due_at=clock.now() - timedelta(seconds=1))
    everything_alive()

    told = figures(client)

    assert told[("countersign_queue_depth", "finance")] == 2
    assert told[("countersign_queue_overdue", "finance")] == 1
    assert round(told[("countersign_queue_oldest_seconds", "finance")]) == 90
    assert told[("countersign_audit_unsealed",)] == 0
    assert told[("countersign_outbound_waiting", "deliveries")] == 0
    assert told[("countersign_heartbeat_age_seconds", "queue")] < 5


@pytest.mark.django_db
def test_the_figures_cost_the_same_whatever_is_open(client, django_assert_num_queries):
    with django_assert_num_queries(20):
        figures(client)
    health.metrics_answer.forget()
    ProposalFactory.create_batch(5)
    everything_alive()

    with django_assert_num_queries(20):
        figures(client)


@pytest.mark.django_db
def test_the_figures_are_for_this_machine_or_for_who_has_the_token(client, settings):
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.7").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.7"}).status_code == 403
    assert client.get("/metrics").status_code == 200

    settings.METRICS_TOKEN = "a-long-one"

    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer a-short-one"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer a-long-one"}, REMOTE_ADDR="10.0.0.7").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_nobody_posts_here(client, path):
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_what_is_stopped_by_people_is_told_and_takes_no_pages_away(client):
    everything_alive()
    Stop.objects.create(reason="x", by=PersonFactory(), at=clock.now() - timedelta(minutes=2))

    answer = client.get("/readyz")
    assert answer.status_code == 200 and answer.json()["checks"]["stopped"]["ok"] is False
    assert "everything, since" in answer.json()["checks"]["stopped"]["detail"]
    assert round(figures(client)[("countersign_stopped_seconds",)]) == 120


@pytest.mark.django_db
def test_what_is_configured_and_does_nothing_is_told_and_takes_no_pages_away(client):
    Heartbeat.objects.create(name="configuration", detail={"count": 3, "grave": 1})
    told = client.get("/readyz").json()["checks"]["configuration"]
    assert told == {"ok": False, "detail": "3 do nothing, 1 of them grave"}
