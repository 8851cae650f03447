"""The reporter: takes what failed from the host in a moment, and sees to the rest in a thread of its own.

What the host is promised: `report` never raises and never waits longer than it says; nothing is sent, read from disk or redacted in
the host's thread; with Countersign slow or down it does not wait at all; what could not be sent is kept, within bounds.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from . import building
from .limits import Flood, Memory
from .receipt import Receipt
from .spool import Spool, usual_folder
from .ticket import Ticket
from .worker import Job, Worker

log = logging.getLogger("countersign.reporting")
NOT_ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
WAIT = 0.3  # seconds a host's caller may be kept for the answer
TIMEOUT = 3.0
QUEUED = 100
KEPT = 200
KEPT_BYTES = 4 * 1024 * 1024
MARK = "__countersign_reference__"

BeforeSend = Callable[[dict[str, Any]], "dict[str, Any] | None"]
_reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()


class Reporter:
    """Reports exceptions of one service. Safe to share between threads and event loops; forked processes each get their own thread.

    Without a `url` and a `key`, here or as `COUNTERSIGN_URL` and `COUNTERSIGN_KEY`, it does nothing, and says so once in the log.
    `wait`: seconds a call may take while the level becomes known, 0 for not at all. `spool`: a folder (None: one in the temporary
    folder; False: none). `before_send` sees each incident last, redacted: it returns it, changed or not, or None to drop it.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, service: str = "", environment: str = "", release: str = "",
        wait: float = WAIT, timeout: float = TIMEOUT, queued: int = QUEUED, spool: str | Path | bool | None = None, kept: int = KEPT,
        kept_bytes: int = KEPT_BYTES, alike: int = 10, before_send: BeforeSend | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = url or os.environ.get("COUNTERSIGN_URL") or ""
        key = key or os.environ.get("COUNTERSIGN_KEY") or ""
        self.about = {
            "service": service or building.process(), "environment": environment or os.environ.get("COUNTERSIGN_ENVIRONMENT", ""),
            "release": release,
        }
        self.wait = max(0.0, wait)
        self.enabled = bool(url and key)
        folder = usual_folder(url) if spool is None or spool is True else Path(spool) if spool else None
        self._spool = Spool(folder, most=kept, most_bytes=kept_bytes) if folder is not None and self.enabled else None
        self._worker = Worker(url, key, timeout=timeout, queued=queued, spool=self._spool, before_send=before_send, transport=transport)
        self._flood = Flood(alike)
        self._memory = Memory()
        if self.enabled:
            _reporters.add(self)
        else:
            log.warning("errors are not reported to Countersign: COUNTERSIGN_URL and COUNTERSIGN_KEY are not both set")

    # -- what a host calls

    def report(self, error: BaseException | None = None, *, wait: float | None = None, **more: Any) -> Receipt:
        """Report an exception (the one being handled when none is given); return what became of it within `wait` seconds.

        `more`: `severity` (a claim), `request`, `context`, `payload`, `retryable`, `attempts`, `fingerprint`, `session`,
        `on_behalf_of`, `customer`. The same exception reported twice is one report. Never raises.
        """
        return self.submit(error, wait=wait, **more).receipt()

    async def areport(self, error: BaseException | None = None, *, wait: float | None = None, **more: Any) -> Receipt:
        """Return the same; other tasks go on meanwhile."""
        return await self.submit(error, wait=wait, **more).areceipt()

    def submit(self, error: BaseException | None = None, *, wait: float | None = None, **more: Any) -> Ticket:
        """Hand an exception in and return at once; the ticket tells what becomes of it."""
        try:
            return self._submit(error, self._waits(wait), more)
        except Exception:  # noqa: BLE001 - whatever is wrong with reporting, the host has an error of its own to see to
            return self._failed()

    def message(self, title: str, *, template: str | None = None, wait: float | None = None, **more: Any) -> Receipt:
        """Report something that went wrong without an exception, as an alert; texts of one `template` count as alike."""
        try:
            return self._message(title, template or title, self._waits(wait), more).receipt()
        except Exception:  # noqa: BLE001 - as above
            return self._failed().known

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything handed in was sent or kept, at most so many seconds; return whether it was."""
        return self._worker.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Send what can be sent in that time and keep the rest. Called by itself when the process ends."""
        with contextlib.suppress(Exception):
            self._worker.close(timeout)

    def stats(self) -> dict[str, int]:
        """Return counts: sent, kept (waiting in the spool), dropped, refused, alike (not sent because others like it were)."""
        kept = len(self._spool) if self._spool is not None else 0
        return {**self._worker.counts(), "kept": kept, "alike": self._flood.left_out}

    # -- how

    def _submit(self, error: BaseException | None, wait: float, more: dict[str, Any]) -> Ticket:
        error = error if error is not None else building.current()
        if error is None or isinstance(error, NOT_ERRORS) or not self._takes():
            return _dropped()
        if known := self._memory.find(getattr(error, MARK, None)):
            return known.wait_for(wait)
        found = building.caught(error)
        fingerprint = more.pop("fingerprint", None)
        ticket, suppressed = self._admitted(fingerprint or building.fingerprint(found.chain[0]), wait)
        with contextlib.suppress(Exception):  # an exception that takes no attributes is only reported twice
            setattr(error, MARK, ticket.reference)  # text, so that the exception can still be pickled
        if suppressed is None:
            return ticket
        said = self._said(ticket, suppressed, more, fingerprint)
        return self._send(ticket, lambda: building.of_exception(found, **said))

    def _message(self, title: str, template: str, wait: float, more: dict[str, Any]) -> Ticket:
        if not self._takes():
            return _dropped()
        fingerprint = more.pop("fingerprint", None)
        ticket, suppressed = self._admitted(fingerprint or f"log:{template}", wait)
        if suppressed is None:
            return ticket
        said = self._said(ticket, suppressed, more, fingerprint)
        return self._send(ticket, lambda: building.of_message(title, template=template, **said))

    def _takes(self) -> bool:
        # What goes wrong while reporting is not reported: that would never end.
        return self.enabled and not self._worker.is_this_thread()

    def _admitted(self, fingerprint: str, wait: float) -> tuple[Ticket, int | None]:
        """Return a ticket and how many alike were left out before it; the ticket of one alike, and None, when there were too many."""
        suppressed, alike = self._flood.admit(fingerprint)
        if suppressed is None and alike is not None and (known := self._memory.find(alike)):
            return known, None
        ticket = Ticket(uuid4().hex, wait)
        self._flood.remember(fingerprint, ticket.reference)
        self._memory.keep(ticket)
        return ticket, suppressed or 0

    def _said(self, ticket: Ticket, suppressed: int, more: Mapping[str, Any], fingerprint: str | None) -> dict[str, Any]:
        at = datetime.fromtimestamp(time.time(), timezone.utc).isoformat(timespec="milliseconds")
        return {**self.about, **more, "reference": ticket.reference, "suppressed": suppressed, "given_fingerprint": fingerprint, "at": at}

    def _send(self, ticket: Ticket, build: Callable[[], dict[str, Any]]) -> Ticket:
        self._worker.take(Job(ticket, build))
        return ticket

    def _waits(self, wait: float | None) -> float:
        return self.wait if wait is None else max(0.0, wait)

    def _failed(self) -> Ticket:
        with contextlib.suppress(Exception):
            self._worker.count("dropped")
            log.debug("a report could not be made", exc_info=True)
        return _dropped()


def _dropped() -> Ticket:
    ticket = Ticket(uuid4().hex, 0.0)
    ticket.learn(state="dropped", over=True)
    return ticket


def _at_exit() -> None:
    for reporter in list(_reporters):
        reporter.close()


def _after_fork() -> None:
    for reporter in list(_reporters):
        reporter._worker.after_fork()
        reporter._flood.after_fork()
        reporter._memory.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Default:
    """The reporter that integrations use when they are given none."""

    lock = threading.Lock()
    reporter: Reporter | None = None


def configure(url: str | None = None, key: str | None = None, **options: Any) -> Reporter:
    """Make a reporter (see `Reporter`) and have every integration use it that is not given one; return it."""
    reporter = Reporter(url, key, **options)
    with _Default.lock:
        before, _Default.reporter = _Default.reporter, reporter
    if before is not None:
        before.close(timeout=0)
    return reporter


def current() -> Reporter:
    """Return the reporter that was configured, or one made from the environment."""
    with _Default.lock:
        if _Default.reporter is None:
            _Default.reporter = Reporter()
        return _Default.reporter
