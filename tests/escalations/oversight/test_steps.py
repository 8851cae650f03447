"""What an agent did, taken in."""

import pytest
from django.db import DatabaseError, transaction

from escalations import oversight
from escalations.errors import IdempotencyMismatch, Invalid, NotFound
from escalations.models import OversightSession, SessionStep
from tests.escalations.oversight.conftest import Agent
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


def test_a_step_is_kept_with_everything_that_was_said_of_it(agent):
    agent.steps([{"tool": "search", "args": {"q": "Oslo"}, "result": [1, {"a": None}], "tokens": 7, "cost": "0.01", "took_ms": 12}])
    agent.steps([{"tool": "pay", "error": "declined"}])
    first, second = agent.now.taken.all()
    assert (first.number, first.tool, first.args, first.result, first.error) == (1, "search", {"q": "Oslo"}, [1, {"a": None}], "")
    assert (first.tokens, str(first.cost), first.took_ms, first.late) == (7, "0.010000", 12, False)
    assert (second.number, second.args, second.result, second.error) == (2, None, None, "declined")
    now = agent.now
    assert (now.steps, now.errors, now.tokens, str(now.cost), now.last_tool) == (2, 1, 7, "0.010000", "pay")
    assert now.last_step_at == second.at == now.heard_at


def test_a_calm_step_is_two_statements(agent, django_assert_num_queries, later):
    agent.step()
    with later(0), django_assert_num_queries(2):
        agent.step(args={"other": 1})
    many = [{"tool": "read", "args": {"page": n}} for n in range(200)]
    with later(0), django_assert_num_queries(2):
        agent.steps(many)
    with later(0), django_assert_num_queries(1):
        agent.ask()


def test_a_number_that_is_there_already_is_the_same_step(agent):
    agent.steps([{"tool": "a", "number": 1}, {"tool": "b", "number": 2}])
    answer = agent.steps([{"tool": "x", "number": 2}, {"tool": "c", "number": 3}, {"tool": "y", "number": 3}, {"tool": "d", "number": 7}])
    assert (answer.accepted, answer.steps) == (2, 4)
    answer = agent.steps([{"tool": "late", "number": 5}, {"tool": "e"}])
    assert answer.accepted == 2
    assert dict(agent.now.taken.values_list("number", "tool")) == {1: "a", 2: "b", 3: "c", 5: "late", 7: "d", 8: "e"}
    assert (agent.now.steps, agent.now.last_number) == (6, 8)


def test_the_digest_binds_every_step_and_its_order(agent):
    agent.new_steps(3)
    agent.step("pay", {"amount": 1.50, "big": 12345678901234567890}, tokens=3)
    steps = list(agent.now.taken.all())
    assert agent.now.digest == oversight.digest_of(steps)
    swapped = [steps[1], steps[0], *steps[2:]]
    assert oversight.digest_of(swapped) != agent.now.digest
    steps[3].args = {"amount": 1.51, "big": 12345678901234567890}
    assert oversight.digest_of(steps) != agent.now.digest


def test_the_database_refuses_to_change_what_an_agent_did(agent):
    agent.step()
    for change in (lambda: SessionStep.objects.update(tool="other"), lambda: SessionStep.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    with pytest.raises(DatabaseError), transaction.atomic():
        OversightSession.objects.update(goal="another")


def test_another_source_finds_no_run(agent):
    other = SourceFactory()
    for call in (
        lambda: oversight.take_steps(agent.pk, source=other, steps=[{"tool": "t"}]),
        lambda: oversight.directive(agent.pk, source=other),
        lambda: oversight.end(agent.pk, source=other, outcome="done"),
    ):
        with pytest.raises(NotFound):
            call()


def test_the_same_key_with_the_same_body_is_the_same_run_and_with_another_it_is_refused(db):
    source = SourceFactory()
    begin = {"source": source, "key_env": "live", "data": {"agent": "a"}, "key": "k"}
    first, replayed = oversight.start(**begin, body_digest="1" * 64)
    again, was_there = oversight.start(**begin, body_digest="1" * 64)
    assert (first.pk, replayed, was_there) == (again.pk, False, True)
    with pytest.raises(IdempotencyMismatch):
        oversight.start(**begin, body_digest="2" * 64)
    with pytest.raises(IdempotencyMismatch):
        oversight.start(**begin | {"key_env": "test"}, body_digest="1" * 64)
    assert OversightSession.objects.count() == 1


def test_a_role_that_is_none_is_refused(db):
    with pytest.raises(Invalid):
        Agent(role="no such role")
    assert Agent(role="finance").session.role.name == "finance"
    assert Agent().session.role.name == "supervisor"


def test_ending_is_once_and_steps_after_it_are_kept_and_marked(agent):
    agent.step()
    agent.end("failed", detail="no flights")
    agent.end("done")
    assert (agent.now.state, agent.now.outcome, agent.now.detail) == ("ended", "failed", "no flights")
    said = agent.step(args={"after": 1})
    assert (said["directive"], said["reason"]) == ("stop", "This run has ended.")
    assert list(agent.now.taken.values_list("late", flat=True)) == [False, True]
    assert agent.recorded.count("session.ended") == 1


def test_told_says_how_it_stands(agent):
    agent.steps([{"tool": "search", "cost": "1.5", "tokens": 5}])
    said = oversight.told(agent.now)
    assert (said["state"], said["steps"], said["cost"], said["tokens"], said["role"]) == ("running", 1, "1.500000", 5, "supervisor")
    assert said["limits"] == {"steps": None, "repeats": None, "minutes": None, "cost": None}
    assert said["directive"]["directive"] == "continue"
    assert said["watch_url"] == f"http://testserver/oversight/{agent.pk}/"
