"""Which addresses outcomes may be sent to: a name is resolved once, all its addresses are judged, only these are used."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings

from escalations.callbacks import Target
from escalations.senders import addresses
from escalations.senders.addresses import is_loopback

from .failed import DeliveryFailed

Resolver = Callable[[str, int], Awaitable[list[str]]]

# Resolving is the one step that cannot be cancelled: threads of its own, so that slow name servers hold up nobody
# else's resolving.
_RESOLVERS = 32


def why_not(text: str) -> str | None:
    """Return why nothing is sent to this IP address, None when it is public (or loopback in DEBUG)."""
    return addresses.why_not(text, loopback=settings.DEBUG)


async def pin(target: Target, resolve: Resolver) -> list[str]:
    """Return the addresses to connect to.

    One lookup; one bad address among them refuses them all. Raises DeliveryFailed.
    """
    try:
        found = await resolve(target.host, target.port)
    except OSError as error:
        raise DeliveryFailed(f"{target.host} cannot be resolved: {error.strerror or error}") from error
    if not found:
        raise DeliveryFailed(f"{target.host} has no address")
    for address in found:
        reason = why_not(address)
        if reason:
            raise DeliveryFailed(f"{target.host} is refused: {reason}")
    if target.scheme != "https" and not all(is_loopback(address) for address in found):
        raise DeliveryFailed(f"{target.host} is not this machine, so it must be https", permanent=True)
    return found


class SystemResolver:
    """The machine's own resolver, in threads of its own. A context: leaving it waits for nobody."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, without doubles, in the resolver's order. Raises OSError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"not a host name: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
