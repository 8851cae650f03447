"""One POST to a callback.

To a checked address, without redirects, within 15 seconds and 64 kB whatever the other side does.
"""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import httpcore2

from escalations.callbacks import Target

from . import addresses
from .failed import DeliveryFailed

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
MOST_READ = 64 * 1024
LONGEST_WAIT = 24 * 3600.0  # what a Retry-After may ask for at most
EXCERPT = 120


async def post(
    target: Target,
    headers: dict[str, str],
    body: bytes,
    *,
    now: datetime,
    resolve: addresses.Resolver,
    total: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Send `body` and return the 2xx status. Raises DeliveryFailed for every other answer and for none.

    Resolving, connecting, TLS, sending and reading share one wall limit of `total` seconds (TOTAL_SECONDS); `now`
    dates a Retry-After.
    """
    total = TOTAL_SECONDS if total is None else total
    try:
        async with asyncio.timeout(total) as limit:
            pinned = await addresses.pin(target, resolve)
            status, said, rest = await _exchange(target, pinned, headers, body, tls or default_tls(), limit)
    except TimeoutError as error:
        raise DeliveryFailed(f"no answer within {total:g} s") from error
    except httpcore2.TimeoutException as error:
        raise DeliveryFailed(
            "no connection in time" if isinstance(error, httpcore2.ConnectTimeout) else "no answer in time"
        ) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        raise DeliveryFailed(_network_reason(error)) from error
    return _judge(status, said, rest, now)


@lru_cache(maxsize=1)
def default_tls() -> ssl.SSLContext:
    """Return the verifying TLS context (SSL_CERT_FILE names another set of authorities).

    Loading takes some 20 ms, so it is kept.
    """
    return httpcore2.default_ssl_context()


async def _exchange(
    target: Target,
    pinned: list[str],
    headers: dict[str, str],
    body: bytes,
    tls: ssl.SSLContext,
    limit: asyncio.Timeout,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, headers and the beginning of the answer."""
    origin = httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port)
    connection = httpcore2.AsyncHTTPConnection(origin, ssl_context=tls, network_backend=_Pinned(pinned))
    request = httpcore2.Request(
        "POST",
        httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
        headers=[
            ("Host", target.authority),
            *headers.items(),
            ("Content-Length", str(len(body))),
            ("Accept", "*/*"),
            ("Connection", "close"),
        ],
        content=body,
        extensions={"timeout": {"connect": CONNECT_SECONDS}},
    )
    try:
        response = await connection.handle_async_request(request)
        rest = await _read_some(response, limit)
    finally:
        await connection.aclose()
    return response.status, {name.lower(): value for name, value in response.headers}, rest


async def _read_some(response: httpcore2.Response, limit: asyncio.Timeout) -> bytes:
    """Return up to MOST_READ bytes of the answer, in the time that is left.

    What breaks off or drips after the status line changes nothing: the status was said.
    """
    read, end = b"", limit.when()
    limit.reschedule(None)
    try:
        async with asyncio.timeout_at(end):
            async for chunk in response.aiter_stream():
                read += chunk
                if len(read) >= MOST_READ:
                    break
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, TimeoutError):
        pass
    return read[:MOST_READ]


def _judge(status: int, headers: dict[bytes, bytes], rest: bytes, now: datetime) -> int:
    if 200 <= status < 300:
        return status
    if 300 <= status < 400:
        raise DeliveryFailed(f"answered {status}; redirects are not followed", status=status)
    reason = f"answered {status}"
    said = excerpt(rest)
    if said:
        reason += f": {said}"
    wait = retry_after(headers.get(b"retry-after", b""), now) if status in (429, 503) else None
    raise DeliveryFailed(reason, status=status, retry_after=wait, disable=status == 410)


def retry_after(value: bytes, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for, between 0 and LONGEST_WAIT; None when it cannot be read."""
    text = value.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def excerpt(answer: bytes) -> str:
    """Return a short piece of an answer as one line of printable characters, safe to store and to show."""
    text = answer[: EXCERPT * 8].decode("utf-8", "replace")
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def _network_reason(error: BaseException) -> str:
    """Return what went wrong in words; a certificate's fault is found however deep it was wrapped."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate was refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or cause}"[:200]
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore2.ConnectError):
        return f"cannot be reached: {error}"[:200]
    return f"the connection broke: {error}"[:200]


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever name it is asked for.

    The name is left to TLS and the Host header.
    """

    def __init__(self, pinned: list[str]) -> None:
        self._pinned = pinned
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        last: Exception = httpcore2.ConnectError("no address")
        for address in self._pinned:
            try:
                return _Metered(await self._inner.connect_tcp(address, port, timeout, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last


class _Metered(httpcore2.AsyncNetworkStream):
    """A stream that reads so much and no more, headers included."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left = MOST_READ

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._left <= 0:
            raise httpcore2.ReadError(f"the answer is longer than {MOST_READ // 1024} kB")
        data = await self._inner.read(min(max_bytes, self._left), timeout)
        self._left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _Metered(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
