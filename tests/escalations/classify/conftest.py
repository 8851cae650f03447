"""A fake model, wired in; every test begins with a closed breaker and little patience."""

import pytest

from escalations.classify import conversation
from tests.fakes.llm import FakeModel


@pytest.fixture(autouse=True)
def closed_breaker(monkeypatch):
    monkeypatch.setattr(conversation, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(conversation, "_CALM", {"temperature": 0})
    conversation.breaker.reset()
    yield
    conversation.breaker.reset()


@pytest.fixture
def model(settings):
    """A model server of our own, which the engine asks. Its faults are switched per test."""
    with FakeModel() as server:
        settings.OPENAI_API_KEY = "sk-local"
        settings.OPENAI_BASE_URL = server.base_url
        settings.COUNTERSIGN_MODEL = "fake-1"
        settings.LLM_TIMEOUT_SECONDS = 5
        settings.LLM_CONCURRENCY = 64
        settings.LLM_DAILY_TOKENS = 10_000_000
        yield server
