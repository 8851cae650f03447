"""What the tests of integrations share."""

import json
import threading
import time
from contextlib import contextmanager

import httpx

from countersign.reporting import Reporter

PATIENCE = 20


class Away(Exception):
    """What a gateway raises when it is away."""


@contextmanager
def reporting_to(posts):
    """Give a reporter whose reports end up in a list, and are critical and passed on at once."""

    def serve(request):
        if request.method == "POST":
            posts.append(json.loads(request.content))
        return httpx.Response(201 if request.method == "POST" else 200, json={"id": "i-1", "escalate": "auto", "severity": "critical"})

    made = Reporter("http://countersign", "k", spool=False, wait=PATIENCE, transport=httpx.MockTransport(serve), service="host")
    try:
        yield made
    finally:
        made.close()


def body_of(reference):
    """Return what a caller is told of such a report."""
    return {
        "error": "Internal Server Error", "reference": reference, "incident": "i-1", "level": "critical",
        "message": "escalated automatically",
    }


def until(said):
    """Wait for what another thread or process does."""
    end = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < end
        threading.Event().wait(0.02)
