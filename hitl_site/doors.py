"""Two ways into Django: one for pages, and one for machines that may wait a minute without holding a thread."""

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
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


class TwoDoors:
    """Sends machines' paths one way and everything else the other."""

    def __init__(self, machines: Any, pages: Any) -> None:
        self.machines = machines
        self.pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        await (self.machines if path.startswith(settings.MACHINE_PATHS) else self.pages)(scope, receive, send)
