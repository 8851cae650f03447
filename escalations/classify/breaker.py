"""What keeps a failing or a dear language model from costing more than it gives: a circuit breaker and a daily budget."""

import time
from collections.abc import Callable, Sequence
from datetime import date
from threading import Lock

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from escalations import clock
from escalations.models import ModelSpend

OPENS_AFTER = 5  # failures in a row
RESTS_FOR = 30.0  # seconds before one call may try again


class Breaker:
    """Refuses calls after five failures in a row, and after thirty seconds lets one through to see. One per process.

    On the monotonic clock: a host clock that jumps neither opens nor closes it. `monotonic` is for tests.
    """

    def __init__(
        self, opens_after: int = OPENS_AFTER, rests_for: float = RESTS_FOR, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._opens_after, self._rests_for, self._monotonic = opens_after, rests_for, monotonic
        self._lock = Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probed_at = float("-inf")

    def allow(self) -> bool:
        """Whether a call may be made now. While half open, True for one caller; a probe that never reports frees its place."""
        with self._lock:
            if self._opened_at is None:
                return True
            now = self._monotonic()
            if now - max(self._opened_at, self._probed_at) < self._rests_for:
                return False
            self._probed_at = now
            return True

    def succeeded(self) -> None:
        """The server answered: closed again."""
        with self._lock:
            self._failures, self._opened_at, self._probed_at = 0, None, float("-inf")

    def failed(self) -> None:
        """The server did not answer, or not as such a server does. What it said of one incident is no failure of the server."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._opens_after:
                self._opened_at = self._monotonic()

    def reset(self) -> None:
        """As new: closed, nothing remembered."""
        self.succeeded()

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None


def reserve(estimates: Sequence[int], *, budget: int) -> tuple[int, date]:
    """Take tokens from today's budget (UTC) before they are spent; returns for how many of the calls it sufficed, and the day.

    The row is locked for one short transaction, so that any number of workers together stay within the budget. What is reserved
    counts as spent until `settle` puts what was used in its place: a worker that dies leaves the sum too high, never too low.
    """
    day = clock.now().date()
    if not estimates:
        return 0, day
    with transaction.atomic():
        ModelSpend.objects.bulk_create([ModelSpend(day=day)], ignore_conflicts=True)
        spent = ModelSpend.objects.select_for_update().get(day=day)
        left, fits, taken = budget - spent.tokens_in - spent.tokens_out, 0, 0
        for estimate in estimates:
            if taken + estimate > left:
                break
            taken, fits = taken + estimate, fits + 1
        if fits:
            ModelSpend.objects.filter(day=day).update(tokens_in=F("tokens_in") + taken)
    return fits, day


def settle(day: date, *, reserved: int, calls: int, tokens_in: int, tokens_out: int) -> None:
    """Replace what was reserved on `day` by what was used (one UPDATE)."""
    ModelSpend.objects.filter(day=day).update(
        calls=F("calls") + calls,
        tokens_in=Greatest(F("tokens_in") + tokens_in - reserved, 0),
        tokens_out=F("tokens_out") + tokens_out,
    )
