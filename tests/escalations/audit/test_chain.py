import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from escalations import audit, clock
from escalations.audit import chain
from escalations.models import AuditEntry, AuditSeal, Heartbeat


def write(count, **facts):
    with transaction.atomic():
        audit.record_many([audit.entry("rule.saved", actor=audit.SYSTEM, number=number, **facts) for number in range(count)])


def in_a_thread(work):
    """Run `work` on a connection of its own."""

    def run():
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db
def test_entries_are_numbered_without_a_gap_in_their_order():
    write(25)

    assert audit.seal(limit=10) == 10
    assert audit.seal(limit=10) == 10
    assert audit.seal(limit=10) == 5
    assert audit.seal(limit=10) == 0

    seals = list(AuditSeal.objects.order_by("seq"))
    assert [seal.seq for seal in seals] == list(range(1, 26))
    assert [seal.entry_id for seal in seals] == list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))
    assert seals[0].previous == chain.GENESIS
    assert all(after.previous == before.hash for before, after in zip(seals, seals[1:], strict=False))
    assert audit.head() == audit.Head(25, seals[-1].hash)


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_commits_late_is_sealed_later_and_not_skipped():
    opened, may_commit = threading.Event(), threading.Event()

    def late():
        with transaction.atomic():
            audit.record("rule.saved", actor=audit.SYSTEM, who="late")
            opened.set()
            may_commit.wait(10)

    thread = in_a_thread(late)
    opened.wait(10)
    write(3, who="early")

    assert audit.seal() == 3
    forget_the_waiting()
    write(1, who="early")
    assert audit.seal() == 1
    may_commit.set()
    thread.join()
    assert audit.seal() == 1

    late_entry = AuditEntry.objects.order_by("pk").first()
    assert late_entry.seal.seq == 5
    assert audit.verify(anchors=False) == audit.Report(True, 5, 0, None, "", 0)


def forget_the_waiting():
    """Let the mark be old enough to be believed, as if its seconds had passed."""
    row = Heartbeat.objects.get(name="sealer")
    row.detail["set_at"] -= chain.MARK_SECONDS
    row.save()


@pytest.mark.django_db(transaction=True)
def test_the_mark_rises_once_nothing_older_is_open_so_that_a_pass_reads_little():
    write(5)
    audit.seal()
    assert Heartbeat.objects.get(name="sealer").detail["low"] == 0

    fifth = AuditEntry.objects.order_by("pk")[4].pk
    # "Open" is a matter of the whole server: a long transaction of another run, in a database of its own, may hold the mark down for
    # minutes.
    for _ in range(4_000):
        write(1)
        forget_the_waiting()
        audit.seal()
        if Heartbeat.objects.get(name="sealer").detail["low"] >= fifth:
            break
        threading.Event().wait(0.05)

    assert Heartbeat.objects.get(name="sealer").detail["low"] >= fifth


@pytest.mark.django_db(transaction=True)
def test_an_entry_below_a_wrong_mark_is_found_by_the_sweep():
    write(2)
    Heartbeat.objects.create(name="sealer", detail={"low": 10**12, "swept_at": clock.now().timestamp()})
    assert audit.seal() == 0

    audit.sweep()

    assert audit.seal() == 2
    assert AuditSeal.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_sealers_at_once_make_one_chain():
    write(400)
    barrier = threading.Barrier(4)

    def sealer():
        barrier.wait()
        for _ in range(30):
            audit.seal(limit=40)

    threads = [in_a_thread(sealer) for _ in range(4)]
    for thread in threads:
        thread.join()
    while audit.seal():
        pass

    assert audit.verify(anchors=False) == audit.Report(True, 400, 0, None, "", 0)


@pytest.mark.django_db
def test_what_waits_for_the_sealer_has_an_age():
    assert audit.unsealed() == (0, 0.0)
    write(3)
    entry = AuditEntry.objects.order_by("pk").first()

    with clock.frozen_at(entry.at + timedelta(seconds=61)):
        count, age = audit.unsealed()

    assert (count, round(age)) == (3, 61)
    audit.seal()
    assert audit.unsealed() == (0, 0.0)

