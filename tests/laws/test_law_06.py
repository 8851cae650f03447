"""Law 6: fail closed. What breaks sends the item to a person, on time, with the reason; what nobody answers is rejected.

Each fault of a model is in tests/escalations/classify/test_llm_faults.py, each reason why the clock says no yes in
tests/escalations/lifecycle/test_clockwork.py. Here each part of the judgement breaks under the most generous rule there could be.
"""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle, queue
from escalations.classify import rules
from escalations.models import (
    Decision,
    Delivery,
    EscalationPolicy,
    Incident,
    Notice,
    Proposal,
    Question,
    RoutingRule,
    StepRun,
    Trigger,
    Work,
)
from escalations.states import ALWAYS_ON
from tests.factories import STANDARD, PersonFactory, ProposalFactory, RuleFactory, role

from .conftest import newest

pytestmark = pytest.mark.django_db

NOTE = {"kind": "action", "title": "Add a note", "proposal": {"action": "note", "args": {"n": 1}}}


@pytest.fixture(autouse=True)
def generous(db):
    """Everything may go alone, and no engine has to be sure: only what breaks holds an item here."""
    RoutingRule.objects.update(state="archived")
    Trigger.objects.exclude(name="high_stakes").update(enabled=False)
    return RuleFactory(name="generous", floor="auto", condition="true", priority=1)


def broken(*args, **kwargs):
    raise RuntimeError("boom")


def test_without_a_fault_it_goes_alone(posted):
    assert posted(NOTE).state == "approved"


BROKEN = [
    "escalations.floors.judge.facts_of", "escalations.floors.judge.structural", "escalations.floors.judge.texts_of",
    "escalations.floors.judge.findings.in_texts", "escalations.floors.judge.findings.contradictions", "escalations.floors.judge.cel.bind",
    "escalations.floors.judge.claims_to_be_ours", "escalations.floors.judge.conflict_of",
    "escalations.route.held_by_the_past", "escalations.route.judge",
]


@pytest.mark.parametrize("part", BROKEN)
def test_whatever_part_of_judging_breaks_a_person_is_asked_and_told_why(posted, monkeypatch, run_jobs, part):
    monkeypatch.setattr(part, broken)
    one = posted(NOTE)
    start = clock.now()
    for minute in range(1, 8):  # what is tried again is tried when it is due, and not for ever
        with clock.frozen_at(start + minute * timedelta(minutes=1)):
            queue.wake_due()
            run_jobs()
    one = newest(one.incident_id)

    assert (one.state, one.role.name) == ("pending", "queue manager")
    assert "classifier_failed" in one.trigger_names, "which cannot be turned off"
    assert one.due_at and one.expires_at and not Decision.objects.exists()
    assert one.routed_at - one.created_at < timedelta(minutes=5)


def test_an_engine_that_breaks_is_no_engine_that_agrees(posted, monkeypatch):
    monkeypatch.setattr(rules, "speak", broken)
    one = posted(NOTE)

    assert one.state == "pending" and "classifier_failed" in one.trigger_names
    assert "RuntimeError" in next(trigger["why"] for trigger in one.triggers if trigger["name"] == "classifier_failed")


@pytest.mark.parametrize(
    "condition",
    ["proposal.args.n.m.o == 1", "1 / 0 == 1", "nonsense(", "incident.unknown == 1", 'proposal.args.n > "1"', 'proposal.args["x"] == 1'],
)
@pytest.mark.parametrize("floor", ["review", "block", "auto"])
def test_a_rule_that_cannot_be_answered_never_lets_go(posted, generous, condition, floor):
    """In a rule that asks for a person it is a match with review, shown; in one that lets go it is none."""
    if floor == "auto":
        RoutingRule.objects.filter(pk=generous.pk).update(state="archived")
    RuleFactory(name="broken", floor=floor, condition=condition)

    one = posted(NOTE)

    assert one.state == "pending" and one.floor == "review"
    shown = [rule for rule in one.rules if rule["name"] == "broken"]
    assert bool(shown and shown[0]["error"]) == (floor != "auto")


