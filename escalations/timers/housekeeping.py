"""What keeps the house in order: the clock's own check, old rows, and what goes to the outside."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django_q.models import Task

from escalations import clock, policies, queue
from escalations.models import Heartbeat, RateWindow

logger = logging.getLogger(__name__)

SKEW = 1.0  # seconds between this host's clock and the database's that are worth a word
KEEP_TASKS = timedelta(days=7)
KEEP_DEAD_TIMERS = timedelta(minutes=10)
PURGE_EVERY = 86_400.0
PURGE_BATCH = 5_000
FILL_IN_EVERY = 86_400.0
PING_SECONDS = 5.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Aside:
    """Runs what may be slow on a thread of its own, one at a time, so that it never delays the clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], object]) -> bool:
        """Start it; False while the last one still runs. A daemon thread: an end of the process does not wait for it."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._guarded, args=[work], name=self.name, daemon=True)
        self._thread.start()
        return True

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread is not None:
            self._thread.join()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread's error would go to stderr with its text and stop nothing
            logger.error("%s failed: %s at %s", self.name, type(error).__name__, queue.whence(error))
        finally:
            connection.close()


def skew() -> float:
    """Return by how many seconds this host's clock is ahead of the database's; logged as an error when more than SKEW."""
    before = time.time()
    moment = clock.read().timestamp()
    ahead = (before + time.time()) / 2 - moment
    if abs(ahead) > SKEW:
        logger.error("this host's clock is %.1f s %s the database's", abs(ahead), "ahead of" if ahead > 0 else "behind")
    return ahead


def ping_deadman() -> None:
    """Tell the dead-man URL that escalation works. Blocks up to PING_SECONDS; a failure is logged."""
    url = settings.DEADMAN_URL
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        logger.error("DEADMAN_URL must be https, or http on this machine; nothing is pinged")
        return
    try:
        answer = httpx.get(url, timeout=PING_SECONDS, follow_redirects=False)
    except httpx.HTTPError as error:
        logger.error("the dead-man URL did not answer: %s", type(error).__name__)
        return
    if not answer.is_success:
        logger.error("the dead-man URL answered %s", answer.status_code)


def prune_heartbeats() -> int:
    """Remove the heartbeats of timers that are gone; returns how many."""
    gone = Heartbeat.objects.filter(name__startswith="timers:", at__lt=clock.now() - KEEP_DEAD_TIMERS)
    return gone.delete()[0]


def prune_tasks() -> int:
    """Remove tasks that were pulled long ago and never put down as run; returns how many. What they were for is due in its table."""
    return queue.unacknowledged().delete()[0]


def purge() -> int:
    """Once a day, by whoever comes first: old task results, rate windows and sessions; returns how many rows went."""
    if not queue.take_turn("purge", PURGE_EVERY):
        return 0
    now = clock.now()
    old = [
        Task.objects.filter(stopped__lt=now - KEEP_TASKS),
        # Windows are numbered by minutes or seconds since 1970; either way these are more than an hour old.
        RateWindow.objects.filter(window__lt=int(now.timestamp()) // 60 - 60),
        Session.objects.filter(expire_date__lt=now),
    ]
    gone = 0
    for rows in old:
        while now_gone := rows.model.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:PURGE_BATCH])).delete()[0]:
            gone += now_gone
    return gone


def fill_in_holidays() -> int:
    """Once a day, by whoever comes first: give calendars of a country this and next year's holidays; returns how many days came."""
    if not queue.take_turn("holidays", FILL_IN_EVERY):
        return 0
    return policies.fill_in_all()
