import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from escalations import clock, queue
from escalations.models import Delivery, Incident, Source, Work
from escalations.states import Kind, Sending, Stage


def work_on(count, **fields):
    source, _ = Source.objects.get_or_create(name="billing")
    incidents = [Incident(source=source, body_digest="0" * 64, kind=Kind.ALERT, title=f"{number}") for number in range(count)]
    Incident.objects.bulk_create(incidents)
    return Work.objects.bulk_create([Work(incident=incident, **fields) for incident in incidents])


@pytest.mark.django_db
def test_a_claim_leases_due_rows_oldest_first_and_counts_itself(django_assert_num_queries):
    now = clock.now()
    late, later, not_yet = work_on(3)
    Work.objects.filter(pk=late.pk).update(run_at=now - timedelta(minutes=2))
    Work.objects.filter(pk=later.pk).update(run_at=now - timedelta(minutes=1))
    Work.objects.filter(pk=not_yet.pk).update(run_at=now + timedelta(minutes=1))

    with django_assert_num_queries(2):  # the claim, the rows with incident and source
        claimed = queue.claim(Stage.CLASSIFY, 10)
        assert [work.incident.source.name for work in claimed] == ["billing", "billing"]

    assert [work.pk for work in claimed] == [late.pk, later.pk]
    assert all(work.attempts == 1 and work.token == 1 and work.lease_until > now for work in claimed)
    assert queue.claim(Stage.CLASSIFY, 10) == []
    assert queue.claim(Stage.ROUTE, 10) == []


@pytest.mark.django_db
def test_a_lapsed_lease_is_claimed_again_and_the_first_holder_is_refused():
    (row,) = work_on(1)
    (first,) = queue.claim(Stage.CLASSIFY, 1)

    with clock.frozen_at(clock.now() + queue.LEASE + timedelta(seconds=1)):
        (second,) = queue.claim(Stage.CLASSIFY, 1)
        assert (second.pk, second.attempts, second.token) == (row.pk, 2, 2)
        assert queue.finish(first, Stage.ROUTE) is False
        assert queue.retry(first, 5) is False
        assert queue.finish(second, Stage.ROUTE) is True
        assert queue.finish(second, Stage.ROUTE) is False, "a row moves on once"

    row.refresh_from_db()
    assert (row.stage, row.lease_until, row.attempts, row.token) == (Stage.ROUTE, None, 0, 2)


@pytest.mark.django_db
def test_finishing_many_moves_only_what_is_still_held():
    work_on(3)
    held = queue.claim(Stage.CLASSIFY, 3)
    Work.objects.filter(pk=held[1].pk).update(token=9)

    moved = queue.finish_many(held, Stage.ROUTE, error="a\x00b")

    assert moved == [held[0], held[2]]
    assert sorted(Work.objects.values_list("stage", "error")) == [("classify", ""), ("route", "a\ufffdb"), ("route", "a\ufffdb")]


@pytest.mark.django_db
def test_what_is_given_back_comes_due_again_with_its_attempts():
    work_on(1)
    (work,) = queue.claim(Stage.CLASSIFY, 1)

    assert queue.retry(work, 30, "no answer") is True

    assert queue.claim(Stage.CLASSIFY, 1) == []
    with clock.frozen_at(clock.now() + timedelta(seconds=31)):
        (again,) = queue.claim(Stage.CLASSIFY, 1)
    assert (again.attempts, again.error) == (2, "no answer")


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_eight_workers_claim_every_row_once():
    rows = work_on(400)
    barrier, lock, seen = threading.Barrier(8), threading.Lock(), []

    def worker():
        try:
            barrier.wait()
            while batch := queue.claim(Stage.CLASSIFY, 7):
                for work in batch:
                    with transaction.atomic():
                        assert queue.finish(work, Stage.ROUTE)
                with lock:
                    seen.extend(work.pk for work in batch)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # SKIP LOCKED may find nothing while others hold all that is left, so a worker may stop early; nothing is done twice.
    while batch := queue.claim(Stage.CLASSIFY, 50):
        seen.extend(work.pk for work in batch)
    assert sorted(seen) == sorted(row.pk for row in rows)


@pytest.mark.django_db
def test_outbound_rows_are_claimed_alike():
    (work,) = work_on(1)
    now = clock.now()
    outbound = {"source": work.incident.source, "incident": work.incident, "type": "incident.settled"}
    due = Delivery.objects.create(**outbound)
    Delivery.objects.create(**outbound, next_try_at=now + timedelta(hours=1))
    Delivery.objects.create(**outbound, state=Sending.SENT)
    Delivery.objects.create(**outbound, lease_until=now + timedelta(seconds=30))

    claimed = queue.claim_sending(Delivery, 10, related=["source"])

    assert [delivery.pk for delivery in claimed] == [due.pk]
    assert (claimed[0].attempts, claimed[0].token) == (1, 1)
    assert queue.claim_sending(Delivery, 10) == []
