"""The process that speaks to channels: Apprise, under guard. Run as `python -m escalations.senders.child`; nothing imports it.

It reads one JSON object from its standard input, writes one line of JSON per answer, and is killed when its time is over. It
has no settings, no database and none of our secrets but the addresses it was handed, and it may connect to public addresses
only: whatever a plugin, a redirect or a name server makes of an address, the guard sits below them all (PEP 578). It runs no
program and reads no file but those of Python itself, so an address that names a file on this machine sends nothing of it.
"""

import ipaddress
import json
import logging
import os
import re
import resource
import signal
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from escalations.senders import addresses

AT_ONCE = 16
SOCKET_SECONDS = 8.0
MOST_MEMORY = 1 << 30
MOST_READ = 1 << 20  # of one answer, unpacked: the others in this process need memory too
GRACE = 2.0  # seconds it outlives its time where nobody is left to kill it
# What speaks to this machine and not to somebody elsewhere.
LOCAL = frozenset({"dbus", "glib", "gio", "gnome", "kde", "qt", "macosx", "windows", "syslog", "blink1", "file", "exec"})
READABLE = (
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/lib/ssl",
    "/usr/share/zoneinfo", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/services", "/etc/localtime", "/etc/mime.types",
    "/dev/null", "/dev/urandom", "/usr/lib", "/usr/local/lib", "/lib",
)  # fmt: skip
RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")


@dataclass
class Seen:
    """What was noticed while one message was sent: Apprise answers only yes or no, and works on threads of its own."""

    said: str = ""
    refused: str = ""


_seen: ContextVar[Seen] = ContextVar("seen", default=Seen())  # noqa: B039 - the default is what nobody looks at
_STATUS = re.compile(r"\b(?:error|code|status)[=: ]+([1-5]\d\d)\b", re.IGNORECASE)


class Refused(OSError):
    """The guard refused it."""


class Heard(logging.Handler):
    """Keeps what Apprise said last about this message."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.INFO and not str(record.msg).startswith("Socket Exception"):  # a message's own words are none
            return
        seen = _seen.get()
        seen.said = f"{seen.said}\n{record.getMessage()}"[-2_000:]


def main() -> None:
    """Answer one request and end, whatever threads still hang."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a plugin prints is no answer
    asked = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, asked["seconds"] + GRACE)  # who started it may have been killed; nothing here can catch this
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    socket.setdefaulttimeout(SOCKET_SECONDS)
    import apprise  # noqa: PLC0415 - below the limit on memory, and never in a process that only looks at this module
    import requests  # noqa: PLC0415 - as above

    keep_short(requests)
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [Heard()], False
    logger.setLevel(logging.DEBUG)
    loopback = bool(asked.get("loopback"))
    guard(loopback=loopback)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        work = {threads.submit(_answer, apprise, one, loopback): one["id"] for one in asked["posts"]}
        for done in as_completed(work):
            answers.write(json.dumps({"id": work[done], **done.result()}) + "\n")
            answers.flush()
        os._exit(0)


def keep_short(requests: Any) -> None:
    """Have every answer that is longer than MOST_READ fail as one that broke off."""
    whole = requests.models.Response.iter_content

    def some(self: Any, chunk_size: int = 1, decode_unicode: bool = False) -> Any:
        read = 0
        for piece in whole(self, min(chunk_size or MOST_READ, 65_536), decode_unicode):
            read += len(piece)
            if read > MOST_READ:
                self.close()
                _seen.get().refused = "its answer is too long"
                raise requests.exceptions.ConnectionError("its answer is too long")
            yield piece

    requests.models.Response.iter_content = some


def guard(*, loopback: bool) -> None:
    """Refuse, from here on and for good, what this process has no business with."""
    readable = tuple(dict.fromkeys(
        os.path.realpath(path) for path in (*READABLE, sys.prefix, sys.base_prefix, *(one for one in sys.path if one), _ours()) if path
    ))  # fmt: skip
    forbidden = os.path.dirname(os.path.dirname(_ours()))  # the project's folder is on sys.path, and holds more than code
    readable = tuple(path for path in readable if path != os.path.realpath(forbidden))
    certificates = ssl.get_default_verify_paths().cafile
    if certificates:
        readable = (*readable, os.path.realpath(certificates))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in SENDS:
            _may_send(args, loopback)
        elif event in RUNS:
            _refuse("it would run a program")
        elif event == "open":
            _may_open(args, readable)

    sys.addaudithook(hook)


def _ours() -> str:
    return os.path.dirname(os.path.abspath(__file__))


def _may_send(args: tuple[Any, ...], loopback: bool) -> None:
    family, address = args[0].family, args[1]
    if address is None:  # on a socket that is connected already
        return
    if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        _refuse("it would speak to a program on this machine")
    try:
        ipaddress.ip_address(address[0])
    except ValueError:
        _refuse("it would connect to a name that nobody looked up")
    if why := addresses.why_not(address[0], loopback=loopback):
        _refuse(why)


def _may_open(args: tuple[Any, ...], readable: tuple[str, ...]) -> None:
    path, flags = args[0], args[2]
    if isinstance(path, int):
        return
    where = os.path.realpath(os.fsdecode(path))
    if where == os.devnull:
        return
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _refuse("it would write a file on this machine")
    if not any(where == one or where.startswith(one + os.sep) for one in readable):
        _refuse("it would read a file of this machine")


def _refuse(why: str) -> None:
    _seen.get().refused = why
    raise Refused(why)


def _answer(apprise: Any, post: dict[str, Any], loopback: bool) -> dict[str, Any]:
    """Return {"ok"} or {"ok": false, "why", "permanent"}; for a post without a body, whether the address can be read, and its service."""
    seen = Seen()
    _seen.set(seen)
    scheme = post["url"].split(":", 1)[0].strip().lower()
    if scheme in LOCAL:
        return {"ok": False, "why": f"{scheme} speaks to this machine only", "permanent": True}
    try:
        asset = apprise.AppriseAsset(plugin_paths=[], storage_mode="memory", async_mode=False, secure_logging=True)
        plugin = apprise.Apprise.instantiate(post["url"], asset=asset, suppress_exceptions=True)
        if plugin is None or not plugin.enabled:
            return {"ok": False, "why": seen.refused or "Apprise cannot read this address", "permanent": True}
        if plugin.protocol and plugin.secure_protocol and not plugin.secure and not loopback:
            return {"ok": False, "why": f"it is not encrypted; write {_first(plugin.secure_protocol)}://", "permanent": True}
        if post["body"] is None:
            return {"ok": True, "service": str(plugin.service_name)}
        plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
        sender = apprise.Apprise(asset=asset)
        sender.add(plugin)
        taken = sender.notify(body=post["body"], title=post["title"], notify_type=post["kind"], body_format=apprise.NotifyFormat.TEXT)
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way, and the others wait for none
        return {"ok": False, "why": seen.refused or f"its plugin failed ({type(error).__name__})", "permanent": False}
    return {"ok": True} if taken else {"ok": False, "why": _why(seen), "permanent": False}


def _first(schemes: Any) -> str:
    return str(schemes if isinstance(schemes, str) else next(iter(schemes)))


def _why(seen: Seen) -> str:
    """Return why it was not taken, in words of ours: what Apprise logs may hold the address and its tokens."""
    if seen.refused:
        return seen.refused
    if status := _STATUS.findall(seen.said):
        return f"answered {status[-1]}"
    if "timeout" in seen.said.lower() or "timed out" in seen.said.lower():
        return "no answer in time"
    return "it was not taken, or cannot be reached"


if __name__ == "__main__":
    main()
