"""The loop: which duty comes how often, and what happens when the database goes away."""

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from escalations import audit, lifecycle, looks, notify, oversight, queue, upkeep, weekly
from escalations.learn import asking, following

from . import auditor, housekeeping
from .lateness import DatabaseLost, Steps, drain, raise_if_lost

logger = logging.getLogger(__name__)

TURN_SECONDS = 1.0
LONGEST_DUTY = 5.0  # seconds one duty may go on before the others have their turn, so that this process never looks dead
SEAL_BATCH = 5_000
PASS_ON_BATCH = 20  # absences that began
CLIMB_BATCH = 1_000  # each look through 100,000 that wait with nobody takes a second or two, however many it finds
WARN_BATCH = 200
FOLLOW_BATCH = 100  # runs
LANES_BATCH = 500  # decisions
SETTLE_BATCH = 100  # signatures that can no longer be taken back; each is a transaction of its own
RECONNECT_SECONDS = 2.0


@dataclass
class Duty:
    """One thing to do every so many seconds. `run` returns something to count or to report."""

    name: str
    every: float
    run: Callable[[], object]
    rest: float = 0.0  # having found nothing to do, it waits so many times as long as looking took: looking is not all that is done
    last: float = float("-inf")


class Timers:
    """One process of the clockwork. `stop` ends it between two transactions, within a second."""

    def __init__(self) -> None:
        self.stop = Event()
        self.name = f"timers:{socket.gethostname()[:80]}:{os.getpid()}"
        self.steps = Steps()
        self.ahead = 0.0
        self._anchoring = housekeeping.Aside("anchor")
        self._pinging = housekeeping.Aside("dead-man's signal")
        self._lost = False
        self._lanes = following.Memory()
        self.duties = [  # in this order; what waits for a person or a caller comes first
            Duty("pulse", 5, self._pulse),
            Duty("settled", 1, lambda: drain(lifecycle.settle_held, self.stop, LONGEST_DUTY, SETTLE_BATCH)),
            Duty("fired", 1, lambda: self.steps.fire(self.stop, LONGEST_DUTY)),
            Duty("passed on", 1, lambda: drain(lifecycle.pass_on, self.stop, LONGEST_DUTY, PASS_ON_BATCH)),
            Duty("climbed", 1, lambda: drain(lifecycle.climb, self.stop, LONGEST_DUTY, CLIMB_BATCH), rest=20),
            Duty("followed", 1, lambda: drain(oversight.follow, self.stop, LONGEST_DUTY, FOLLOW_BATCH)),
            Duty("lanes looked at", 1, self._look_at_lanes),
            Duty("lapsed", 1, lambda: drain(lifecycle.lapse_claims, self.stop, LONGEST_DUTY)),
            Duty("woken", 1, queue.wake_due),
            Duty("sealed", 1, lambda: drain(audit.seal, self.stop, LONGEST_DUTY, SEAL_BATCH)),
            Duty("warned", 5, lambda: drain(lifecycle.warn_expiring, self.stop, LONGEST_DUTY)),
            Duty("warned before closing", 30, self._warn_before_closing),
            Duty("told", notify.EVERY, self._tell),
            Duty("runs out of time", 5, lambda: oversight.end_overdue(limit=FOLLOW_BATCH)),
            Duty("silent", 5, lambda: oversight.find_silent(limit=FOLLOW_BATCH)),
            Duty("heartbeat", 15, self._beat_through_the_queue),
            Duty("found", auditor.EVERY, self._audit),
            Duty("ahead", 30, self._compare_clocks),
            Duty("anchored", 60, self._anchor),
            Duty("pinged", 60, self._ping),
            Duty("pruned", 300, housekeeping.prune_heartbeats),
            Duty("dropped", 300, housekeeping.prune_tasks),
            Duty("purged", 3600, housekeeping.purge),
            Duty("holidays", 3600, housekeeping.fill_in_holidays),
            Duty("looked at again", 60, self._look_again),
            Duty("vigilant", 3600, self._watch_vigilance),
            Duty("looked after", upkeep.EVERY, self._look_after),
            Duty("asked for a classifier", 60, asking.ask_if_time),
            Duty("reviewed", weekly.EVERY, self._review),
        ]

    def run(self) -> None:
        """Turn until told to stop. Never raises for a database that is away: it comes back, or the heartbeat goes stale."""
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                did = self.turn()
            except (DatabaseLost, OperationalError, InterfaceError) as error:
                self._reconnect(error)
                continue
            if self._lost:
                logger.warning("the database is back")
                self._lost = False
            close_old_connections()
            more = isinstance(did.get("fired"), int) and did["fired"] and time.monotonic() - began >= LONGEST_DUTY
            if not more:
                self.stop.wait(max(0.0, began + TURN_SECONDS - time.monotonic()))

    def turn(self) -> dict[str, object]:
        """Do every duty whose time has come; returns what each returned. A duty that fails is logged and tried again next time.

        Raises DatabaseLost when the connection is gone.
        """
        did: dict[str, object] = {}
        for duty in self.duties:
            if self.stop.is_set():
                break
            now = time.monotonic()
            if now - duty.last < duty.every - 0.05:
                continue
            duty.last = now
            try:
                did[duty.name] = duty.run()
            except DatabaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - the other duties must not wait for this one
                raise_if_lost(error)
                did[duty.name] = f"failed: {type(error).__name__}"
                logger.error("the duty %s failed: %s at %s", duty.name, type(error).__name__, queue.whence(error))
            if duty.rest and not did[duty.name]:
                duty.last += max(0.0, (time.monotonic() - now) * duty.rest - duty.every)
        return did

    def join_aside(self) -> None:
        """Wait for what runs on other threads: for one turn by hand."""
        self._anchoring.join()
        self._pinging.join()

    def close(self) -> None:
        """Say goodbye: a process that ended properly leaves no heartbeat that looks like a dead one's."""
        try:
            queue.forget(self.name)
        except (OperationalError, InterfaceError):
            logger.warning("the database is away; the heartbeat of this process is left to be pruned")
        connection.close()

    def _pulse(self) -> None:
        queue.beat(self.name, ahead=round(self.ahead, 3), poisoned=len(self.steps.poisoned))

    def _beat_through_the_queue(self) -> bool:
        return not queue.backed_up() and queue.wake("heartbeat")

    def _tell(self) -> int:
        return notify.tell() if queue.take_turn("teller's turn", notify.EVERY - 1) else 0

    def _audit(self) -> object:
        if not queue.take_turn("auditor's turn", auditor.EVERY - 1):
            return None
        findings = auditor.look([f"{pk}: {poison.error}" for pk, poison in self.steps.poisoned.items()])
        return {"found": findings.found, "repaired": findings.repaired}

    def _warn_before_closing(self) -> int:
        if not queue.take_turn("warning before closing", 29):
            return 0
        return drain(lifecycle.warn_before_closing, self.stop, LONGEST_DUTY, WARN_BATCH)

    def _look_at_lanes(self) -> int | None:
        if not queue.take_turn("lanes looked at", 0.9):
            return None
        return drain(lambda limit: following.follow(limit, self._lanes), self.stop, LONGEST_DUTY, LANES_BATCH)

    def _look_after(self) -> int | None:
        return upkeep.look() if queue.take_turn("the configuration's turn", upkeep.EVERY - 1) else None

    def _look_again(self) -> object:
        return {"drawn": looks.draw(), "lapsed": looks.lapse()} if queue.take_turn("second looks' turn", 59) else None

    def _watch_vigilance(self) -> int | None:
        return looks.look() if queue.take_turn("vigilance's turn", 86_000) else None

    def _review(self) -> int:
        return drain(weekly.make_due, self.stop, LONGEST_DUTY, 1) if queue.take_turn("weekly reviews' turn", weekly.EVERY - 1) else 0

    def _compare_clocks(self) -> float:
        self.ahead = housekeeping.skew()
        return round(self.ahead, 3)

    def _anchor(self) -> bool:
        return self._anchoring.run(audit.anchor)

    def _ping(self) -> bool:
        return bool(settings.DEADMAN_URL) and auditor.all_is_well() and self._pinging.run(housekeeping.ping_deadman)

    def _reconnect(self, error: Exception) -> None:
        if not self._lost:
            logger.error("the database is away: %s; trying again every %d s", type(error).__name__, RECONNECT_SECONDS)
            self._lost = True
        try:
            connection.close()
        except (OperationalError, InterfaceError):
            connection.connection = None
        self.stop.wait(RECONNECT_SECONDS)
