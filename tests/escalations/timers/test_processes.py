"""The real process: ended politely, killed, cut off from its database, started twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections

from escalations import audit, clock, queue
from escalations.models import AuditEntry, AuditSeal, Heartbeat, Proposal, StepRun, WakeUp
from tests.factories import STANDARD, IncidentFactory, ProposalFactory, SourceFactory, role

ROOT = Path(__file__).resolve().parents[3]


def database_url():
    told = connection.settings_dict
    return f"postgresql://{told['USER']}:{told['PASSWORD']}@/{told['NAME']}?host={told['HOST']}" + (
        f"&port={told['PORT']}" if told["PORT"] else ""
    )


class Process:
    """`manage.py timers` on the test's database, killed at the end if it still runs."""

    def __init__(self, folder, *more, **environment):
        self.log = open(folder / f"timers-{time.monotonic_ns()}.log", "w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, *environment.pop("before", []), "manage.py", "timers", *more], cwd=ROOT,
            stdout=self.log, stderr=subprocess.STDOUT,
            env={
                **os.environ, "DJANGO_SETTINGS_MODULE": "hitl_site.settings", "DATABASE_URL": database_url(),
                "DATABASE_OWNER_URL": database_url(), "COUNTERSIGN_DATA": str(folder), "COUNTERSIGN_PROCESS": "timers",
                "ANCHOR_FILE": settings.ANCHOR_FILE, **environment,
            },
        )

    def wait(self, seconds):
        return self.process.wait(seconds)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def text(self):
        self.log.seek(0)
        return self.log.read()


@pytest.fixture
def start(transactional_db, tmp_path, settings):
    settings.ANCHOR_FILE = str(tmp_path / "anchors.jsonl")
    started = []

    def one(*more, **environment):
        started.append(Process(tmp_path, *more, **environment))
        return started[-1]

    yield one
    for process in started:
        if process.process.poll() is None:
            process.kill()
        process.log.close()
    connections.close_all()


def until(is_so, seconds=30):
    """Wait for something to become so, looking five times a second."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not (answer := is_so()):
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.2)
    return answer


def climbing(count, due_at):
    manager = role("manager")
    steps = [{"role": manager.pk, "name": manager.name, "after": 14_400}]
    source = SourceFactory()
    for _ in range(count):
        ProposalFactory(
            incident=IncidentFactory(source=source), policy={**STANDARD, "steps": steps}, due_at=due_at,
            expires_at=due_at + timedelta(hours=20),
        )


def beating():
    return Heartbeat.objects.filter(name__startswith="timers:").first()


def test_it_ends_when_asked_to_and_leaves_no_heartbeat(start):
    timers = start()
    until(beating)

    timers.process.send_signal(signal.SIGTERM)

    assert timers.wait(15) == 0, timers.text()
    assert beating() is None


def test_one_turn_by_hand_does_everything_and_says_so(start):
    climbing(3, clock.now() - timedelta(hours=1))

    timers = start("--once", "--json")

    assert timers.wait(60) == 0, timers.text()
    assert '"fired": 3' in timers.text()
    assert StepRun.objects.count() == AuditEntry.objects.filter(action="proposal.stepped").count() == 3
    assert AuditSeal.objects.count() == AuditEntry.objects.count()
    assert audit.verify().anchors_checked == 1
    assert Heartbeat.objects.get(name="auditor").detail["clean"] is True


def cut_every_connection(cursor, name):
    cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                   [name, connection.connection.info.backend_pid])


def test_it_survives_its_database_being_away_and_fires_what_came_due_meanwhile(start):
    timers = start()
    until(beating)
    climbing(2, clock.now() - timedelta(hours=1))
    until(lambda: StepRun.objects.count() == 2)
    told = connection.settings_dict

    with psycopg.connect(host=told["HOST"], port=told["PORT"] or None, user=told["USER"], password=told["PASSWORD"],
                         dbname="postgres", autocommit=True) as outside:
        with outside.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {told['NAME']} ALLOW_CONNECTIONS false")
            try:
                cut_every_connection(cursor, told["NAME"])
                until(lambda: "the database is away" in timers.text())
                climbing(3, clock.now() - timedelta(seconds=1))
            finally:
                cursor.execute(f"ALTER DATABASE {told['NAME']} ALLOW_CONNECTIONS true")
            until(lambda: StepRun.objects.count() == 5)
            until(lambda: "the database is back" in timers.text())

            for _ in range(3):  # and cut off at any moment, without being away
                cut_every_connection(cursor, told["NAME"])
                climbing(1, clock.now() - timedelta(hours=1))
                until(lambda: StepRun.objects.count() == Proposal.objects.count())

    assert timers.process.poll() is None


def test_a_wrong_host_clock_moves_nothing(start, tmp_path):
    """The process believes it is two hours later, or earlier; the database's clock alone says what is due."""
    wrong = tmp_path / "sitecustomize.py"
    for shift in (7200, -7200):
        StepRun.objects.all()
        wrong.write_text(f"import time\n_real = time.time\ntime.time = lambda: _real() + {shift}\n")
        now = clock.now()
        climbing(1, now + timedelta(hours=1))
        climbing(1, now - timedelta(minutes=1))
        due = Proposal.objects.overdue(now).count()
        before = StepRun.objects.count()

        timers = start("--once", PYTHONPATH=str(tmp_path))

        assert timers.wait(60) == 0, timers.text()
        assert StepRun.objects.count() == before + due
        assert "s ahead of the database's" in timers.text() or "s behind the database's" in timers.text()
    assert StepRun.objects.count() == 2


@pytest.mark.chaos
def test_killed_again_and_again_each_step_fires_once_and_never_early(start):
    """600 steps come due over 20 s while two processes run and one or the other is killed every second."""
    begin = clock.read()
    for number in range(60):
        climbing(10, begin + timedelta(seconds=number / 3))
    running = [start(), start()]
    pause, kills = threading.Event(), 0
    while StepRun.objects.count() < 600 and kills < 90:
        pause.wait(1)
        running[kills % 2].kill()
        running[kills % 2] = start()
        kills += 1

    until(lambda: StepRun.objects.count() >= 600, 60)
    for process in running:
        process.process.send_signal(signal.SIGTERM)
        process.wait(5)

    assert StepRun.objects.count() == StepRun.objects.values("proposal", "step").distinct().count() == 600
    assert not StepRun.objects.extra(where=["fired_at < due_at"]).exists()
    assert AuditEntry.objects.filter(action="proposal.stepped").count() == 600
    assert kills >= 10
    while audit.seal():
        pass
    assert audit.verify(anchors=False).ok


def test_two_copies_share_the_work_and_the_queue_is_asked_to_beat(start):
    climbing(40, clock.now() - timedelta(hours=1))
    start(), start()

    until(lambda: StepRun.objects.count() == 40)
    until(lambda: Heartbeat.objects.filter(name__startswith="timers:").count() == 2)
    until(lambda: AuditSeal.objects.count() == AuditEntry.objects.count())

    until(lambda: WakeUp.objects.filter(kind="heartbeat", queued_at__isnull=False).exists())

    assert StepRun.objects.count() == 40
    assert queue.wake("heartbeat") is False  # theirs waits already
