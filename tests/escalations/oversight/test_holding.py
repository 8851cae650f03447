"""What a run may be let go on by, and what not: only an answer to what holds it."""

import pytest

from escalations import audit, lifecycle, oversight
from escalations.errors import NotAllowed
from escalations.models import Proposal, Stop
from escalations.states import Order
from tests.escalations.oversight.conftest import Agent
from tests.escalations.oversight.test_alarms import brought, decide, loop

pytestmark = pytest.mark.django_db


def test_an_answer_about_an_older_alarm_does_not_lift_a_pause_that_came_after_it(agent, watchers, later):
    with later(700):
        oversight.find_silent()
        silent = brought(agent)
    with later(710):
        loop(agent)
        assert agent.now.state == "pausing"
        decide(silent.proposal, watchers.opal, "respond", message="Good to hear of you.")
        oversight.follow()
    assert agent.now.state == "pausing"
    assert [note["text"] for note in agent.ask()["notes"]] == ["Good to hear of you."]


def test_an_answer_that_is_carried_out_late_does_not_lift_what_somebody_paused_since(agent, watchers, later):
    loop(agent)
    decide(brought(agent).proposal, watchers.opal, "respond", message="Go on.")
    with later(1):
        oversight.order(agent.pk, Order.RESUME, person=watchers.sue)
        oversight.order(agent.pk, Order.PAUSE, person=watchers.mona, text="Not before I have looked.")
        oversight.follow()
    assert (agent.now.state, agent.now.reason) == ("pausing", "Not before I have looked.")


def test_answers_that_wait_while_everything_is_stopped_keep_no_stop_waiting(watchers):
    first, second = Agent(), Agent()
    loop(first)
    loop(second)
    yes, no = brought(first), brought(second)
    Stop.objects.create(by=watchers.mona, reason="drill")
    decide(yes.proposal, watchers.opal, "respond", message="Go on.")
    decide(no.proposal, watchers.opal, "reject", reason="No.")
    assert oversight.follow(limit=1) == 1
    assert (first.now.state, second.now.state) == ("pausing", "stopping")


@pytest.mark.parametrize("steps", [
    [{"tool": "a"}, {"tool": "b", "number": 1}],
    [{"tool": "a", "number": 2}, {"tool": "b", "number": 1}, {"tool": "c"}],
    [{"tool": "a", "number": 3}, {"tool": "b"}, {"tool": "c", "number": 4}],
])
def test_steps_with_and_without_numbers_in_one_call_are_all_kept(agent, steps):
    answer = agent.steps(steps)
    assert (answer.accepted, agent.now.steps) == (len(steps), len(steps))
    assert oversight.digest_of(agent.now.taken.order_by("pk")) == agent.now.digest


def test_a_run_that_costs_more_than_can_be_counted_is_counted_as_far_as_it_goes(agent):
    agent.step("a", cost="99999999")
    agent.step("b", cost="99999999")
    assert agent.now.steps == 2


def test_a_no_that_asks_for_more_is_not_lost_when_somebody_resumes_before_it_is_carried_out(agent, watchers):
    loop(agent)
    decide(brought(agent).proposal, watchers.opal, "reject", reason="Not like this.", retry=True)
    oversight.order(agent.pk, Order.RESUME, person=watchers.sue)
    oversight.follow()
    assert agent.now.state == "stopping"


def test_an_agent_that_says_it_failed_at_an_answer_about_itself_asks_nobody_anew(agent, watchers):
    loop(agent)
    found = brought(agent)
    decide(found.proposal, watchers.opal, "respond", message="Go on.")
    oversight.follow()
    lifecycle.acknowledge(found.incident.pk, result="failed", actor=audit.Actor.source(agent.source))
    assert not Proposal.objects.filter(incident=found.incident, state="pending").exists()
    found.incident.refresh_from_db()
    assert found.incident.status == "settled"


def test_an_agent_adds_to_its_alarm_only_what_it_was_asked(agent, watchers):
    loop(agent)
    found = brought(agent)
    itself = audit.Actor.source(agent.source)
    with pytest.raises(NotAllowed):
        lifecycle.add_context(found.incident.pk, context={"summary": "Never mind"}, actor=itself)
    lifecycle.ask_back(found.proposal.pk, person=watchers.opal, text="Why Oslo?")
    lifecycle.add_context(found.incident.pk, context={"summary": "They fly there"}, actor=itself)
    with pytest.raises(NotAllowed):
        lifecycle.add_context(found.incident.pk, context={"summary": "And now?"}, actor=itself)
