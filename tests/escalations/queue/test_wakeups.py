import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from escalations import clock, queue
from escalations.models import Heartbeat, Incident, Notice, Source, WakeUp, Work
from escalations.states import Kind, Stage


def queued():
    return [task.task["func"].rsplit(".", 1)[1] for task in OrmQ.objects.order_by("pk")]


@pytest.mark.parametrize("path", queue.JOBS.values())
def test_every_job_name_finds_its_function(path):
    assert callable(import_string(path))


@pytest.mark.django_db
def test_at_most_one_wake_up_of_a_kind_waits(django_assert_num_queries):
    assert queue.wake("classify") is True
    with django_assert_num_queries(1):  # the question; nothing is queued
        assert queue.wake("classify") is False
    assert queue.wake("route") is True

    assert queued() == ["classify", "route"]


@pytest.mark.django_db
def test_a_job_that_began_makes_room_for_the_next():
    queue.wake("classify")

    queue.woken("classify")

    assert queue.wake("classify") is True


@pytest.mark.django_db
@pytest.mark.parametrize("when", [timedelta(seconds=-11), timedelta(hours=1)], ids=["lost", "from a clock that ran ahead"])
def test_a_wake_up_that_may_be_lost_does_not_stop_the_next(when):
    WakeUp.objects.filter(kind="classify").update(queued_at=clock.now() + when)

    assert queue.wake("classify") is True


@pytest.mark.django_db
def test_a_kind_without_a_row_gets_one():
    WakeUp.objects.all().delete()

    assert queue.wake("notify") is True
    assert queue.wake("notify") is False


@pytest.mark.django_db
def test_an_unknown_kind_is_refused():
    with pytest.raises(KeyError):
        queue.wake("classfy")


class Rollback(Exception):
    pass


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_goes_with_the_transaction_that_made_it():
    with pytest.raises(Rollback), transaction.atomic():
        assert queue.wake("classify") is True
        raise Rollback

    assert queued() == []
    assert queue.wake("classify") is True


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_a_transaction_that_is_just_waking():
    answer = []

    def other():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '1s'")
                answer.append(queue.wake("classify"))
        finally:
            connection.close()

    with transaction.atomic():
        assert queue.wake("classify") is True
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert answer == [False]
    assert queued() == ["classify"]


@pytest.mark.django_db
def test_the_timers_wake_every_kind_that_has_something_due():
    source = Source.objects.create(name="billing")
    incident = Incident.objects.create(source=source, body_digest="0" * 64, kind=Kind.ALERT, title="t")
    now = clock.now()
    Work.objects.create(incident=incident, stage=Stage.ROUTE, run_at=now - timedelta(seconds=1))
    Work.objects.create(incident=incident, stage=Stage.REDRAFT, run_at=now + timedelta(hours=1))
    Work.objects.create(incident=incident, stage=Stage.CLASSIFY, lease_until=now + timedelta(seconds=30))
    Notice.objects.create(kind="critical")

    assert queue.wake_due() == ["route", "notify"]
    assert queued() == ["route", "notify"]


@pytest.mark.django_db
def test_a_heartbeat_is_one_row_a_name():
    queue.beat("queue", n=1)
    queue.beat("queue", n=2)

    assert Heartbeat.objects.get(name="queue").detail == {"n": 2}


@pytest.mark.django_db
@pytest.mark.parametrize("since", [None, 0, -9, -11, 59, 61], ids=str)
def test_a_kind_is_awake_exactly_when_waking_it_would_do_nothing(since):
    with clock.frozen_at(clock.now()):
        WakeUp.objects.filter(kind="classify").update(queued_at=None if since is None else clock.now() + timedelta(seconds=since))
        condition, values = queue.is_awake("classify")
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {condition}", values)
            awake = cursor.fetchone()[0]

        assert awake is not queue.wake("classify")


@pytest.mark.django_db
def test_a_kind_without_a_row_is_not_awake():
    WakeUp.objects.all().delete()
    condition, values = queue.is_awake("classify")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {condition}", values)
        assert cursor.fetchone() == (False,)
