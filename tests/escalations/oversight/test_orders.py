"""What people tell a run, and when the agent has been told and has confirmed it."""

import threading

import pytest
from django.db import connections

from escalations import authority, oversight
from escalations.errors import IllegalMove, Invalid, NotFound, NotYourQueue, OwnRequest
from escalations.models import OversightSession, SessionOrder, Stop
from escalations.states import Order
from tests.escalations.oversight.conftest import Agent
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


def test_a_run_without_orders_goes_on(agent):
    assert agent.step() == {"directive": "continue", "number": 0, "reason": None, "by": None, "at": None, "notes": []}


def test_a_pause_is_asked_told_and_confirmed(agent, watchers):
    given = oversight.order(agent.pk, Order.PAUSE, person=watchers.sue, text="Wait for the lawyers.")
    assert agent.now.state == "pausing"
    assert (given.number, given.told_at, given.confirmed_at) == (1, None, None)

    said = agent.step()

    assert (said["directive"], said["number"], said["reason"]) == ("pause", 1, "Wait for the lawyers.")
    assert said["by"] == {"kind": "person", "name": "Sue Super"}
    given.refresh_from_db()
    assert given.told_at and not given.confirmed_at
    assert agent.now.state == "pausing"  # it may not have heard

    assert agent.ask()["directive"] == "pause"
    given.refresh_from_db()
    assert given.asked_at <= given.told_at <= given.confirmed_at
    assert agent.now.state == "paused"
    assert agent.recorded == ["session.started", "session.ordered", "session.told", "session.confirmed"]


def test_a_resume_lets_it_go_on_and_counts_how_long_it_stood(agent, watchers, later):
    oversight.order(agent.pk, Order.PAUSE, person=watchers.sue)
    agent.ask()
    agent.ask()
    with later(300):
        oversight.order(agent.pk, Order.RESUME, person=watchers.sue)
        said = agent.ask()
    assert (said["directive"], said["number"]) == ("continue", 2)
    assert agent.now.state == "running"
    assert 299 < agent.now.paused_seconds < 320


def test_a_stop_is_requested_until_the_agent_confirms_it(agent, watchers):
    oversight.order(agent.pk, Order.STOP, person=watchers.sue, text="Gone wrong.")
    assert agent.step()["directive"] == "stop"
    assert agent.now.state == "stopping"
    assert agent.step()["directive"] == "stop"  # whoever does something more has not stopped
    assert agent.now.state == "stopping"
    assert SessionOrder.objects.get(session=agent.pk).confirmed_at is None

    said = agent.ask()

    assert agent.recorded[-2:] == ["session.confirmed", "session.ended"]
    assert (said["directive"], said["reason"]) == ("stop", "Gone wrong.")
    assert (agent.now.state, agent.now.ended_at is not None) == ("stopped", True)
    assert SessionOrder.objects.get(session=agent.pk).confirmed_at
    assert agent.step()["directive"] == "stop"


def test_asking_once_hears_of_a_stop_and_asking_again_confirms_it(agent, watchers):
    oversight.order(agent.pk, Order.STOP, person=watchers.sue)
    agent.ask()
    assert agent.now.state == "stopping"
    agent.ask()
    assert agent.now.state == "stopped"


def test_ending_confirms_a_stop(agent, watchers):
    oversight.order(agent.pk, Order.STOP, person=watchers.sue)
    agent.step()
    agent.end("stopped", detail="as told")
    now = agent.now
    assert (now.state, now.outcome, now.detail) == ("stopped", "stopped", "as told")
    assert SessionOrder.objects.get(session=agent.pk).confirmed_at


def test_a_note_reaches_the_agent_once_it_has_confirmed_it(agent, watchers):
    oversight.order(agent.pk, Order.NOTE, person=watchers.sue, text="Only direct flights.")
    said = agent.step(args={"n": 1})
    assert said["directive"] == "note"
    [note] = said["notes"]
    assert (note["number"], note["text"], note["by"]["name"]) == (1, "Only direct flights.", "Sue Super")
    assert agent.step(args={"n": 2})["directive"] == "continue"


def test_a_note_whose_answer_was_lost_comes_again(agent, watchers):
    oversight.order(agent.pk, Order.NOTE, person=watchers.sue, text="one")
    agent.step(args={"n": 1}, seen=0)
    oversight.order(agent.pk, Order.NOTE, person=watchers.sue, text="two")
    said = agent.step(args={"n": 2}, seen=0)
    assert [note["text"] for note in said["notes"]] == ["one", "two"]
    said = agent.step(args={"n": 3}, seen=1)
    assert [note["text"] for note in said["notes"]] == ["two"]


def test_nobody_confirms_what_was_never_told(agent, watchers):
    oversight.order(agent.pk, Order.PAUSE, person=watchers.sue)
    assert agent.step(seen=99)["directive"] == "pause"
    assert agent.now.state == "pausing"


def test_a_call_that_repeats_what_is_known_confirms_nothing_by_itself(agent, watchers):
    agent.steps([{"tool": "search", "number": 1}])
    oversight.order(agent.pk, Order.NOTE, person=watchers.sue, text="Hello")
    lost = agent.steps([{"tool": "search", "number": 2}])
    again = agent.steps([{"tool": "search", "number": 2}])
    assert (lost.accepted, again.accepted, again.steps) == (1, 0, 2)
    assert again.directive["notes"] == lost.directive["notes"] != []


