"""The live stream: to each what they may read, within two seconds, and nothing held for who reads."""

import asyncio
import json
import threading

import pytest
from django.contrib.sessions.models import Session
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries, transaction
from django.test import Client

from escalations import audit, lifecycle, policies
from escalations.models import AuditEntry
from hitl_site.doors import MachineHandler, TwoDoors
from reviews import live, live_rows
from reviews.inbox import newest_entry
from tests.factories import PersonFactory, ProposalFactory, role

from .streaming import Stream, backends, do, session_of, streams, until

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = audit.Actor("person", "admin", "the administrator")


@pytest.fixture
def reviewer(transactional_db):
    return PersonFactory(username="rosa", roles=["finance"], password="correct horse battery")


@pytest.fixture
def stranger(transactional_db):
    return PersonFactory(username="sam", roles=["security"])


@pytest.fixture
def ask(transactional_db):
    return lambda **facts: ProposalFactory(**{"role": role("finance"), **facts})


@pytest.fixture
def application(transactional_db):
    """The two ways as asgi.py joins them, without the receivers it takes off."""
    request_started.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    yield TwoDoors(MachineHandler(), ASGIHandler())
    request_started.connect(close_old_connections)
    request_started.connect(reset_queries)


def approve(proposal, person):
    return lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=proposal.version)


def test_a_change_is_told_within_two_seconds(application, ask, reviewer):
    proposal, colleague = ask(), PersonFactory(roles=["finance"])

    async def story():
        async with streams(application, session_of_now) as (stream,):
            began = asyncio.get_running_loop().time()
            await do(approve, proposal, colleague)
            await until(lambda: stream.named)
            return stream.named, asyncio.get_running_loop().time() - began

    session_of_now = session_of(reviewer)
    named, took = asyncio.run(story())

    assert named == {str(proposal.pk)}
    assert took < 10


def test_what_comes_into_a_queue_is_announced_to_those_who_read_it_and_to_nobody_else(application, ask, reviewer, stranger):
    proposal = ask(role=role("support"))
    manager, auditor, finance = PersonFactory(roles=["manager"]), PersonFactory(roles=["auditor"]), role("finance")
    keys = [session_of(one) for one in (reviewer, stranger, manager, auditor)]

    async def story():
        async with streams(application, *keys) as opened:
            await do(lifecycle.hand_over, proposal.pk, person=manager, role=finance, why="money")
            await until(lambda: all(one.arrivals for one in (opened[0], opened[2], opened[3])))
            return [(one.named, one.arrivals) for one in opened]

    told = asyncio.run(story())

    theirs = ({str(proposal.pk)}, 1)
    assert told == [theirs, (set(), 0), theirs, theirs]


def test_nobody_hears_of_a_proposal_they_may_not_read(application, ask, reviewer, stranger):
    hidden, shared = ask(), ask(role=role("finance"), asked=[role("security").pk, role("finance").pk])
    keys = [session_of(stranger)]

    async def story():
        async with streams(application, *keys) as (stream,):
            await do(approve, hidden, reviewer)
            await do(lifecycle.comment, hidden.pk, person=reviewer, text="secret")
            await do(approve, shared, reviewer)  # theirs by having been asked once; it ends the wait, for it came later
            await until(lambda: str(shared.pk) in stream.named)
            return stream.events

    events = asyncio.run(story())

    assert str(hidden.pk) not in json.dumps(events)
    assert not [event for event in events if event[0] == "arrived"]


def test_rights_on_the_stream_are_the_rights_of_the_pages(ask, reviewer, stranger):
    """Every way of reading, side by side with authority.readable_by."""
    people = [reviewer, stranger, *(PersonFactory(roles=[name]) for name in ("manager", "auditor", "queue manager"))]
    people += [PersonFactory(is_superuser=True), PersonFactory(), PersonFactory(roles=["finance", "security"])]
    proposals = [ask(), ask(role=role("security")), ask(asked=[role("security").pk]), ask(role=None, routed_at=None)]
    with transaction.atomic():
        for proposal in proposals:
            audit.record("proposal.commented", actor=ADMIN, incident_id=proposal.incident_id, proposal_id=proposal.pk)

    entries = live_rows.happened(0, [])
    rights = live_rows.rights_of([one.pk for one in people])
    for person in people:
        heard, _ = live.theirs(entries, rights[person.pk])
        assert heard == set(lifecycle.desk.authority.readable_by(person).values_list("pk", flat=True)), person.roles()


