"""What an SDK reports of one failure, as the incident a person reads."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from escalations.states import Kind, Severity

from . import frames, redact
from .frames import Frame, Raised

LONGEST_TITLE = 500
LONGEST_FINGERPRINT = 200
CRUMBS = 40
TOLD_CRUMBS = 8  # in the summary

# Sentry's five levels in our three severities. An `error` is a warning here: `critical` calls somebody at night, and an SDK says
# `error` of everything that was not caught. It is a claim: what is found can raise it, and nothing here lowers what is found.
SEVERITY = {
    "fatal": Severity.CRITICAL, "critical": Severity.CRITICAL, "error": Severity.WARNING, "warning": Severity.WARNING,
    "info": Severity.INFO, "debug": Severity.INFO, "log": Severity.INFO,
}
_ID = re.compile(r"[0-9a-f]{32}")
_DEFAULT = re.compile(r"\{\{\s*default\s*\}\}")
_VARIABLE = re.compile(r"\{\{\s*([a-z_.]{1,40})\s*\}\}")
_PLACE = re.compile(r"%(?:\((\w{1,60})\))?[sdrifx]|\{(\w{0,60})\}")
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|\d+")
_YES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
NO_EVENTS = frozenset({"transaction", "csp", "hpkp", "expectct", "expectstaple", "feedback", "profile"})
LIKE_VARIABLES = frozenset({"args", "kwargs", "arguments", "locals", "argv", "sys.argv", "vars"})


def id_of(*said: Any) -> str:
    """Return the first of these that is an event's id, as 32 hex; "" where none is."""
    for one in said:
        if isinstance(one, str) and _ID.fullmatch(plain := one.replace("-", "").strip().lower()):
            return plain
    return ""


def is_failure(event: dict[str, Any]) -> bool:
    """Say whether this is an event people should see: a trace of performance may come in the same clothes."""
    return event.get("type") not in NO_EVENTS


