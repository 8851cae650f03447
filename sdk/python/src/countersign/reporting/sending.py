"""One attempt to say one thing to Countersign, with an end to it: what a background thread needs, and nothing that waits."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import httpx

from ..version import __version__

LARGEST_ANSWER = 1024 * 1024
TOO_LONG = 3_600.0  # seconds: nobody is told to wait longer than this


class Later(Exception):
    """Not now: not reachable, busy, or this key is not taken yet. `seconds` is how long the server asked to wait, if it did."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = seconds


class Never(Exception):
    """It would be refused again: what was sent is wrong."""


class Door:
    """A connection of its own to the server. Made and used in one thread."""

    def __init__(self, url: str, key: str, *, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        self.timeout = timeout
        self.http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1", timeout=timeout, transport=transport, follow_redirects=False,
            # Reading all certificates takes longer than everything else here, and without TLS there are none to check.
            verify=not url.lower().startswith("http://"),
            headers={"authorization": f"Bearer {key}", "user-agent": f"countersign-python/{__version__} reporting"},
        )

    def post(self, key: str, report: dict[str, Any]) -> dict[str, Any]:
        """Post an incident once; return it. Raises Later or Never; takes little more than `timeout` seconds."""
        status, headers, body = self._call("POST", "/incidents", json=report, headers={"idempotency-key": key})
        if status in (200, 201) and body is not None and body.get("id"):
            return body
        why = f"HTTP {status} {(body or {}).get('code', '')}".strip()
        if status in (400, 409, 413, 415, 422):
            raise Never(why)
        raise Later(why, _seconds(headers.get("retry-after")))

    def look(self, incident: str) -> dict[str, Any] | None:
        """Return the incident as it is now, None when that cannot be had."""
        with contextlib.suppress(Later):
            status, _, body = self._call("GET", f"/incidents/{incident}")
            if status == 200:
                return body
        return None

    def close(self) -> None:
        self.http.close()

    def _call(self, method: str, path: str, **more: Any) -> tuple[int, httpx.Headers, dict[str, Any] | None]:
        end = time.monotonic() + self.timeout
        read = b""
        try:
            with self.http.stream(method, path, **more) as answer:
                for some in answer.iter_bytes():
                    read += some
                    if len(read) > LARGEST_ANSWER or time.monotonic() > end:  # a drop a second is no answer
                        raise Later("the answer does not end")
                try:
                    body = json.loads(read)
                except ValueError:
                    body = None
                return answer.status_code, answer.headers, body if isinstance(body, dict) else None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise Later(type(error).__name__) from error


def _seconds(said: str | None) -> float:
    try:
        return min(TOO_LONG, max(0.0, float(said or 0)))
    except ValueError:
        return 0.0
