"""Endpoints that are gone, hosts that are not allowed, keys that are lost, senders that die: what becomes of the outcome."""


import pytest
from django.db import connection, transaction

from escalations import deliver, errors, outbox, queue
from escalations.deliver import rows
from escalations.models import Delivery, DeliveryAttempt, Notice
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
from tests.factories import SourceFactory
from tests.fakes import receiver as fakes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("development")]


def test_410_turns_the_endpoint_off_tells_the_owner_and_loses_nothing(source, receiver, time):
    receiver.otherwise = fakes.status(410)
    first = outcome(source)
    deliver.run_batch()
    source.refresh_from_db()
    assert source.endpoint_disabled_at is not None
    assert "410" in source.endpoint_disabled_why
    assert actions() == ["endpoint.disabled"]
    assert [(notice.kind, notice.person) for notice in Notice.objects.all()] == [("endpoint_disabled", source.owner)]
    second = outcome(source)
    time(days=30)
    deliver.run_batch()
    assert len(receiver.requests) == 1
    for delivery in (first, second):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.next_try_at) == (Sending.WAITING, None)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(first.pk, actor=ADMIN)

    receiver.otherwise = fakes.status(204)
    assert deliver.enable_endpoint(source, ADMIN) == 2
    assert deliver.enable_endpoint(source, ADMIN) == 0
    deliver.run_batch()
    assert sorted(receiver.ids[1:]) == sorted([str(first.pk), str(second.pk)])
    assert "endpoint.enabled" in actions()


def test_what_waited_goes_to_the_address_the_source_has_now(source, receiver):
    receiver.script = [fakes.status(410)]
    outcome(source)
    deliver.run_batch()
    source.refresh_from_db()
    source.callback_url = receiver.url + "/new"
    source.save()
    deliver.enable_endpoint(source, ADMIN)
    deliver.run_batch()
    assert [path for path, _, _ in receiver.requests] == ["/hook", "/hook/new"]


def test_410_of_one_incident_s_own_address_turns_nothing_off(source, receiver):
    receiver.otherwise = fakes.status(410)
    delivery = outcome(source, callback_url=receiver.url + "/one-run")
    deliver.run_batch()
    delivery.refresh_from_db()
    source.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert source.endpoint_disabled_at is None


def test_a_host_outside_the_list_is_given_up_at_once_and_never_called(source, receiver):
    with fakes.listening() as stranger:
        delivery = outcome(source, callback_url=stranger.url)
        deliver.run_batch()
        assert stranger.requests == []
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert "not among the hosts" in tries(delivery)[0][1]


def test_nothing_is_sent_unsigned(source, receiver):
    source.signing_secrets.all().delete()
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert receiver.requests == []


def test_a_lost_encryption_key_is_our_fault_and_waits(source, receiver, settings, time):
    delivery = outcome(source)
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert "cannot be read" in tries(delivery)[0][1]


def test_a_record_that_cannot_be_written_holds_up_nobody(source, receiver, monkeypatch):
    bad, good = outcome(source, title="bad"), outcome(source, title="good")
    plain = rows.wire.incidents_json

    def break_on_bad(incidents):
        if any(incident.title == "bad" for incident in incidents):
            raise KeyError("broken")
        return plain(incidents)

    monkeypatch.setattr(rows.wire, "incidents_json", break_on_bad)
    deliver.run_batch()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == (Sending.WAITING, Sending.SENT)
    assert "KeyError" in tries(bad)[0][1]


def test_a_sender_that_dies_after_the_200_sends_again_under_the_same_id(source, receiver, time, monkeypatch):
    delivery = outcome(source)

    class Killed(BaseException):
        pass

    def die(parcel):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rows, "settle", die)
        with pytest.raises(Killed):
            deliver.run_batch()
    assert deliver.run_batch() == 0  # its lease still holds
    time(seconds=queue.LEASE.total_seconds() + 1)
    assert deliver.run_batch() == 1
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert receiver.ids == [str(delivery.pk)] * 2
    assert receiver.requests[0][2] == receiver.requests[1][2]


def test_who_lost_the_lease_writes_nothing(source, receiver, time):
    delivery = outcome(source)
    stale = rows.claim(10)[0]
    time(seconds=queue.LEASE.total_seconds() + 1)
    fresh = rows.claim(10)[0]
    assert fresh.delivery.pk == stale.delivery.pk
    stale.failure = deliver.DeliveryFailed("late", permanent=True)
    assert rows.settle(stale) is False
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert tries(delivery) == []
    assert actions() == []
    fresh.failure = deliver.DeliveryFailed("not now")
    assert rows.settle(fresh) is True
    assert rows.settle(fresh) is False
    assert DeliveryAttempt.objects.count() == 1


def test_an_administrator_sends_again_what_was_given_up(source, receiver, time):
    receiver.otherwise = fakes.status(500)
    delivery = outcome(source)
    for _ in range(10):
        deliver.run_batch()
        time(days=2)
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    deliver.replay(delivery.pk, actor=ADMIN)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Sending.WAITING, 1)  # the whole schedule again
    receiver.otherwise = fakes.status(200)
    deliver.replay(delivery.pk, actor=ADMIN)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert len(receiver.requests) == 12
    assert len({body for _, _, body in receiver.requests}) == 1
    assert [(attempt.by_hand, attempt.status) for attempt in delivery.tries.all()][-2:] == [("Ada Admin", 500), ("Ada Admin", 200)]
    assert delivery.tries.count() == 12
    assert actions()[-2:] == ["delivery.replayed", "delivery.sent"]


def test_replaying_what_does_not_exist_or_is_under_way_is_refused(source):
    with pytest.raises(errors.NotFound):
        deliver.replay(source_id_that_is_none(), actor=ADMIN)
    delivery = outcome(source)
    rows.claim(10)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(delivery.pk, actor=ADMIN)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(outcome(SourceFactory()).pk, actor=ADMIN)


def source_id_that_is_none():
    return Delivery().pk


@pytest.mark.django_db(transaction=True)
def test_sending_holds_no_transaction_and_rows_are_written_one_by_one(source, receiver):
    delivery = outcome(source)
    seen = []

    def look(handler):
        seen.append(connection.in_atomic_block)  # another thread's connection, so ask the database instead
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")
            seen.append(cursor.fetchone()[0])
            cursor.execute("SELECT body <> '' FROM escalations_delivery WHERE id = %s FOR UPDATE NOWAIT", [delivery.pk])
            seen.append(cursor.fetchone()[0])
        connection.close()
        fakes.status(204)(handler)

    receiver.script = [look]
    assert deliver.run_batch() == 1
    assert seen == [False, 0, True]


@pytest.mark.django_db(transaction=True)
def test_what_rolls_back_is_not_sent(source, receiver):
    proposal, _, incident = settled(source)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.open_outcome(proposal, incident)
        raise ZeroDivisionError
    assert deliver.run_batch() == 0
    assert receiver.requests == []


# -- drafts by mail
