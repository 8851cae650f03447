"""A real browser against a real server. Every journey also fails on a console error, a CSP report or a failed request."""

import os
import shutil

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
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


@pytest.fixture
def troubles():
    """What went wrong in the browser without anybody looking. A journey that provokes an error takes it out by `expected`."""
    found: list[str] = []
    expected: list[str] = []
    yield expected, found
    left = [one for one in found if not any(part in one for part in expected)]
    assert not left


@pytest.fixture
def open_browser(chromium, live_server, troubles):
    """Return a fresh browser of its own, signed in as a person or as nobody."""
    contexts = []

    def make(person=None, **options):
        context = chromium.new_context(base_url=live_server.url, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        if person is not None:
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(person), "url": live_server.url}])
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


def watch(page, found):
    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("requestfailed", lambda request: found.append(f"failed: {request.url} {request.failure}"))
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
