"""What a callback address may look like, and whose it must be. Pure text: nobody is resolved or called here.

A URL is read once, by one parser, into its parts; the sender connects to these parts and never to the text, so that no
two parsers can disagree about where it leads.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

MAX_LENGTH = 500
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class BadCallback(ValueError):
    """This address is refused; the text says why, for the one who wrote it."""


@dataclass(frozen=True)
class Target:
    """A callback in parts.

    `host` is lower case, an IPv6 literal without brackets; `path` begins with a slash, query included.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return host and port as the Host header wants them; a scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        return self.host, self.port


def parse(url: str) -> Target:
    """Return the parts of `url`.

    Raises BadCallback for anything but plain https (http too when DEBUG, for loopback).
    """
    if len(url) > MAX_LENGTH:
        raise BadCallback(f"longer than {MAX_LENGTH} characters")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise BadCallback("only printable ASCII without spaces or backslashes; write other names in their xn-- form")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadCallback("not a URL") from error
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not settings.DEBUG):
        raise BadCallback("must begin with https://")
    if "@" in parts.netloc:
        raise BadCallback("may not carry a user name or password")
    if parts.fragment:
        raise BadCallback("may not have a fragment")
    if port == 0:
        raise BadCallback("port 0 is none")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _host(parts.hostname or "", parts.netloc), port or _DEFAULT_PORTS[parts.scheme], path)


def check(url: str, *, callback_url: str, allowed_hosts: Iterable[str]) -> Target:
    """Return the parts of `url` when it leads to the source's callback host or an allowed one. Raises BadCallback.

    An allowed host without a port stands for 443 only.
    """
    target = parse(url)
    places = set()
    for allowed in ([callback_url] if callback_url else []) + [f"https://{host}" for host in allowed_hosts]:
        try:
            places.add(parse(allowed).place)
        except BadCallback:  # an entry nobody can be sent to allows nothing
            continue
    if target.place not in places:
        raise BadCallback(f"{target.authority} is not among the hosts of this source")
    return target


def _host(host: str, netloc: str) -> str:
    """Return the host when it is a name or an address in its plain form.

    0x7f.1, 2130706433 and their like are neither.
    """
    if netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise BadCallback("not an IPv6 address") from error
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise BadCallback("not a host name")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as error:
            raise BadCallback("not an IPv4 address in its plain form") from error
    return host
