"""A source with a key, people with tokens."""

import json
from typing import Any

import pytest

from tests.escalations.api.speaking import ACTION, Speaker, key_for, token_for
from tests.factories import PersonFactory, SourceFactory


@pytest.fixture
def agent(db) -> Speaker:
    source = SourceFactory(name="billing-agent", callback_url="https://billing.example/hook")
    return Speaker(key_for(source), source=source)


@pytest.fixture
def other_agent(db) -> Speaker:
    source = SourceFactory(name="another-agent")
    return Speaker(key_for(source), source=source)


@pytest.fixture
def reviewer(db) -> Speaker:
    person = PersonFactory(username="rita", roles=["queue manager"])
    return Speaker(token_for(person, interactive=True), person=person)


@pytest.fixture
def action() -> dict[str, Any]:
    return json.loads(json.dumps(ACTION))
