"""PagerDuty's Events API v2: `POST /v2/enqueue`, the source's key as the routing key in the body.

A dedup key names one trouble while it lasts: the first trigger opens an incident, further ones add to it, resolve withdraws it, and the
next trigger after that (or after people settled it) opens another.
"""

import re
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from escalations import errors, lifecycle
from escalations.api import auth, parsers, problems
from escalations.api.foreign import cut, key_of, line, link, severity_of, text_of, without_nothing
from escalations.models import ApiKey, ContextItem, Incident
from escalations.states import Status

from . import base
from .alerting import over

LIMIT = int(settings.MAX_BODY_BYTES)
PREFIX = "pagerduty"
ACTIONS = ("trigger", "acknowledge", "resolve")
LONGEST_DEDUP = 255
NOTED = "PagerDuty event: it was acknowledged where it comes from."
AGAIN = "Triggered again, now "
MOST_NOTES = 50  # of one incident: whoever reads it is not helped by more, and each makes them read again
_NUMBERS = re.compile(r"\d+")


def says(error: errors.CountersignError) -> HttpResponse:
    """Return an error as PagerDuty says it: 400 for what is wrong with the event (its key included), 429 and 5xx for later."""
    headers = problems.headers_of(error)
    if isinstance(error, errors.NotAuthenticated | errors.NotAllowed):
        return _invalid([f"routing_key: {error.detail}"])
    if isinstance(error, errors.Invalid):
        return _invalid([f"{_name(one['pointer'])} {one['detail']}".strip() for one in error.errors] or [error.detail])
    if error.status == 429:
        return JsonResponse({"status": "throttle exceeded", "message": error.detail, "errors": []}, status=429, headers=headers)
    return JsonResponse({"status": "error", "message": error.detail, "errors": [error.code]}, status=error.status, headers=headers)


def _name(pointer: str) -> str:
    return pointer.lstrip("/").replace("/", ".")


def _invalid(why: list[str]) -> HttpResponse:
    return JsonResponse({"status": "invalid event", "message": "Event object is invalid", "errors": why}, status=400)


def enqueue(request: HttpRequest, body: bytes) -> HttpResponse:
    """Take one event. A new trigger costs about seven queries, one that changes nothing five."""
    event = parsers.parse(body, limit=LIMIT, signed=()).original
    key = text_of(event.pop("routing_key", None)) or request.headers.get("X-Routing-Key", "")
    _check(event)
    caller = auth.calling(request, key)
    auth.check_scope(caller, "incidents:write")
    action = event["event_action"]
    dedup = parsers.mended(event.get("dedup_key") or uuid.uuid4().hex)
    with transaction.atomic():
        _one_at_a_time(caller, dedup)
        newest = base.own(caller, external_id=dedup, key__startswith=PREFIX, test=caller.env == ApiKey.TEST)
        known = newest if newest is not None and newest.status != Status.SETTLED else None
        if action == "trigger" and known is None:
            base.post(caller, _incident(event, dedup), key=_key(caller, dedup))
        elif action == "trigger" and known is not None:
            _again(caller, known, event["payload"])
        elif action == "acknowledge" and known is not None:
            _note(caller, known, NOTED)
        elif known is not None:
            over(caller, known.pk, "It was resolved where it comes from, says a PagerDuty event.")
    return JsonResponse({"status": "success", "message": "Event processed", "dedup_key": dedup}, status=202)


def _check(event: dict[str, Any]) -> None:
    """Raise Invalid for what PagerDuty refuses too, but for words that can be understood otherwise (a severity of one's own)."""
    faults = []
    if event.get("event_action") not in ACTIONS:
        faults.append(("event_action", f"must be one of: {', '.join(ACTIONS)}"))
    dedup = event.get("dedup_key")
    if dedup is not None and not (isinstance(dedup, str) and len(dedup) <= LONGEST_DEDUP):
        faults.append(("dedup_key", f"must be text of at most {LONGEST_DEDUP} characters"))
    if event.get("event_action") in ACTIONS[1:] and not dedup:
        faults.append(("dedup_key", "is missing or blank"))
    if event.get("event_action") == "trigger":
        payload = event.get("payload")
        if not isinstance(payload, dict):
            faults.append(("payload", "is missing or blank"))
        elif not text_of(payload.get("summary")):
            faults.append(("payload/summary", "is missing or blank"))
    if faults:
        raise errors.Invalid([{"pointer": f"/{name}", "code": "invalid", "detail": why} for name, why in faults])


