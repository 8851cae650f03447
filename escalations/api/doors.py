"""From an asynchronous route to a call that talks to the database: a few threads, each giving its connection back at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.renderers import JSONRenderer

from escalations import errors, streaming, wire
from escalations.models import Incident
from escalations.states import Status

from . import problems, waiting
from .views.base import Door, Later, wait_of

THREADS = 10  # no more than the pool has connections
MOST_IN_FLIGHT = 500  # calls that run or wait for a thread; beyond, say so at once instead of making everybody late
PATIENCE = 4.0  # seconds a call waits for a thread; a caller who comes again is better off than one in a line that stands still
STEP = 0.5  # seconds between two looks, where no event loop of our own serves the waiters

Result = TypeVar("Result")

_threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="api")
_in_flight = 0


async def in_thread(request: HttpRequest, function: Callable[..., Result], *args: Any) -> Result:
    """Return function(*args), run in a thread that holds a database connection no longer than that. Raises Overloaded.

    Under WSGI, and in tests without a server, it runs in the thread the request came in, on that thread's connection.
    """
    if not isinstance(request, ASGIRequest):
        return await sync_to_async(function, thread_sensitive=True)(*args)
    global _in_flight
    if _in_flight >= MOST_IN_FLIGHT:
        raise errors.Overloaded(retry_after=problems.RETRY_AFTER)
    _in_flight += 1
    try:
        # Not sync_to_async, which prepares every call for coming back to this loop from inside the thread. Nothing here does.
        late = time.monotonic() + PATIENCE
        return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, _piece, late, function, args)
    finally:
        _in_flight -= 1


def _piece(latest: float, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    if time.monotonic() > latest:
        raise errors.Overloaded(retry_after=problems.RETRY_AFTER)
    try:
        return function(*args)
    finally:
        connections.close_all()  # with a pool: gives it back


def door(view: type[Door], *, waits: frozenset[str] = frozenset()) -> Callable[..., Awaitable[HttpResponse]]:
    """Return the asynchronous route to a call; `waits` names the methods that take `?wait=`.

    REST framework's own attributes stay readable, which is how the OpenAPI document finds the call.
    """
    synchronous = view.as_view()

    def run(request: HttpRequest, kwargs: dict[str, Any]) -> tuple[HttpResponse, Later | None]:
        response = synchronous(request, **kwargs)
        response.render()
        if file := getattr(response, "file", None):
            return streaming.answer(request, file.parts, content_type=file.content_type, name=file.name), None
        answer = HttpResponse(response.content, status=response.status_code, headers=dict(response.items()))
        later = getattr(response, "later", None)
        if later is None and request.method in waits and response.status_code in (200, 201):
            later = _unless_settled(response.data)
        return answer, later

    async def route(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        began = asyncio.get_running_loop().time()
        seconds = _seconds(request) if request.method in waits else 0.0
        try:
            if seconds:
                waiting.watch().check_room()
            answer, later = await in_thread(request, run, request, kwargs)
            if seconds and later is not None:
                left = seconds - (asyncio.get_running_loop().time() - began)
                await wait(request, later.thing, left)
                answer.content = await in_thread(request, _rendered, later.then)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a problem
            answer = problems.answer(problems.as_error(error))
        if not answer.streaming:
            answer["Content-Length"] = str(len(answer.content))
        return answer

    route.cls = view  # type: ignore[attr-defined]
    route.initkwargs = {}  # type: ignore[attr-defined]
    return csrf_exempt(route)  # no cookies here: the key is the credential


def _seconds(request: HttpRequest) -> float:
    if not request.META.get("QUERY_STRING"):
        return 0.0
    try:
        return wait_of(request.GET.get("wait"))
    except errors.Invalid:
        return 0.0  # the call itself says what is wrong with it


async def wait(request: HttpRequest, thing: waiting.Thing | str, seconds: float) -> None:
    """Return when the incident has an answer for its caller (a run an order), or after `seconds`. Holds no thread under ASGI.

    Raises Overloaded.
    """
    thing = waiting.UUID(thing) if isinstance(thing, str) else thing
    if isinstance(request, ASGIRequest):
        waiting.watch().check_room()
        await waiting.watch().answered(thing, seconds)
        return
    while seconds > 0 and not await in_thread(request, _has_come, thing):
        await asyncio.sleep(min(STEP, seconds))
        seconds -= STEP


def _has_come(thing: waiting.Thing) -> bool:
    with connections["default"].cursor() as cursor:
        if isinstance(thing, waiting.Orders):
            cursor.execute(waiting.ORDERED, waiting.columns([thing]))
        else:
            cursor.execute(waiting.ANSWERED, [[thing]])
        return cursor.fetchone() is not None


def _unless_settled(data: Any) -> Later | None:
    if data.get("status") in (None, Status.SETTLED):
        return None
    return Later(waiting.UUID(data["id"]), partial(_as_it_is, data["id"]))


def _rendered(then: Callable[[], Any]) -> bytes:
    return JSONRenderer().render(then())


def _as_it_is(incident_id: str) -> Any:
    [now] = wire.handed_out([Incident.objects.select_related("source").get(pk=incident_id)])
    return now
