"""After a wrong audit, or harm, a lane's items are looked at more closely for a while; nobody can tell by anything but the count."""

from datetime import timedelta

import pytest

from escalations import clock
from escalations.floors.lanes import Lanes
from escalations.models import LaneGrant
from escalations.proof import sampling
from escalations.states import LaneState, TrialMode
from tests import earning
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def granted(rosa, mona, monkeypatch):
    """A lane that was granted long ago, as far as what came through it goes."""
    monkeypatch.setattr(sampling, "STEPS", ((3, 0.2),))
    monkeypatch.setattr(sampling, "DOUBTED", 4)
    source, version = SourceFactory(), earning.classifier()
    lane = earning.decided(source, version, rosa, [(0.97, True)])
    lane.state = LaneState.GRANTED
    lane.save()
    grant = LaneGrant.objects.create(
        lane=lane, version=version, alpha=0.02, delta=0.05, threshold=0.9, audit_share=0.05, evidence={}, terms_digest="sha256:0",
        granted_by=mona, reason="It has earned it.", expires_at=clock.now() + timedelta(days=30),
    )

    def came(mode, right, times=1, later=0):
        later = -timedelta(hours=later)
        earning.decided(source, version, rosa, [(0.97, right)] * times, grant=grant, mode=mode, share=0.05, ago=later)

    came(TrialMode.AUDIT, True, 3)
    return grant, came


def share(grant):
    lanes = Lanes.load()
    (only,) = lanes.open.values()
    assert only.grant == grant.pk
    return lanes.share(only)


@pytest.mark.parametrize("mode", [TrialMode.AUDIT, TrialMode.ALONE])
def test_one_wrong_one_is_followed_by_a_closer_look(granted, mode):
    grant, came = granted
    assert share(grant) == sampling.LONG_RUN
    came(mode, False)
    assert share(grant) == sampling.DOUBT
    came(TrialMode.AUDIT, True, sampling.DOUBTED - 1, later=1)
    assert share(grant) == sampling.DOUBT
    came(TrialMode.AUDIT, True, later=2)
    assert share(grant) == sampling.LONG_RUN


def test_a_batch_counts_on_by_itself(granted):
    grant, came = granted
    came(TrialMode.AUDIT, False)
    lanes = Lanes.load()
    (only,) = lanes.open.values()
    assert [lanes.share(only) for _ in range(sampling.DOUBTED + 2)] == [sampling.DOUBT] * sampling.DOUBTED + [sampling.LONG_RUN] * 2


def test_it_costs_nothing_until_something_could_go_and_is_counted_once(granted, django_assert_num_queries):
    _, came = granted
    with django_assert_num_queries(1):
        lanes = Lanes.load()
    (only,) = lanes.open.values()
    with django_assert_num_queries(2):
        lanes.share(only)
        lanes.share(only)
    came(TrialMode.AUDIT, False)
    with django_assert_num_queries(1 + 3):
        Lanes.load().share(only)