def _one_at_a_time(caller: auth.Caller, dedup: str) -> None:
    """Wait for others who speak of the same trouble just now, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{PREFIX}:{caller.as_source.pk}:{dedup}"])


def _key(caller: auth.Caller, dedup: str) -> str:
    """Return the key of the next incident of this dedup key: they are counted, which nobody else does just now. One query."""
    before = Incident.objects.filter(source=caller.as_source, external_id=dedup, key__startswith=PREFIX).count()
    return key_of(PREFIX, dedup, str(before + 1), test=caller.env == ApiKey.TEST)


def _again(caller: auth.Caller, known: Incident, payload: dict[str, Any]) -> None:
    """Tell the readers of an open incident that it is worse, or something else, by now. Numbers that move are no news."""
    said = _now(payload)
    last = ContextItem.objects.filter(incident=known, context__summary__startswith=AGAIN).order_by("-pk").first()
    before = last.context["summary"].removeprefix(AGAIN) if last else _now(known.payload if isinstance(known.payload, dict) else {})
    if _NUMBERS.sub("#", said) != _NUMBERS.sub("#", before):
        _note(caller, known, AGAIN + said)


def _now(payload: dict[str, Any]) -> str:
    said = f"{line(text_of(payload.get('severity')), 40) or 'without a severity'}: {line(text_of(payload.get('summary')), 1_000)}"
    return str(parsers.mended(said))


def _note(caller: auth.Caller, known: Incident, text: str) -> None:
    """Add a sentence to the incident, unless it stands there already or there are enough. Two queries, and about ten to add it."""
    if ContextItem.objects.filter(incident=known, context__summary=text).exists():
        return
    if ContextItem.objects.filter(incident=known).count() >= MOST_NOTES:
        return
    try:
        lifecycle.add_context(known.pk, context={"summary": text}, actor=caller.actor)
    except errors.Conflict:
        return  # somebody settled it meanwhile


def _incident(event: dict[str, Any], dedup: str) -> dict[str, Any]:
    """Return a trigger as the contract takes it, every word cut to fit."""
    payload = event["payload"]
    details = payload.get("custom_details")
    body = details if isinstance(details, str) else text_of(details.get("firing")) if isinstance(details, dict) else ""
    return without_nothing({
        "kind": "alert",
        "title": line(text_of(payload["summary"]), 500),
        "body": cut(body, 100_000),
        "severity": severity_of(payload.get("severity")),
        "fingerprint": key_of(PREFIX, dedup, test=False) if event.get("dedup_key") else "",
        "external_id": dedup,
        "payload": {
            **payload, **{name: event[name] for name in ("client", "client_url", "dedup_key", "images") if event.get(name)},
        },
        "context": without_nothing({"summary": _summary(payload), "why": _why(event), "links": _links(event)}),
    })


def _summary(payload: dict[str, Any]) -> str:
    told = [
        f"{label} {text}" for label, name in (("from", "source"), ("component", "component"), ("group", "group"), ("class", "class"))
        if (text := line(text_of(payload.get(name)), 300))
    ]
    when = line(text_of(payload.get("timestamp")), 60)
    return f"{line(text_of(payload.get('severity')), 40) or 'An'} event{' ' if told else ''}{', '.join(told)}{f', at {when}' if when else ''}."


def _why(event: dict[str, Any]) -> str:
    client = line(text_of(event.get("client")), 200)
    return f"{client or 'A monitoring tool'} triggered it. When it sends that it is resolved, this is withdrawn."


def _links(event: dict[str, Any]) -> list[dict[str, str]]:
    found = link(text_of(event.get("client")) or "Where it comes from", event.get("client_url"))
    for kind, address in (("links", "href"), ("images", "href"), ("images", "src")):
        given = event.get(kind)
        for one in given if isinstance(given, list) else []:
            if isinstance(one, dict):
                found += link(text_of(one.get("text")) or text_of(one.get("alt")) or "More", one.get(address))
    return found[:100]
