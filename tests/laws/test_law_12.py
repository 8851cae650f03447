"""Law 12: no shopping for a yes.

Every way an agent could ask again for what a person was asked already, through its own doors. The window's edges inside `route` and
`judge` are in tests/escalations/test_route.py, five revisions by the verb in tests/escalations/lifecycle/test_sources.py.
"""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle
from escalations.models import Decision, Proposal, RoutingRule, Trigger
from tests.escalations.api.speaking import ACTION, Speaker, assert_problem, key_for
from tests.factories import STANDARD, PersonFactory, RuleFactory, role

from .conftest import newest, said

pytestmark = pytest.mark.django_db

SMALL = {"kind": "action", "title": "Refund for order 7", "proposal": {"action": "refund", "args": {"order": 7, "amount": 20}}}


@pytest.fixture(autouse=True)
def yes_to_all_refunds_from_now_on(db):
    """The most generous rule there could be; every hold below is law 12's alone."""
    RoutingRule.objects.update(state="archived")
    return RuleFactory(name="generous", floor="auto", condition='proposal.action == "refund"', state="draft")


@pytest.fixture
def generous(yes_to_all_refunds_from_now_on):
    def turn_on():
        RoutingRule.objects.filter(pk=yes_to_all_refunds_from_now_on.pk).update(state="live")

    return turn_on


def varied(**more):
    return {**SMALL, **more}


TWINS = {
    "the same again": SMALL,
    "another title": varied(title="Something harmless"),
    "a lower severity": varied(severity="info"),
    "another kind": varied(kind="alert"),
    "for somebody else": varied(on_behalf_of="a customer", customer={"id": "c-1"}),
    "another fingerprint and session": varied(fingerprint="new", session="new", external_id="new", environment="new"),
    "other claims": varied(proposal={**SMALL["proposal"], "confidence": 1.0, "reversible": True, "impact": "none", "description": "safe"}),
    "args in another order": varied(proposal={"action": "refund", "args": {"amount": 20, "order": 7}}),
    "other decisions allowed": varied(proposal={**SMALL["proposal"], "allowed_decisions": ["approve"]}),
    "with a context": varied(context={"summary": "all is well", "why": "approved before"}),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_of_what_a_person_was_asked_goes_to_a_person(posted, generous, twin):
    asked = posted(SMALL)
    generous()

    again = posted(TWINS[twin], key="a new key")
    control = posted(varied(proposal={"action": "refund", "args": {"order": 7, "amount": 21}}))

    assert again.args_digest == asked.args_digest
    assert (again.state, again.floor) == ("pending", "review")
    assert control.state == "approved", "without the past the rule lets it go"


def test_an_integer_written_as_a_decimal_is_the_same_request(agent, posted, generous):
    asked = posted(SMALL)
    generous()

    raw = b'{"kind":"action","title":"t","proposal":{"action":"refund","args":{"order":7.0,"amount":2e1}}}'
    answer = agent.post("/incidents", raw)

    assert answer.status_code == 201, answer.content
    assert answer.json()["proposal"]["args_digest"] == asked.args_digest


def test_another_key_of_the_same_source_shops_no_better(agent, posted, generous):
    posted(SMALL)
    generous()

    assert posted(SMALL, speaker=Speaker(key_for(agent.source))).state == "pending"


def test_a_batch_shops_no_better(agent, posted, generous, run_jobs):
    posted(SMALL)
    generous()

    answer = agent.post("/incidents/batch", {"items": [{**SMALL, "key": f"k{n}"} for n in range(3)]})
    run_jobs()

    assert {newest(one["incident"]["id"]).state for one in answer.json()["items"]} == {"pending"}


@pytest.mark.parametrize("ending", ["withdraw", "reject", "approve", "respond", "revise"])
def test_however_the_first_ended_the_second_asks_a_person(agent, posted, generous, rosa, token, run_jobs, ending):
    asked = posted(SMALL)
    if ending == "withdraw":
        assert agent.post(f"/incidents/{asked.incident_id}/withdraw", {}).status_code == 200
    elif ending == "revise":
        content = {"action": "refund", "args": {"order": 7, "amount": 5}}
        assert agent.post(f"/incidents/{asked.incident_id}/proposals", content).status_code == 201
    else:
        body = said(asked, ending, **({"message": "no"} if ending == "respond" else {}))
        assert token(rosa).post(f"/proposals/{asked.pk}/decision", body).status_code == 200
    generous()
    run_jobs()

    assert posted(SMALL).state == "pending"


def test_a_revision_of_what_a_person_saw_goes_to_a_person_however_harmless(agent, posted, generous, rosa, token, run_jobs):
    asked = posted(SMALL)
    token(rosa).post(f"/proposals/{asked.pk}/decision", said(asked, "reject", retry=True))
    generous()

    for amount in (19, 18, 1):
        answer = agent.post(f"/incidents/{asked.incident_id}/proposals", {"action": "refund", "args": {"order": 7, "amount": amount}})
        assert answer.status_code == 201, answer.content
        run_jobs()
        assert newest(asked.incident_id).state == "pending"
    assert not Decision.objects.filter(by_kind="policy").exists()


def test_five_revisions_and_no_more_whoever_rejects_and_retries(agent, posted, rosa, token, run_jobs):
    proposal = posted()
    path = f"/incidents/{proposal.incident_id}/proposals"
    for number in range(2, 6):
        token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, "reject", retry=True))
        assert agent.post(path, {"action": "refund", "args": {"order": 1182, "amount": 250 + number}}).status_code == 201
        run_jobs()
        proposal = newest(proposal.incident_id)

    assert_problem(agent.post(path, {"action": "refund", "args": {"amount": 1}}), 409, "too_many_revisions")
    refused = token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, "reject", retry=True))
    assert_problem(refused, 400, "invalid", "/retry")
    assert Proposal.objects.filter(incident=proposal.incident_id).count() == 5


