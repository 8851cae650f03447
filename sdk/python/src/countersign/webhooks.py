"""Receiving what Countersign sends: Standard Webhooks, verified, each one handled once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadSignature

TOLERANCE = 300  # seconds between the sender's clock and ours
REMEMBERED = 10_000  # ids; a retry comes within three days, so give a receiver of more a `Seen` of its own
LONGEST_ID = 256
LONGEST_BODY = 4 * 1024 * 1024  # bytes; an incident has at most one MiB


@dataclass(frozen=True)
class Event:
    """A webhook that is genuine. `data` is the incident, as the API tells it."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


class Seen:
    """Which events were handled. This one remembers the last ten thousand in this process; replace it by a table of yours.

    `begin` says "new", "busy" (somebody is handling it) or "done"; `done` and `failed` say how the handling ended.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._events: OrderedDict[str, str] = OrderedDict()

    def begin(self, event: str) -> str:
        with self._lock:
            known = self._events.get(event)
            if known is not None:
                return known
            self._events[event] = "busy"
            if len(self._events) > self._most and (old := next((one for one, state in self._events.items() if state == "done"), None)):
                del self._events[old]
            return "new"

    def done(self, event: str) -> None:
        with self._lock:
            self._events[event] = "done"

    def failed(self, event: str) -> None:
        with self._lock:
            self._events.pop(event, None)


class Receiver:
    """Verifies and handles webhooks of one source.

    `secrets` are the source's signing secrets (`whsec_…`): one, or while rotating the old and the new. `tolerance` is in seconds.
    """

    def __init__(self, secrets: str | Iterable[str], *, tolerance: int = TOLERANCE, seen: Seen | None = None) -> None:
        self._keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
        if not self._keys:
            raise ValueError("no secret: a receiver without one would take anything")
        self._tolerance = tolerance
        self._seen = seen if seen is not None else Seen()

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: float | None = None) -> Event:
        """Return the event when it is genuine and fresh. `body` are the raw bytes. Raises BadSignature; says nothing of repetitions."""
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise TypeError("verify the raw bytes of the body: parsed and written again they are others")
        raw = bytes(body)
        if len(raw) > LONGEST_BODY:
            raise BadSignature("the body is larger than anything Countersign sends")
        named = {str(name).lower(): str(value) for name, value in headers.items()}
        identifier, stamp, given = (named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not identifier or len(identifier) > LONGEST_ID or not stamp or not given:
            raise BadSignature("webhook-id, webhook-timestamp or webhook-signature is missing")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
            raise BadSignature("webhook-timestamp is no number of seconds")
        if abs((time.time() if now is None else now) - int(stamp)) > self._tolerance:
            raise BadSignature(f"webhook-timestamp is more than {self._tolerance} s away from this clock")
        if not self._signed(f"{identifier}.{stamp}.".encode("utf-8", "surrogateescape") + raw, given):
            raise BadSignature("no signature fits: the secret is another, or the body was changed")
        return _event(identifier, raw)

    def handle(self, body: bytes, headers: Mapping[str, str], function: Callable[[Event], Any]) -> int:
        """Verify, call `function(event)` unless this event was handled before, and return the status to answer with.

        204 handled, now or before; 401 not genuine; 503 somebody else is handling it just now: Countersign will try again. What the
        function raises is raised, and the event is new again when it is retried. Answer within 15 seconds.
        """
        try:
            event = self.verify(body, headers)
        except BadSignature:
            return 401
        known = self._seen.begin(event.id)
        if known != "new":
            return 204 if known == "done" else 503
        try:
            function(event)
        except BaseException:
            self._seen.failed(event.id)
            raise
        self._seen.done(event.id)
        return 204

    async def handle_async(self, body: bytes, headers: Mapping[str, str], function: Callable[[Event], Any]) -> int:
        """As `handle`, with a coroutine function."""
        try:
            event = self.verify(body, headers)
        except BadSignature:
            return 401
        known = self._seen.begin(event.id)
        if known != "new":
            return 204 if known == "done" else 503
        try:
            await function(event)
        except BaseException:
            self._seen.failed(event.id)
            raise
        self._seen.done(event.id)
        return 204

    def _signed(self, content: bytes, given: str) -> bool:
        """Compare with every key and every signature, in constant time each. Other versions than v1 are passed over."""
        wanted = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in self._keys]
        fits = False
        for one in given.split(" ")[:20]:
            version, _, signature = one.partition(",")
            if version == "v1":
                fits |= any(hmac.compare_digest(mine, signature.encode("utf-8", "replace")) for mine in wanted)
        return fits


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise ValueError("a signing secret looks like whsec_ and base64; this one does not")
    return key


def _event(identifier: str, raw: bytes) -> Event:
    try:
        told = json.loads(raw.decode())
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("data"), dict):
        raise BadSignature("signed, but no event")
    return Event(identifier, str(told.get("type") or ""), str(told.get("timestamp") or ""), told["data"])
