"""What the queue's tasks run: each drains its stage for a while. Nothing imports this module; the queue finds it by name.

A job takes no argument it needs, catches what goes wrong (the queue would keep a failure, its arguments and its traceback for
ever) and returns nothing. Whatever it did not finish is still due in its table, and the timers wake again.
"""

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil

from escalations import classify as classification
from escalations import deliver as delivery
from escalations import notify as notices
from escalations import queue
from escalations import replay as replaying
from escalations import route as routing
from escalations.classify import comparing
from escalations.classify import redraft as redrafting
from escalations.learn import asking as training
from escalations.notify import slack as chats

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0  # when the last batch begins; it may take the model's whole time (60 s) and must end within the queue's 90
MANY_LEFT = 3  # tasks pulled and never put down as run; fewer are those of workers that were killed


def classify(*_: object) -> None:
    """Classify what is due."""
    _drain("classify", classification.run_batch)


def route(*_: object) -> None:
    """Route what is classified."""
    _drain("route", routing.run_batch)


def redraft(*_: object) -> None:
    """Have the model write the revisions reviewers asked for."""
    _drain("redraft", redrafting.run_batch)


def deliver(*_: object) -> None:
    """Send outcomes that are due."""
    _drain("deliver", delivery.run_batch)


def notify(*_: object) -> None:
    """Send notices that are due; in chats, first whoever pressed a button is answered, and what is no longer true is written anew."""
    _drain("notify", lambda: chats.follow() + notices.run_batch())


def replay(*_: object) -> None:
    """Work on a replay for some seconds, and go to the end of the line for the rest."""

    def work() -> None:
        queue.woken("replay")
        if replaying.run_slice():
            queue.wake("replay")

    _guarded("replay", work)


def train(*_: object) -> None:
    """Have the classifier trained that is due, in a process of its own."""

    def work() -> None:
        queue.woken("train")
        if (row := training.claim()) is not None:
            training.start(row)

    _guarded("train", work)


def compare(*_: object) -> None:
    """Ask two versions of the prompt about one page of past decisions, and go to the end of the line for the rest."""

    def work() -> None:
        queue.woken("compare")
        if comparing.run_slice():
            queue.wake("compare")

    _guarded("compare", work)


def heartbeat(*_: object) -> None:
    """Write that the queue moves: somebody pulled a task and ran it, and what this cluster ran before was put down as run."""

    def work() -> None:
        queue.woken("heartbeat")
        began = datetime.fromtimestamp(psutil.Process(os.getppid()).create_time(), UTC)
        if (left := queue.unacknowledged(since=began).count()) >= MANY_LEFT:
            logger.error("no heartbeat: %d tasks ran and were not put down as run; this cluster has to be started anew", left)
        else:
            queue.beat("queue")

    _guarded("heartbeat", work)


def _drain(kind: str, run_batch: Callable[[], int]) -> None:
    def work() -> None:
        queue.woken(kind)
        end = time.monotonic() + DRAIN_SECONDS
        while run_batch():
            if time.monotonic() >= end:  # go to the end of the line: the other kinds wait too
                queue.wake(kind)
                return

    _guarded(kind, work)


def _guarded(kind: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the queue would store what escapes, payloads in its text included, for ever
        logger.error("the job %s failed: %s at %s", kind, type(error).__name__, queue.whence(error))

