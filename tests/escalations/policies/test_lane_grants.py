"""Who may let a lane act alone, on what, and what stands against it."""

from datetime import timedelta

import pytest

from escalations import audit, clock
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, NotFound, OwnRequest
from escalations.learn import evidence
from escalations.models import AuditEntry, ClassifierVersion, Lane, LaneGrant, Trial
from escalations.policies import lanes
from escalations.states import LaneState
from tests import earning
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    return SourceFactory(name="billing", owner=PersonFactory(username="olga", roles=["manager"]))


@pytest.fixture
def version():
    return earning.classifier()


@pytest.fixture
def lane(source, version, rosa):
    return earning.decided(source, version, rosa, [(0.97, True)] * 100 + [(0.6, False)] * 30)


def sign(lane, person, **other):
    view = evidence.seen(lane)
    terms = {
        "alpha": lane.alpha, "delta": lane.delta, "threshold": view.offer["threshold"], "days": 30, "reason": "It has shown it.",
        "digest": view.digest, "until": view.until, **other,
    }
    return lanes.grant(lane.pk, person=person, **terms)


def nothing_was_granted():
    return not LaneGrant.objects.exists() and not Lane.objects.filter(state=LaneState.GRANTED).exists()


@pytest.mark.parametrize("roles", [[], ["finance"], ["auditor"], ["queue manager", "finance"]], ids=str)
def test_only_managers_grant(lane, roles):
    with pytest.raises(NotAllowed):
        sign(lane, PersonFactory(roles=roles, is_staff=True, is_superuser=True))
    assert nothing_was_granted()


def test_nobody_grants_their_own_service(lane, source):
    with pytest.raises(OwnRequest):
        sign(lane, source.owner)
    assert nothing_was_granted() and "own service" in lanes.may_grant(source.owner, lane)


def test_a_manager_who_left_grants_nothing(lane):
    with pytest.raises(NotAllowed):
        sign(lane, PersonFactory(roles=["manager"], is_active=False))
    assert nothing_was_granted()


@pytest.mark.parametrize("other", [
    {"days": 0}, {"days": 91}, {"alpha": 0.5}, {"alpha": 0.0}, {"alpha": float("nan")}, {"delta": 0.9}, {"reason": "  "},
], ids=str)
def test_terms_nobody_may_sign_are_refused(lane, mona, other):
    with pytest.raises(Invalid):
        sign(lane, mona, **other)
    assert nothing_was_granted()


@pytest.mark.parametrize("threshold", [0.5, 0.0, -1.0, 0.42, float("nan"), 1.5], ids=str)
def test_a_threshold_the_evidence_does_not_certify_is_refused(lane, mona, threshold):
    with pytest.raises(Invalid) as refused:
        sign(lane, mona, threshold=threshold)
    assert refused.value.errors[0]["code"] == "not_certified" and nothing_was_granted()


@pytest.mark.parametrize("other", [
    {"digest": "sha256:" + "0" * 64}, {"digest": ""}, {"until": None}, {"alpha": 0.15}, {"delta": 0.1},
], ids=str)
def test_what_was_not_shown_is_not_signed(lane, mona, other):
    with pytest.raises(ChangedSinceSeen):
        sign(lane, mona, **other)
    assert nothing_was_granted()


def test_an_earlier_moment_with_its_own_digest_is_another_offer(lane, mona):
    view = evidence.seen(lane)
    with pytest.raises(ChangedSinceSeen):
        sign(lane, mona, until=view.until - timedelta(minutes=1))
    assert nothing_was_granted()


def test_decisions_that_come_while_one_reads_do_not_undo_what_was_shown_as_long_as_they_bear_it(lane, source, version, rosa, mona):
    view = evidence.seen(lane)
    earning.decided(source, version, rosa, [(0.97, True)] * 3, ago=timedelta(seconds=-10))
    grant = sign_as(lane, mona, view)
    assert grant.evidence["decided"] == 130


def test_decisions_that_come_while_one_reads_and_do_not_bear_it_undo_it(lane, source, version, rosa, mona):
    view = evidence.seen(lane)
    earning.decided(source, version, rosa, [(0.97, False)] * 12, ago=timedelta(seconds=-10))
    with pytest.raises(ChangedSinceSeen):
        sign_as(lane, mona, view)
    assert nothing_was_granted()


def test_harm_to_what_was_shown_changes_it(lane, mona):
    view = evidence.seen(lane)
    one = Trial.objects.filter(right=True).first()
    Trial.objects.filter(pk=one.pk).update(right=False, how="harm", labelled_at=clock.now() + timedelta(seconds=1))
    with pytest.raises(ChangedSinceSeen):
        sign_as(lane, mona, view)
    assert nothing_was_granted()


