"""A report on its way, as its host holds it: ask how far it is, wait a moment, never more than a moment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from .receipt import Receipt


class Ticket:
    """One report. `receipt()` says what is known by then; the background thread fills it in."""

    def __init__(self, reference: str, wait: float) -> None:
        self._until = time.monotonic() + wait  # who waits, waits until then
        self._lock = threading.Lock()
        self._known = Receipt(reference, "queued")
        self._over: Future[None] = Future()

    @property
    def reference(self) -> str:
        return self._known.reference

    @property
    def known(self) -> Receipt:
        """What is known now."""
        with self._lock:
            return self._known

    @property
    def over(self) -> bool:
        """Whether nothing more will become known soon."""
        return self._over.done()

    def learn(self, *, over: bool = False, **known: Any) -> None:
        """Write down what became of it; with `over` whoever waits is let go."""
        with self._lock:
            self._known = replace(self._known, **known)
        if over:
            with contextlib.suppress(Exception):  # already over, or given up by who waited
                self._over.set_result(None)

    def wait_for(self, wait: float) -> Ticket:
        """Let whoever comes now wait so long, where somebody before waited less or not at all; return this ticket."""
        self._until = max(self._until, time.monotonic() + wait)
        return self

    def receipt(self) -> Receipt:
        """Return what is known, at the latest when the time to wait is over."""
        if not self.over:
            with contextlib.suppress(Exception):  # TimeoutError, which had two names before Python 3.11
                self._over.result(self.left())
        return self.known

    async def areceipt(self) -> Receipt:
        """Return the same; the event loop goes on meanwhile. Under another loop than asyncio's it does not wait."""
        left = self.left()
        if not self.over and left > 0:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return self.known
            told = asyncio.Event()
            self._over.add_done_callback(lambda _: _tell(loop, told))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(told.wait(), left)
        return self.known

    def left(self) -> float:
        """Return how many seconds somebody may still wait."""
        return max(0.0, self._until - time.monotonic())


def _tell(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited with it
        loop.call_soon_threadsafe(told.set)
