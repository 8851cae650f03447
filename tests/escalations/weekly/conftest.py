"""A team and what comes to it."""

from datetime import timedelta

import pytest
from teams_week import SINCE, decide

from escalations import clock
from escalations.models import ClassifierVersion, Lane, Role
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role


@pytest.fixture
def rosa(db):
    return PersonFactory(username="rosa", first_name="Rosa", roles=["finance"])


@pytest.fixture
def manager(db):
    role("manager")
    Role.objects.filter(name="manager").update(decides_everything=True, sees_everything=True)
    return PersonFactory(username="milan", first_name="Milan", roles=["manager"])


@pytest.fixture
def billing(db):
    return SourceFactory(name="billing-agent")


@pytest.fixture
def lane_of(db):
    """Return a lane of a source's action."""
    return lambda source, action: Lane.objects.create(source=source, by="action", subject=action)


@pytest.fixture
def version(db):
    return ClassifierVersion.objects.create(number=1, state="live")


@pytest.fixture
def came(billing, rosa):
    """Let something come so many hours into the week, and be decided some minutes later; `verdict` None: it still waits."""

    def make(hours=10.0, verdict="approve", *, title="Refund $250 for order 1182", by="person", person=None, interactive=True, minutes=20, **facts):
        at = SINCE + timedelta(hours=hours)
        incident = {name.removeprefix("incident_"): facts.pop(name) for name in list(facts) if name.startswith("incident_")}
        source = facts.pop("source", billing)
        with clock.frozen_at(at):
            one = ProposalFactory(
                incident=IncidentFactory(source=source, title=title, kind=facts.pop("kind", "action"), **incident),
                role=facts.pop("role", role("finance")), routed_at=at, findable=False, **facts,
            )
        return decide(one, verdict, at + timedelta(minutes=minutes), person or rosa, by=by, interactive=interactive) if verdict else one

    return make
