"""Who sits in the room. Each page's tests sign somebody in and look at what they are shown."""

import pytest
from django.test import Client

from escalations import lifecycle
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role


@pytest.fixture
def reviewer(rosa):
    """A member of finance."""
    return rosa


@pytest.fixture
def colleague(carl):
    return carl


@pytest.fixture
def stranger(db):
    """Somebody of another role, who must not even learn that something exists."""
    return PersonFactory(username="sam", first_name="Sam", last_name="Stranger", roles=["security"])


@pytest.fixture
def reader(db):
    """A member of finance who has no clearance."""
    finance = role("finance")
    finance.clearance = []
    finance.save()
    return PersonFactory(roles=["finance"])


@pytest.fixture
def signed_in(db):
    """Return a client in which this person is signed in."""

    def sign_in(person):
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def page(reviewer, signed_in):
    """The reviewer's own browser."""
    return signed_in(reviewer)


@pytest.fixture
def ask(db):
    """Put a proposal into finance's queue."""

    def make(**facts):
        facts.setdefault("role", role("finance"))
        incident = {name.removeprefix("incident_"): facts.pop(name) for name in list(facts) if name.startswith("incident_")}
        source = facts.pop("source", None) or SourceFactory()
        return ProposalFactory(incident=IncidentFactory(source=source, **incident), **facts)

    return make


def at(client, person):
    """Return this client with the person signed in."""
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def signature(proposal, **said):
    """Return what the form posts for this proposal as it is now."""
    return {"type": "approve", "digest": proposal.args_digest, "version": proposal.version, **said}


def decided(proposal, person, reason=""):
    """Let this person approve it as it is."""
    lifecycle.decide(
        proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version, reason=reason
    )
    return proposal
