"""From an exception or a log record to the incident that is posted. Reads no local variables, ever."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import TracebackType
from typing import Any

from . import redact

FRAMES = 60  # of one exception, those nearest to where it was raised
CHAINED = 6
MESSAGE = 4_000
STACK = 40_000
TITLE = 300

_OTHERS = tuple(
    sorted({os.path.realpath(path) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
            if (path := sysconfig.get_paths().get(name))})
)


@dataclass(frozen=True)
class Link:
    """One exception of a chain: what it was, what it said, and through which functions it came."""

    type: str
    module: str
    message: str
    frames: tuple[tuple[str, str, str, int, bool], ...]  # file, module, function, line, is it the host's own code


@dataclass
class Caught:
    """An exception as it was the moment it was reported: text and numbers only, so that nothing of the host is kept alive."""

    chain: list[Link]
    stack: traceback.TracebackException
    retryable: bool | None = None
    attempts: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def caught(error: BaseException) -> Caught:
    """Take from an exception what will be told of it. Bounded: so many frames of so many exceptions; opens no files."""
    chain = [_link(one) for one in _chain(error)]
    stack = traceback.TracebackException(type(error), error, error.__traceback__, limit=-FRAMES, lookup_lines=False, compact=True)
    retryable = getattr(error, "retryable", None)
    attempts = getattr(error, "attempts", None)
    return Caught(
        chain, stack, retryable if isinstance(retryable, bool) else None,
        attempts if isinstance(attempts, int) and not isinstance(attempts, bool) else None,
    )


def of_exception(found: Caught, **more: Any) -> dict[str, Any]:
    """Return the incident of an exception, redacted and bounded. Reads source lines from disk: not for the host's own thread."""
    found = replace(found, chain=[replace(one, message=redact.text(one.message)) for one in found.chain])  # before it is cut anywhere
    last = found.chain[0]
    name = last.type if last.module in ("builtins", "__main__") else f"{last.module}.{last.type}"
    exception: dict[str, Any] = {
        "type": name, "message": last.message, "stacktrace": _middle_out("".join(found.stack.format()), STACK),
    }
    retryable = more.pop("retryable", None)
    attempts = more.pop("attempts", None)
    for key, said in (
        ("retryable", retryable if retryable is not None else found.retryable),
        ("attempts", attempts if attempts is not None else found.attempts),
    ):
        if said is not None:
            exception[key] = said
    if len(found.chain) > 1:
        exception["causes"] = [{"type": one.type, "message": one.message, "where": _where(one)} for one in found.chain[1:]]
    incident = _common(title=f"{last.type}: {last.message}" if last.message else last.type, fingerprint=fingerprint(last), **more)
    incident["payload"] = {"exception": exception, **incident.get("payload", {})}
    incident["context"].setdefault("summary", _summary(found))
    return _clean(incident)


def of_message(title: str, *, template: str, **more: Any) -> dict[str, Any]:
    """Return the incident of something that was logged without an exception. Alike are those of one template."""
    digest = hashlib.sha256(template.encode(errors="replace")).hexdigest()[:32]
    incident = _common(title=title, fingerprint=f"log:{digest}", **more)
    return _clean({**incident, "kind": "alert"})


def _common(
    *, title: str, fingerprint: str, reference: str, service: str = "", release: str = "", environment: str = "",
    severity: str | None = None, request: Mapping[str, Any] | None = None, context: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None, session: str | None = None, on_behalf_of: str | None = None,
    customer: Mapping[str, Any] | None = None, given_fingerprint: str | None = None, suppressed: int = 0, at: str = "",
) -> dict[str, Any]:
    """Return what every report says. `context` and `payload` are the host's own words and come first."""
    said: dict[str, Any] = {
        "kind": "exception", "title": redact.text(" ".join(title.split()))[:TITLE] or "an error without words",
        "fingerprint": (given_fingerprint or fingerprint)[:255], "external_id": reference, "context": dict(context or {}),
    }
    if request:
        said["context"].setdefault("request", dict(request))
    for name, value in (
        ("environment", environment[:80]), ("severity", severity), ("session", session), ("on_behalf_of", on_behalf_of),
        ("customer", dict(customer) if customer else None),
    ):
        if value:
            said[name] = value
    host = {"service": service, "release": release, "python": platform.python_version(), "host": platform.node(), "at": at}
    said["payload"] = {**(payload or {}), "reported": {name: value for name, value in host.items() if value}}
    if suppressed:
        said["payload"]["reported"]["alike_not_sent"] = suppressed
    return said


