"""What is late: steps and expiries first, then claims. Batches, and one by one where a batch fails."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from escalations import lifecycle, queue

logger = logging.getLogger(__name__)

BATCH = 500
FEW = 50  # fewer fired than this: the rest of what comes due waits for the next turn
PUSH_BACK = timedelta(minutes=1)  # of a proposal that fails the first time; twice as long each time after
LONGEST = timedelta(hours=1)


class DatabaseLost(Exception):
    """The connection is gone; the loop makes another."""


@dataclass
class Poison:
    """A proposal whose turn fails again and again."""

    times: int
    error: str


@dataclass
class Steps:
    """Fires due steps and expiries. `poisoned` is what this process could not fire, until it succeeds."""

    poisoned: dict[UUID, Poison] = field(default_factory=dict)

    def fire(self, stop: Event, seconds: float) -> int:
        """Fire what is due for at most so many seconds; returns how many. What is left over stays due."""
        end, fired = time.monotonic() + seconds, 0
        while not stop.is_set():
            try:
                now_fired = lifecycle.run_out(limit=BATCH)
            except Exception as error:  # noqa: BLE001 - one row must not stop the line, whatever is wrong with it
                raise_if_lost(error)
                logger.warning("a batch of due steps failed, going one by one: %s at %s", type(error).__name__, queue.whence(error))
                now_fired = self._one_by_one(stop)
            fired += now_fired
            if now_fired < FEW or time.monotonic() >= end:
                break
        return fired

    def _one_by_one(self, stop: Event) -> int:
        fired = 0
        for proposal_id in lifecycle.overdue_ids(limit=BATCH):
            if stop.is_set():
                break
            try:
                fired += lifecycle.run_out(only=proposal_id)
                self.poisoned.pop(proposal_id, None)
            except Exception as error:  # noqa: BLE001 - as above
                raise_if_lost(error)
                if isinstance(error, OperationalError):
                    continue  # a deadlock or a time limit: no fault of the row's, and due again next second
                self._push_back(proposal_id, error)
        return fired

    def _push_back(self, proposal_id: UUID, error: Exception) -> None:
        poison = Poison(getattr(self.poisoned.get(proposal_id), "times", 0) + 1, f"{type(error).__name__} at {queue.whence(error)}")
        self.poisoned[proposal_id] = poison
        wait = min(LONGEST, PUSH_BACK * 2 ** (poison.times - 1))
        logger.error("proposal %s cannot be fired, pushed back %d s: %s", proposal_id, wait.total_seconds(), poison.error)
        with transaction.atomic():
            lifecycle.push_back(proposal_id, by=wait)


def drain(verb: Callable[..., int], stop: Event, seconds: float, batch: int = BATCH) -> int:
    """Call a verb that does up to `batch` until it does fewer, for at most so many seconds; returns how many it did."""
    end, done = time.monotonic() + seconds, 0
    while not stop.is_set():
        now_done = verb(limit=batch)
        done += now_done
        if now_done < batch or time.monotonic() >= end:
            break
    return done


def raise_if_lost(error: Exception) -> None:
    """Raise DatabaseLost when the error means that the connection is gone, not that the statement was wrong."""
    if isinstance(error, OperationalError | InterfaceError) and not connection.is_usable():
        raise DatabaseLost(type(error).__name__) from error
