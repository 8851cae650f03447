"""Django, sync and async: its caller is told what became of it, and its own way with errors stays."""

import asyncio
import json
import sys

import pytest
from hosting import Away, body_of

from countersign.reporting import reporter as core

conf = pytest.importorskip("django.conf", reason="Django is not installed")
http = pytest.importorskip("django.http")
testing = pytest.importorskip("django.test")
urls = pytest.importorskip("django.urls")


@pytest.fixture
def handler(reporter, monkeypatch):
    if not conf.settings.configured:
        pytest.skip("Django has no settings here")
    monkeypatch.setattr(core._Default, "reporter", reporter)
    changed = testing.override_settings(
        DEBUG=False, ROOT_URLCONF=sys.modules[__name__], MIDDLEWARE=["countersign.reporting.django.ReportExceptions"],
        ALLOWED_HOSTS=["*"],
    )
    with changed:
        yield


def fails(request, order=""):
    raise Away("gateway is away")


async def fails_later(request):
    raise Away("gateway is away")


def gone(request):
    raise http.Http404("gone")


def page(request):
    return http.HttpResponse("<h1>sorry</h1>", status=500)


def handler500(request):
    return page(request)


def handler404(request, exception):
    return http.HttpResponse("gone", status=404)


urlpatterns = [
    urls.path("refunds/<str:order>/", fails), urls.path("later/", fails_later), urls.path("gone/", gone), urls.path("page/", page),
]


def test_django_tells_its_caller_what_became_of_it(handler, posts):
    client = testing.Client(raise_request_exception=False)
    answer = client.get("/refunds/A-1/?token=secret-in-query", headers={"accept": "application/json"})
    assert answer.status_code == 500 and answer.json() == body_of(answer.headers["X-Countersign-Reference"])
    assert posts[0]["context"]["request"] == {"method": "GET", "path": "/refunds/A-1/", "route": "refunds/<str:order>/"}
    assert "secret-in-query" not in json.dumps(posts)
    browser = client.get("/refunds/A-1/", headers={"accept": "text/html,*/*"})
    assert browser.content == b"<h1>sorry</h1>" and browser.headers["X-Countersign-Incident"] == "i-1"
    assert client.get("/gone/").status_code == 404 and "X-Countersign-Incident" not in client.get("/page/").headers
    assert len(posts) == 2, "what was handled, and a 500 that a view gave on purpose, are no failures"


def test_django_does_so_in_an_event_loop_too(handler, posts):
    async def ask():
        return await testing.AsyncClient(raise_request_exception=False).get("/later/", headers={"accept": "application/json"})

    answer = asyncio.run(ask())
    assert answer.status_code == 500 and answer.json() == body_of(answer.headers["X-Countersign-Reference"])
    assert len(posts) == 1
