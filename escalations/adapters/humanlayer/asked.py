"""What a client posted, read, and said as an incident."""

import json
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from escalations import canonical
from escalations.api import parsers
from escalations.api.auth import Caller
from escalations.errors import Invalid
from escalations.models import ApiKey, Incident
from escalations.states import Kind

FUNCTION, CONTACT = "function", "contact"
KINDS = {FUNCTION: Kind.ACTION, CONTACT: Kind.QUESTION}
LONGEST_TITLE = 160
MOST_OPTIONS = 50
SECRETS = frozenset({"bot_token"})  # of a chat we do not speak in: never stored, never said back

_CALL_ID = re.compile(r"[A-Za-z0-9._~:@+-]{1,200}")  # it stands in an address, as it is
NOT_VISIBLE = (
    "Arguments not visible: the program passed them by position, and its library sends only named ones. Whoever approves this lets {fn} "
    "run with arguments that nobody here has seen."
)


@dataclass(frozen=True)
class Asked:
    """A function call or a contact as it was posted. `spec` is the client's own, without what names and runs the call."""

    what: str
    call_id: str
    run_id: str
    spec: dict[str, Any]
    fn: str = ""
    kwargs: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        return key_of(self.what, self.call_id)

    @property
    def digest(self) -> str:
        """Return the digest of the call, as a signature would have it. What cannot be signed is refused before anything asks."""
        return canonical.args_digest(self.fn, self.kwargs, None)


def key_of(what: str, call_id: str) -> str:
    """Return the incident's key. Without the run: a client asks for its answer by the call's id alone, so no two may have one."""
    return f"humanlayer:{what}:{call_id}"


def check_id(call_id: str) -> None:
    """Raise Invalid for an id that could not stand in an address, where its answer is asked for."""
    if not _CALL_ID.fullmatch(call_id):
        raise _wrong("/call_id", "bad_id", "1 to 200 letters, digits and . _ ~ : @ + -")


def read(what: str, raw: bytes) -> Asked:
    """Return what was posted. Raises Invalid with a pointer, MalformedJson or TooLarge.

    Members that nobody here knows are taken along: there are several versions of the client. Broken text
    in a function call is refused, where elsewhere it is mended and flagged: the function would run with the text as it was.
    """
    body = parsers.parse(raw, limit=settings.MAX_BODY_BYTES, signed=("spec", "call_id", "run_id") if what == FUNCTION else ()).original
    spec = body.get("spec")
    if not isinstance(spec, dict):
        raise _wrong("/spec", "required", "an object")
    call_id, run_id = _text(body, "call_id", 200), _text(body, "run_id", 255)
    check_id(call_id)
    if what == CONTACT:
        _text(spec, "msg", 200_000, "/spec")
        return Asked(what, call_id, run_id, _without_secrets(spec))
    fn, kwargs = _text(spec, "fn", 200, "/spec"), spec.get("kwargs")
    if not isinstance(kwargs, dict | None):
        raise _wrong("/spec/kwargs", "wrong_type", "must be an object")
    if faults := canonical.check_signable({"fn": fn, "kwargs": kwargs}, "/spec"):
        raise Invalid(faults)
    rest = {name: value for name, value in spec.items() if name not in ("fn", "kwargs")}
    return Asked(what, call_id, run_id, _without_secrets(rest), fn, kwargs or {})


def as_incident(asked: Asked) -> dict[str, Any]:
    """Return the incident that says it, in the contract's own words."""
    data: dict[str, Any] = {
        "kind": KINDS[asked.what], "title": titled(asked), "external_id": asked.call_id, "session": asked.run_id,
        "payload": {"humanlayer": {"run_id": asked.run_id, "call_id": asked.call_id, "spec": asked.spec}},
        "context": {"summary": _summary(asked)},
    }
    if asked.what == CONTACT:
        return data | {"body": str(asked.spec["msg"])}
    proposal: dict[str, Any] = {"action": asked.fn, "args": asked.kwargs}
    if not asked.kwargs:  # a function that takes none looks the same from here
        proposal |= {"description": NOT_VISIBLE.format(fn=asked.fn), "reversible": False}
    return data | {"proposal": proposal}


def titled(asked: Asked) -> str:
    """Return the call as one line of code, or the first line of the question."""
    if asked.what == CONTACT:
        subject = asked.spec.get("subject")
        said = subject if isinstance(subject, str) and subject.strip() else asked.spec["msg"]
        return _cut(" ".join(str(said).strip().splitlines()[0].split()))
    args = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in (asked.kwargs or {}).items()]
    return _cut(f"{asked.fn}({', '.join(args) or '…'})")


def options(spec: Any, name: str) -> list[dict[str, str]]:
    """Return the `reject_options` or `response_options` of a spec as name, title and description, as far as they are texts."""
    listed = spec.get(name) if isinstance(spec, dict) else None
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        {part: str(one.get(part) or "") for part in ("name", "title", "description")}
        for one in found[:MOST_OPTIONS] if isinstance(one.get("name"), str) and one["name"].strip()
    ]


def own(caller: Caller, what: str, call_id: str) -> Incident | None:
    """Return what the calling source asked with this id; with a test key only its tests. One query."""
    found = Incident.objects.filter(source=caller.as_source, key=key_of(what, call_id)).select_related("source")
    one = found.filter(test=True).first() if caller.env == ApiKey.TEST else found.first()
    return one if one is not None and is_one(what, one) else None


def is_one(what: str, incident: Incident) -> bool:
    """Say whether an incident was asked through here: a source names the keys of what it posts elsewhere, and may name one like ours."""
    stored = incident.payload.get("humanlayer") if isinstance(incident.payload, dict) else None
    return incident.kind == KINDS[what] and isinstance(stored, dict) and isinstance(stored.get("spec"), dict)


def _summary(asked: Asked) -> str:
    if asked.what == CONTACT:
        said, offered = [f"The run {asked.run_id} asks this and goes on with the answer."], options(asked.spec, "response_options")
        word = "Answers it offers"
    else:
        said, offered = [f"The run {asked.run_id} wants to call {asked.fn}."], options(asked.spec, "reject_options")
        word = "Reasons it foresees for a no"
    if where := _where(asked.spec.get("channel")):
        said.append(f"It would have asked {where}.")
    if offered:
        listed = "; ".join(f"{one['title'] or one['name']}{': ' if one['description'] else ''}{one['description']}" for one in offered)
        said.append(f"{word}: {listed}.")
    return "\n".join(said)


def _where(channel: Any) -> str:
    """Return in words whom the client would have asked, and in which way. Who is asked here, rules and roles say."""
    found = []
    for way, one in channel.items() if isinstance(channel, dict) else ():
        if isinstance(one, dict):
            parts = [one.get(name) for name in ("channel_or_user_id", "phone_number", "address")]
            parts += [one.get("context_about_channel_or_user") or one.get("context_about_user")]
            parts += [f"only {', '.join(map(str, one['allowed_responder_ids']))}"] if one.get("allowed_responder_ids") else []
            found.append(f"{way} ({', '.join(str(part) for part in parts if part)})")
    return " or ".join(found)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: None if name in SECRETS else _without_secrets(one) for name, one in value.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value


def _text(body: dict[str, Any], name: str, longest: int, under: str = "") -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(f"{under}/{name}", "required", "some text")
    if len(value) > longest:
        raise _wrong(f"{under}/{name}", "wrong_length", f"at most {longest} characters")
    return value


def _wrong(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid([{"pointer": pointer, "code": code, "detail": detail}])


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"