@pytest.mark.parametrize(
    ("orders", "wrong"),
    [
        ([], Order.RESUME), (["pause"], Order.PAUSE), (["stop"], Order.STOP), (["stop"], Order.RESUME), (["stop"], Order.NOTE),
        (["stop"], Order.PAUSE),
    ],
)
def test_an_order_that_makes_no_sense_now_is_refused(agent, watchers, orders, wrong):
    for order in orders:
        oversight.order(agent.pk, order, person=watchers.sue)
    before = OversightSession.objects.values().get(pk=agent.pk)
    with pytest.raises(IllegalMove):
        oversight.order(agent.pk, wrong, person=watchers.sue, text="t")
    assert OversightSession.objects.values().get(pk=agent.pk) == before


def test_a_run_that_has_ended_takes_no_orders(agent, watchers):
    agent.end()
    for order in Order:
        with pytest.raises(IllegalMove):
            oversight.order(agent.pk, order, person=watchers.sue, text="t")


def test_a_note_has_words(agent, watchers):
    with pytest.raises(Invalid):
        oversight.order(agent.pk, Order.NOTE, person=watchers.sue, text="  ")


def test_who_may_tell_a_run_what(watchers):
    agent = Agent(source=SourceFactory(owner=watchers.olaf))
    session = OversightSession.objects.get(pk=agent.pk)
    everything = {*Order, authority.HAND_OVER}
    may = {
        who: {order for order in everything if authority.why_not_run(person, session, order) is None}
        for who, person in vars(watchers).items()
    }
    assert may["sue"] == may["mona"] == everything
    assert may["olaf"] == {Order.PAUSE, Order.STOP}
    assert may["audrey"] == may["fred"] == may["opal"] == set()


@pytest.mark.parametrize("roles", [["supervisor"], ["manager"]])
def test_an_owner_never_lets_their_own_service_go_on_whatever_role_they_have(roles):
    owner = PersonFactory(roles=roles)
    agent = Agent(source=SourceFactory(owner=owner))
    oversight.order(agent.pk, Order.PAUSE, person=owner)
    for order in (Order.RESUME, Order.NOTE):
        with pytest.raises(OwnRequest):
            oversight.order(agent.pk, order, person=owner, text="t")
    with pytest.raises(OwnRequest):
        oversight.hand_over(agent.pk, to=PersonFactory(roles=["supervisor"]), person=owner)


def test_who_reads_a_run_and_may_not_steer_it_is_told_so_and_everybody_else_finds_nothing(agent, watchers):
    with pytest.raises(NotYourQueue):
        oversight.order(agent.pk, Order.STOP, person=watchers.audrey)
    with pytest.raises(NotFound):
        oversight.order(agent.pk, Order.STOP, person=watchers.fred)
    readable = {who for who, person in vars(watchers).items() if authority.runs_readable_by(person).filter(pk=agent.pk).exists()}
    assert readable == {"sue", "mona", "audrey"}
    watchers.sue.is_active = False
    assert not authority.runs_readable_by(watchers.sue).exists()


def test_a_run_is_handed_to_a_colleague_who_may_watch_it(agent, watchers):
    colleague = PersonFactory(roles=["supervisor"])
    session = oversight.hand_over(agent.pk, to=colleague, person=watchers.sue, text="Lunch")
    assert (session.person, agent.now.person) == (colleague, colleague)
    with pytest.raises(NotYourQueue):
        oversight.hand_over(agent.pk, to=watchers.fred, person=watchers.sue)
    assert agent.recorded[-1] == "session.handed_over"


def test_many_are_stopped_and_each_says_what_became_of_it(watchers):
    agents = [Agent() for _ in range(3)]
    agents[1].end()
    foreign = Agent()
    OversightSession.objects.filter(pk=foreign.pk).update(role=role("finance"))
    became = oversight.stop_many([one.pk for one in [*agents, foreign]], person=watchers.sue, text="All of them.")
    assert [pk for pk, _ in became] == [one.pk for one in [*agents, foreign]]
    assert [type(what) for _, what in became] == [SessionOrder, IllegalMove, SessionOrder, NotFound]
    assert [agents[0].ask()["directive"], foreign.ask()["directive"]] == ["stop", "continue"]


def test_while_everything_is_stopped_every_run_is_told_to_pause(agent, watchers):
    agent.step(args={"n": 1})
    stop = Stop.objects.create(by=watchers.mona, reason="r")
    said = agent.step(args={"n": 2})
    assert said["directive"] == "pause"
    assert said["reason"].startswith("Everything was stopped")
    oversight.order(agent.pk, Order.STOP, person=watchers.sue, text="And this for good.")
    assert agent.step(args={"n": 3})["directive"] == "stop"
    other = Agent()
    assert other.ask()["directive"] == "pause"
    Stop.objects.filter(pk=stop.pk).update(
        release_asked_by=watchers.sue, release_asked_at=stop.at, released_by=watchers.mona, released_at=stop.at
    )
    assert other.ask()["directive"] == "continue"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_stop_a_run_at_once_one_does_and_no_step_is_lost(watchers):
    agent = Agent()
    became, accepted = [], []

    def stop():
        try:
            became.append(oversight.order(agent.pk, Order.STOP, person=watchers.sue))
        except IllegalMove as error:
            became.append(error)
        finally:
            connections.close_all()

    def work(name):
        try:
            accepted.extend(agent.step(args={"who": name, "n": n}) for n in range(10))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=stop) for _ in range(4)] + [threading.Thread(target=work, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    now = agent.now
    assert sum(isinstance(one, SessionOrder) for one in became) == 1
    assert (len(became), len(accepted)) == (4, 40)
    assert (now.steps, now.taken.count(), now.last_number, now.orders) == (40, 40, 40, 1)
    assert now.digest == oversight.digest_of(now.taken.all())