def _clean(incident: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = redact.value(incident)
    for name in ("fingerprint", "external_id"):  # names of ours, digests and not secrets
        cleaned[name] = incident[name]
    return cleaned


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, then what it came of. A chain may be a circle."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen and len(seen) < CHAINED:
        seen.add(id(one))
        yield one
        held = getattr(one, "exceptions", None)  # a group: what happened in it says more than the group does
        for below in held[: CHAINED // 2] if isinstance(held, tuple) else ():
            if isinstance(below, BaseException) and id(below) not in seen:
                seen.add(id(below))
                yield below
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _link(error: BaseException) -> Link:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - its __str__ is the host's code
        message = "<an exception that cannot say what it is>"
    kind = type(error)
    return Link(kind.__qualname__, kind.__module__ or "", redact.cut(message, MESSAGE), tuple(_frames(error.__traceback__)))


def _frames(at: TracebackType | None) -> list[tuple[str, str, str, int, bool]]:
    found = []
    while at is not None:
        code = at.tb_frame.f_code
        module = str(at.tb_frame.f_globals.get("__name__") or "")
        found.append((code.co_filename, module, getattr(code, "co_qualname", code.co_name), at.tb_lineno, _in_app(code.co_filename)))
        at = at.tb_next
    return found[-FRAMES:]


@lru_cache(maxsize=2_000)
def _in_app(path: str) -> bool:
    if path.startswith("<") or f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return False
    real = os.path.realpath(path)
    # A virtual environment may lie within the host's own folder, and the host's folder never within the standard library.
    return not real.startswith(_OTHERS)


def fingerprint(link: Link) -> str:
    """Return what is the same for the same failure: its type and the host's own functions on the way, not lines, not messages."""
    own = [(module, function) for _, module, function, _, in_app in link.frames if in_app][-8:]
    way = own or [(module, function) for _, module, function, _, _ in link.frames][-3:]
    return "py:" + hashlib.sha256(repr((link.module, link.type, way)).encode(errors="replace")).hexdigest()[:32]


def _where(link: Link) -> str:
    frames = [frame for frame in link.frames if frame[4]] or list(link.frames)
    if not frames:
        return ""
    file, _, function, line, _ = frames[-1]
    return f"{function} ({os.path.basename(file)}:{line})"


def _summary(found: Caught) -> str:
    last = found.chain[0]
    where = _where(last)
    lines = [f"{last.type}{f' in {where}' if where else ''}: {last.message[:500]}".rstrip(": ")]
    lines += [f"because of {one.type}{f' in {_where(one)}' if _where(one) else ''}: {one.message[:300]}" for one in found.chain[1:]]
    return "\n".join(lines)


def _middle_out(said: str, most: int) -> str:
    """Return a text with its middle left out when it is too long: the beginning says how it came there, the end what happened."""
    if len(said) <= most:
        return said
    begin, end = redact.cut(said, most // 3), said[-(most - most // 3):].partition("\n")[2]  # whole lines: no half a secret
    return f"{begin}\n… {len(said) - len(begin) - len(end)} characters left out …\n{end}"


def current() -> BaseException | None:
    """Return the exception that is being handled just now."""
    return sys.exc_info()[1]


def process() -> str:
    """Return this process's own name, for hosts that gave none."""
    return os.path.basename(sys.argv[0] or "python")[:80]
