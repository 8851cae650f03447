"""How a decided proposal came through its lane; of an undecided one nothing is said, whatever its trial holds."""

import pytest

from escalations.floors.pattern import LEFT, NO_LANE
from escalations.models import LaneGrant, Proposal
from escalations.states import TrialMode
from reviews import autonomy_passage, precedents, telling
from reviews.templatetags.item import asking
from tests.factories import PersonFactory, SourceFactory
from tests.lanes import lane_with, live_version, tried
from tests.reviews.conftest import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def lane():
    return lane_with(SourceFactory(), "refund")


@pytest.fixture
def grant(lane, rosa):
    return LaneGrant.objects.create(
        lane=lane, version=live_version(), alpha=0.02, delta=0.05, threshold=0.9, audit_share=0.05, evidence={}, terms_digest="sha256:0",
        granted_by=rosa, reason="proven", expires_at="2099-01-01T00:00:00Z",
    )


def story(client, trial):
    return client.get(f"/incidents/{trial.proposal.incident_id}/").content.decode()


@pytest.mark.parametrize(
    ("mode", "right", "says"),
    [
        (TrialMode.AUDIT, True, "This was an audit sample: it would have gone alone (it scored 0.970, and 0.900 was needed)"),
        (TrialMode.AUDIT, False, "People decided otherwise."),
        (TrialMode.BELOW, True, "left this one to a person: it scored 0.970"),
        (TrialMode.ALONE, True, "It went alone: it scored 0.970"),
        (TrialMode.ALONE, False, "It turned out to be wrong."),
    ],
)
def test_once_decided_the_story_says_how_it_came_through_its_lane(client, rosa, lane, grant, mode, right, says):
    trial = tried(lane, right, mode=mode, grant=grant)

    assert says in story(at(client, PersonFactory(roles=["manager"])), trial)


@pytest.mark.parametrize("mode", TrialMode)
def test_before_it_is_decided_nothing_is_said(client, lane, grant, mode):
    trial = tried(lane, None, mode=mode, grant=grant)

    page = story(at(client, PersonFactory(roles=["manager"])), trial)

    assert "passage" not in page and "0.970" not in page and "audit sample" not in page
    assert autonomy_passage.passages_of(list(Proposal.objects.filter(pk=trial.pk).select_related("decision"))) == {}


def test_what_a_lane_let_go_is_no_precedent_for_who_decides_the_next_one(lane, grant):
    """Else an audit would be asked beside the machine's own answers."""
    by_people, alone = tried(lane, True), tried(lane, True, mode=TrialMode.ALONE, grant=grant)
    waits = tried(lane, None, mode=TrialMode.AUDIT, grant=grant).proposal

    found = [one.proposal.pk for one in precedents.nearest(waits, PersonFactory(roles=["manager"]))]

    assert by_people.pk in found and alone.pk not in found


def test_the_rule_that_left_it_is_no_reason_why_a_person_is_asked():
    lane_rule = {"name": "What a lane has earned", "floor": "auto"}
    asks, unsure = {"name": "Over 100", "floor": "review"}, {"name": "Small", "floor": "auto", "unmet": "needs confidence 0.9"}

    assert asking([asks, unsure, lane_rule | {"unmet": LEFT}]) == asking([asks, unsure, lane_rule | {"unmet": NO_LANE}]) == [asks, unsure]


def test_an_engine_that_knows_nothing_is_told_as_that():
    assert telling.said([{"engine": "rules", "severity": "info", "category": "refund"}]) == "rules: info, refund"
    assert telling.said({"engine": "learned", "severity": "", "category": ""}) == "learned: does not know"
    assert telling.said(0.9900970338422466) == "0.99"


def test_only_who_may_see_the_lane_is_led_there(client, lane, grant):
    trial = tried(lane, True, mode=TrialMode.AUDIT, grant=grant)
    member = PersonFactory(roles=[trial.proposal.role.name])

    assert lane.get_absolute_url() in story(at(client, PersonFactory(roles=["auditor"])), trial)
    page = story(at(client, member), trial)
    assert "audit sample" in page and lane.get_absolute_url() not in page
