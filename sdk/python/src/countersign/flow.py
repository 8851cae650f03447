"""What a call does, written once for `Client` and `AsyncClient`: a generator that asks for one effect at a time.

`Send`, `Sleep` and `Call` say what is wanted; whoever drives the generator does it, threads or event loop, and hands the result back.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from . import errors

log = logging.getLogger("countersign")
T = TypeVar("T")

FIRST_PAUSE = 0.25  # seconds; doubled with each try
LONGEST_PAUSE = 15.0
LONGEST_WISH = 300.0  # of a Retry-After: nobody is sent away for longer
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Send:
    """One HTTP request. Gives the response; raises httpx.RequestError when there is none."""

    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0  # seconds for which the server is asked to hold the answer back


@dataclass(frozen=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """Call the caller's own function, and await what it gives when that can be awaited. Gives its result."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


Effect = Send | Sleep | Call
Flow = Generator[Effect, Any, T]


class Deadline:
    """A moment by which something is given up; None is never."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + max(0.0, seconds)

    def left(self) -> float:
        """Return the seconds left, 0 when it has passed, infinity when it never does."""
        return float("inf") if self._at is None else max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left() <= 0

    def at_most(self, seconds: float) -> Deadline:
        """Return whichever comes first: this, or so many seconds from now."""
        return Deadline(min(self.left(), seconds))


class ServerTime:
    """What time it is over there, from the Date of its answers: `valid_until` is measured by the clock that set it.

    Since the last answer it is whichever of this machine's clocks went further: one stands still while the machine sleeps, the other
    may be set back.
    """

    def __init__(self) -> None:
        self._ahead: tuple[float, float] | None = None  # of the one that is never set, of the one that never sleeps

    def heard(self, response: httpx.Response) -> None:
        """Note the time an answer carries; whatever is no date is passed over."""
        try:
            told = parsedate_to_datetime(response.headers["date"]).timestamp()
            self._ahead = told - time.monotonic(), told - time.time()
        except (KeyError, TypeError, ValueError):
            return

    def now(self) -> float:
        """Return the server's time as a Unix time; before anything was heard, this machine's."""
        return time.time() if self._ahead is None else max(time.monotonic() + self._ahead[0], time.time() + self._ahead[1])


def pause(tries: int) -> float:
    """Return how long to wait after so many failed tries: exponential, with full jitter, so that many do not come at once."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 10))) + 0.01


def exchange(
    method: str, path: str, *, until: Deadline, json: Any = None, params: Mapping[str, Any] | None = None, key: str | None = None,
    patience: float = 0.0,
) -> Flow[dict[str, Any]]:
    """Send until there is a useful answer, and return its JSON. Every kind of call here may be repeated: posts carry a key.

    No answer, 429 and 5xx are tried again until the deadline, as the server wishes (Retry-After), else ever more slowly. At least one
    try is made. Raises ApiError for a refusal, Unreachable (RateLimited, Overloaded) when the deadline comes first.
    """
    headers = {"Idempotency-Key": key} if key else {}
    tries = 0
    while True:
        wish: float | None = None
        try:
            response = yield Send(method, path, json, params or {}, headers, min(patience, until.left()))
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise  # our own fault, and the same next time
        except httpx.RequestError as error:
            failure: errors.CountersignError = errors.Unreachable(f"{type(error).__name__}: {error}")
            failure.__cause__ = error
        else:
            told = _told(response)
            if response.is_success and told is not None:
                return told
            if response.is_success:
                failure = errors.Unreachable(f"{response.status_code} without JSON: something between answered")
            elif response.status_code in TRY_AGAIN:
                wish = retry_after(response)
                failure = _overloaded(response, told or {})
            else:
                raise errors.of(response.status_code, told or {"detail": response.reason_phrase})
        wait = pause(tries) if wish is None else min(wish, LONGEST_WISH) + random.uniform(0, 0.25)
        tries += 1
        if until.left() <= wait:
            raise failure
        if tries in (3, 10) or tries % 100 == 0:
            log.warning("countersign: no useful answer after %d tries, trying on: %s", tries, failure)
        yield Sleep(wait)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds a server asks to wait, None when it does not say so in seconds."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _told(response: httpx.Response) -> dict[str, Any] | None:
    try:
        told = response.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _overloaded(response: httpx.Response, told: dict[str, Any]) -> errors.CountersignError:
    if response.status_code == 429:
        return errors.RateLimited(429, told)
    return errors.Overloaded(f"{response.status_code} {told.get('code') or response.reason_phrase}: {told.get('detail') or ''}".rstrip(": "))
