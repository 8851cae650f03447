"""Who is told that the process is about to end, before the server waits for its callers.

There is no earlier hook: the lifespan's shutdown comes only when all requests are done. Where nobody handles SIGTERM (tests, a
shell) nothing is installed.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

_told: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Callable[[], None]]] = WeakKeyDictionary()
_chained = False


def before_the_end(loop: asyncio.AbstractEventLoop, release: Callable[[], None]) -> None:
    """Have `release` called in the loop when the server is told to stop."""
    _told.setdefault(loop, []).append(release)
    _chain()


def _chain() -> None:
    global _chained
    if _chained or threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if not callable(before) or before is signal.default_int_handler:
            continue
        _chained = True

        def chained(
            received: int, frame: FrameType | None, before: Callable[[int, FrameType | None], Any] = before
        ) -> None:
            for loop, releases in list(_told.items()):
                if not loop.is_closed():
                    for release in releases:
                        loop.call_soon_threadsafe(release)
            before(received, frame)

        signal.signal(number, chained)