def test_a_trigger_nobody_has_a_row_for_still_counts(posted):
    Trigger.objects.filter(name="high_stakes").delete()

    assert posted(NOTE, proposal={"action": "note", "args": {"amount": 10**6}}).state == "pending"


def test_what_is_always_on_stays_on(posted):
    assert ALWAYS_ON == {"user_request", "classifier_failed"}
    asked = posted(NOTE, context={"messages": [{"role": "user", "content": "I want to talk to a human being."}]})

    assert asked.state == "pending" and "user_request" in asked.trigger_names


@pytest.mark.parametrize("kind", ["question", "handoff"])
def test_who_asks_for_words_is_not_answered_by_a_rule(posted, kind):
    assert posted({"kind": kind, "title": "Where is my parcel?"}).state == "pending"


# -- nobody answers


@pytest.mark.parametrize("policy", [{}, {"fallback": "reject"}, {"fallback": "nonsense"}, {"fallback": None}])
def test_what_runs_out_is_rejected_unless_its_policy_says_otherwise(policy):
    frozen = {name: value for name, value in STANDARD.items() if name != "fallback"} | policy
    one = ProposalFactory(policy=frozen)

    with clock.frozen_at(one.expires_at):
        lifecycle.run_out()

    decision = Decision.objects.get()
    assert (decision.type, decision.by_kind, decision.args_digest) == ("reject", "clock", None)
    assert Delivery.objects.filter(type="proposal.settled").count() == 1 and Incident.objects.get().status == "settled"


@pytest.fixture
def told_and_waited_out():
    """A proposal under a policy that approves, all of whose steps were told and waited out."""

    def make(**more):
        steps = [{"role": role("manager").pk, "name": "manager", "after": 3600}]
        one = ProposalFactory(policy={**STANDARD, "fallback": "approve", "steps": steps}, step=1, **more)
        due = clock.now()
        Proposal.objects.filter(pk=one.pk).update(due_at=one.expires_at)
        StepRun.objects.create(proposal=one, step=1, role=role("manager"), due_at=due, fired_at=due)
        Notice.objects.create(
            kind="escalated", proposal=one, step=1, state="sent", address="m@acme.example", next_try_at=None, finished_at=due
        )
        return one

    return make


def run_out(one):
    with clock.frozen_at(one.expires_at):
        lifecycle.run_out()
    return Decision.objects.get().type


def test_an_approving_policy_approves_what_nobody_objected_to(told_and_waited_out):
    assert run_out(told_and_waited_out()) == "approve"


def test_but_not_where_the_caller_wished_for_a_no(told_and_waited_out):
    assert run_out(told_and_waited_out(claims={"fallback": "reject"})) == "reject"


def test_nor_while_a_reviewers_question_is_open(told_and_waited_out):
    one = told_and_waited_out()
    Question.objects.create(incident=one.incident, person=PersonFactory(), text="Which order?")

    assert run_out(one) == "reject"


def test_nor_when_the_agent_kept_everybody_from_signing(told_and_waited_out):
    """Context raises the version: an agent that adds some each second voids every signature, the noes too, until the clock strikes."""
    one = told_and_waited_out()
    for _ in range(3):
        lifecycle.add_context(one.incident_id, context={"summary": "still here"}, actor=lifecycle.desk.audit.SYSTEM)

    assert run_out(one) == "reject"


def test_nor_before_a_second_administrator_said_so(posted):
    RoutingRule.objects.all().update(state="archived")
    EscalationPolicy.objects.update(fallback="approve", approve_confirmed_by=None)

    one = posted(NOTE)
    assert one.policy["fallback"] == "reject"


def test_nothing_is_left_without_a_clock_or_a_worker(posted):
    RoutingRule.objects.all().update(state="archived")
    for kind in ("action", "alert", "exception", "question", "handoff"):
        one = posted({**NOTE, "kind": kind, "title": kind} if kind == "action" else {"kind": kind, "title": kind})
        assert one.state == "pending" and one.due_at and one.expires_at, kind
    assert not Work.objects.exclude(stage="done").exists()
