import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django_q.models import Task

from escalations import clock
from escalations.models import Heartbeat, RateWindow
from escalations.timers import housekeeping


@pytest.mark.django_db
def test_a_host_clock_that_is_wrong_is_told(monkeypatch, caplog):
    assert abs(housekeeping.skew()) < housekeeping.SKEW
    assert caplog.text == ""
    real = time.time

    monkeypatch.setattr(housekeeping.time, "time", lambda: real() + 3600)

    assert round(housekeeping.skew()) == 3600
    assert "3600.0 s ahead of the database's" in caplog.text


@pytest.mark.django_db
def test_heartbeats_of_timers_that_are_gone_are_pruned():
    now = clock.now()
    Heartbeat.objects.create(name="timers:here:1", at=now - timedelta(minutes=11))
    Heartbeat.objects.create(name="timers:here:2", at=now)
    Heartbeat.objects.create(name="queue", at=now - timedelta(days=1))

    assert housekeeping.prune_heartbeats() == 1
    # What anchored for a test before this one may have written its own meanwhile.
    assert set(Heartbeat.objects.exclude(name="anchor").values_list("name", flat=True)) == {"timers:here:2", "queue"}


@pytest.mark.django_db
def test_old_task_results_and_windows_go_once_a_day():
    now = clock.now()
    for number, days in enumerate([8, 6]):
        stopped = now - timedelta(days=days)
        Task.objects.create(id=f"{number}", name="t", func="f", started=stopped, stopped=stopped, success=True)
    minute = int(now.timestamp()) // 60
    RateWindow.objects.create(who="a", window=minute - 61)
    RateWindow.objects.create(who="a", window=minute)

    assert housekeeping.purge() == 2
    assert housekeeping.purge() == 0  # not its turn

    assert Task.objects.count() == RateWindow.objects.count() == 1
    with clock.frozen_at(now + timedelta(days=1, seconds=5)):
        assert housekeeping.purge() == 2


class Watcher:
    """Somebody who waits for the dead-man's signal."""

    def __init__(self, status=200, before_answering=None):
        seen = self.seen = []

        class Door(BaseHTTPRequestHandler):
            def do_GET(self):
                if before_answering:
                    before_answering.wait(10)
                seen.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alive"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


def test_the_signal_is_a_get_of_the_url(settings, caplog):
    with Watcher() as watcher:
        settings.DEADMAN_URL = watcher.url
        housekeeping.ping_deadman()

    assert watcher.seen == ["/alive"]
    assert caplog.text == ""


def test_a_signal_nobody_took_is_told(settings, caplog):
    with Watcher(status=500) as watcher:
        settings.DEADMAN_URL = watcher.url
        housekeeping.ping_deadman()
    housekeeping.ping_deadman()

    assert "the dead-man URL answered 500" in caplog.text
    assert "the dead-man URL did not answer" in caplog.text


def test_a_signal_over_plain_http_stays_on_this_machine(settings, caplog):
    settings.DEADMAN_URL = "http://watch.example/alive"

    housekeeping.ping_deadman()

    assert "must be https" in caplog.text


@pytest.mark.django_db
def test_what_is_slow_never_delays_the_clock():
    may_end = threading.Event()
    aside = housekeeping.Aside("slow")

    began = time.monotonic()
    assert aside.run(lambda: may_end.wait(10)) is True
    assert aside.run(lambda: None) is False  # one at a time
    assert time.monotonic() - began < 6  # of the ten that the slow one would take

    may_end.set()
    aside.join()
    assert aside.run(lambda: None) is True
    aside.join()