@pytest.mark.parametrize("who", ["nobody", "a made-up session", "somebody deactivated", "somebody with a new password", "an old session"])
def test_who_is_not_signed_in_gets_no_stream(application, reviewer, who):
    key = session_of(reviewer)
    if who == "nobody":
        key = ""
    elif who == "a made-up session":
        key = "x" * 32
    elif who == "somebody deactivated":
        type(reviewer).objects.update(is_active=False)
    elif who == "somebody with a new password":
        reviewer.set_password("another horse battery")
        reviewer.save()
    else:
        Session.objects.update(expire_date="2001-01-01T00:00Z")

    async def story():
        stream = Stream(application, key)
        await stream.task
        return stream

    stream = asyncio.run(story())

    assert stream.status == 204 and not stream.events
    assert stream.headers[b"cache-control"] == b"no-store"


def test_the_stream_says_that_nobody_may_keep_or_collect_it(application, reviewer):
    async def story():
        async with streams(application, key) as (stream,):
            return stream

    key = session_of(reviewer)
    stream = asyncio.run(story())

    assert stream.status == 200
    assert stream.headers[b"content-type"].startswith(b"text/event-stream")
    assert stream.headers[b"cache-control"] == b"no-store"
    assert stream.headers[b"x-accel-buffering"] == b"no"


@pytest.mark.parametrize("how", ["deactivated", "new password", "signed out"])
def test_who_may_not_read_any_more_is_cut_off(application, ask, reviewer, stranger, monkeypatch, how):
    proposal, other = ask(), PersonFactory(roles=["finance"])
    keys = [session_of(reviewer), session_of(other)]

    def cut():
        if how == "deactivated":
            policies.deactivate(reviewer, actor=ADMIN)
        elif how == "new password":
            policies.save_person(reviewer, actor=ADMIN, password="another horse battery")
        else:
            Session.objects.filter(pk=keys[0]).delete()

    async def story():
        if how == "signed out":
            monkeypatch.setattr(live, "RECHECK", 0.1)
        async with streams(application, *keys) as (gone, stays):
            await do(cut)
            async with asyncio.timeout(5):
                await gone.task
            await do(approve, proposal, other)
            await until(lambda: stays.named)
            return gone.named

    assert asyncio.run(story()) == set()


def test_who_leaves_a_role_hears_nothing_of_it_from_then_on(application, ask, reviewer):
    proposal, other = ask(), PersonFactory(roles=["finance"])
    keys = [session_of(reviewer), session_of(other)]

    async def story():
        async with streams(application, *keys) as (left, stays):
            await do(policies.save_person, reviewer, actor=ADMIN, roles=[security])
            mine = next(one for one in live.feed().readers if one.reading.person_id == reviewer.pk)
            await until(lambda: mine.rights.roles == {security.pk})
            await do(approve, proposal, other)
            await until(lambda: stays.named)
            return left.named, left.task.done()

    security = role("security")
    assert asyncio.run(story()) == (set(), False)


def test_a_hundred_streams_hold_no_connection_and_no_thread(application, ask, reviewer):
    proposal, colleague = ask(), PersonFactory(roles=["finance"])
    people = [PersonFactory(roles=["finance"]) for _ in range(10)]
    keys = [session_of(person) for person in people for _ in range(10)]

    async def story():
        threads = threading.active_count()
        async with streams(application, *keys) as opened:
            looked = live.feed().looks
            seen = []
            await until(lambda: live.feed().looks > looked)
            for _ in range(20):
                seen.append(await do(backends))
            grown = threading.active_count() - threads
            await do(approve, proposal, colleague)
            await until(lambda: all(one.named for one in opened))
            return seen, grown

    before = backends()
    seen, grown = asyncio.run(story())

    assert min(seen) <= before, "most of the time nothing is held at all"
    assert max(seen) - before <= 2, "the look itself, and who opens"
    assert grown <= 2 + 2, "the stream's own threads, and the test's"


def test_one_look_costs_two_queries_whoever_reads(ask, django_assert_num_queries, reviewer):
    for _ in range(3):
        lifecycle.comment(ask().pk, person=reviewer, text="x")
    with django_assert_num_queries(2):  # entries that were late, entries that are new
        assert len(live_rows.happened(0, [1, 2])) >= 3
    readings = [live_rows.reading(session_of(reviewer)) for _ in range(3)]
    with django_assert_num_queries(4):  # sessions, people, administrators, roles
        assert len(live_rows.still_reading(readings)) == 3


def test_who_was_away_for_a_moment_misses_nothing(application, ask, reviewer):
    proposal, colleague = ask(), PersonFactory(roles=["finance"])
    lifecycle.claim(ask().pk, person=reviewer)
    since = newest_entry()
    approve(proposal, colleague)
    key = session_of(reviewer)

    async def story():
        async with streams(application, key, query=f"since={since}") as (first,):
            await until(lambda: first.named)  # it begins where the page was drawn
            async with asyncio.timeout(5):
                again = Stream(application, key, headers=[(b"last-event-id", str(since).encode())])
                await until(lambda: again.named)  # and the next one is told from memory
            await again.hang_up()
            return first.named, again.named

    first, again = asyncio.run(story())

    assert first == again == {str(proposal.pk)}


