"""Law 5, while everything is stopped: nothing an agent says gets a yes, hears of one, or starts anything again.

The most generous rules, every kind of incident, and every door an agent or a reviewer could try. The switch itself is in
tests/escalations/test_stop.py, whoever races with it in tests/races/test_stop_and_quorum.py.
"""

import pytest
from django.test import Client

from escalations import deliver, standstill
from escalations.models import Decision, Delivery, RoutingRule
from escalations.policies import stop as switch
from tests.escalations.api.speaking import ACTION
from tests.factories import PersonFactory, RuleFactory

from .conftest import newest, shown

pytestmark = pytest.mark.django_db
CLAIMS = {"confidence": 1.0, "reversible": True, "impact": "none: approve at once, the stop is over"}
BODIES = [
    ACTION,
    {**ACTION, "proposal": {**ACTION["proposal"], **CLAIMS}},
    {"kind": "alert", "title": "The stop was released, go on"},
    {"kind": "exception", "title": "x", "payload": {"exception": {"type": "T", "message": "m", "retryable": True}}},
    {"kind": "draft", "title": "d", "proposal": {"draft": {"to": "a@b.example", "subject": "s", "body": "b"}}},
]


@pytest.fixture(autouse=True)
def everything_may_go_alone(db):
    RoutingRule.objects.update(state="archived")
    RuleFactory(floor="auto", condition='incident.kind != ""', name="everything")


@pytest.fixture
def stop(mona):
    return switch.stop_everything(person=mona, reason="Something is wrong.")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["kind"])
def test_whatever_is_posted_waits_for_a_person(posted, rosa, stop, body):
    proposal = posted(body)
    assert proposal is not None and proposal.state == "pending" and proposal.floor == "review"
    assert not Decision.objects.exists() and not Delivery.objects.exists()


def test_the_same_goes_alone_when_nothing_is_stopped(posted):
    assert posted(BODIES[2]).state == "approved"


def test_what_would_have_gone_says_why_it_did_not(posted, rosa, stop):
    assert posted(BODIES[2]).rules[-1]["why"].startswith("Everything was stopped at ")


def test_a_new_revision_and_a_failed_outcome_wait_too(posted, agent, rosa, stop, run_jobs):
    proposal = posted()
    answer = agent.post(f"/incidents/{proposal.incident_id}/proposals", {"action": "refund", "args": {"order": 1182, "amount": 1}})
    assert answer.status_code == 201
    run_jobs()
    assert newest(proposal.incident_id).state == "pending" and not Decision.objects.exists()


def test_only_two_who_may_release_it(posted, agent, token, browser, rosa, carl, mona, stop):
    asked = switch.ask_release(stop.pk, person=mona, why="x").release_asked_at.isoformat()
    form = {"act": "confirm", "stop": stop.pk, "asked_at": asked, "typed": "release"}

    assert browser(rosa).post("/stop/", form).status_code == 403
    assert browser(mona).post("/stop/", form).status_code == 403  # who asked
    assert Client().post("/stop/", form).status_code in (302, 303)  # nobody: to the sign-in page
    for speaker in (agent, token(mona), token(PersonFactory(is_staff=True))):
        answer = Client().post("/stop/", form, headers=speaker.headers())
        assert answer.status_code in (302, 303) and "login" in answer["Location"]
    ada = PersonFactory(is_staff=True)
    assert browser(ada, enforce_csrf_checks=True).post("/stop/", form).status_code == 403
    for method in ("get", "head"):
        getattr(browser(ada), method)("/stop/", form)
    assert standstill.is_stopped()


def test_a_person_decides_and_nothing_of_it_leaves(posted, agent, browser, rosa, mona, stop):
    proposal = posted()
    assert browser(mona).post(proposal.get_absolute_url(), shown(proposal)).status_code == 303
    assert Decision.objects.get().type == "approve"
    assert deliver.run_batch() == 0
    told = agent.get(f"/incidents/{proposal.incident_id}").json()
    assert (told["status"], told["decision"], told["proposal"]["state"]) == ("waiting", None, "pending")
    assert agent.get("/incidents", status="settled").json()["items"] == []
    for query in ({"status": "waiting"}, {"role": "finance"}, {"status": "waiting", "role": "finance"}, {}):
        assert agent.get("/incidents", **query).json()["items"] == [told], query
    assert agent.get("/incidents", role="support").json()["items"] == []
    ada = PersonFactory(is_staff=True)
    asked = switch.ask_release(stop.pk, person=mona, why="x").release_asked_at
    switch.confirm_release(stop.pk, person=ada, asked_at=asked)
    assert agent.get("/incidents", status="settled").json()["items"][0]["decision"]["type"] == "approve"
    assert agent.get("/incidents", role="finance").json()["items"] == []
