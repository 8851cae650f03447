"""Which addresses anything of ours may be sent to: what is public, judged by itself.

The list says what is public, not what is private: of IPv6 only global unicast (2000::/3) without the tunnels in it, so
that NAT64, IPv4-mapped, unique-local and whatever is assigned later are refused without having to be named.
Imports nothing but the standard library: the process that speaks to channels has no settings and no database.
"""

import ipaddress

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


def why_not(text: str, *, loopback: bool) -> str | None:
    """Return why nothing is sent to this IP address, None when it is public (or this machine, where `loopback` allows that)."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is not an address"
    if is_loopback(text):
        return None if loopback else f"{address} is this machine itself"
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _GLOBAL_6):
        return f"{address} is not a public address"
    if any(address in network for network in _REFUSED if network.version == address.version) or not address.is_global:
        return f"{address} is not a public address"
    return None


def is_loopback(text: str) -> bool:
    """Say whether this is 127.0.0.0/8 or ::1, and not one of the many ways to dress them up."""
    address = ipaddress.ip_address(text)
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
