"""A real browser against a real server. Every journey also fails on a console error, a CSP report or a failed request."""

import os
import shutil
import socket
import threading

import pytest
import uvicorn
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import override_settings
from django.utils.module_loading import import_string
from playwright.sync_api import expect, sync_playwright

from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

# Playwright's sync API runs an event loop of its own on this thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
CHROMIUM = os.environ.get("CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PASSWORD = "correct horse battery"

expect.set_options(timeout=10_000)


def pytest_collection_modifyitems(items):
    for item in items:
        if "/tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    if not CHROMIUM:
        pytest.skip("No Chromium here: set CHROMIUM to one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Server(uvicorn.Server):
    """The real server on a thread of its own, as hitl_site/web.py runs it: two doors, static files, streams."""

    def __init__(self, application):
        super().__init__(uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.up = threading.Event()
        self.thread = threading.Thread(target=self.run, args=([self.listener],), name="uvicorn", daemon=True)

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.up.set()

    def end(self):
        self.should_exit = True
        self.thread.join(timeout=20)
        self.listener.close()


@pytest.fixture(scope="session")
def server(django_db_setup):
    """The whole application on the test database, at a port of this machine alone."""
    with override_settings(DEBUG=True):  # while it is put together: static files are read as they are now, not as they were
        application = import_string("hitl_site.asgi.application")
    running = Server(application)
    running.thread.start()
    assert running.up.wait(timeout=20), "The server did not start."
    yield running
    running.end()


@pytest.fixture
def troubles():
    """What went wrong in the browser without anybody looking. A journey that provokes an error takes it out by `expected`."""
    found: list[str] = []
    expected: list[str] = []
    yield expected, found
    left = [one for one in found if not any(part in one for part in expected)]
    assert not left


@pytest.fixture
def open_browser(chromium, server, troubles, transactional_db):
    """Return a fresh browser of its own, signed in as a person or as nobody."""
    contexts = []

    def make(person=None, **options):
        context = chromium.new_context(base_url=server.url, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        if person is not None:
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(person), "url": server.url}])
        page = context.new_page()
        watch(page, troubles[1])
        return page

    yield make
    for context in contexts:
        context.close()


def session_of(person):
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    return session.session_key


def failed(request, found):
    if request.failure != "net::ERR_ABORTED":  # that one is the browser's own: it left the page while something was under way
        found.append(f"failed: {request.url} {request.failure}")


def watch(page, found):
    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("requestfailed", lambda request: failed(request, found))
    page.on("response", lambda answer: found.append(f"status: {answer.status} {answer.url}") if answer.status >= 500 else None)
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))


@pytest.fixture
def reviewer(transactional_db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"], password=PASSWORD)


@pytest.fixture
def colleague(transactional_db):
    return PersonFactory(username="carl", first_name="Carl", last_name="Colleague", roles=["finance"], password=PASSWORD)


@pytest.fixture
def ask(transactional_db):
    """Put a proposal into finance's queue."""

    def make(**facts):
        facts.setdefault("role", role("finance"))
        incident = {name.removeprefix("incident_"): facts.pop(name) for name in list(facts) if name.startswith("incident_")}
        source = facts.pop("source", None) or SourceFactory()
        return ProposalFactory(incident=IncidentFactory(source=source, **incident), **facts)

    return make
