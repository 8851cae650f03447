"""The lane of the demo company: earned by the week's decisions, through the code that everybody's lanes go through."""

import pytest

from escalations import demo
from escalations.learn import evidence
from escalations.models import ClassifierVersion, Estimate, Lane, Person, Trial
from escalations.policies import lanes
from escalations.states import TrialMode, VersionState


@pytest.mark.django_db
def test_the_company_has_a_lane_that_a_manager_may_let_act_alone():
    demo.install()

    version = ClassifierVersion.objects.get()
    assert (version.state, version.promoted_by.username) == (VersionState.LIVE, "ada")
    assert version.scores["approve"]["log_loss"] < version.scores["approve"]["base_log_loss"]
    lane = Lane.objects.get(subject="goodwill_voucher")
    view = evidence.seen(lane)
    milan = Person.objects.get(username="milan")
    assert view.labelled > 50 and view.certified is not None and view.wrong and lanes.may_grant(milan, lane) == ""
    assert lane.summary["share"] == view.certified.share and lane.alpha == 0.1
    # At two in a hundred it takes more than a week; nobody made any of this up.
    assert evidence.ladder(lane, version, 0.02, 0.05).certifies() is None
    trials = Trial.objects.filter(lane=lane)
    assert set(trials.values_list("mode", flat=True)) <= {TrialMode.WATCHED, TrialMode.KEPT}
    assert Estimate.objects.filter(version=version).count() > trials.count()
    # Others are watched too, and are where a week brings them.
    assert Lane.objects.count() > 4 and evidence.seen(Lane.objects.get(by="action", subject="refund")).certified is None
