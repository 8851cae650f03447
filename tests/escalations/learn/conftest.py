"""A source and a classifier whose lanes are tried, and a draw that falls as it is told to."""

import pytest

from escalations.floors import lanes as floor_lanes
from tests import earning
from tests.factories import SourceFactory


@pytest.fixture
def source(db):
    return SourceFactory(name="billing")


@pytest.fixture
def version(db):
    return earning.classifier()


@pytest.fixture
def always_drawn(monkeypatch):
    """Whatever could go alone is an audit sample."""
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.0)


@pytest.fixture
def never_drawn(monkeypatch):
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
