"""The thread that builds, sends, looks and keeps. Started with the first report; again after a fork."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from .sending import Door, Later, Never
from .spool import Spool
from .ticket import Ticket

log = logging.getLogger("countersign.reporting")
LARGEST = 200_000  # bytes of one report
LOOK_EVERY = 0.05  # seconds between two looks at what became of a report somebody waits for
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
SWEEP_EVERY = 30.0  # seconds between looks into the spool while nothing fails: another process may have left something


@dataclass
class Job:
    """A report to make, and whoever waits for it."""

    ticket: Ticket
    build: Callable[[], dict[str, Any]]

    @property
    def key(self) -> str:
        return f"report:{self.ticket.reference}"


class Worker:
    """One queue, one thread, one connection, one breaker."""

    def __init__(
        self, url: str, key: str, *, timeout: float, queued: int, spool: Spool | None,
        before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None, transport: httpx.BaseTransport | None,
    ) -> None:
        self._make: Callable[[], Door] = lambda: Door(url, key, timeout=timeout, transport=transport)
        self._spool, self._queued, self._before_send = spool, queued, before_send
        self._counts: Counter[str] = Counter()
        self._failures = 0
        self._begin()

    def _begin(self) -> None:
        self._change = threading.Condition()
        self._queue: deque[Job] = deque()
        self._watched: list[tuple[Job, str]] = []
        self._busy = False
        self._in_hand: Job | None = None
        self._closing = False
        self._thread: threading.Thread | None = None
        self._door: Door | None = None
        self._open_again = 0.0
        self._sweep_at = 0.0

    def after_fork(self) -> None:
        """Begin anew in a child: the parent's thread is not here, and what it had in hand it sends itself."""
        self._begin()

    # -- from the host's threads

    def take(self, job: Job) -> None:
        """Queue a job. What does not fit is dropped and counted; while the server is not to be had nobody waits for it."""
        with self._change:
            if len(self._queue) >= self._queued:
                self._counts["dropped"] += 1
                job.ticket.learn(state="dropped", over=True)
                return
            self._queue.append(job)
            running = self._start()
            self._change.notify_all()
        if not running:  # the interpreter is ending
            self._keep_all()
        elif self.shut:
            job.ticket.learn(state="kept" if self._spool is not None else "queued", over=True)

    @property
    def shut(self) -> bool:
        """Whether the server failed just now and is left alone for a while."""
        return time.monotonic() < self._open_again

    def is_this_thread(self) -> bool:
        return self._thread is not None and threading.get_ident() == self._thread.ident

    def count(self, name: str) -> None:
        with self._change:
            self._counts[name] += 1

    def counts(self) -> dict[str, int]:
        """Return how many were sent, dropped and refused."""
        lost = self._spool.lost if self._spool is not None else 0
        with self._change:
            return {"sent": self._counts["sent"], "dropped": self._counts["dropped"] + lost, "refused": self._counts["refused"]}

    def flush(self, timeout: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: not self._queue and not self._busy, max(0.0, timeout))

    def close(self, timeout: float) -> None:
        """Send for a while, keep the rest, end the thread. What it has in hand then is kept too: sent after all, it is one incident."""
        if self._thread is not None and timeout:
            self.flush(timeout)
        with self._change:
            self._closing = True
            self._change.notify_all()
            if self._in_hand is not None:
                self._queue.appendleft(self._in_hand)
        self._keep_all()

    def _keep_all(self) -> None:
        while True:
            with self._change:
                if not self._queue:
                    return
                job = self._queue.popleft()
            if (report := self._built(job)) is not None:
                self._keep(job, report)

    def _start(self) -> bool:
        if self._thread is None or not self._thread.is_alive():
            self._closing = False
            self._thread = threading.Thread(target=self._work, name="countersign-reporting", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                return False
        return True

    # -- the thread

    def _work(self) -> None:
        while True:
            with self._change:
                self._busy, self._in_hand = False, None
                self._change.notify_all()
                self._change.wait_for(lambda: self._queue or self._closing, self._pause())
                if self._closing and not self._queue:
                    self._thread = None  # said under the lock: whoever comes now starts another
                    door, self._door = self._door, None
                    break
                job = self._queue.popleft() if self._queue else None
                self._busy, self._in_hand = True, job
            try:
                self._once(job)
            except Exception:  # one report that cannot be dealt with is not to be the last one
                self.count("dropped")
                log.debug("a report was lost", exc_info=True)
                if job is not None:
                    job.ticket.learn(state="dropped", over=True)
        if door is not None:
            door.close()

    def _once(self, job: Job | None) -> None:
        if job is not None:
            self._send(job)
        elif self._watched:
            self._look()
        elif not self.shut:
            self._send_kept()

    def _pause(self) -> float:
        """Return after how many seconds there is something to do without anybody asking."""
        if self._watched:
            return LOOK_EVERY
        now = time.monotonic()
        return max(0.0, self._open_again - now, self._sweep_at - now)

    def _send(self, job: Job) -> None:
        report = self._built(job)
        if report is None:
            return
        if self.shut:
            self._keep(job, report)
            return
        try:
            incident = self._post(job.key, report)
        except Never as error:
            self._refused(error)
            job.ticket.learn(state="dropped", over=True)
        except Later as error:
            self._failed(error)
            self._keep(job, report)
        else:
            self._learn(job, incident)

    def _built(self, job: Job) -> dict[str, Any] | None:
        """Return the report, redacted and of a size that is taken; None when the host wants it dropped."""
        report: dict[str, Any] | None = fitted(job.build())
        if self._before_send is not None and report is not None:
            report = self._before_send(report)
        if report is None:
            job.ticket.learn(state="dropped", over=True)
        return report

    def _post(self, key: str, report: dict[str, Any]) -> dict[str, Any]:
        if self._door is None:
            self._door = self._make()
        incident = self._door.post(key, report)
        self._failures, self._open_again = 0, 0.0
        self.count("sent")
        return incident

    def _learn(self, job: Job, incident: dict[str, Any]) -> None:
        triaged = bool(incident.get("escalate"))
        waits = job.ticket.left() > 0
        job.ticket.learn(
            state="sent", incident=incident.get("id"), url=incident.get("review_url"), escalate=incident.get("escalate"),
            level=incident.get("severity") if triaged else None, over=triaged or not waits,
        )
        if not triaged and waits:
            self._watched.append((job, str(incident.get("id"))))

    def _look(self) -> None:
        watched, self._watched = self._watched, []
        for job, incident in watched:
            if job.ticket.left() <= 0:
                job.ticket.learn(over=True)
            elif self._queue:  # a new one comes before another look
                self._watched.append((job, incident))
            elif self._door is not None and (found := self._door.look(incident)) is not None:
                self._learn(job, found)
            else:
                job.ticket.learn(over=True)

    def _keep(self, job: Job, report: dict[str, Any]) -> None:
        kept = self._spool is not None and self._spool.put(job.key, report)
        if not kept and self._spool is None:
            self.count("dropped")
        job.ticket.learn(state="kept" if kept else "dropped", over=True)

    def _send_kept(self) -> None:
        """Send one of those kept, the oldest first; while there are more, `_pause` is nothing."""
        for path, key, report in self._spool.oldest() if self._spool is not None else ():
            try:
                self._post(key, report)
            except Never as error:
                self._refused(error)
            except Later as error:
                self._failed(error)
                return
            if self._spool is not None:
                self._spool.drop(path)
            return
        self._sweep_at = time.monotonic() + SWEEP_EVERY

    def _failed(self, error: Later) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        if not self._failures:
            log.warning("Countersign cannot be told of errors (%s); they are kept until it can", error)
        self._failures += 1
        # Never all at one moment: a server that comes back is not to be met by everybody at once.
        self._open_again = time.monotonic() + max(error.seconds, pause * random.uniform(0.5, 1.0))
        self._sweep_at = 0.0

    def _refused(self, error: Never) -> None:
        self.count("refused")
        log.warning("Countersign does not take a report: %s", error)


def fitted(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report that is not too large: what the host added goes first, the exception itself stays."""
    if _size(report) <= LARGEST:
        return report
    payload = report.get("payload") or {}
    kept = {name: payload[name] for name in ("exception", "reported") if name in payload}
    smaller = {**report, "payload": {**kept, "left_out": "what was added to this report was too large"}}
    if _size(smaller) > LARGEST:
        context = {"summary": str((report.get("context") or {}).get("summary", ""))[:4_000]}
        smaller = {**smaller, "context": context}
    return smaller


def _size(report: dict[str, Any]) -> int:
    with contextlib.suppress(ValueError, TypeError):
        return len(json.dumps(report).encode())
    return LARGEST + 1


