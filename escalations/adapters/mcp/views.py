"""POST /mcp."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from escalations import errors
from escalations.adapters.base import Later, route
from escalations.api import auth

from . import rpc, tools
from .arguments import LONGEST_WAIT, USUAL_WAIT
from .asking import Call, Waits

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # the newest first; their tools are the same
INSTRUCTIONS = (
    "Countersign is where people sign what agents want to do. Ask with request_approval before you do anything that has to be "
    "approved, and do exactly what was signed. Ask with ask_human what only a person can tell. `pending` is neither a yes nor a no: "
    "call get_approval until it is decided. In a watched run report each step with report_step, and obey its directive."
)


def answer(request: HttpRequest, body: bytes) -> HttpResponse | Later:
    """Answer one message."""
    caller = _caller(request)
    _check_origin(request)
    try:
        message = rpc.read(body)
        if message is None or message.id is None:
            return HttpResponse(status=202)
        return _answered(request, message, caller)
    except rpc.Refused as refused:
        return refused.answer()


def _answered(request: HttpRequest, message: rpc.Message, caller: auth.Caller) -> HttpResponse | Later:
    if message.method == "server/discover":  # of a newer protocol; its clients take this for: begin with initialize
        raise rpc.Refused(rpc.METHOD, "Not known here; begin with initialize.", id=message.id)
    if message.method == "initialize":
        return rpc.answer(message.id, _initialized(message.params))
    version = request.headers.get("MCP-Protocol-Version", VERSIONS[0])
    if version not in VERSIONS:
        data = {"supported": list(VERSIONS), "requested": version[:80]}
        raise rpc.Refused(rpc.VERSION, "This protocol version is not spoken here.", id=message.id, status=400, data=data)
    if message.method == "ping":
        return rpc.answer(message.id, {})
    call = Call(caller, longest=_longest(request, message), session=request.GET.get("session", "")[:255])
    if message.method == "tools/list":
        return rpc.answer(message.id, {"tools": tools.listed(call.longest)})
    if message.method == "tools/call":
        return _called(message, call)
    raise rpc.Refused(rpc.METHOD, f"There is no method {message.method[:80]} here.", id=message.id)


def _initialized(params: dict[str, Any]) -> dict[str, Any]:
    wanted = params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "countersign", "title": "Countersign", "version": "1"},
        "instructions": INSTRUCTIONS,
    }


def _called(message: rpc.Message, call: Call) -> HttpResponse | Later:
    name, given = message.params.get("name"), message.params.get("arguments")
    tool = tools.TOOLS.get(name) if isinstance(name, str) else None
    if tool is None:
        raise rpc.Refused(rpc.PARAMS, "There is no tool of this name; tools/list tells which there are.", id=message.id)
    if not isinstance(given, dict | None):
        raise rpc.Refused(rpc.PARAMS, "`arguments` is an object.", id=message.id)
    said = tools.run(tool, call, given or {})
    if not isinstance(said, Waits):
        return rpc.answer(message.id, said)
    waits = said
    return Later(waits.thing, waits.seconds, lambda: rpc.answer(message.id, tools.result_of(waits.then())))


def _caller(request: HttpRequest) -> auth.Caller:
    """Return whose key it is. Raises NotAuthenticated, RateLimited, NotAllowed for a person's token."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise errors.NotAuthenticated
    caller = auth.calling(request, key.strip())
    if caller.source is None:
        raise errors.NotAllowed("This address is for sources; a person's token cannot use it.")
    return caller


def _check_origin(request: HttpRequest) -> None:
    """Raise NotAllowed for a page of somebody else's: agents' hosts are no browsers, and a page has no business here."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in (request.get_host(), urlsplit(settings.PUBLIC_URL).netloc):
        raise errors.NotAllowed("Pages of other sites may not speak to this.")


def _longest(request: HttpRequest, message: rpc.Message) -> float:
    """Return how long a call may wait, in seconds: what the address says (`?wait=`), or what any host has patience for."""
    said = request.GET.get("wait")
    if said is None:
        return USUAL_WAIT
    if not (said.isascii() and said.isdigit() and len(said) <= 3 and int(said) <= LONGEST_WAIT):
        raise rpc.Refused(rpc.PARAMS, f"wait in the address: 0 to {LONGEST_WAIT} seconds.", id=message.id, status=400)
    return float(said)


mcp = route(answer, limit=settings.MAX_BODY_BYTES, says=rpc.says)
