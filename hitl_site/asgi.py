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
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.utils.module_loading import import_string

from hitl_site.body_cap import BodyCap
from hitl_site.doors import MachineHandler, TwoDoors
from hitl_site.static_files import static_files

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("COUNTERSIGN_PROCESS", "web")


def build() -> Any:
    """Return the application. Ends the process with a sentence when the database would let it rewrite the record."""
    django.setup(set_prefix=False)
    import_string("escalations.checks.refuse_unsafe_database")()
    request_started.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    return BodyCap(static_files(TwoDoors(MachineHandler(), ASGIHandler())))


application = build()
