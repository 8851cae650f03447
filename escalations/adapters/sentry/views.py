"""Sentry's two addresses. What is reported is stored before the answer; what is no event is taken and let go."""

import hashlib
import json
import logging
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http import JsonResponse as Json

from escalations import errors
from escalations.adapters import base
from escalations.api import auth, problems
from escalations.api.auth import Caller
from escalations.models import ApiKey
from escalations.models.sources import EVENTS
from escalations.states import Kind, Severity

from . import envelope, redact, salvage, wire
from .event import id_of, incident_of, is_failure

log = logging.getLogger(__name__)

LIMIT = settings.MAX_ENVELOPE_BYTES  # as they are sent
EXCERPT = 2_000  # characters of something that cannot be read


def take_envelope(request: HttpRequest, body: bytes, project: int) -> HttpResponse:
    """POST /api/<project>/envelope/: store its events, each once however often it is sent; answer the event's id."""
    if request.method == "OPTIONS":
        return _preflight()
    encoding = request.headers.get("Content-Encoding", "")
    key = _key(request) or _key_of_dsn(envelope.head_of(wire.pieces(body, encoding, envelope.HEAD)).get("dsn"))
    caller = _caller(request, key, project)  # before anything is unpacked for a stranger
    opened = envelope.opened(wire.pieces(body, encoding))
    if len(opened.events) > 1:
        auth.spend(caller.as_source, len(opened.events) - 1, of_dsn=not caller.has_scope("incidents:write"))
    kept = [_stored(caller, event, opened.head.get("event_id") if len(opened.events) == 1 else None) for event in opened.events]
    return _answer(next((one for one in kept if one), "") or id_of(opened.head.get("event_id")))


def take_event(request: HttpRequest, body: bytes, project: int) -> HttpResponse:
    """POST /api/<project>/store/: one event as JSON, the way of older SDKs."""
    if request.method == "OPTIONS":
        return _preflight()
    caller = _caller(request, _key(request), project)
    whole = bytearray()
    for piece in wire.pieces(body, request.headers.get("Content-Encoding", ""), salvage.MOST):
        whole += piece
    raw = wire.unwrapped(bytes(whole))
    return _answer(_stored(caller, salvage.read(raw), None) if raw.strip() else "")


def says(error: errors.CountersignError) -> HttpResponse:
    """Return a refusal as SDKs read one: a sentence in JSON and in a header, and for how long to be quiet."""
    said = Json({"detail": error.detail, "code": error.code}, status=error.status)
    said["X-Sentry-Error"] = error.detail.encode("ascii", "replace").decode()
    for name, value in problems.headers_of(error).items():
        if name != "WWW-Authenticate":  # a browser would ask its user for a password
            said[name] = value
    if error.status == 429:  # Retry-After alone would do; SDKs that know more headers read this one first
        said["X-Sentry-Rate-Limits"] = f"{said['Retry-After']}::key:rate_limited"
    return _for_browsers(said)


# -- who


def _caller(request: HttpRequest, key: str, project: int) -> Caller:
    """Return whose key it is. Raises NotAuthenticated, RateLimited, or NotAllowed for another's project."""
    if not key:
        raise errors.NotAuthenticated("There is no key here: a DSN is http(s)://<key>@<host>/<project>.")
    caller = auth.calling(request, key)
    if not caller.has_scope(EVENTS):
        auth.check_scope(caller, "incidents:write")  # a source's own key may report what its DSN may
    if caller.as_source.pk != project:
        raise errors.NotAllowed(f"This key does not belong to project {project}: copy the DSN as it was issued.")
    return caller


def _key(request: HttpRequest) -> str:
    """Return the key where SDKs put it: in a header of their own, in Authorization, or in the address; "" for none."""
    for name in ("X-Sentry-Auth", "Authorization"):
        scheme, _, rest = request.headers.get(name, "").strip().partition(" ")
        if scheme.lower() != "sentry":
            continue
        for part in rest.split(","):
            what, _, value = part.strip().partition("=")
            if what.strip() == "sentry_key":
                return unquote(value.strip().strip('"'))
    return request.GET.get("sentry_key", "").strip()


def _key_of_dsn(dsn: Any) -> str:
    """Return the key in the DSN that an SDK writes into the envelope when it goes through a tunnel of its own."""
    if not isinstance(dsn, str) or "://" not in dsn:
        return ""
    login, at, _ = dsn.partition("://")[2].partition("@")
    return login.partition(":")[0] if at else ""


# -- what


def _stored(caller: Caller, event: Any, known_as: Any) -> str:
    """Store one event and return its id; "" for what people need not see. What cannot be read is stored as that."""
    if isinstance(event, dict) and not is_failure(event):
        return ""
    said = event if isinstance(event, dict) else {}
    event_id = id_of(said.get("event_id"), known_as) or hashlib.sha256(_written(event).encode("utf-8", "replace")).hexdigest()[:32]
    data = incident_of(event, event_id) if said else _unreadable(event, event_id)
    key = f"sentry:{event_id}" if caller.env == ApiKey.LIVE else f"sentry-test:{event_id}"  # a rehearsal is not the real thing
    try:
        base.post(caller, data, key=key)
    except errors.Invalid as refused:  # a gap in how events are read: better an incident that says little than none
        log.warning("an event was not taken as it is: %s", refused.detail)
        base.post(caller, _unreadable(said.get("message"), event_id), key=key)
    except Exception as error:
        if not problems.may_try_again(error):
            raise
        base.post(caller, data, key=key)
    return event_id


def _written(event: Any) -> str:
    """Return whatever was read as JSON, which may have been nested as deeply as can just be read and no more be written."""
    try:
        return json.dumps(event, sort_keys=True, default=str)
    except RecursionError:
        return "nested too deeply"


def _unreadable(event: Any, event_id: str) -> dict[str, Any]:
    told = redact.text(event if isinstance(event, str) else _written(event), EXCERPT)
    return {
        "kind": str(Kind.EXCEPTION), "title": "An SDK reported a failure that could not be read", "severity": str(Severity.WARNING),
        "external_id": event_id, "fingerprint": "sentry: unreadable",
        "payload": {"exception": {"type": "unreadable", "message": told, "stacktrace": ""}},
        "context": {"summary": "What arrived was no event, or was broken on its way. What could be read of it is in the payload."},
    }


# -- answers


def _answer(event_id: str) -> HttpResponse:
    return _for_browsers(Json({"id": event_id} if event_id else {}))


def _preflight() -> HttpResponse:
    said = HttpResponse(status=200)
    said["Access-Control-Allow-Methods"] = "POST"
    said["Access-Control-Allow-Headers"] = "X-Sentry-Auth, X-Requested-With, Authentication, Authorization, Content-Type, Content-Encoding"
    said["Access-Control-Max-Age"] = "3600"
    return _for_browsers(said)


def _for_browsers(said: HttpResponse) -> HttpResponse:
    """Let pages of any origin report: no cookie counts here, and a DSN stands in their source anyway."""
    said["Access-Control-Allow-Origin"] = "*"
    said["Access-Control-Expose-Headers"] = "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After"
    return said
