"""A replay survives whoever works on it, ends when it is called off, and changes nothing but itself."""

import contextlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from escalations import clock, queue, replay
from escalations.errors import Invalid
from escalations.models import AuditEntry, Incident, Proposal, Replay, ReplayItem, RoutingRule
from escalations.replay import asking, reading, running
from tests.escalations.replay.world import AUTO, incident, routed, says
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


@pytest.fixture
def small_pages(monkeypatch):
    """Two incidents a page, and a slice is over after each."""
    monkeypatch.setattr(reading, "PAGE", 2)
    monkeypatch.setattr(running, "SLICE_SECONDS", 0.0)


def asked(**more):
    now = clock.now()
    wanted = replay.wanted_of(RoutingRule(name="a draft", condition=AUTO, floor="auto", **more))
    return replay.ask("rule", wanted, "", now - timedelta(days=2), now, PersonFactory())


def finished(row):
    while replay.run_slice(0.0):
        pass
    return Replay.objects.get(pk=row.pk)


class Killed(BaseException):
    """As when the process is gone: no handler of ours sees it."""


@pytest.mark.parametrize("at", ["before it is written", "after it is written"])
def test_a_worker_killed_in_the_middle_loses_nothing_and_counts_nothing_twice(source, small_pages, monkeypatch, at):
    proposals = routed(*[incident(source) for _ in range(7)])
    person = PersonFactory(roles=["manager"])
    for one in proposals[:4]:
        says(person, one, "reject")
    row = asked()
    replay.run_slice(0.0)
    keep = running._keep

    def dies(*given):
        if at == "after it is written":
            keep(*given)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(running, "_keep", dies)
        replay.run_slice(0.0)
    assert not replay.run_slice(0.0), "its lease still runs"
    with clock.frozen_at(clock.now() + timedelta(seconds=61)):
        row = finished(row)

    assert (row.state, row.done, row.total, row.result["proposals"]) == ("done", 7, 7, 7)
    assert (row.result["alone"]["reject"], row.result["alone"]["open"]) == (4, 3)
    assert row.items.count() == 7


def test_what_kills_its_worker_every_time_is_given_up(source, small_pages, monkeypatch):
    routed(incident(source))
    row = asked()
    monkeypatch.setattr(reading, "page", lambda *_, **__: (_ for _ in ()).throw(Killed))
    now = clock.now()
    for minute in range(6):
        with clock.frozen_at(now + minute * timedelta(minutes=2)):
            with contextlib.suppress(Killed):
                replay.run_slice(0.0)

    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "Its worker never finished.")


def test_what_fails_is_tried_again_and_says_where_it_failed(source, monkeypatch):
    routed(incident(source))
    row = asked()
    with monkeypatch.context() as patched:
        patched.setattr(reading, "said_of", lambda *_: 1 / 0)
        replay.run_slice()
    row.refresh_from_db()
    assert row.state == "running"
    assert row.error.startswith("ZeroDivisionError")

    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        row = finished(row)

    assert (row.state, row.error, row.result["matched"]) == ("done", "", 1)


def test_cancelled_it_stops_for_who_works_on_it(source, small_pages, monkeypatch):
    routed(*[incident(source) for _ in range(5)])
    row = asked()
    person = PersonFactory()
    count = running._count

    def meanwhile(*given):
        replay.cancel(Replay.objects.get(pk=row.pk), person=person)
        return count(*given)

    with monkeypatch.context() as patched:
        patched.setattr(running, "_count", meanwhile)
        assert not replay.run_slice()

    row.refresh_from_db()
    assert (row.state, row.done) == ("cancelled", 0)
    assert not row.items.exists()
    assert not replay.cancel(row, person=person), "once"
    assert list(AuditEntry.objects.filter(subject=f"Replay {row.pk}").order_by("pk").values_list("action", flat=True)) == [
        "replay.asked", "replay.cancelled",
    ]


def test_one_runs_at_a_time(source, small_pages):
    routed(*[incident(source) for _ in range(3)])
    first, second = asked(), asked()

    replay.run_slice(0.0)
    Replay.objects.filter(pk=first.pk).update(lease_until=clock.now() + timedelta(seconds=30))

    assert not replay.run_slice()
    assert not queue.replays_due(clock.now()).exists(), "the timers do not wake anybody for it either"
    Replay.objects.filter(pk=first.pk).update(lease_until=None)
    assert {finished(first).state, finished(second).state} == {"done"}


def test_it_goes_through_the_real_queue(source, small_pages, run_jobs):
    routed(*[incident(source) for _ in range(5)])
    row = asked()

    run_jobs()

    row.refresh_from_db()
    assert (row.state, row.done) == ("done", 5)


