"""Several senders, several receivers, a third of the answers wrong, senders that die: everything arrives, nothing changes."""

import random
import threading
from collections import Counter, defaultdict

import pytest
from django.db import connection
from standardwebhooks.webhooks import Webhook

from escalations import deliver, outbox
from escalations.deliver import http, rows
from escalations.models import AuditEntry, Delivery
from escalations.states import Sending
from tests.factories import IncidentFactory, SourceFactory
from tests.fakes import receiver as fakes

SENDERS, RECEIVERS, EACH = 4, 3, 60


class Killed(BaseException):
    """What a kill leaves behind: nothing is written."""


def mostly_wrong(seed):
    """Return a behaviour that is right two times in three and wrong in every way otherwise."""
    dice = random.Random(seed)
    ways = [fakes.status(500), fakes.status(302, Location="http://169.254.169.254/"), fakes.reset, fakes.garbage, fakes.status(404)]

    def behave(handler):
        (fakes.status(204) if dice.random() < 0.66 else dice.choice(ways))(handler)

    return behave


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_every_outcome_arrives_signed_and_unchanged_whoever_dies(settings, monkeypatch, record_property):
    settings.DEBUG = True
    monkeypatch.setattr(rows, "WAITS", (0.0,) * 60)
    monkeypatch.setattr(http, "TOTAL_SECONDS", 2.0)
    seed = random.randrange(2**32)
    record_property("seed", seed)
    dice = random.Random(seed)
    with fakes.listening() as one, fakes.listening() as two, fakes.listening() as three:
        receivers, secrets = [one, two, three], {}
        for at, receiver in enumerate(receivers):
            receiver.otherwise = mostly_wrong(seed + at)
            source = SourceFactory(callback_url=receiver.url)
            secrets[receiver.port] = outbox.ensure_secret(source)
            outbox.open_incidents_settled([IncidentFactory(source=source) for _ in range(EACH)])
        plain, deaths = rows.settle, []

        def die_sometimes(parcel):
            if len(deaths) < 6 and dice.random() < 0.05:
                deaths.append(parcel.delivery.pk)
                raise Killed
            return plain(parcel)

        monkeypatch.setattr(rows, "settle", die_sometimes)

        def send_until_done():
            try:
                while Delivery.objects.filter(state=Sending.WAITING).exists():
                    try:
                        deliver.run_batch()
                    except Killed:  # another takes over when the lease lapses; this test does not wait two minutes for it
                        Delivery.objects.filter(pk=deaths[-1]).update(lease_until=None)
                        Delivery.objects.filter(state=Sending.WAITING, lease_until__isnull=False).update(lease_until=None)
            finally:
                connection.close()

        threads = [threading.Thread(target=send_until_done) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)

        assert Counter(Delivery.objects.values_list("state", flat=True)) == {Sending.SENT: RECEIVERS * EACH}
        assert AuditEntry.objects.filter(action="delivery.sent").count() == RECEIVERS * EACH
        bodies = defaultdict(set)
        for receiver in receivers:
            verifier = Webhook(secrets[receiver.port])
            for _, headers, body in receiver.requests:
                verifier.verify(body, headers)
                bodies[headers["webhook-id"]].add(body)
        assert set(bodies) == {str(pk) for pk in Delivery.objects.values_list("pk", flat=True)}
        assert {len(seen) for seen in bodies.values()} == {1}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_at_a_time_per_endpoint_holds_across_senders(settings):
    settings.DEBUG = True
    with fakes.listening() as receiver:
        meet = threading.Event()

        def linger(handler):
            meet.wait(0.02)
            fakes.status(204)(handler)

        receiver.otherwise = linger
        source = SourceFactory(callback_url=receiver.url)
        outbox.ensure_secret(source)
        outbox.open_incidents_settled([IncidentFactory(source=source) for _ in range(80)])

        def send_until_done():
            try:
                while Delivery.objects.filter(state=Sending.WAITING).exists():
                    deliver.run_batch()
            finally:
                connection.close()

        threads = [threading.Thread(target=send_until_done) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(receiver.requests) == 80
        assert receiver.most_open == 2
