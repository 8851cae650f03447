"""The real doors: a source with its key, people with their browsers and tokens, the real jobs over the real queue."""

import json

import pytest
from django.test import Client

from escalations.models import Proposal
from reviews import friction
from tests.escalations.api.speaking import ACTION, Speaker, key_for, token_for
from tests.factories import SourceFactory


@pytest.fixture
def source(db):
    return SourceFactory(name="billing-agent")


@pytest.fixture
def agent(source):
    return Speaker(key_for(source), source=source)


@pytest.fixture
def browser(db):
    """Sign a person in; return the browser."""

    def sign_in(person, **options):
        client = Client(**options)
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def token(db):
    """Return somebody speaking to the API with a token of this person."""

    def speak(person, interactive=True):
        return Speaker(token_for(person, interactive=interactive), person=person)

    return speak


@pytest.fixture
def posted(agent, run_jobs):
    """Post an incident over HTTP, let the real jobs run, and return the newest proposal of it."""

    def post(body=None, /, *, speaker=agent, key=None, jobs=True, **more):
        answer = speaker.post("/incidents", json.loads(json.dumps({**(body or ACTION), **more})), key=key)
        assert answer.status_code == 201, answer.content
        if jobs:
            run_jobs()
        return newest(answer.json()["id"])

    return post


def newest(incident_id):
    """Return the last revision of an incident's line."""
    return Proposal.objects.filter(incident=incident_id).order_by("-revision").first()


def asked_for(*proposals):
    """Return what a yes to these asks for besides: a reason where much depends on it, the target of what cannot be undone."""
    cost = friction.riskiest(proposals)
    return {"read": "on"} | ({"reason": "because"} if cost.reason else {}) | ({"confirm": cost.target.text} if cost.target else {})


def shown(proposal, type="approve", **more):
    """Return what the page's form posts for this proposal as it was shown; everything that is asked for is there."""
    form = {"type": type, "digest": proposal.args_digest, "version": proposal.version, **asked_for(proposal), **more}
    return form | ({"reason": "no"} if type == "reject" and "reason" not in more else {})


def said(proposal, type="approve", **more):
    """Return what a person's token posts for the same."""
    body = {"type": type, "args_digest": proposal.args_digest, "version": proposal.version, **more}
    return body | ({"reason": "no"} if type == "reject" and "reason" not in more else {})