def test_a_lost_wake_up_is_made_good_by_the_timers(source, run_jobs):
    row = asked()
    queue.forget_wake_ups()

    assert "replay" in queue.wake_due()
    run_jobs()

    row.refresh_from_db()
    assert row.state == "done"
    assert "replay" not in queue.wake_due()


def test_it_writes_nothing_but_itself(source):
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(3)])
    says(person, proposals[0], "reject")
    before = list(Proposal.objects.order_by("pk").values()), list(Incident.objects.order_by("pk").values())
    row = asked()

    with CaptureQueriesContext(connection) as queries:
        finished(row)

    assert (list(Proposal.objects.order_by("pk").values()), list(Incident.objects.order_by("pk").values())) == before
    written = {query["sql"].split()[2 if query["sql"].startswith("INSERT") else 1] for query in queries if query["sql"][:6] in ("INSERT", "UPDATE")}
    assert written == {'"escalations_replay"', '"escalations_replayitem"', '"escalations_auditentry"'}


@pytest.mark.parametrize("size", [1, 12])
def test_a_page_costs_the_same_whatever_stands_on_it(source, size, django_assert_num_queries):
    person = PersonFactory(roles=["manager"])
    for one in routed(*[incident(source) for _ in range(size)]):
        says(person, one, "approve")
    now = clock.now()
    page = reading.page(source, now - timedelta(days=1), now, None, added=True)

    with django_assert_num_queries(5):  # the next incidents, themselves, their words, what was added, the proposals
        reading.page(source, now - timedelta(days=1), now, None, added=True)
    with django_assert_num_queries(2):  # decisions, signatures
        reading.said_of([past.proposal for past in page.past])
        reading.pace(past.proposal.pk for past in page.past)


def test_a_page_ends_where_the_texts_get_long(source, monkeypatch):
    monkeypatch.setattr(reading, "PAGE_BYTES", 10_000)
    routed(*[incident(source, body="x" * 6_000) for _ in range(5)])
    now = clock.now()

    first = reading.page(source, now - timedelta(days=1), now, None, added=False)

    assert first.incidents == 2


def test_who_edited_it_for_somebody_else_to_sign_did_not_approve_it(source):
    [proposal] = routed(incident(source))
    Proposal.objects.filter(pk=proposal.pk).update(state="superseded", settled_at=clock.now())
    proposal.refresh_from_db()
    fields = {name: getattr(proposal, name) for name in ("incident_id", "source_id", "kind", "action", "args", "content", "args_digest")}
    Proposal.objects.create(**fields, revision=2, author="person", routed_at=clock.now())

    row = finished(asked())

    assert row.result["alone"]["edit"] == 1
    assert row.result["proposals"] == 1, "the edit itself is no case of its own"


def test_what_people_took_is_what_lies_between_their_signatures(source):
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(4)])
    begins = clock.now()
    for one, minutes in zip(proposals, (0, 2, 5, 60), strict=True):  # 2 and 3 minutes; the first and the last are not known
        with clock.frozen_at(begins + timedelta(minutes=minutes)):
            says(person, one, "approve")

    assert reading.pace(one.pk for one in proposals) == (300.0, 2, 2)
    row = finished(asked())
    assert replay.figures(row.result).minutes == pytest.approx(10.0), "those that are not known took as long as the others"


def test_it_says_so_when_the_rules_were_changed_under_it(source, small_pages):
    routed(*[incident(source) for _ in range(5)])
    row = asked()
    replay.run_slice(0.0)
    RoutingRule.objects.create(name="new", condition="true", floor="review")

    assert finished(row).result["rules_changed"] is True


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": "a", "condition": "nonsense ==", "floor": "review"}, "/condition"),
        ({"name": "a", "condition": 'incident.title == "x"', "floor": "auto"}, "/condition"),
        ({"name": "a", "condition": "true", "floor": "review", "role": "nobody's"}, "/role"),
    ],
)
def test_what_could_not_be_saved_cannot_be_tried(db, wanted, pointer):
    now = clock.now()

    with pytest.raises(Invalid) as refused:
        replay.ask("rule", wanted, "", now - timedelta(days=1), now, PersonFactory())

    assert [error["pointer"] for error in refused.value.errors] == [pointer]
    assert not Replay.objects.exists()


def test_ten_may_wait(db):
    for _ in range(asking.MOST_OPEN):
        asked()

    with pytest.raises(Invalid):
        asked()


def test_mistakes_are_all_kept_and_of_the_others_the_newest(source, monkeypatch):
    monkeypatch.setattr(running, "OTHERS_KEPT", 0)
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(25)])
    for one in proposals[:3]:
        says(person, one, "reject")

    row = finished(asked())

    assert set(row.items.filter(mistake=True).values_list("proposal_id", flat=True)) == {one.pk for one in proposals[:3]}
    assert row.items.filter(mistake=False).count() == 20
    assert ReplayItem.objects.filter(replay=row, said="reject").count() == 3
