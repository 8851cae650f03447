"""The web process's door: no body beyond what was agreed, and no thread for a caller that waits."""

import asyncio
import json
import threading

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from hitl_site import body_cap
from hitl_site.body_cap import BodyCap
from hitl_site.doors import MachineHandler, TwoDoors

opened = asyncio.Event()
waiting = 0


@csrf_exempt
async def wait(request):
    global waiting
    waiting += 1
    await opened.wait()
    return HttpResponse("decided")



async def answer(request):
    return HttpResponse("now")


urlpatterns = [path("api/v1/now", answer), path("api/v1/wait", wait), path("page/", wait)]


def scope(where, headers=()):
    return {
        "type": "http", "http_version": "1.1", "method": "POST", "path": where, "raw_path": where.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "headers": [(b"host", b"testserver"), *headers], "server": ("testserver", 80),
    }  # fmt: skip


async def ask(application, where, chunks=(b"",), headers=(), hang_up=None):
    """Return (status, headers, body) of one request through an ASGI application."""
    said = []
    bodies = [{"type": "http.request", "body": chunk, "more_body": n < len(chunks) - 1} for n, chunk in enumerate(chunks)]

    async def receive():
        if bodies:
            return bodies.pop(0)
        await asyncio.Event().wait()  # the client stays on the line

    async def send(message):
        said.append(message)

    await application(scope(where, headers), receive, send)
    return said[0]["status"], dict(said[0]["headers"]), b"".join(message.get("body", b"") for message in said[1:])


async def eats_everything(scope, receive, send):
    """An application that, as Django does, reads the whole body first."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
def door(settings, monkeypatch):
    settings.MAX_BODY_BYTES, settings.MAX_BATCH_BYTES = 100, 1000
    monkeypatch.setattr(body_cap, "DRAIN_SECONDS", 0.1)
    return BodyCap(eats_everything)


def test_a_body_within_the_limit_passes(door):
    assert asyncio.run(ask(door, "/api/v1/incidents", [b"x" * 50, b"x" * 50]))[::2] == (200, b"100")


def test_a_declared_body_beyond_the_limit_is_refused_before_django(door):
    status, headers, body = asyncio.run(
        ask(door, "/api/v1/incidents", [b"x" * 101], [(b"content-length", b"101")])
    )

    assert status == 413
    assert headers[b"content-type"] == b"application/problem+json"
    assert json.loads(body)["code"] == "too_large"


def test_an_undeclared_body_is_counted(door):
    assert asyncio.run(ask(door, "/login/", [b"x" * 60, b"x" * 60]))[0] == 413


def test_the_batch_may_be_larger_but_not_larger_than_that(door):
    assert asyncio.run(ask(door, "/api/v1/incidents/batch", [b"x" * 900]))[0] == 200
    assert asyncio.run(ask(door, "/api/v1/incidents/batch", [b"x" * 1001]))[0] == 413


def test_a_group_of_alerts_may_be_as_large_as_a_batch(door):
    assert asyncio.run(ask(door, "/alertmanager/webhook", [b"x" * 900]))[0] == 200
    assert asyncio.run(ask(door, "/alertmanager/webhook", [b"x" * 1001]))[0] == 413


async def hold(application, where, callers):
    """Let callers wait on one path; return how many threads that took, and the statuses."""
    global opened, waiting
    opened, waiting = asyncio.Event(), 0
    before = set(threading.enumerate())
    calls = [asyncio.create_task(ask(application, where)) for _ in range(callers)]
    async with asyncio.timeout(20):
        while waiting < callers and not any(call.done() for call in calls):
            await asyncio.sleep(0.01)
    took = len(set(threading.enumerate()) - before)
    opened.set()
    return took, [status for status, _, _ in await asyncio.gather(*calls)]


@pytest.fixture
def web(settings):
    """The two ways as asgi.py joins them, without the receivers it takes off."""
    settings.ROOT_URLCONF = __name__
    settings.NO_SIGN_IN_PATHS = ("/",)
    request_started.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    yield TwoDoors(MachineHandler(), ASGIHandler())
    request_started.connect(close_old_connections)
    request_started.connect(reset_queries)


def test_callers_who_wait_hold_no_thread(web):
    took, statuses = asyncio.run(hold(web, "/api/v1/wait", 40))

    assert statuses == [200] * 40
    assert took == 0


def test_the_pages_way_would_have_held_one_each(web):
    took, _ = asyncio.run(hold(web, "/page/", 8))

    assert took >= 8


def test_an_answer_to_a_machine_has_its_headers(web):
    status, headers, _ = asyncio.run(ask(web, "/api/v1/now", headers=[(b"x-request-id", b"abc-12345678")]))

    assert status == 200
    assert headers[b"X-Request-ID"] == b"abc-12345678"
    assert headers[b"X-Content-Type-Options"] == b"nosniff"
    assert headers[b"Cache-Control"] == b"no-store"