def test_who_was_away_for_long_is_told_to_look_at_everything(application, reviewer):
    key = session_of(reviewer)

    async def story():
        async with streams(application, key):
            late = Stream(application, key, query="since=1")
            await until(lambda: late.events)
            await late.hang_up()
            return late.events[0]

    with transaction.atomic():
        audit.record_many([audit.entry("rule.saved", actor=ADMIN) for _ in range(live_rows.MOST_ROWS + 2)])
    assert asyncio.run(story()) == ("everything", "")


def test_what_commits_late_is_told_all_the_same(application, ask, reviewer):
    """Numbers are given before a commit: an entry with a lower one may come after an entry with a higher one was read."""
    slow, quick = ask(), ask()
    key = session_of(reviewer)
    written, go = threading.Event(), threading.Event()

    def slowly():
        with transaction.atomic():
            audit.record("proposal.commented", actor=ADMIN, incident_id=slow.incident_id, proposal_id=slow.pk)
            written.set()
            go.wait(10)

    async def story():
        async with streams(application, key) as (stream,):
            writing = asyncio.create_task(do(slowly))
            await asyncio.to_thread(written.wait, 10)
            await do(lifecycle.comment, quick.pk, person=reviewer, text="x")
            await until(lambda: str(quick.pk) in stream.named)
            assert str(slow.pk) not in stream.named
            go.set()
            await writing
            await until(lambda: str(slow.pk) in stream.named)

    asyncio.run(story())


def test_a_storm_is_one_message(application, ask, reviewer, monkeypatch):
    proposals = [ask() for _ in range(3)]
    key = session_of(reviewer)

    def storm():
        with transaction.atomic():
            audit.record_many(
                [audit.entry("proposal.commented", actor=ADMIN, incident_id=one.incident_id, proposal_id=one.pk) for one in proposals]
            )

    async def story():
        async with streams(application, key) as (stream,):
            await do(storm)
            await until(lambda: stream.events)
            return stream.events

    monkeypatch.setattr(live, "MOST_TOLD", 2)
    assert asyncio.run(story()) == [("everything", "")]


def test_there_is_room_for_so_many_and_no_more(application, reviewer, stranger, monkeypatch):
    monkeypatch.setattr(live, "MOST_OF_ONE", 2)
    monkeypatch.setattr(live, "MOST_READERS", 3)
    mine, other, third = session_of(reviewer), session_of(stranger), session_of(PersonFactory())

    async def story():
        async with streams(application, mine, mine, other):
            refused = [Stream(application, mine), Stream(application, third)]
            for one in refused:
                await one.task
            return [one.status for one in refused]

    assert asyncio.run(story()) == [204, 204]


def test_a_word_is_said_when_nothing_happens(application, reviewer, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    key = session_of(reviewer)

    async def story():
        async with streams(application, key) as (stream,):
            await until(lambda: len(stream.events) >= 2)
            return stream.events

    assert set(asyncio.run(story())) == {("here", "")}


def test_everybody_is_let_go_when_the_process_ends_and_nobody_let_in(application, reviewer):
    key = session_of(reviewer)

    async def story():
        async with streams(application, key, key) as opened:
            live.feed().release()
            async with asyncio.timeout(1):
                await asyncio.gather(*(one.task for one in opened))
            late = Stream(application, key)
            await late.task
            return late.status

    assert asyncio.run(story()) == 204


def test_a_database_that_fails_for_a_moment_ends_nobodys_stream(application, ask, reviewer, monkeypatch):
    proposal, colleague = ask(), PersonFactory(roles=["finance"])
    key, right, failed = session_of(reviewer), live_rows.happened, []

    def fails_once(*args):
        if not failed:
            failed.append(True)
            raise OSError("gone for a moment")
        return right(*args)

    monkeypatch.setattr(live_rows, "happened", fails_once)

    async def story():
        async with streams(application, key) as (stream,):
            await until(lambda: failed)
            await do(approve, proposal, colleague)
            await until(lambda: stream.named)
            return stream.named

    assert asyncio.run(story()) == {str(proposal.pk)}


def test_without_an_event_loop_of_ours_there_is_no_stream(reviewer):
    """Under WSGI a stream would hold a worker: the page asks every twenty seconds instead."""
    client = Client()
    client.force_login(reviewer, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/live/").status_code == 204
    assert AuditEntry.objects.count() == 0
