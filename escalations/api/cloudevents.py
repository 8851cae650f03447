"""CloudEvents 1.0 over HTTP, on the address incidents are posted to: binary (`ce-…` headers) and structured (one JSON object).

An event is the same event wherever it comes again: `source` and `id` together are its key, and a second one is told what became of the
first. Of a type that begins with `countersign.` the data is an incident as everybody posts it; any other event is an alert, or an
exception where its data has one.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from django.http import HttpRequest

from escalations import errors, ingest
from escalations.lifecycle.sources import new_proposal
from escalations.models import ApiKey, Incident, Proposal
from escalations.states import Kind

from . import fields, inputs, parsers, problems
from .auth import Caller
from .foreign import cut, key_of, line, link, severity_of, text_of, without_nothing
from .views.base import check_encoding

STRUCTURED, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"
VERSION = "1.0"
NEEDED = ("specversion", "id", "source", "type")
OURS = "countersign."
REPORTS = frozenset({Kind.EXCEPTION, Kind.ALERT, Kind.QUESTION, Kind.HANDOFF})  # what needs no proposal
ASKS = frozenset({Kind.ACTION, Kind.DRAFT, Kind.QUESTION})  # what is answered for exactly what it says
SAYS = ("title", "summary", "message", "error", "reason", "description")
_JSON = re.compile(r"application/json|text/json|[^/]+/[^/]+\+json")
_NAME = re.compile(r"HTTP_CE_([A-Z0-9_]+)")


@dataclass(frozen=True)
class Event:
    """An event as it came. `context` are its attributes, `data` what it carries."""

    context: dict[str, Any]
    data: Any
    parsed: parsers.Parsed  # what is digested, and whether something in it was mended


def speaks(request: HttpRequest) -> bool:
    """Say whether this is an event, and not an incident as it is."""
    return str(request.content_type).startswith("application/cloudevents") or "HTTP_CE_SPECVERSION" in request.META


def check_type(request: HttpRequest) -> None:
    """Raise UnsupportedMediaType for what cannot be read: several events at once, other formats, other encodings."""
    check_encoding(request)
    if str(request.content_type).startswith("application/cloudevents") and request.content_type != STRUCTURED:
        raise problems.UnsupportedMediaType(f"Send events one by one, as {STRUCTURED} or in binary mode.")


def read(request: HttpRequest, raw: bytes, *, limit: int) -> Event:
    """Return the event. Raises Invalid, MalformedJson, TooLarge."""
    event = _structured(raw, limit) if request.content_type == STRUCTURED else _binary(request, raw, limit)
    faults = []
    for name in NEEDED:
        if not text_of(event.context.get(name)):
            faults.append({"pointer": f"/{name}", "code": "required", "detail": f"an event has the attribute {name}, as text"})
    if not faults and event.context["specversion"] != VERSION:
        faults.append({"pointer": "/specversion", "code": "unknown_value", "detail": f"must be {VERSION}"})
    if faults:
        raise errors.Invalid(faults)
    return event


def incident_of(event: Event, caller: Caller) -> tuple[dict[str, Any], str]:
    """Return the incident an event reports, validated, and its key. Raises Invalid."""
    native = event.context["type"].startswith(OURS)
    whole = _posted(event) if native else _report(event)
    source = quote(event.context["source"], safe="/:?#[]@!$&'()*+,;=%~")  # a URI reference: a space ends it
    key = key_of("cloudevents", f"{source} {event.context['id']}", test=caller.env == ApiKey.TEST)
    return fields.read(inputs.IncidentIn, whole, "/data" if native else "", source=caller.as_source), key


def receive(event: Event, caller: Caller, data: dict[str, Any], key: str) -> tuple[Incident, bool]:
    """Store what an event reports; return the incident, and whether the event was there before, in whatever words.

    Raises IdempotencyMismatch where the same event asked for something else before: nobody is to take the answer to that for his.
    """
    source = caller.as_source
    try:
        return ingest.receive(
            source=source, key_env=caller.env, data=data, key=key, raw=event.parsed.raw_to_keep, sanitised=event.parsed.sanitised,
            body_digest=event.parsed.body_digest,
        )
    except errors.IdempotencyMismatch:
        known = Incident.objects.select_related("source").get(source=source, key=key)
        if known.test != (caller.env == ApiKey.TEST) or not _asks_the_same(known, data):
            raise
        return known, True


def _asks_the_same(known: Incident, data: dict[str, Any]) -> bool:
    """Say whether the answer to what is known answers this too: the same is to be signed, or the same words are asked. One query."""
    if not {known.kind, str(data["kind"])} & ASKS:
        return True
    if known.kind != data["kind"]:
        return False
    if known.kind == Kind.QUESTION:
        return (known.title, known.body) == (data["title"], data.get("body") or "")
    first = Proposal.objects.filter(incident=known, revision=1).values_list("args_digest", flat=True).first()
    return first == new_proposal(known, data.get("proposal") or {}).args_digest


# -- reading


def _structured(raw: bytes, limit: int) -> Event:
    parsed = parsers.parse(raw, limit=limit, signed=())
    context = {name: value for name, value in parsed.data.items() if name not in ("data", "data_base64")}
    data = parsed.data.get("data")
    if data is None and isinstance(parsed.data.get("data_base64"), str):
        try:
            carried = base64.b64decode(parsed.data["data_base64"], validate=True)
        except ValueError:
            raise errors.Invalid([{"pointer": "/data_base64", "code": "malformed", "detail": "is not base64"}]) from None
        said = _carried(carried, text_of(context.get("datacontenttype")) or "application/octet-stream", limit)
        data = parsers.mended(said)
        if data != said:
            parsed = replace(parsed, sanitised=True)
    return Event(context, data, parsed)


def _binary(request: HttpRequest, raw: bytes, limit: int) -> Event:
    if len(raw) > limit:
        raise errors.TooLarge(f"The body is larger than {limit} bytes.")
    context = {
        found[1].lower(): unquote(str(value)).strip() for name, value in request.META.items() if (found := _NAME.fullmatch(name))
    }
    if request.content_type:
        context["datacontenttype"] = request.content_type
    said = {**context, "data": _carried(raw, str(request.content_type), limit)}
    clean = parsers.mended(said)
    data = clean.pop("data")
    return Event(clean, data, parsers.Parsed({**clean, "data": data}, said, raw, sanitised=said != {**clean, "data": data}))


def _carried(raw: bytes, content_type: str, limit: int) -> Any:
    """Return what an event carries: JSON where it says so, else text, else base64. Raises MalformedJson."""
    if not raw:
        return None
    if _JSON.fullmatch(content_type.partition(";")[0].strip().lower()):
        parsed = parsers.parse(b'{"data":' + raw + b"}", limit=limit + len(b'{"data":}'), signed=())
        if set(parsed.original) != {"data"}:
            raise errors.MalformedJson([{"pointer": "/data", "code": "malformed", "detail": "more than one JSON value"}])
        return parsed.original["data"]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode(), "content_type": content_type}


# -- translating


def _posted(event: Event) -> dict[str, Any]:
    """Return the incident that is the event's data, as it is: nothing in it is mended, since it may be signed."""
    if not isinstance(event.data, dict):
        raise errors.Invalid([{"pointer": "/data", "code": "wrong_type", "detail": "must be an incident"}])
    if event.parsed.sanitised:
        raise errors.Invalid([{"pointer": "/data", "code": "not_signable", "detail": "a NUL or a lone surrogate cannot be signed"}])
    if "key" in event.data:
        raise errors.Invalid([{"pointer": "/data/key", "code": "two_keys", "detail": "an event's source and id are its key"}])
    kind = event.context["type"].removeprefix(OURS)
    return {"kind": kind, **event.data} if kind in Kind.values else event.data


