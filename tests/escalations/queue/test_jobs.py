import pytest
from django.db import DatabaseError
from django_q.models import OrmQ

from escalations import classify, jobs, queue
from escalations.models import Heartbeat, WakeUp


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


@pytest.mark.django_db
def test_jobs_may_be_called_with_the_argument_an_older_release_queued():
    jobs.route(17)
