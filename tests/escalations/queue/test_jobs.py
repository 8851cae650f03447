from datetime import timedelta

import pytest
from django.conf import settings
from django.db import DatabaseError
from django_q.models import OrmQ

from escalations import classify, clock, jobs, queue
from escalations.models import Heartbeat, WakeUp
from escalations.timers import housekeeping


@pytest.mark.django_db
def test_a_job_drains_its_stage_and_makes_room_first(monkeypatch):
    queue.wake("classify")
    left, flags = [3, 2, 0], []

    def run_batch():
        flags.append(WakeUp.objects.get(kind="classify").queued_at)
        return left.pop(0)

    monkeypatch.setattr(classify, "run_batch", run_batch)

    jobs.classify()

    assert left == []
    assert flags == [None] * 3


@pytest.mark.django_db
def test_a_job_that_is_not_through_goes_to_the_end_of_the_line(monkeypatch):
    monkeypatch.setattr(jobs, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(classify, "run_batch", lambda: 7)

    jobs.classify()

    assert [task.task["func"] for task in OrmQ.objects.all()] == [queue.JOBS["classify"]]


@pytest.mark.django_db
def test_what_fails_in_a_job_never_reaches_the_queue_nor_the_log_with_its_text(monkeypatch, caplog):
    def run_batch():
        raise DatabaseError("duplicate key: (card)=(4111 1111 1111 1111)")

    monkeypatch.setattr(classify, "run_batch", run_batch)

    assert jobs.classify() is None

    assert "the job classify failed: DatabaseError at escalations.jobs:" in caplog.text
    assert "4111" not in caplog.text


@pytest.mark.django_db
def test_the_heartbeat_comes_through_the_queue(run_jobs):
    queue.wake("heartbeat")
    assert not Heartbeat.objects.filter(name="queue").exists()

    run_jobs()

    assert Heartbeat.objects.get(name="queue")
    assert queue.wake("heartbeat") is True


def pulled(seconds_ago):
    """A task that a worker took so long ago and nobody put down as run."""
    retry = timedelta(seconds=settings.Q_CLUSTER["retry"])
    return OrmQ.objects.create(key="countersign", payload="x", lock=clock.now() - timedelta(seconds=seconds_ago) + retry)


@pytest.mark.django_db
def test_there_is_no_heartbeat_while_nothing_is_put_down_as_run(monkeypatch):
    """The process that keeps the books died with their lock: workers go on, and every task would come again for ever."""
    began = [clock.now() - timedelta(hours=1)]
    monkeypatch.setattr(jobs.psutil.Process, "create_time", lambda self: began[0].timestamp())
    for seconds in (125, 130, 5, 60):  # two whose workers were killed, two that run
        pulled(seconds)
    jobs.heartbeat()
    assert Heartbeat.objects.filter(name="queue").exists()

    Heartbeat.objects.all().delete()
    pulled(140)
    jobs.heartbeat()
    assert not Heartbeat.objects.filter(name="queue").exists()

    began[0] = clock.now() - timedelta(seconds=100)  # started anew since
    jobs.heartbeat()
    assert Heartbeat.objects.filter(name="queue").exists()


@pytest.mark.django_db
def test_tasks_nobody_put_down_as_run_are_dropped():
    left = {pulled(seconds).pk for seconds in (5, 90)}
    gone = {pulled(seconds).pk for seconds in (121, 800)}
    left.add(OrmQ.objects.create(key="countersign", payload="x", lock=clock.now() - timedelta(hours=1)).pk)  # never pulled

    assert housekeeping.prune_tasks() == len(gone)
    assert set(OrmQ.objects.values_list("pk", flat=True)) == left


@pytest.mark.django_db
def test_jobs_may_be_called_with_the_argument_an_older_release_queued():
    jobs.route(17)
