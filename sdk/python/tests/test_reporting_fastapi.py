"""FastAPI: its caller is told what became of it, and its own way with errors stays."""

import asyncio
import json
import threading

import httpx
import pytest
from hosting import PATIENCE, Away, body_of

from countersign.reporting import Reporter

fastapi = pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("fastapi.responses")
testing = pytest.importorskip("fastapi.testclient")
integration = pytest.importorskip("countersign.reporting.fastapi")


@pytest.fixture
def api():
    return fastapi.FastAPI()


def client_of(app):
    return testing.TestClient(app, raise_server_exceptions=False)


def test_fastapi_tells_its_caller_what_became_of_it(api, reporter, posts):
    integration.install(api, reporter)

    @api.get("/refunds/{order}")
    async def refund(order: str, token: str = ""):
        raise Away("gateway is away")

    answer = client_of(api).get("/refunds/A-1?token=secret-in-query")
    assert answer.status_code == 500 and answer.json() == body_of(answer.headers["x-countersign-reference"])
    assert answer.headers["x-countersign-incident"] == "i-1"
    (post,) = posts
    assert post["context"]["request"] == {"method": "GET", "path": "/refunds/A-1", "route": "/refunds/{order}"}
    assert "secret-in-query" not in json.dumps(post)


def test_fastapi_keeps_a_handler_of_its_own_and_what_is_handled_is_not_reported(api, reporter, posts):
    @api.exception_handler(Exception)
    def own(request, error):
        return fastapi.responses.PlainTextResponse(f"sorry, {request.state.countersign.incident}", status_code=500)

    integration.install(api, reporter)

    @api.get("/fails")
    def fails():
        raise Away("x")

    @api.get("/refused")
    def refused():
        raise fastapi.HTTPException(503, "later")

    client = client_of(api)
    answer = client.get("/fails")
    assert answer.text == "sorry, i-1" and answer.headers["x-countersign-incident"] == "i-1"
    assert client.get("/refused").status_code == 503 and client.get("/nowhere").status_code == 404
    assert len(posts) == 1


def test_fastapi_still_gives_the_exception_to_its_server(api, reporter):
    integration.install(api, reporter)

    @api.get("/fails")
    def fails():
        raise Away("x")

    with pytest.raises(Away):
        testing.TestClient(api).get("/fails")


def test_other_requests_go_on_while_one_waits_to_hear_the_level(api, posts):
    """One event loop: the request that failed waits until another one was answered, which would not be if it blocked the loop."""
    asked, answered = threading.Event(), threading.Event()

    def serve(request):
        asked.set()
        answered.wait(PATIENCE)
        return httpx.Response(201, json={"id": "i-1", "escalate": "human", "severity": "info"})

    slow = Reporter("http://countersign", "k", spool=False, wait=PATIENCE, transport=httpx.MockTransport(serve))
    integration.install(api, slow)

    @api.get("/fails")
    async def fails():
        raise Away("x")

    @api.get("/works")
    async def works():
        answered.set()
        return {"ok": True}

    async def both():
        transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            failing = asyncio.create_task(client.get("/fails"))
            while not asked.is_set():
                await asyncio.sleep(0.01)
            return await client.get("/works"), await failing

    worked, failed = asyncio.run(both())
    assert worked.json() == {"ok": True} and failed.json()["message"] == "routed for human review"
    slow.close()
