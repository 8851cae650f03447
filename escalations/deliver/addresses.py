"""Which addresses outcomes may be sent to: a name is resolved once, all its addresses are judged, only these are used.

The list says what is public, not what is private: of IPv6 only global unicast (2000::/3) without the tunnels in it, so
that NAT64, IPv4-mapped, unique-local and whatever is assigned later are refused without having to be named.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings

from escalations.callbacks import Target

from .failed import DeliveryFailed

Resolver = Callable[[str, int], Awaitable[list[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
    )
)

# Resolving is the one step that cannot be cancelled: threads of its own, so that slow name servers hold up nobody
# else's resolving.
_RESOLVERS = 32


def why_not(text: str) -> str | None:
    """Return why nothing is sent to this IP address, None when it is public (or loopback in DEBUG)."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is not an address"
    if is_loopback(text):
        return None if settings.DEBUG else f"{address} is this machine itself"
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _GLOBAL_6):
        return f"{address} is not a public address"
    if any(address in network for network in _REFUSED if network.version == address.version) or not address.is_global:
        return f"{address} is not a public address"
    return None


def is_loopback(text: str) -> bool:
    """Say whether this is 127.0.0.0/8 or ::1, and not one of the many ways to dress them up."""
    address = ipaddress.ip_address(text)
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


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
