"""How much is too much: the same failure again and again is told some times, then counted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from .ticket import Ticket

WINDOW = 60.0  # seconds
KNOWN = 200  # fingerprints and tickets remembered
FORGOTTEN = 30.0  # seconds after which the same exception object is reported anew: some programs raise one object for ever


class Flood:
    """Lets so many alike through a minute."""

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.left_out = 0
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, list[float]] = OrderedDict()  # fingerprint -> [window began, let through, left out]
        self._last: dict[str, str] = {}

    def admit(self, fingerprint: str) -> tuple[int | None, str | None]:
        """Return how many were left out since the last that went through, or None when this one is left out, too, and the reference
        of the last one that was let through.
        """
        now = time.monotonic()
        with self._lock:
            began, let, left = self._seen.pop(fingerprint, [now, 0, 0])
            if now - began >= WINDOW:
                began, let = now, 0
            admitted = let < self.most
            self._seen[fingerprint] = [began, let + 1, 0] if admitted else [began, let, left + 1]
            self.left_out += not admitted
            while len(self._seen) > KNOWN:
                gone, _ = self._seen.popitem(last=False)
                self._last.pop(gone, None)
            return (int(left) if admitted else None), self._last.get(fingerprint)

    def remember(self, fingerprint: str, reference: str) -> None:
        with self._lock:
            if fingerprint in self._seen:
                self._last[fingerprint] = reference

    def after_fork(self) -> None:
        self._lock = threading.Lock()


class Memory:
    """The last tickets by their reference."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: OrderedDict[str, tuple[float, Ticket]] = OrderedDict()

    def keep(self, ticket: Ticket) -> None:
        with self._lock:
            self._tickets[ticket.reference] = (time.monotonic(), ticket)
            while len(self._tickets) > KNOWN:
                self._tickets.popitem(last=False)

    def find(self, reference: object) -> Ticket | None:
        """Return a ticket handed out lately."""
        if not isinstance(reference, str):
            return None
        with self._lock:
            at, ticket = self._tickets.get(reference, (0.0, None))
        return ticket if ticket is not None and time.monotonic() - at < FORGOTTEN else None

    def after_fork(self) -> None:
        """Forget all: their locks may be held by a thread that is not in this process."""
        self._lock = threading.Lock()
        self._tickets = OrderedDict()