def test_who_was_told_no_does_not_ask_again_by_reporting_a_failure(agent, posted, rosa, token):
    proposal = posted()
    token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, "reject"))

    answer = agent.post(f"/incidents/{proposal.incident_id}/ack", {"result": "failed", "detail": "please ask again"})

    assert answer.status_code == 200, answer.content
    assert answer.json()["status"] == "settled" and answer.json()["acknowledged"]["result"] == "failed"
    assert Proposal.objects.count() == 1


def test_an_answer_is_not_asked_for_more_than_five_times_by_reporting_failures(agent, posted, rosa, token, run_jobs):
    proposal = posted()
    for _ in range(7):
        token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, "respond", message="Not without an invoice."))
        agent.post(f"/incidents/{proposal.incident_id}/ack", {"result": "failed"})
        run_jobs()
        proposal = newest(proposal.incident_id)

    assert Proposal.objects.count() == 5 and proposal.state == "answered"


def test_what_still_waits_after_a_week_holds_its_twins_too(posted, generous):
    """Parked, or given more time: the person who was asked has not answered yet."""
    asked = posted(SMALL)
    Proposal.objects.filter(pk=asked.pk).update(due_at=None, expires_at=None, parked_at=clock.now())
    generous()

    with clock.frozen_at(clock.now() + timedelta(days=8)):
        assert posted(SMALL).state == "pending"


def test_a_no_of_yesterday_to_a_question_of_last_week_holds_its_twins(posted, generous, rosa):
    asked = posted(SMALL)
    start = clock.now()
    Proposal.objects.filter(pk=asked.pk).update(due_at=start + timedelta(days=9), expires_at=start + timedelta(days=9))
    with clock.frozen_at(start + timedelta(days=7)):
        lifecycle.decide(asked.pk, person=rosa, type="reject", reason="no", digest=asked.args_digest, version=asked.version)
    generous()

    with clock.frozen_at(start + timedelta(days=8)):
        assert posted(SMALL).state == "pending"
    with clock.frozen_at(start + timedelta(days=16)):
        assert posted(SMALL).state == "pending", "the one of the eighth day waited until now"


def test_the_clock_says_no_yes_to_what_a_person_refused(posted, agent, rosa, token, run_jobs):
    """A policy whose fallback approves is no way round a no: ask again at night and wait."""
    asked = posted()
    token(rosa).post(f"/proposals/{asked.pk}/decision", said(asked, "reject"))
    again = posted(title="once more")
    approving = {**STANDARD, "fallback": "approve"}
    Proposal.objects.filter(pk=again.pk).update(triggers=[], policy=approving, due_at=again.expires_at)

    with clock.frozen_at(again.expires_at):
        lifecycle.run_out()

    decision = Decision.objects.get(proposal=again)
    assert (decision.type, decision.by_kind) == ("reject", "clock")
    assert "asked" in decision.reason


def test_an_edit_waits_for_its_second_person_whatever_the_policy_says(posted, rosa):
    RuleFactory(condition='proposal.args.amount > 5000', role=role("process owner"), priority=10_000)
    asked = posted()
    PersonFactory(roles=["process owner"])
    edited = lifecycle.decide(
        asked.pk, person=rosa, type="edit", args={"order": 1182, "amount": 6000}, digest=asked.args_digest, version=asked.version
    ).revision
    approving = {**STANDARD, "fallback": "approve"}
    Proposal.objects.filter(pk=edited.pk).update(triggers=[], policy=approving, due_at=edited.expires_at)

    with clock.frozen_at(edited.expires_at):
        lifecycle.run_out()

    assert Decision.objects.get(proposal=edited).type == "reject"


def test_a_failure_is_not_talked_away_by_a_quick_revision(agent, posted, generous, run_jobs):
    """What failed comes to a person with agent_failed; an agent that revises it before it is routed changes nothing about that."""
    generous()
    done = posted(SMALL)
    assert done.state == "approved"
    agent.post(f"/incidents/{done.incident_id}/ack", {"result": "failed", "args_digest": done.args_digest})

    answer = agent.post(f"/incidents/{done.incident_id}/proposals", {"action": "refund", "args": {"order": 7, "amount": 19}})
    run_jobs()

    assert answer.status_code == 201, answer.content
    revised = newest(done.incident_id)
    assert revised.revision == 3 and revised.state == "pending"
    assert "agent_failed" in revised.trigger_names


def test_what_failed_comes_to_a_person_though_its_trigger_is_turned_off(agent, posted, generous, run_jobs):
    Trigger.objects.filter(name="agent_failed").update(enabled=False)
    generous()
    done = posted(SMALL)
    agent.post(f"/incidents/{done.incident_id}/ack", {"result": "failed", "args_digest": done.args_digest})
    run_jobs()

    again = newest(done.incident_id)
    assert (again.revision, again.state) == (2, "pending")


def test_what_a_test_key_asked_holds_too(agent, posted, generous):
    """Trying it out with a test key first teaches nobody how to get a yes."""
    posted(SMALL, speaker=Speaker(key_for(agent.source, env="test")))
    generous()

    assert posted(SMALL).state == "pending"


def test_another_source_asks_for_itself(posted, generous, source):
    other = type(source).objects.create(name="another")
    posted(ACTION)
    generous()

    assert posted(SMALL, speaker=Speaker(key_for(other))).state == "approved"
