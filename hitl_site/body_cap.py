"""No body larger than agreed reaches Django, whether its length was declared or not."""

import asyncio
import json
import re
from typing import Any

from django.conf import settings

DRAIN_BYTES = 64 * 1024 * 1024  # read and thrown away, so that an honest client gets to read its 413
DRAIN_SECONDS = 10
ALERTS = "/alertmanager/webhook"  # a whole group at once, which is lost when it is refused
ENVELOPE = re.compile(r"/api/[1-9][0-9]*/(?:envelope|store)/")  # what Sentry's SDKs send, who lose what is refused


class TooMuch(Exception):
    """More bytes came than this path takes."""


class BodyCap:
    """ASGI: 413 problem+json beyond what `limit_of` the path says."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        limit = limit_of(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await refuse(receive, send, limit)
            return
        seen = 0
        started = False

        async def counted() -> Any:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise TooMuch
            return message

        async def noting(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.application(scope, counted, noting)
        except TooMuch:
            # Django reads the whole body before it answers anything, so nothing has been said yet.
            if not started:
                await refuse(receive, send, limit)


def limit_of(path: str) -> int:
    """Return how many bytes may be posted there."""
    if path in (settings.BATCH_PATH, ALERTS):
        return int(settings.MAX_BATCH_BYTES)
    if ENVELOPE.fullmatch(path):
        return int(settings.MAX_ENVELOPE_BYTES)
    return int(settings.MAX_BODY_BYTES)


async def refuse(receive: Any, send: Any, limit: int) -> None:
    """Answer 413 after reading what is on its way, up to a limit, and close the connection."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            left = DRAIN_BYTES
            while left > 0:
                message = await receive()
                if message["type"] != "http.request":
                    return  # gone
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    break
    except TimeoutError:
        pass
    problem = {
        "type": "about:blank",
        "title": "Content Too Large",
        "status": 413,
        "code": "too_large",
        "detail": f"The body is larger than {limit} bytes.",
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
