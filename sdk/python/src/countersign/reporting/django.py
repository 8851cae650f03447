"""Django: `"countersign.reporting.django.ReportExceptions"`, first in MIDDLEWARE. Sync and async.

What no view and no middleware handled is reported. Callers that want JSON are answered with what became of it; others get the page
they would have got, with headers; Django's own logging and mails to ADMINS go on as before. In DEBUG the technical page stays.
Settings: `COUNTERSIGN = {"url": …, "key": …, "service": …}` takes what `Reporter` takes; without it the environment is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from .answering import ERROR, request_of, wants_json
from .receipt import Receipt
from .reporter import configure, current
from .ticket import Ticket

_TICKET = "_countersign_ticket"
_lock = threading.Lock()
_connected = False


class ReportExceptions:
    """The middleware. `request.countersign` is the receipt once something failed."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        _connect()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._later(request)
        response: HttpResponseBase = self.get_response(request)
        ticket = getattr(request, _TICKET, None)
        return response if ticket is None else _answered(request, response, ticket.receipt())

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        ticket: Ticket | None = getattr(request, _TICKET, None)
        return response if ticket is None else _answered(request, response, await ticket.areceipt())


def _connect() -> None:
    """Listen for what fails, once, however often the middleware is made; use the settings for the reporter if there are any."""
    global _connected
    with _lock:
        if not _connected:
            _connected = True
            if given := getattr(settings, "COUNTERSIGN", None):
                configure(**given)
            got_request_exception.connect(_failed, dispatch_uid="countersign.reporting")


def _failed(sender: Any, request: HttpRequest | None = None, **more: Any) -> None:
    """Hand in the exception being handled. Nobody waits here: the middleware does, once there is an answer to change."""
    route = getattr(getattr(request, "resolver_match", None), "route", "") or ""
    told = request_of(request.method or "", request.path, route) if request is not None else None
    ticket = current().submit(request=told)
    if request is not None:
        setattr(request, _TICKET, ticket)
        request.countersign = ticket.known


def _answered(request: HttpRequest, response: HttpResponseBase, receipt: Receipt) -> HttpResponseBase:
    request.countersign = receipt
    if response.status_code == 500 and not settings.DEBUG and wants_json(request.headers.get("Accept", "")) and not _is_json(response):
        answer: HttpResponse = JsonResponse(receipt.as_json(ERROR), status=500)
        answer.cookies = response.cookies
        response = answer  # the page it replaces is not closed: that would say "request_finished", which the answer says in its turn
    for name, value in receipt.headers().items():
        response.headers.setdefault(name, value)
    return response


def _is_json(response: HttpResponseBase) -> bool:
    """Return whether the host answers its errors in JSON itself (Django REST framework, its own handler500): that stays."""
    return "json" in response.headers.get("Content-Type", "")
