"""Law 1: the row is the truth; a task is only a wake-up. Every job may run zero, one or a hundred times.

The claims, leases and tokens beneath are tried in tests/escalations/queue, killed processes in tests/faults. Here the whole pipeline runs
on tasks that were lost, doubled, reordered, forged or came too late.
"""

from datetime import timedelta

import pytest
from django_q.models import OrmQ
from django_q.tasks import async_task  # noqa: TID251 - what nobody should queue is queued here

from escalations import clock, jobs, lifecycle, queue
from escalations.models import AuditEntry, Classification, Decision, Delivery, Incident, Notice, Proposal, Signature, StepRun, Work

from .conftest import newest, said

pytestmark = pytest.mark.django_db

RECORD = [AuditEntry, Classification, Decision, Delivery, Incident, Notice, Proposal, Signature, StepRun]
JOBS = [jobs.classify, jobs.route, jobs.redraft, jobs.deliver, jobs.notify, jobs.replay]


def record():
    return [list(model.objects.order_by("pk").values()) for model in RECORD]


def story(incident_id):
    return list(AuditEntry.objects.filter(incident_id=incident_id).order_by("pk").values_list("action", flat=True))


ONCE = ["incident.received", "incident.classified", "proposal.routed"]


@pytest.mark.parametrize(
    "order",
    [[0, 1], [1, 0, 0, 1, 1], [4, 3, 2, 1, 0, 1, 2, 3, 4], [0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 1], [0, 1] * 10],
    ids=["once", "reversed", "everything backwards", "trebled", "early", "ten times"],
)
def test_in_whatever_order_and_number_jobs_run_each_thing_happens_once(posted, order):
    one = posted(jobs=False)
    OrmQ.objects.all().delete()

    for number in order:
        JOBS[number]()

    assert story(one.incident_id) == ONCE
    assert newest(one.incident_id).routed_at and Classification.objects.count() == 1


def test_a_hundred_runs_with_nothing_to_do_change_nothing(posted, token, rosa, agent):
    one = posted()
    token(rosa).post(f"/proposals/{one.pk}/decision", said(one))
    agent.post(f"/incidents/{one.incident_id}/ack", {"result": "done", "args_digest": one.args_digest})
    for job in JOBS:
        job()
    before = record()

    for _ in range(20):
        for job in JOBS:
            job()
    while lifecycle.run_out() or lifecycle.lapse_claims() or lifecycle.warn_expiring():
        pass

    assert record() == before


@pytest.mark.parametrize("lost_at", range(3))
def test_a_queue_that_was_emptied_loses_nothing(posted, run_jobs, lost_at):
    """All tasks vanish once on the way: the timers find the rows and wake again."""
    one = posted(jobs=False)
    for stage in range(3):
        if stage == lost_at:
            OrmQ.objects.all().delete()
        else:
            run_jobs(at_most=1)
    with clock.frozen_at(clock.now() + queue.STALE + timedelta(seconds=1)):
        while queue.wake_due():
            run_jobs()

    assert story(one.incident_id) == ONCE


@pytest.mark.parametrize("arguments", [(), ("x",), (10**9, None), ("'; DROP TABLE escalations_work; --",), ({"id": 1},)])
def test_a_forged_or_ancient_task_does_what_any_wake_up_does(posted, run_jobs, arguments):
    one = posted(jobs=False)
    OrmQ.objects.all().delete()
    for path in queue.JOBS.values():
        async_task(path, *arguments)  # as an older release, or somebody with a shell, might
    run_jobs()

    assert story(one.incident_id) == ONCE


def test_a_task_that_comes_after_everything_is_over_wakes_nobody(posted, agent, run_jobs):
    one = posted(jobs=False)
    agent.post(f"/incidents/{one.incident_id}/withdraw", {})
    before = record()

    run_jobs()

    assert record() == before and newest(one.incident_id).state == "withdrawn"


def test_a_revision_between_two_jobs_leaves_the_first_ones_work_undone(posted, agent, run_jobs):
    one = posted(jobs=False)
    jobs.classify()
    agent.post(f"/incidents/{one.incident_id}/proposals", {"action": "refund", "args": {"order": 1, "amount": 300}})
    run_jobs()

    first, second = Proposal.objects.order_by("revision")
    assert (first.state, first.routed_at) == ("superseded", None)
    assert second.state == "pending" and second.routed_at
    assert story(one.incident_id).count("proposal.routed") == 1


def test_no_task_carries_anything_but_its_name(posted):
    """What lies in the queue is readable by whoever reads the queue, and is lost with it: so nothing lies there."""
    posted(jobs=False, body="a secret", title="another secret")

    tasks = [row.task for row in OrmQ.objects.all()]
    assert tasks and all(not task["args"] and not task.get("kwargs") for task in tasks)
    assert {task["func"] for task in tasks} <= set(queue.JOBS.values())
    assert not any("secret" in str(task) for task in tasks)


def test_a_row_whose_task_kills_its_worker_ends_with_a_person(posted, run_jobs):
    """Claimed again and again and never finished: after three it is routed without being judged, and says so."""
    one = posted(jobs=False)
    jobs.classify()
    start = clock.now()
    for attempt in range(1, 4):
        with clock.frozen_at(start + attempt * (queue.LEASE + timedelta(seconds=1))):
            assert queue.claim("route", 5), "and the worker dies"
    with clock.frozen_at(start + 4 * (queue.LEASE + timedelta(seconds=1))):
        jobs.route()

    routed = newest(one.incident_id)
    assert (routed.state, routed.role.name) == ("pending", "queue manager")
    assert "classifier_failed" in routed.trigger_names
    assert not Work.objects.exclude(stage="done").exists()


def test_a_row_that_cannot_be_written_is_given_back_and_tried_again_soon(posted, run_jobs, monkeypatch):
    """Whatever failed at its very end: the next try comes after seconds with the reason kept, not when a lease runs out."""
    one = posted(jobs=False)
    jobs.classify()

    def broken(*args, **kwargs):
        raise RuntimeError("boom")

    with monkeypatch.context() as breaking:
        breaking.setattr(lifecycle, "place", broken)
        jobs.route()
    work = Work.objects.get()
    assert (work.stage, work.lease_until, work.attempts) == ("route", None, 1) and "boom" in work.error
    with clock.frozen_at(clock.now() + timedelta(seconds=10)):
        jobs.route()

    assert newest(one.incident_id).routed_at
