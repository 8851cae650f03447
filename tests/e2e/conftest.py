"""One running Countersign for all end-to-end tests of a run."""

import json

import pytest

from .company import Company

TRIAGE = {"severity": "info", "category": "other", "confidence": 0.9, "triggers": [], "rationale": "Looks harmless; approve."}


@pytest.fixture(scope="session")
def model():
    """An OpenAI-compatible server from a package of somebody else's; it always finds everything harmless."""
    server_module = pytest.importorskip("stubllm.server", reason="stubllm is not installed (requirements-dev.txt)")
    models = pytest.importorskip("stubllm.fixtures.models")
    fixtures = [models.Fixture(name="any", response=models.MockResponse(content=json.dumps(TRIAGE)))]
    server = server_module.MockLLMServer(host="127.0.0.1", port=0, fixtures=fixtures)
    server.start()
    yield f"{server.url}/v1/"
    server.stop()


@pytest.fixture(scope="session")
def company(model):
    """Database, web, worker and timers, as `make run` starts them."""
    with Company(OPENAI_BASE_URL=model, OPENAI_API_KEY="local", COUNTERSIGN_MODEL="any-model") as running:
        yield running
