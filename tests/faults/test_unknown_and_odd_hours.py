"""Commits nobody knows the end of, clocks that step back, and days that are not 24 hours long."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, transaction
from django.db.backends.postgresql.base import DatabaseWrapper

from escalations import clock, ingest, lifecycle, route, wire
from escalations.models import AuditEntry, Classification, Incident, Proposal, StepRun, Work
from tests.escalations.api.speaking import ACTION, Speaker, key_for
from tests.factories import STANDARD, ProposalFactory, SourceFactory, role

HOURS_4, HOURS_12 = timedelta(hours=4), timedelta(hours=12)


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_right_after_the_commit_leaves_the_answer_to_the_key(monkeypatch):
    """The row is there and nobody was told: the caller hears 503, comes again with its key, and gets what was stored."""
    agent = Speaker(key_for(SourceFactory()))
    commit, lost = DatabaseWrapper._commit, []

    def commit_and_lose(self):
        stored = Incident.objects.exists()
        commit(self)
        if stored and not lost:
            lost.append(1)
            raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as breaking:
        breaking.setattr(DatabaseWrapper, "_commit", commit_and_lose)
        unknown = agent.post("/incidents", ACTION, key="k")

    assert lost and (unknown.status_code, unknown.json()["code"]) == (503, "overloaded")
    assert int(unknown["Retry-After"]) > 0
    again = agent.post("/incidents", ACTION, key="k")
    assert again.status_code == 201 and again["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == str(Incident.objects.get().pk)


def climbing(**more):
    manager = role("manager")
    return ProposalFactory(policy={**STANDARD, "steps": [{"role": manager.pk, "name": "manager", "after": 4 * 3600}] * 2}, **more)


@pytest.mark.django_db
def test_a_database_clock_that_steps_back_fires_nothing_twice_and_nothing_early():
    proposal = climbing()
    fired_at = proposal.due_at + timedelta(seconds=1)
    with clock.frozen_at(fired_at):
        assert lifecycle.run_out() == 1
    second = Proposal.objects.get().due_at

    for back in (fired_at - timedelta(seconds=60), fired_at, second - timedelta(milliseconds=1)):
        with clock.frozen_at(back):
            assert lifecycle.run_out() == 0
    with clock.frozen_at(second):
        assert lifecycle.run_out() == 1

    assert list(StepRun.objects.order_by("pk").values_list("step", flat=True)) == [1, 2]
    assert AuditEntry.objects.filter(action="proposal.stepped").count() == 2


@pytest.fixture
def berlin():
    """A machine that lives in a place with summer time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "moment",
    [
        datetime(2027, 3, 28, 0, 30, tzinfo=UTC),  # an hour that does not exist
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),  # an hour that exists twice
        datetime(2028, 2, 28, 22, 0, tzinfo=UTC),
        datetime(2026, 12, 31, 22, 0, tzinfo=UTC),
    ],
    ids=["into summer time", "out of summer time", "a leap day", "a year's end"],
)
def test_four_hours_are_four_hours_on_every_day(berlin, moment):
    with clock.frozen_at(moment):
        incident, _ = ingest.receive(source=SourceFactory(), key_env="live", key="k", body_digest="a" * 64, data={
            "kind": "action", "title": "Refund", "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}},
        })
        Classification.objects.create(
            incident=incident, work=Work.objects.get(), engine="rules", severity="info", category="refund", confidence=0.9
        )
        Work.objects.update(stage="route")
        with transaction.atomic():
            while route.run_batch():
                pass
    proposal = Proposal.objects.get()

    assert (proposal.due_at - moment, proposal.expires_at - moment) == (HOURS_4, HOURS_12)
    assert wire.moment(proposal.due_at) == (moment + HOURS_4).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with clock.frozen_at(moment + HOURS_4 - timedelta(milliseconds=1)):
        assert lifecycle.run_out() == 0
    with clock.frozen_at(moment + HOURS_4):
        assert lifecycle.run_out() == 1
    assert Proposal.objects.get().due_at == moment + 2 * HOURS_4
