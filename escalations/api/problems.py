"""Every error the machine's door gives: RFC 9457 `application/problem+json` with a stable `code`. Never HTML, never a traceback."""

import json
import logging
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
)
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from escalations import errors, wire
from escalations.models import Decision

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds, where nobody knows better
TRY_AGAIN = frozenset({"40P01", "40001"})  # deadlock, serialization failure: the whole transaction may be run once more


class UnsupportedMediaType(errors.CountersignError):
    code = "unsupported_media_type"
    status = 415
    detail = "Send JSON: Content-Type: application/json, in UTF-8, without Content-Encoding."


class MethodNotAllowed(errors.CountersignError):
    code = "method_not_allowed"
    status = 405
    detail = "This address does not take that method."


class InternalError(errors.CountersignError):
    code = "internal_error"
    status = 500
    detail = "Something here broke. It was logged; try again with the same Idempotency-Key."


TITLES = {
    "invalid": "The request is not valid",
    "malformed_json": "Not JSON that can be read one way only",
    "too_large": "Too large",
    "not_authenticated": "No valid key",
    "not_allowed": "Not allowed",
    "not_your_queue": "Not your queue",
    "own_request": "Your own request",
    "step_up_required": "A person at the page is needed",
    "not_found": "Not found",
    "conflict": "Conflict",
    "nothing_decided": "Nothing is decided yet",
    "already_settled": "Already settled",
    "changed_since_seen": "Changed since seen",
    "decision_expired": "The decision has expired",
    "already_claimed": "A colleague holds this",
    "already_acknowledged": "Already acknowledged",
    "held": "A colleague signed this a moment ago",
    "already_signed": "You have signed this",
    "stopped": "Everything is stopped",
    "too_many_revisions": "Too many revisions",
    "illegal_move": "Not possible in this state",
    "idempotency_mismatch": "Same key, another body",
    "decision_not_allowed": "This decision is not offered",
    "blocked": "Blocked by a rule",
    "rate_limited": "Too many requests",
    "overloaded": "Overloaded",
    "unsupported_media_type": "Not a media type taken here",
    "method_not_allowed": "Method not allowed",
    "internal_error": "Something broke",
}


def as_error(exc: BaseException) -> errors.CountersignError:
    """Return what went wrong as one of ours. What is nobody's fault but ours is logged with its traceback."""
    if isinstance(exc, errors.CountersignError):
        return exc
    if isinstance(exc, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        log.warning("the database cannot take this now: %s", exc)
        # A connection lost during COMMIT leaves the outcome unknown; only the key can tell.
        return errors.Overloaded(
            "The database cannot take this now. Try again with the same Idempotency-Key: nothing is stored twice.",
            retry_after=RETRY_AFTER,
        )
    if isinstance(exc, Http404 | ObjectDoesNotExist | exceptions.NotFound):
        return errors.NotFound()
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return errors.NotAuthenticated()
    if isinstance(exc, PermissionDenied | exceptions.PermissionDenied):
        return errors.NotAllowed()
    if isinstance(exc, exceptions.MethodNotAllowed):
        return MethodNotAllowed()
    if isinstance(exc, exceptions.UnsupportedMediaType):
        return UnsupportedMediaType()
    if isinstance(exc, exceptions.Throttled):
        return errors.RateLimited(retry_after=int(exc.wait or RETRY_AFTER))
    if isinstance(exc, RequestDataTooBig | TooManyFieldsSent):
        return errors.TooLarge()
    if isinstance(exc, exceptions.ParseError | SuspiciousOperation | UnreadablePostError):
        return errors.Invalid(detail="The request could not be read.")
    if isinstance(exc, DataError):  # the parser lets nothing through that the database cannot hold; this is the net below it
        log.exception("the database refused a value")
        return errors.Invalid(detail="The body holds a value that cannot be stored.")
    log.error("unhandled", exc_info=exc)
    return InternalError()


def may_try_again(exc: BaseException) -> bool:
    """Say whether this is a deadlock or a serialization failure, after which the same transaction may simply be run again."""
    return isinstance(exc, OperationalError) and getattr(exc.__cause__, "sqlstate", None) in TRY_AGAIN


def problem_of(error: errors.CountersignError) -> dict[str, Any]:
    """Return the problem's JSON. `extra` travels along as far as it can be said in JSON."""
    problem: dict[str, Any] = {
        "type": f"{settings.PUBLIC_URL.rstrip('/')}/api/docs/#{error.code}",
        "title": TITLES.get(error.code, error.code.replace("_", " ").capitalize()),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if isinstance(error, errors.Invalid) and error.errors:
        problem["errors"] = error.errors
        problem["detail"] = type(error).detail
    for name, value in error.extra.items():
        if name not in problem:
            try:
                problem[name] = plain(value)
            except TypeError:
                log.warning("problem %s: %s is not JSON", error.code, name)
    return problem


def plain(value: Any) -> Any:
    """Return a value from an error's `extra` as JSON. Raises TypeError for what is none."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return wire.moment(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decision):
        return wire.decision_json(value)
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    raise TypeError(type(value).__name__)


def headers_of(error: errors.CountersignError) -> dict[str, str]:
    """Return the headers that go with the error's status."""
    headers = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(max(1, round(error.extra.get("retry_after", RETRY_AFTER))))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="countersign"'
    if error.status == 405 and error.extra.get("allow"):
        headers["Allow"] = ", ".join(error.extra["allow"])
    return headers


def answer(error: errors.CountersignError) -> HttpResponse:
    """Return the error as a finished response."""
    body = json.dumps(problem_of(error), ensure_ascii=False).encode("utf-8", "replace")
    headers = {**headers_of(error), "Content-Length": str(len(body))}
    return HttpResponse(body, status=error.status, content_type=CONTENT_TYPE, headers=headers)


def handler(exc: Exception, context: dict[str, Any]) -> Response:
    """REST framework's exception handler: whatever was raised becomes a problem."""
    error = as_error(exc)
    if isinstance(exc, exceptions.MethodNotAllowed) and context.get("view"):
        error.extra["allow"] = context["view"].allowed_methods
    response = Response(problem_of(error), status=error.status, headers=headers_of(error), content_type=CONTENT_TYPE)
    response.exception = True
    return response


def nothing_here(request: HttpRequest) -> HttpResponse:
    """Answer for every address below /api/ that is none."""
    return answer(errors.NotFound("There is no such address here. The calls are listed at /api/docs/."))
