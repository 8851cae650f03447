"""The web process's door: the size of a body, then static files, then two ways into Django.

Pages go through Django's middleware, which runs each request on a thread of its own. Machines go a way without any, because a
caller that waits a minute for a person would hold that thread all the while. For the same reason Django's receivers of
`request_started` are taken off: they are synchronous, so asgiref would give every request a thread before the view begins, and
keep it to the end. What they do is done again when a request is finished (`close_old_connections`), or is only a log kept in
development (`reset_queries`).
"""

import os
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.utils.module_loading import import_string

from hitl_site.body_cap import BodyCap
from hitl_site.static_files import static_files

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("COUNTERSIGN_PROCESS", "web")


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


def build() -> Any:
    """Return the application. Ends the process with a sentence when the database would let it rewrite the record."""
    django.setup(set_prefix=False)
    import_string("escalations.checks.refuse_unsafe_database")()
    request_started.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    return BodyCap(static_files(TwoDoors(MachineHandler(), ASGIHandler())))


application = build()