def test_another_version_gone_live_meanwhile_has_no_evidence_yet(lane, version, mona):
    view = evidence.seen(lane)
    ClassifierVersion.objects.filter(pk=version.pk).update(state="retired")
    earning.classifier()
    with pytest.raises(ChangedSinceSeen):
        sign_as(lane, mona, view)
    ClassifierVersion.objects.update(state="retired")
    with pytest.raises(IllegalMove):
        sign_as(lane, mona, view)
    assert nothing_was_granted()


def sign_as(lane, person, view):
    return lanes.grant(
        lane.pk, person=person, alpha=lane.alpha, delta=lane.delta, threshold=view.offer["threshold"], days=1, reason="r", digest=view.digest,
        until=view.until,
    )


def test_what_is_granted_is_not_granted_again(lane, mona):
    view = evidence.seen(lane)
    sign_as(lane, mona, view)
    with pytest.raises(IllegalMove):
        sign_as(lane, PersonFactory(roles=["manager"]), view)
    assert LaneGrant.objects.count() == 1


def test_a_lane_nobody_knows(mona):
    for verb in (
        lambda: lanes.grant(1, person=mona, alpha=0.02, delta=0.05, threshold=0.9, days=1, reason="r", digest="d", until=None),
        lambda: lanes.withdraw(1, person=mona, why="x"),
        lambda: lanes.set_target(1, person=mona, alpha=0.02, delta=0.05),
    ):
        with pytest.raises(NotFound):
            verb()


def test_any_manager_and_who_answers_for_the_source_end_it_and_nobody_else(lane, source, mona, rosa):
    sign(lane, mona)
    with pytest.raises(NotAllowed):
        lanes.withdraw(lane.pk, person=rosa, why="I do not like it.")
    with pytest.raises(Invalid):
        lanes.withdraw(lane.pk, person=mona, why=" ")
    ended = lanes.withdraw(lane.pk, person=source.owner, why="We are changing the service.")
    assert ended.end == "manager" and ended.ended_by == source.owner
    assert lanes.withdraw(lane.pk, person=mona, why="again") is None
    lane.refresh_from_db()
    assert lane.state == LaneState.WATCHING and AuditEntry.objects.filter(action="lane.withdrawn").count() == 1


def test_an_end_meant_for_one_grant_does_not_end_the_next(lane, mona):
    first = sign(lane, mona)
    lanes.withdraw(lane.pk, person=mona, why="x")
    second = sign(lane, mona)
    assert lanes.withdraw(lane.pk, end="bound", why="late news", actor=audit.SYSTEM, grant_id=first.pk) is None
    second.refresh_from_db()
    assert second.ended_at is None


def test_a_version_not_to_be_trusted_takes_its_grants_along(lane, version, mona, rosa):
    grant = sign(lane, mona)
    assert lanes.withdraw_all_of(version.pk, why="It was trained on nonsense.", person=rosa) == 1
    grant.refresh_from_db()
    assert grant.end == "classifier"


def test_the_target_is_set_by_managers_and_changes_no_grant(lane, source, mona, rosa):
    grant = sign(lane, mona)
    for person, error in ((rosa, NotAllowed), (source.owner, OwnRequest)):
        with pytest.raises(error):
            lanes.set_target(lane.pk, alpha=0.05, delta=0.1, person=person)
    with pytest.raises(Invalid):
        lanes.set_target(lane.pk, alpha=0.9, delta=0.1, person=mona)
    assert lanes.set_target(lane.pk, alpha=0.05, delta=0.1, person=mona).alpha == 0.05
    lanes.set_target(lane.pk, alpha=0.05, delta=0.1, person=mona)
    grant.refresh_from_db()
    assert grant.alpha == 0.1 and AuditEntry.objects.filter(action="lane.set").count() == 1


@pytest.mark.parametrize("verb", ["grant", "withdraw", "target"])
def test_where_the_record_cannot_be_written_nothing_changes(lane, mona, monkeypatch, verb):
    if verb == "withdraw":
        sign(lane, mona)
    view = evidence.seen(lane)
    before = list(Lane.objects.values()), list(LaneGrant.objects.values())

    def fail(*args, **kwargs):
        raise RuntimeError("the audit is away")

    monkeypatch.setattr(audit, "record", fail)
    acts = {
        "grant": lambda: sign_as(lane, mona, view), "withdraw": lambda: lanes.withdraw(lane.pk, person=mona, why="x"),
        "target": lambda: lanes.set_target(lane.pk, alpha=0.05, delta=0.1, person=mona),
    }
    with pytest.raises(RuntimeError):
        acts[verb]()
    assert (list(Lane.objects.values()), list(LaneGrant.objects.values())) == before
