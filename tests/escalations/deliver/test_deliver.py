"""Outcomes reach the source at least once, signed, the same bytes under the same id, whatever the receiver does."""

import json
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from escalations import clock, deliver, outbox
from escalations.deliver import http, rows
from escalations.models import Delivery, Notice
from escalations.states import Sending
from tests.escalations.deliver.world import (  # noqa: F401 - fixtures are found by name
    ADMIN,
    actions,
    development,
    outcome,
    receiver,
    settled,
    source,
    tries,
)
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory
from tests.fakes import receiver as fakes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("development")]


def test_an_outcome_arrives_signed_and_says_what_was_decided(source, receiver, time):
    delivery = outcome(source)
    assert deliver.run_batch() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.lease_until) == (Sending.SENT, 1, None)
    path, headers, body = receiver.requests[0]
    assert headers["webhook-id"] == str(delivery.pk)
    assert headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    said = json.loads(body)
    assert said["type"] == "proposal.settled"
    assert said["data"]["id"] == str(delivery.incident_id)
    assert said["data"]["decision"]["args_digest"] == delivery.proposal.args_digest
    assert body.decode() == delivery.body
    assert tries(delivery) == [(204, "")]
    assert actions() == ["delivery.sent"]
    assert deliver.run_batch() == 0
    assert len(receiver.requests) == 1


def test_the_package_of_the_receivers_verifies_it(source, receiver):
    outcome(source, title="Zażółć 🧾 \u202e")
    deliver.run_batch()
    _, headers, body = receiver.requests[0]
    assert Webhook(source.secret).verify(body, headers)["data"]["title"] == "Zażółć 🧾 \u202e"


def test_without_a_callback_there_is_nothing_to_send(time):
    delivery = outcome(SourceFactory())
    assert (delivery.state, delivery.next_try_at) == (Sending.NOTHING_TO_SEND, None)
    assert deliver.run_batch() == 0


def test_the_incident_s_own_callback_goes_before_the_source_s(source, receiver):
    outcome(source, callback_url=receiver.url + "/of-this-one")
    deliver.run_batch()
    assert receiver.requests[0][0] == "/hook/of-this-one"


def test_what_a_test_key_posted_is_delivered_too(source, receiver):
    outcome(source, test=True)
    deliver.run_batch()
    assert json.loads(receiver.requests[0][2])["data"]["test"] is True


def test_every_kind_of_outcome_opens_a_row(source, receiver):
    incident = IncidentFactory(source=source)
    question = incident.questions.create(person=PersonFactory(), text="Which order?")
    outbox.open_question(incident, question)
    outbox.open_incident_settled(incident)
    deliver.run_batch()
    types = {json.loads(body)["type"] for _, _, body in receiver.requests}
    assert types == {"incident.question", "incident.settled"}
    assert json.loads(receiver.requests[0][2])["data"]["questions"][0]["text"] == "Which order?"


def test_a_failing_receiver_is_tried_over_three_days_and_then_given_up(source, receiver, time):
    receiver.otherwise = fakes.status(500)
    delivery = outcome(source)
    moments = []
    for _ in range(30):
        if not deliver.run_batch():
            break
        moments.append(clock.now())
        delivery.refresh_from_db()
        if delivery.state != Sending.WAITING:
            break
        assert clock.now() < delivery.next_try_at
        assert deliver.run_batch() == 0
        time(seconds=(delivery.next_try_at - clock.now()).total_seconds())
    waits = [(after - before).total_seconds() for before, after in zip(moments, moments[1:], strict=False)]
    assert len(moments) == 10
    for wait, least in zip(waits, rows.WAITS, strict=True):
        assert least <= wait <= least * 1.1
    assert sum(rows.WAITS) == 75 * 3600 + 35 * 60 + 5
    assert (delivery.state, delivery.attempts, delivery.next_try_at) == (Sending.GIVEN_UP, 10, None)
    assert len(tries(delivery)) == 10
    assert actions() == ["delivery.given_up"]
    notice = Notice.objects.get(kind="given_up")
    assert (notice.kind, notice.person) == ("given_up", source.owner)
    assert notice.facts["attempts"] == 10


def test_every_attempt_has_the_same_id_and_body_and_its_own_time(source, receiver, time):
    receiver.script = [fakes.status(500)] * 3
    delivery = outcome(source)
    for _ in range(4):
        deliver.run_batch()
        source.owner.save()
        type(delivery.incident).objects.filter(pk=delivery.incident_id).update(severity="critical")  # the world moves on
        time(hours=3)
    assert len(receiver.requests) == 4
    assert len(set(receiver.ids)) == 1
    assert len({body for _, _, body in receiver.requests}) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in receiver.requests}) == 4


def test_an_outcome_sent_late_still_tells_of_its_own_decision(source, receiver, time):
    proposal, _, incident = settled(source)
    delivery = outbox.open_outcome(proposal, incident)
    ProposalFactory(incident=incident, revision=2)
    deliver.run_batch()
    said = json.loads(receiver.requests[0][2])["data"]
    assert said["proposal"]["id"] == str(delivery.proposal_id)
    assert said["decision"]["args_digest"] == proposal.args_digest


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured(source, receiver, time, code):
    receiver.script = [fakes.status(code, Retry_After="900")]
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.next_try_at == clock.now() + timedelta(seconds=900)
    time(seconds=901)
    assert deliver.run_batch() == 1
    assert Delivery.objects.get().state == Sending.SENT


@pytest.mark.parametrize("behave", [fakes.reset, fakes.garbage, fakes.status(302, Location="http://169.254.169.254/"), fakes.status(404), fakes.huge(500)])
def test_whatever_goes_wrong_is_tried_again(source, receiver, time, behave):
    receiver.script = [behave]
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert tries(delivery)[0][1]
    time(seconds=6)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert set(receiver.ids) == {str(delivery.pk)}


def test_a_slow_receiver_delays_nobody_else(source, receiver, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 3.0)
    monkeypatch.setattr(deliver, "ROUND_SECONDS", 2.5)
    receiver.otherwise = fakes.hang
    slow = [outcome(source) for _ in range(3)]
    with fakes.listening() as quick:
        other = SourceFactory(callback_url=quick.url)
        outbox.ensure_secret(other)
        fast = [outcome(other) for _ in range(20)]
        deliver.run_batch()
        assert len(quick.requests) == 20
        assert quick.most_open <= 2
    assert receiver.most_open == 2
    states = {delivery.pk: delivery for delivery in Delivery.objects.all()}
    assert all(states[delivery.pk].state == Sending.SENT for delivery in fast)
    assert sorted(states[delivery.pk].attempts for delivery in slow) == [0, 1, 1]
    assert all(states[delivery.pk].lease_until is None for delivery in slow)


def test_an_endpoint_somebody_is_sending_to_is_left_to_them(source, receiver):
    first, second = outcome(source), outcome(source)
    mine = rows.claim(1)
    assert rows.claim(10) == []
    assert {parcel.delivery.pk for parcel in mine} == {first.pk}
    rows.settle(mine[0])
    assert {parcel.delivery.pk for parcel in rows.claim(10)} == {first.pk, second.pk}
