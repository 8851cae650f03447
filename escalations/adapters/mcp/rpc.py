"""JSON-RPC 2.0 as MCP speaks it over HTTP: one message a POST, one answer in JSON."""

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpResponse

from escalations import errors
from escalations.api import parsers, problems

PARSE, REQUEST, METHOD, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
VERSION = -32022  # MCP's own: a protocol version that is not spoken here
REFUSED = -32010  # ours: the HTTP status and data.code say what
STRUCTURAL = {400: REQUEST, 405: REQUEST, 413: REQUEST, 500: INTERNAL}


@dataclass(frozen=True)
class Message:
    """One message of a client; without an `id` it is a notification, and nobody waits for an answer."""

    method: str
    id: str | int | None
    params: dict[str, Any]


class Refused(Exception):
    """What is answered with a JSON-RPC error."""

    def __init__(self, number: int, why: str, *, id: str | int | None = None, status: int = 200, data: Any = None) -> None:
        super().__init__(why)
        self.number, self.why, self.id, self.status, self.data = number, why, id, status, data

    def answer(self) -> HttpResponse:
        """Return it as it is sent."""
        said = {"code": self.number, "message": self.why} | ({} if self.data is None else {"data": self.data})
        return _json({"jsonrpc": "2.0", "id": self.id, "error": said}, self.status)


def read(body: bytes) -> Message | None:
    """Return the message, or None for an answer of the client's, of which nothing is asked here. Raises Refused, TooLarge.

    Text is as it was sent, broken characters included: each tool says where it takes them.
    """
    try:
        said = parsers.parse(body, limit=settings.MAX_BODY_BYTES, signed=()).original
    except errors.MalformedJson as error:
        codes = {one["code"] for one in error.errors}
        if "not_an_object" in codes:
            raise Refused(REQUEST, "Send one JSON-RPC message a request, as an object.", status=400) from None
        raise Refused(PARSE, "Not JSON that can be read one way only.", status=400, data=error.errors) from None
    id = said.get("id")
    if isinstance(id, bool) or not isinstance(id, str | int | None) or ("id" in said and id is None):
        raise Refused(REQUEST, "`id` is text or a whole number.", status=400)
    if said.get("jsonrpc") != "2.0":
        raise Refused(REQUEST, "`jsonrpc` is \"2.0\".", id=id, status=400)
    if "method" not in said and ("result" in said or "error" in said):
        return None
    method, params = said.get("method"), said.get("params")
    if not isinstance(method, str):
        raise Refused(REQUEST, "`method` is text.", id=id, status=400)
    if not isinstance(params, dict | None):
        raise Refused(PARAMS, "`params` is an object.", id=id, status=400)
    return Message(method, id, params or {})


def answer(id: str | int | None, result: dict[str, Any]) -> HttpResponse:
    """Return the answer to a request."""
    return _json({"jsonrpc": "2.0", "id": id, "result": result}, 200)


def says(error: errors.CountersignError) -> HttpResponse:
    """Return what went wrong before a message could be answered: the HTTP status, and a JSON-RPC error beside it."""
    data = {"code": error.code, **{name: error.extra[name] for name in ("retry_after",) if name in error.extra}}
    said = Refused(STRUCTURAL.get(error.status, REFUSED), error.detail, status=error.status, data=data).answer()
    for name, value in problems.headers_of(error).items():
        said[name] = value
    return said


def _json(value: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(json.dumps(value), status=status, content_type="application/json")
