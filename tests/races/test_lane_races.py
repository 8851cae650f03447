"""Whoever ends a grant is not overtaken: what goes alone was before the end, or sees it. Real threads, real commits, real kills."""

import threading

import pytest
from django.db import OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from escalations import audit, errors, route
from escalations.floors import lanes as floor_lanes
from escalations.learn import evidence, following, promoting
from escalations.models import AuditEntry, Decision, Lane, LaneGrant, Proposal, Trial, Work
from escalations.policies import lanes
from escalations.states import LaneState, TrialMode
from tests import earning
from tests.factories import PersonFactory, SourceFactory
from tests.faults.test_killed_at_any_line import killed_at
from tests.races.test_one_winner import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


@pytest.fixture(autouse=True)
def never_drawn(monkeypatch):
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.9999)


@pytest.fixture
def manager():
    return PersonFactory(username="mona", roles=["manager"])


@pytest.fixture
def lane(manager):
    version = earning.classifier("live")
    return earning.decided(SourceFactory(name="billing"), version, PersonFactory(), [(0.97, True)] * 100)


def waiting(lane, version, score=0.97):
    """Post one that is classified and waits to be routed."""
    work = earning.post(lane.source)
    earning.estimate(work, version, score)
    return work


def test_the_locks_need_a_transaction(lane):
    with pytest.raises(TransactionManagementError):
        floor_lanes.close(lane.pk)
    with pytest.raises(TransactionManagementError):
        floor_lanes.enter(floor_lanes.Open(1, lane.pk, 1, 0.5, 0.05, "", ""), Work().created_at)


def test_of_two_managers_at_once_one_grants(lane):
    people = [PersonFactory(roles=["manager"]) for _ in range(4)]
    view = evidence.seen(lane)
    results = together(*[
        lambda p=person: lanes.grant(
            lane.pk, person=p, alpha=lane.alpha, delta=lane.delta, threshold=view.offer["threshold"], days=1, reason="r",
            digest=view.digest, until=view.until,
        )
        for person in people
    ])
    won = [one for one in results if isinstance(one, LaneGrant)]
    assert len(won) == 1 and all(isinstance(one, errors.IllegalMove) for one in results if one not in won), results
    assert LaneGrant.objects.count() == AuditEntry.objects.filter(action="lane.granted").count() == 1


def test_of_many_who_end_it_at_once_one_does(lane, manager):
    grant = earning.granted(lane, manager)
    results = together(
        *[lambda: lanes.withdraw(lane.pk, end="bound", why="x", actor=audit.SYSTEM, grant_id=grant.pk) for _ in range(4)],
        lambda: lanes.withdraw(lane.pk, person=manager, why="x"),
    )
    assert len([one for one in results if isinstance(one, LaneGrant)]) == 1 and not [one for one in results if isinstance(one, Exception)]
    assert AuditEntry.objects.filter(action="lane.withdrawn").count() == 1


def test_an_end_waits_for_what_is_in_between_and_nothing_comes_after_it(lane, manager):
    """One item has entered and not committed: the end waits for it. What comes after the end's commit sees it."""
    grant = earning.granted(lane, manager)
    opened = floor_lanes.Lanes.load().open[(lane.source_id, lane.by, lane.subject)]
    ended = threading.Event()

    def end():
        try:
            lanes.withdraw(lane.pk, person=manager, why="x")
            ended.set()
        finally:
            connection.close()

    with transaction.atomic():
        assert floor_lanes.enter(opened, Lane.objects.get(pk=lane.pk).checked_at)
        thread = threading.Thread(target=end)
        thread.start()
        assert not ended.wait(0.5), "it ended while something was in between"
    thread.join(20)
    assert ended.is_set()
    grant.refresh_from_db()
    with transaction.atomic():
        assert grant.ended_at and not floor_lanes.enter(opened, grant.granted_at)


def test_a_batch_that_began_before_the_end_lets_nothing_go_after_it(lane, manager):
    """The grants were read, then the grant ended, then the item is routed: it goes to a person, and is no audit."""
    earning.granted(lane, manager)
    work = waiting(lane, LaneGrant.objects.get().version)
    granted = floor_lanes.Lanes.load()
    lanes.withdraw(lane.pk, person=manager, why="x")
    (taken,) = route.queue.claim("route", 10)
    route.route_one(taken, route.Rulebook.load(), granted)
    proposal = Proposal.objects.get(incident=work.incident_id)
    assert proposal.state == "pending"
    assert (Trial.objects.get(pk=proposal.pk).mode, Trial.objects.get(pk=proposal.pk).grant_id) == (TrialMode.WATCHED, None)