def _report(event: Event) -> dict[str, Any]:
    """Return what the contract takes for any other event, every word cut to fit."""
    said, data = event.context, event.data if isinstance(event.data, dict) else {}
    kind, exception = text_of(said.get("kind")).lower(), _exception(data)
    text = _words(event.data, exception)
    about = f"{said['type']} ({subject})" if (subject := text_of(said.get("subject"))) else said["type"]
    payload = dict(data) if data else {} if event.data is None else {"data": event.data}
    return without_nothing({
        "kind": kind if kind in REPORTS else "exception" if exception else "alert",
        "title": line(f"{about}: {text}" if text else about, 500),
        "body": cut(event.data, 100_000) if isinstance(event.data, str) else "",
        "severity": severity_of(said.get("severity"), data.get("severity"), data.get("level")),
        "fingerprint": cut(text_of(said.get("fingerprint")), 255) or _likeness(said, exception, text),
        "external_id": cut(said["id"], 255),
        "environment": cut(text_of(said.get("environment")), 80),
        "session": cut(text_of(said.get("session")), 255),
        "on_behalf_of": cut(text_of(said.get("onbehalfof")), 255),
        "payload": {**payload, **({"exception": exception} if exception else {}), "cloudevent": said},
        "context": {
            "summary": _summary(said),
            "why": "It was reported as a CloudEvent.",
            "links": [*link("Source", said["source"]), *link("Schema", said.get("dataschema"))],
        },
    })


def _exception(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the exception that data tells of, with the names ours have; {} for none."""
    for name in ("exception", "error"):
        found = data.get(name)
        if isinstance(found, dict) and (text_of(found.get("message")) or text_of(found.get("type"))):
            kind = text_of(found.get("type")) or text_of(found.get("name")) or text_of(found.get("code")) or "Error"
            return {**found, "type": kind, "message": text_of(found.get("message"))}
    return {}


def _words(data: Any, exception: Mapping[str, Any]) -> str:
    if exception:
        return f"{exception['type']}: {exception['message']}" if exception["message"] else str(exception["type"])
    if isinstance(data, dict):
        return next((said for name in SAYS if (said := text_of(data.get(name)))), "")
    return line(data, 300) if isinstance(data, str) else ""


def _likeness(said: Mapping[str, Any], exception: Mapping[str, Any], text: str) -> str:
    """Return what is equal for the same trouble of one part of a source; "" for an exception, which tells more of itself."""
    return "" if exception else ingest.fingerprint_of({"kind": "alert", "title": f"{said['source']} {said['type']} {text}"})


def _summary(said: Mapping[str, Any]) -> str:
    subject, at = text_of(said.get("subject")), text_of(said.get("time"))
    return cut(f"{said['type']} from {said['source']}{f', about {subject}' if subject else ''}{f', at {at}' if at else ''}.", 10_000)