def incident_of(event: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Return the event as an incident (the contract's input), nothing secret in it. Never raises, whatever shape the event has."""
    raised = frames.chain(event)
    loose = [] if raised else frames.message_trace(event)
    message = _message(event)
    level = redact.text(event.get("level"), 20).lower()
    title = raised[-1].title if raised else message.split("\n", 1)[0]
    about = _about(event, level)
    before = crumbs(event)
    unnamed = f"An event without a message from {about.get('logger') or about.get('platform') or 'an SDK'}"
    data: dict[str, Any] = {
        "kind": str(Kind.EXCEPTION),
        "title": (title.strip() or unnamed)[:LONGEST_TITLE],
        "severity": str(SEVERITY.get(level, Severity.WARNING)),
        "fingerprint": fingerprint(event, raised, loose, message),
        "external_id": event_id,
        "environment": about.get("environment", "")[:80],
        "payload": {"exception": _exception(event, raised, loose, message), "sentry": about | _chain(raised, loose) | _around(event, before)},
        "context": {"summary": _summary(raised, loose, message, about, before)},
    }
    user = event.get("user")
    known = redact.text(user.get("id"), 200) if isinstance(user, dict) else ""
    if known and "@" not in known and redact.HIDDEN not in known:
        data["customer"] = {"id": known}
    return data


# -- what it says


def _message(event: dict[str, Any]) -> str:
    entry = event.get("logentry", event.get("sentry.interfaces.Message"))
    said: Any = event.get("message")
    if isinstance(said, dict):
        entry, said = entry or said, None
    if isinstance(entry, dict):
        said = entry.get("formatted") or _filled(entry.get("message"), entry.get("params")) or said
    return redact.text(said, frames.LONGEST_MESSAGE)


def _template(event: dict[str, Any], message: str) -> str:
    entry = event.get("logentry")
    return redact.text(entry.get("message"), 1000) if isinstance(entry, dict) and entry.get("message") else message


def _filled(template: Any, params: Any) -> str:
    """Put params into a logger's message, one for one. Not with `%`: whoever writes the template could ask for a gigabyte of blanks."""
    if not isinstance(template, str):
        return ""
    named = params if isinstance(params, dict) else {}
    in_turn = iter(params if isinstance(params, list) else ())

    def one(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        value = named.get(name) if name else next(in_turn, None)
        return match.group() if value is None else str(value)[:200]

    return _PLACE.sub(one, template[: frames.LONGEST_MESSAGE])


def _exception(event: dict[str, Any], raised: list[Raised], loose: list[Frame], message: str) -> dict[str, Any]:
    last = raised[-1] if raised else None
    told: dict[str, Any] = {
        "type": last.type if last else redact.text(event.get("logger"), 200) or "message",
        "message": last.message if last else message,
        "stacktrace": frames.written(raised, loose),
    }
    for name, of in (("retryable", _yes_or_no), ("attempts", _count)):
        found = next((known for said in _beside(event, name) if (known := of(said)) is not None), None)
        if found is not None:
            told[name] = found
    return told


def _beside(event: dict[str, Any], name: str) -> Iterator[Any]:
    """Yield what the program itself put beside the event under this name: a tag, or extra data."""
    for place in ("tags", "extra"):
        for key, value in _pairs(event.get(place)):
            if key == name:
                yield value


def _yes_or_no(said: Any) -> bool | None:
    return said if isinstance(said, bool) else _YES.get(str(said).strip().lower())


def _count(said: Any) -> int | None:
    text = str(said).strip()
    return int(text) if not isinstance(said, bool) and text.isascii() and text.isdigit() and len(text) <= 4 else None


def _about(event: dict[str, Any], level: str) -> dict[str, str]:
    sdk = event.get("sdk")
    told = {
        "level": level, "at": _moment(event.get("timestamp")),
        **{name: redact.text(event.get(name), 200) for name in (
            "release", "dist", "environment", "platform", "logger", "transaction", "server_name",
        )},
        "sdk": redact.text(f"{sdk.get('name') or ''} {sdk.get('version') or ''}".strip(), 100) if isinstance(sdk, dict) else "",
    }
    return {name: said for name, said in told.items() if said}


def _moment(said: Any) -> str:
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < 32_503_680_000:
        return datetime.fromtimestamp(said, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return redact.text(said, 40) if isinstance(said, str) else ""


def _chain(raised: list[Raised], loose: list[Frame]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if raised and raised[-1].handled is not None:
        told["handled"] = raised[-1].handled
    if len(raised) > 1:
        told["caused_by"] = [
            {"type": one.type, "message": one.message, "in": _where(one.own[-1]) if one.own else ""} for one in reversed(raised[:-1])
        ]
    own = raised[-1].own if raised else loose
    if own:
        told["frames"] = [
            {name: said for name, said in (("in", _where(one)), ("code", one.code), ("variables", one.vars)) if said}
            for one in reversed(own[-12:])
        ]
    if own and own[-1].around:
        told["source"] = "\n".join(own[-1].around)
    return told


def _around(event: dict[str, Any], before: list[str]) -> dict[str, Any]:
    """Return what was known around the failure: what happened before, tags, the request, what the program attached."""
    told: dict[str, Any] = {"breadcrumbs": before}
    tags = {redact.text(key, 100): redact.value(value, most=200, deep=1, name=key) for key, value in _pairs(event.get("tags"))[:50]}
    told["tags"] = tags
    request = event.get("request")
    if isinstance(request, dict):
        told["request"] = {name: said for name, said in (
            ("method", redact.text(request.get("method"), 20)), ("url", redact.text(str(request.get("url") or "").split("?")[0], 500)),
        ) if said}
    for place in ("contexts", "extra"):
        given = event.get(place)
        if isinstance(given, dict):
            told[place] = {name: one for name, one in redact.value(_shaped(given)).items() if one not in ("", {}, [], None)}
    return {name: said for name, said in told.items() if said}


def _shaped(given: dict[str, Any], deep: int = 3) -> dict[str, Any]:
    """Replace what is a call's own data (a job's args, the command line) by its shape, before anything is kept."""
    return {
        name: redact.shape(name, one) if name.lower() in LIKE_VARIABLES
        else _shaped(one, deep - 1) if isinstance(one, dict) and deep else one
        for name, one in list(given.items())[:200]
    }


def crumbs(event: dict[str, Any]) -> list[str]:
    """Return what happened before, a line each, the last ones: when, what kind, what."""
    given = event.get("breadcrumbs")
    listed = given.get("values") if isinstance(given, dict) else given
    lines = []
    for one in (listed if isinstance(listed, list) else [])[-CRUMBS:]:
        if not isinstance(one, dict):
            continue
        data = one.get("data")
        said = redact.text(one.get("message"), 300)
        if isinstance(data, dict):
            facts = redact.value(data, most=200, entries=8, deep=1)
            said = " ".join([said, *(f"{name}={fact}" for name, fact in facts.items() if fact not in ("", None))]).strip()
        when = _moment(one.get("timestamp"))
        kind = redact.text(one.get("category") or one.get("type"), 60)
        level = redact.text(one.get("level"), 20)
        lines.append(" ".join(part for part in (when[11:19], level if level not in ("info", "debug") else "", kind, said) if part))
    return [line for line in lines if line]


def _summary(raised: list[Raised], loose: list[Frame], message: str, about: dict[str, str], before: list[str]) -> str:
    last = raised[-1] if raised else None
    lines = [last.title if last else message]
    own = last.own if last else loose
    if own:
        called = f", called from {_where(own[-2])}" if len(own) > 1 else ""
        lines.append(f"{'Raised' if last else 'Said'} in {_where(own[-1])}{called}.")
    lines += [f"Caused by {one.title}" + (f", in {_where(one.own[-1])}" if one.own else "") + "." for one in reversed(raised[:-1])]
    if last and last.handled is not None:
        lines.append("The program caught it and went on." if last.handled else "Nothing in the program caught it.")
    places = [f"{label} {about[name]}" for name, label in (
        ("release", "release"), ("environment", "environment"), ("server_name", "host"), ("transaction", "while doing"),
    ) if about.get(name)]
    if places:
        lines.append(f"{', '.join(places)}."[:1].upper() + f"{', '.join(places)}."[1:])
    if before:
        lines += ["", "What happened before:", *(f"  {line}" for line in before[-TOLD_CRUMBS:])]
    return "\n".join(lines)


def _where(one: Frame) -> str:
    return f"{one.function} ({one.file}{'' if one.line is None else f', line {one.line}'})"


def _pairs(given: Any) -> list[tuple[str, Any]]:
    """Return tags as pairs, however an SDK writes them: an object, or a list of pairs."""
    if isinstance(given, dict):
        return [(str(name), value) for name, value in given.items()]
    listed = given if isinstance(given, list) else []
    return [(str(one[0]), one[1]) for one in listed if isinstance(one, list) and len(one) == 2]


# -- when two are the same


def fingerprint(event: dict[str, Any], raised: list[Raised], loose: list[Frame], message: str) -> str:
    """Return what is equal for the same failure: the program's own fingerprint, with `{{ default }}` in it replaced by ours.

    Ours is the exceptions' types and the application's own frames without line numbers; without frames the type and the message
    without its numbers; for a message the template it was made of.
    """
    default = _default(event, raised, loose, message)
    given = event.get("fingerprint")
    parts = [one for one in given if isinstance(one, str | int | float)][:20] if isinstance(given, list) else []
    if isinstance(given, str) and given:
        parts = [given]
    if not parts or (len(parts) == 1 and _DEFAULT.fullmatch(str(parts[0]).strip())):
        return default
    known = _variables(event, raised, message)
    told = [
        _VARIABLE.sub(lambda match: known.get(match[1], match.group()), _DEFAULT.sub(default, redact.text(part, 500))) for part in parts
    ]
    joined = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in told)
    return joined if joined.strip() and len(joined) <= LONGEST_FINGERPRINT else _digest(told)


def _default(event: dict[str, Any], raised: list[Raised], loose: list[Frame], message: str) -> str:
    parts: list[Any] = []
    for one in raised:
        places = list(dict.fromkeys(frame.identity for frame in one.own))
        parts.append([one.type, places or _NUMBERS.sub("#", one.message[:500])])
    if not raised:
        parts = [redact.text(event.get("logger"), 200), _NUMBERS.sub("#", _template(event, message))]
    return _digest(parts)


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(repr(parts).encode(errors="replace")).hexdigest()[:32]


def _variables(event: dict[str, Any], raised: list[Raised], message: str) -> dict[str, str]:
    """Return the words Sentry lets stand in a fingerprint."""
    last = raised[-1] if raised else None
    inner = last.own[-1] if last and last.own else None
    kind, value = (last.type, last.message) if last else ("", message)
    return {
        "type": kind, "error.type": kind, "value": value, "error.value": value, "message": message or value,
        "function": inner.function if inner else "", "stack.function": inner.function if inner else "",
        "module": last.module if last else "", "stack.abs_path": inner.file if inner else "",
        **{name: redact.text(event.get(name), 200) for name in ("transaction", "level", "logger", "release", "environment")},
    }