def test_routing_and_ending_at_once(lane, manager):
    """Each decision of the lane is older than the grant's end."""
    for _ in range(4):
        lane.refresh_from_db()
        grant = earning.granted(lane, manager)
        for _ in range(6):
            waiting(lane, grant.version)
        results = together(route.run_batch, route.run_batch, lambda: lanes.withdraw(lane.pk, person=manager, why="x"))
        assert not [one for one in results if isinstance(one, Exception)], results
        while route.run_batch():
            pass
        grant.refresh_from_db()
        alone = Decision.objects.filter(by_kind="policy", proposal__trial__grant=grant)
        assert all(one.decided_at <= grant.ended_at for one in alone)
        assert alone.count() == Trial.objects.filter(grant=grant, mode=TrialMode.ALONE).count()
    assert not Work.objects.filter(stage="route").exists()


def test_taking_the_classifier_back_waits_for_what_is_in_between_and_neither_breaks(lane, manager, monkeypatch):
    """What is in between names its version when it commits, while who takes that back waits for it to commit."""
    grant = earning.granted(lane, manager)
    work = waiting(lane, grant.version)
    ada = PersonFactory(is_staff=True)
    back = []

    def take_back():
        try:
            back.append(promoting.take_back(grant.version_id, person=ada, reason="It cannot be trusted."))
        except OperationalError as error:
            back.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=take_back)
    enter = floor_lanes.enter

    def entered(*args):
        stands = enter(*args)
        thread.start()
        thread.join(0.5)
        return stands

    monkeypatch.setattr(floor_lanes, "enter", entered)
    route.run_batch()
    thread.join(20)
    work.refresh_from_db()
    grant.refresh_from_db()
    assert back == [None] and grant.end == "classifier"
    assert (work.stage, Trial.objects.get(work=work).mode) == ("done", TrialMode.ALONE)


def test_several_who_follow_at_once_label_each_once_and_end_it_once(lane, manager):
    grant = earning.granted(lane, manager)
    proposals = earning.decided(lane.source, grant.version, manager, [(0.97, False)] * 10, grant=grant, mode=TrialMode.AUDIT, share=0.2)
    Trial.objects.filter(grant=grant).update(labelled_at=None, right=None, how="")
    assert proposals == lane
    results = together(*[following.follow for _ in range(4)])
    assert not [one for one in results if isinstance(one, Exception)], results
    following.follow()
    assert AuditEntry.objects.filter(action="lane.audited").count() == 10
    assert AuditEntry.objects.filter(action="lane.withdrawn").count() == 1
    assert Lane.objects.get().state == LaneState.WATCHING


@pytest.mark.parametrize(("point", "stored"), [
    ("escalations.floors.lanes.enter", False), ("escalations.lifecycle.settle_by_policy", False),
    ("escalations.models.Trial.save", False), ("at_commit", False), ("after_commit", True),
])
def test_killed_while_letting_one_go(lane, manager, point, stored):
    grant = earning.granted(lane, manager)
    work = waiting(lane, grant.version)
    (taken,) = route.queue.claim("route", 10)
    assert killed_at(point, lambda: route.route_one(taken, route.Rulebook.load()))
    proposal = Proposal.objects.get(incident=work.incident_id)
    there = [proposal.state == "approved", Trial.objects.filter(pk=proposal.pk).exists(), Decision.objects.filter(proposal=proposal).exists()]
    assert there == [stored] * 3
    if not stored:
        route.route_one(taken, route.Rulebook.load())
        assert Trial.objects.get(pk=proposal.pk).mode == TrialMode.ALONE


@pytest.mark.parametrize("point", ["escalations.audit.record", "escalations.outbox.open_notices", "at_commit"])
def test_killed_while_ending_it(lane, manager, point):
    grant = earning.granted(lane, manager)
    assert killed_at(point, lambda: lanes.withdraw(lane.pk, end="bound", why="x", actor=audit.SYSTEM, grant_id=grant.pk))
    grant.refresh_from_db()
    assert grant.ended_at is None and Lane.objects.get().state == LaneState.GRANTED
    assert not AuditEntry.objects.filter(action="lane.withdrawn").exists()
    assert lanes.withdraw(lane.pk, end="bound", why="x", actor=audit.SYSTEM, grant_id=grant.pk) is not None
