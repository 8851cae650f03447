"""What is found on a run, how it comes to people, and how their decision comes back to it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from escalations import audit, authority, classify, clock, lifecycle, oversight, route
from escalations.errors import NotAllowed, OwnRequest
from escalations.models import Decision, Incident, Proposal, SessionAlarm, Stop, Work
from escalations.states import Order
from escalations.timers import Timers
from tests.escalations.oversight.conftest import Agent
from tests.factories import IncidentFactory, PersonFactory, RuleFactory, SourceFactory

pytestmark = pytest.mark.django_db


def loop(agent, times=5):
    for _ in range(times):
        said = agent.step("search", {"q": "Oslo"})
    return said


def brought(agent):
    """Return the newest alarm of a run, its incident routed to people, and the proposal there."""
    alarm = SessionAlarm.objects.filter(session=agent.pk).select_related("incident").latest("pk")
    Work.objects.filter(incident=alarm.incident).update(run_at=clock.now())
    classify.run_batch()
    route.run_batch()
    alarm.incident.refresh_from_db()
    return SimpleNamespace(alarm=alarm, incident=alarm.incident, proposal=Proposal.objects.get(incident=alarm.incident))


def decide(proposal, person, type, **more):
    return lifecycle.decide(
        proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version, **more
    )


def test_a_loop_pauses_the_run_and_brings_it_to_operations_with_its_steps(agent, watchers):
    agent.step("open", {"page": 1})
    said = loop(agent)
    assert (said["directive"], said["by"]) == ("pause", {"kind": "policy", "name": "Countersign"})
    assert said["reason"] == "search was called 5 times in a row with the same args."
    assert agent.now.state == "pausing"
    found = brought(agent)
    incident, proposal = found.incident, found.proposal
    assert (found.alarm.name, found.alarm.step) == ("loop", 6)
    assert (incident.kind, incident.session, incident.pattern, incident.triggers) == (
        "handoff", str(agent.pk), "oversight", ["loop_detected"],
    )
    assert incident.title == "researcher repeats one call"
    assert [one["tool"] for one in incident.context["attempts"]] == ["open"] + ["search"] * 5
    assert incident.context["attempts"][-1]["arguments"] == {"q": "Oslo"}
    assert "Find flights" in incident.context["summary"]
    assert (proposal.state, proposal.role.name, proposal.allowed_decisions) == ("pending", "operations", ["respond", "reject"])
    assert oversight.told(agent.now)["incidents"] == [str(incident.pk)]


def test_who_was_asked_about_an_alarm_may_read_the_run(agent, watchers):
    loop(agent)
    brought(agent)
    assert authority.runs_readable_by(watchers.opal).filter(pk=agent.pk).exists()
    assert not authority.runs_readable_by(watchers.fred).filter(pk=agent.pk).exists()


def test_a_paused_run_is_not_found_looping_again(agent, watchers):
    loop(agent, 12)
    assert SessionAlarm.objects.count() == 1


def test_an_answer_lets_it_go_on_with_the_words_as_a_note(agent, watchers):
    loop(agent)
    decide(brought(agent).proposal, watchers.opal, "respond", message="Try another airline.")
    assert agent.ask()["directive"] == "pause"
    assert oversight.follow() == 1
    said = agent.ask()
    assert said["directive"] == "note"
    assert [(note["text"], note["by"]) for note in said["notes"]] == [
        ("Try another airline.", {"kind": "person", "name": "Opal Ops"}),
    ]
    assert agent.now.state == "running"
    assert oversight.follow() == 0
    assert "session.followed" in agent.recorded
    for _ in range(4):  # what came before the pause counts no more
        assert agent.step("search", {"q": "Oslo"})["directive"] != "pause"
    assert agent.step("search", {"q": "Oslo"})["directive"] == "pause"


def test_a_no_stops_it(agent, watchers):
    loop(agent)
    decide(brought(agent).proposal, watchers.opal, "reject", reason="Enough.")
    oversight.follow()
    assert (agent.step()["directive"], agent.now.state, agent.now.reason) == ("stop", "stopping", "Enough.")


def test_when_nobody_answers_in_time_the_clock_stops_it(agent, later):
    loop(agent)
    proposal = brought(agent).proposal
    with clock.frozen_at(proposal.expires_at + timedelta(seconds=1)):
        lifecycle.run_out()
        assert Decision.objects.get().by_kind == "clock"
        assert oversight.follow() == 1
        assert agent.ask()["directive"] == "stop"


def test_the_owner_of_the_agent_does_not_decide_about_its_alarm(watchers):
    owner = PersonFactory(roles=["operations", "manager"])
    agent = Agent(source=SourceFactory(owner=owner))
    loop(agent)
    with pytest.raises(OwnRequest):
        decide(brought(agent).proposal, owner, "respond", message="It is fine.")


def test_an_agent_cannot_take_its_alarm_back_nor_reword_it(agent):
    loop(agent)
    incident = brought(agent).incident
    actor = audit.Actor.source(agent.source)
    with pytest.raises(NotAllowed):
        lifecycle.withdraw(incident.pk, actor=actor)
    with pytest.raises(NotAllowed):
        lifecycle.revise(incident.pk, content={"action": "note", "args": {}}, actor=actor)
    assert agent.now.state == "pausing"


def test_no_rule_lets_an_alarm_go_alone(agent):
    RuleFactory(name="all alone", condition='incident.kind == "handoff"', floor="auto", by="rule")
    loop(agent)
    assert brought(agent).proposal.state == "pending"


def test_an_agents_own_hand_off_is_its_own(agent):
    incident = IncidentFactory(source=agent.source, kind="handoff", session=str(agent.pk))
    assert route.alarmed(incident) == []
    lifecycle.withdraw(incident.pk, actor=audit.Actor.source(agent.source))


@pytest.mark.parametrize("order", [Order.RESUME, Order.STOP])
def test_who_deals_with_the_run_itself_has_dealt_with_its_alarm(agent, watchers, order):
    loop(agent)
    found = brought(agent)
    oversight.order(agent.pk, order, person=watchers.sue, text="I saw it.")
    found.proposal.refresh_from_db()
    assert (found.proposal.state, Incident.objects.get(pk=found.incident.pk).status) == ("withdrawn", "settled")
    assert oversight.follow() == 0


def test_the_owner_stops_and_the_alarm_stays_with_those_who_were_asked(watchers):
    agent = Agent(source=SourceFactory(owner=watchers.olaf))
    loop(agent)
    found = brought(agent)
    oversight.order(agent.pk, Order.STOP, person=watchers.olaf)
    found.proposal.refresh_from_db()
    assert found.proposal.state == "pending"
    decide(found.proposal, watchers.opal, "respond", message="Seen.")
    assert oversight.follow() == 1
    assert agent.ask()["directive"] == "stop"  # a yes starts nothing that was stopped


def test_while_everything_is_stopped_a_yes_waits_and_a_no_does_not(watchers):
    agents = [Agent(), Agent()]
    for agent in agents:
        loop(agent)
    Stop.objects.create(by=watchers.mona, reason="r")
    proposals = [brought(agent).proposal for agent in agents]
    decide(proposals[0], watchers.opal, "respond", message="Go on.")
    decide(proposals[1], watchers.opal, "reject", reason="No.")
    assert oversight.follow() == 1
    assert [agent.now.state for agent in agents] == ["pausing", "stopping"]


def test_near_the_end_of_a_budget_it_pauses_once_and_at_the_end_it_stops(watchers):
    agent = Agent(limits={"steps": 20})
    assert agent.new_steps(17).directive["directive"] == "continue"
    assert agent.new_steps(1).directive["directive"] == "pause"
    alarm = SessionAlarm.objects.get()
    assert (alarm.name, alarm.why) == ("budget", "90% of its budget is used: 18 of 20 steps.")
    oversight.order(agent.pk, Order.RESUME, person=watchers.sue)
    assert agent.new_steps(1).directive["directive"] == "continue"
    said = agent.new_steps(1).directive
    assert (said["directive"], said["reason"]) == ("stop", "Its budget is used up: 20 of 20 steps.")
    assert SessionAlarm.objects.count() == 1


def test_a_budget_of_money_counts_too(db):
    agent = Agent(limits={"cost": "1.00"})
    assert agent.step(cost="0.899999")["directive"] == "continue"
    assert agent.step(args={"n": 2}, cost="0.000001")["directive"] == "pause"
    assert agent.step(args={"n": 3}, cost="5")["directive"] == "stop"


def test_minutes_run_out_by_themselves_and_not_while_it_is_paused(watchers, later):
    agent = Agent(limits={"minutes": 10})
    with later(8 * 60):
        assert oversight.end_overdue() == 0
    with later(9 * 60 + 1):
        assert oversight.end_overdue() == 1
        assert oversight.end_overdue() == 0
    assert agent.now.state == "pausing"
    with later(3600):
        assert oversight.end_overdue() == 0
        oversight.order(agent.pk, Order.RESUME, person=watchers.sue)
        assert oversight.end_overdue() == 0
    with later(3600 + 70):
        assert oversight.end_overdue() == 1
        assert agent.now.state == "stopping"
        assert "10 minutes" in agent.now.reason


def test_an_agent_that_goes_on_after_it_was_told_to_stop_is_brought_to_people_once(agent, watchers, later):
    oversight.order(agent.pk, Order.STOP, person=watchers.sue)
    agent.step()
    agent.step(args={"on its way": True})
    assert not SessionAlarm.objects.exists()
    with later(10):
        assert agent.step("pay")["directive"] == "stop"
        assert agent.step("pay")["directive"] == "stop"
    found = brought(agent)
    assert (found.alarm.name, found.incident.triggers, found.incident.pattern) == ("went_on", ["agent_failed"], "oversight")
    assert SessionAlarm.objects.count() == 1
    assert [step.late for step in agent.now.taken.all()] == [False, True, True, True]
    decide(found.proposal, watchers.opal, "respond", message="I pulled the plug.")
    assert oversight.follow() == 1
    assert agent.ask()["directive"] == "stop"


def test_going_on_after_a_confirmed_stop_is_told_too(agent, watchers, later):
    oversight.order(agent.pk, Order.STOP, person=watchers.sue)
    agent.ask()
    agent.ask()
    with later(10):
        agent.step()
    assert SessionAlarm.objects.get().name == "went_on"


def test_silence_is_told_of_once_until_the_agent_is_heard_again(agent, later):
    with later(599):
        assert oversight.find_silent() == 0
    with later(700):
        assert oversight.find_silent() == 1
    with later(5000):
        assert oversight.find_silent() == 0
        agent.step()
    with later(5700):
        assert oversight.find_silent() == 1
    assert list(SessionAlarm.objects.values_list("name", flat=True)) == ["silent", "silent"]
    assert brought(agent).incident.triggers == ["agent_failed"]


def test_who_waits_for_a_person_is_not_silent(agent, watchers, later):
    incident = IncidentFactory(source=agent.source, session=str(agent.pk))
    with later(700):
        assert oversight.find_silent() == 0
        Incident.objects.filter(pk=incident.pk).update(status="settled")
        assert oversight.find_silent() == 1


def test_nor_is_who_was_paused_or_has_ended(agent, watchers, later):
    other = Agent()
    other.end()
    oversight.order(agent.pk, Order.PAUSE, person=watchers.sue)
    with later(3600):
        assert oversight.find_silent() == 0


def test_a_stop_that_nobody_confirms_is_told_of_once(watchers, later):
    deaf, gone = Agent(), Agent()
    for agent in (deaf, gone):
        oversight.order(agent.pk, Order.STOP, person=watchers.sue)
    deaf.step()
    with later(50):
        assert oversight.find_silent() == 0
    with later(61):
        deaf.step()
        assert oversight.find_silent() == 2
        assert oversight.find_silent() == 0
    with later(300):
        deaf.step()
        assert oversight.find_silent() == 0
    whys = dict(SessionAlarm.objects.filter(name="silent").values_list("session", "why"))
    assert "has not confirmed" in whys[deaf.pk]
    assert "has not called since" in whys[gone.pk]


def test_the_timers_carry_a_decision_to_the_run_in_their_next_turn(agent, watchers):
    loop(agent)
    decide(brought(agent).proposal, watchers.opal, "reject", reason="Enough.")
    did = Timers().turn()
    assert did["followed"] == 1
    assert (did["silent"], did["runs out of time"]) == (0, 0)
    assert agent.now.state == "stopping"


def test_an_alarm_that_cannot_be_followed_keeps_no_other_waiting(watchers, monkeypatch):
    agents = [Agent(), Agent()]
    for agent in agents:
        loop(agent)
        decide(brought(agent).proposal, watchers.opal, "reject", reason="Enough.")
    right = oversight.following._follow

    def broken(alarm):
        if alarm.session_id == agents[0].pk:
            raise ValueError("poison")
        return right(alarm)

    monkeypatch.setattr(oversight.following, "_follow", broken)
    assert oversight.follow() == 1
    assert [agent.now.state for agent in agents] == ["pausing", "stopping"]


def test_a_rehearsals_alarm_is_a_rehearsal(db):
    agent = Agent()
    session, _ = oversight.start(source=agent.source, key_env="test", data={"agent": "a"}, key=None, body_digest="0" * 64)
    for _ in range(5):
        oversight.take_steps(session.pk, source=agent.source, steps=[{"tool": "t"}], only_test=True)
    assert SessionAlarm.objects.get().incident.test
