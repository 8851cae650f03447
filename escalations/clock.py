"""The one clock: the database's time, so that a wrong host clock moves nothing.

`now()` reads PostgreSQL's clock at most every few seconds and carries it forward on the monotonic clock, which neither NTP nor
an administrator can move. The carried time is never ahead of the database's: the reading is dated to the moment it *arrived*.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from threading import Lock

from django.db import connection

REREAD_AFTER = 2.0  # seconds; how stale a database clock that was stepped may look to us

_frozen: ContextVar[datetime | None] = ContextVar("frozen", default=None)
_lock = Lock()
_reading: tuple[float, datetime] | None = None


def now() -> datetime:
    """Return the database's time (aware, UTC), never ahead of it. Costs one tiny query every two seconds a process."""
    global _reading
    frozen = _frozen.get()
    if frozen is not None:
        return frozen
    with _lock:
        reading = _reading
    if reading is None or time.monotonic() - reading[0] > REREAD_AFTER:
        moment = read()
        with _lock:
            _reading = reading = (time.monotonic(), moment)
    return reading[1] + timedelta(seconds=time.monotonic() - reading[0])


def read() -> datetime:
    """Ask the database for its time now. One query, always; `now()` is what nearly everybody wants."""
    frozen = _frozen.get()
    if frozen is not None:
        return frozen
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@contextmanager
def frozen_at(moment: datetime) -> Iterator[datetime]:
    """Hold the clock at `moment` for this thread or task; on exit the outer time returns, frozen or not."""
    token = _frozen.set(moment)
    try:
        yield moment
    finally:
        _frozen.reset(token)
