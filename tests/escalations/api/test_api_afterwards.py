"""Batch, revisions, context, withdrawal, acknowledgement, decisions: success and refusal from the same place."""

import json
from datetime import timedelta

import pytest

from escalations import clock
from escalations.canonical import args_digest
from escalations.models import ContextItem, Decision, Incident, Proposal, Question
from escalations.states import State
from tests.escalations.api.speaking import Speaker, assert_problem, token_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def proposal(agent):
    return ProposalFactory(incident=IncidentFactory(source=agent.source))


def yes(proposal, **more):
    return {"type": "approve", "args_digest": proposal.args_digest, "version": proposal.version, **more}


def decide(speaker, proposal, body, **options):
    return speaker.post(f"/proposals/{proposal.pk}/decision", body, **options)


# -- batch


def test_each_item_of_a_batch_stands_alone(agent, action):
    agent.post("/incidents", action, key="known")
    agent.post("/incidents", action, key="other")
    items = [
        {**action, "key": "a"}, {**action, "key": "b", "colour": 1}, action, {**action, "key": "known"},
        {**action, "key": "other", "title": "changed"}, {**action, "key": "a"}, {**action, "key": "a", "title": "changed"}, 5,
        {**action, "key": "c", "payload": {"odd": "\x00"}}, {**action, "key": "d", "proposal": {"action": "\x00"}},
    ]

    response = agent.post("/incidents/batch", {"items": items})

    assert response.status_code == 207, response.content
    told = response.json()["items"]
    assert [one["status"] for one in told] == [201, 400, 400, 201, 422, 201, 422, 400, 201, 400]
    assert told[1]["problem"]["errors"][0]["pointer"] == "/colour"
    assert told[2]["problem"]["errors"][0]["pointer"] == "/key"
    assert told[3]["replayed"] is True
    assert told[4]["problem"]["code"] == "idempotency_mismatch"
    assert told[5]["incident"]["id"] == told[0]["incident"]["id"]
    assert told[9]["problem"]["errors"][0]["pointer"] == "/proposal/action"
    assert Incident.objects.count() == 4
    assert Incident.objects.get(key="c").sanitised and bytes(Incident.objects.get(key="c").raw) == json.dumps(items[8]).encode()


def test_an_item_posted_alone_and_in_a_batch_is_the_same(agent, action):
    alone = agent.post("/incidents", action, key="a").json()

    batch = agent.post("/incidents/batch", {"items": [{**action, "key": "a"}]}).json()

    assert batch["items"][0]["incident"]["id"] == alone["id"]


def test_the_limits_of_a_batch_are_per_item(agent, action):
    big = {**action, "key": "big", "body": "x" * (1024 * 1024 + 1)}
    deep = json.dumps({**action, "key": "deep", "payload": "@"}).replace('"@"', "[" * 70 + "]" * 70)
    twice = json.dumps({**action, "key": "twice"})[:-1] + ', "kind": "alert"}'
    fine = json.dumps({**action, "key": "fine"})

    told = agent.post("/incidents/batch", f'{{"items": [{json.dumps(big)}, {deep}, {twice}, {fine}]}}'.encode()).json()["items"]

    assert [one["status"] for one in told] == [413, 400, 400, 201]


def test_a_batch_that_is_not_json_is_refused_whole(agent, action):
    body = f'{{"items": [{json.dumps({**action, "key": "a"})}, {{oops}}]}}'.encode()

    assert_problem(agent.post("/incidents/batch", body), 400, "malformed_json", "/items/1")
    assert Incident.objects.count() == 0


def test_a_batch_has_1_to_500_items(agent, action):
    assert_problem(agent.post("/incidents/batch", {"items": []}), 400, "invalid", "/items")
    assert_problem(agent.post("/incidents/batch", {"items": [5] * 501}), 400, "invalid", "/items")
    assert_problem(agent.post("/incidents/batch", {"incidents": []}), 400, "invalid", "/items")
    assert_problem(agent.post("/incidents/batch", b" " * (16 * 1024 * 1024 + 1)), 413, "too_large")


# -- decisions


def test_a_person_approves_what_they_were_shown(agent, reviewer, proposal):
    response = decide(reviewer, proposal, yes(proposal, reason="fine"))

    assert response.status_code == 200, response.content
    told = response.json()
    assert told["status"] == "settled"
    assert told["proposal"]["state"] == "approved"
    assert told["decision"]["by"] == {"kind": "person", "id": "rita", "name": reviewer.person.name}
    assert told["decision"]["signed_digest"] == told["decision"]["args_digest"] == proposal.args_digest
    assert told["decision"]["args"] == {"order": 1182, "amount": 250}
    assert told["estimated_wait_seconds"] is None
    assert agent.get(f"/incidents/{proposal.incident_id}").json() == told


def test_a_source_cannot_decide(agent, reviewer, proposal):
    assert_problem(decide(agent, proposal, yes(proposal)), 403, "not_allowed")
    assert decide(reviewer, proposal, yes(proposal)).status_code == 200


def test_a_second_reviewer_is_told_who_signed(agent, reviewer, proposal):
    decide(reviewer, proposal, yes(proposal))
    second = Speaker(token_for(PersonFactory(roles=["queue manager"])))

    problem = assert_problem(decide(second, proposal, yes(proposal)), 409, "already_settled")

    assert "rita" in json.dumps(problem)


def test_what_changed_since_it_was_seen_is_not_signed(reviewer, proposal):
    assert_problem(decide(reviewer, proposal, yes(proposal, version=proposal.version + 1)), 409, "changed_since_seen")
    assert_problem(decide(reviewer, proposal, yes(proposal, args_digest="sha256:" + "0" * 64)), 409, "changed_since_seen")
    assert not Decision.objects.exists()


def test_the_same_request_twice_is_one_decision(reviewer, proposal):
    first = decide(reviewer, proposal, yes(proposal), key="k")
    again = decide(reviewer, proposal, yes(proposal), key="k")
    other = decide(reviewer, proposal, yes(proposal, reason="changed"), key="k")

    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first
    assert_problem(other, 422, "idempotency_mismatch")
    assert Decision.objects.count() == 1


def test_the_same_key_on_another_proposal_is_another_request(agent, reviewer, proposal):
    twin = ProposalFactory(incident=IncidentFactory(source=agent.source))
    assert decide(reviewer, proposal, yes(proposal), key="k").status_code == 200

    assert_problem(decide(reviewer, twin, yes(twin), key="k"), 422, "idempotency_mismatch")


def test_others_queues_and_own_requests_are_refused(agent, reviewer, proposal):
    stranger = Speaker(token_for(PersonFactory(roles=["finance"])))
    assert_problem(decide(stranger, proposal, yes(proposal)), 403, "not_your_queue")
    assert stranger.post("/proposals/00000000-0000-7000-8000-000000000000/decision", yes(proposal)).status_code == 404
    agent.source.owner = reviewer.person
    agent.source.save()

    assert_problem(decide(reviewer, proposal, yes(proposal)), 403, "own_request")


def test_a_token_nobody_sits_behind_may_not_decide_high_stakes(agent, reviewer):
    high = ProposalFactory(incident=IncidentFactory(source=agent.source), triggers=[{"name": "high_stakes", "why": "w", "where": ""}])
    script = Speaker(token_for(reviewer.person, interactive=False))

    assert_problem(decide(script, high, yes(high)), 403, "step_up_required")
    assert decide(reviewer, high, yes(high)).status_code == 200


@pytest.mark.parametrize(("clearance", "status"), [([], 403), (["financial"], 403), (["identity"], 200)])
def test_a_token_nobody_sits_behind_may_not_decide_what_the_page_would_mask(agent, reviewer, clearance, status):
    masked = ProposalFactory(incident=IncidentFactory(source=agent.source), args={"customer": "078-05-1120", "ssn": "219-09-9999"})
    masked.role.clearance = clearance
    masked.role.save()
    script = Speaker(token_for(reviewer.person, interactive=False))

    answer = decide(script, masked, yes(masked))

    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "step_up_required"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"type": "maybe"}, "/type"), ({"version": "1"}, "/version"), ({"version": None}, "/version"), ({"args_digest": None}, "/args_digest"),
        ({"person": "mia"}, "/person"), ({"args": {"a": 1}}, "/args"), ({"type": "edit", "args": {"a": 2**60}}, "/args/a"),
        ({"type": "edit"}, "/args"), ({"type": "respond"}, "/message"), ({"type": "reject"}, "/reason"), ({"retry": "yes"}, "/retry"),
        ({"type": "edit", "args": {}, "draft": {}}, "/draft"),
    ],
)
def test_a_decision_that_is_none_is_refused(reviewer, proposal, change, pointer):
    assert_problem(decide(reviewer, proposal, yes(proposal, **change)), 400, "invalid", pointer)
    assert decide(reviewer, proposal, yes(proposal)).status_code == 200


def test_an_edit_tells_what_may_run(reviewer, proposal):
    told = decide(reviewer, proposal, yes(proposal, type="edit", args={"order": 1182, "amount": 10})).json()

    assert told["decision"]["type"] == "edit", told
    assert told["decision"]["args"] == {"order": 1182, "amount": 10}
    assert told["decision"]["signed_digest"] == proposal.args_digest
    assert told["decision"]["args_digest"] == args_digest("refund", {"order": 1182, "amount": 10}, None)


def test_an_edit_is_held_to_the_callers_schema(agent, reviewer):
    schema = {"type": "object", "properties": {"amount": {"maximum": 100}, "order": {"type": "integer"}}, "additionalProperties": False}
    proposal = ProposalFactory(incident=IncidentFactory(source=agent.source), args_schema=schema)

    assert_problem(decide(reviewer, proposal, yes(proposal, type="edit", args={"amount": 101})), 400, "invalid", "/args/amount")
    assert decide(reviewer, proposal, yes(proposal, type="edit", args={"amount": 99})).status_code == 200


# -- afterwards


def test_a_withdrawn_incident_needs_no_answer(agent, other_agent, reviewer, proposal):
    path = f"/incidents/{proposal.incident_id}/withdraw"
    assert_problem(other_agent.post(path, {}), 404, "not_found")
    assert_problem(reviewer.post(path, {}), 403, "not_allowed")
    assert_problem(agent.post(path, {"why": "x"}), 400, "invalid", "/why")

    response = agent.post(path, b"", content_type="")

    assert response.status_code == 200, response.content
    assert (response.json()["status"], response.json()["proposal"]["state"]) == ("settled", "withdrawn")
    assert response.json()["decision"] is None
    assert_problem(agent.post(path, {}), 409, "already_settled")


@pytest.mark.parametrize("wrapped", [False, True])
def test_more_context_raises_the_version_and_answers(agent, reviewer, proposal, wrapped):
    question = Question.objects.create(incident=proposal.incident, person=reviewer.person, text="Which order?")
    assert agent.get(f"/incidents/{proposal.incident_id}").json()["questions"][0]["answered_at"] is None
    context = {"summary": "order 1182", "attempts": [{"tool": "t", "result": "\x00"}]}

    response = agent.post(f"/incidents/{proposal.incident_id}/context", {"context": context} if wrapped else context)

    assert response.status_code == 200, response.content
    told = response.json()
    assert told["proposal"]["version"] == proposal.version + 1
    assert told["questions"][0]["id"] == str(question.pk) and told["questions"][0]["answered_at"].endswith("Z")
    assert ContextItem.objects.get().sanitised
    assert_problem(decide(reviewer, proposal, yes(proposal)), 409, "changed_since_seen")


@pytest.mark.parametrize(("body", "pointer"), [({}, ""), ({"mood": 1}, "/mood"), ({"context": {"mood": 1}}, "/context/mood"), ({"context": 5}, "/context")])
def test_context_that_is_none_is_refused(agent, proposal, body, pointer):
    assert_problem(agent.post(f"/incidents/{proposal.incident_id}/context", body), 400, "invalid", pointer)
    assert agent.post(f"/incidents/{proposal.incident_id}/context", {"summary": "s"}).status_code == 200


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_new_revision_supersedes_the_pending_one(agent, other_agent, proposal, wrapped):
    path = f"/incidents/{proposal.incident_id}/proposals"
    content = {"action": "refund", "args": {"order": 1182, "amount": 200}}
    assert_problem(other_agent.post(path, content), 404, "not_found")
    assert_problem(agent.post(path, {"action": "refund", "args": {"a": "\ud800"}}), 400, "invalid", "/args/a")
    assert_problem(agent.post(path, {"args": {}}), 400, "invalid", "/action")

    response = agent.post(path, {"proposal": content} if wrapped else content)

    assert response.status_code == 201, response.content
    told = response.json()
    assert (told["proposal"]["revision"], told["proposal"]["args"]) == (2, content["args"])
    assert Proposal.objects.get(pk=proposal.pk).state == State.SUPERSEDED


def test_a_settled_incident_takes_no_revision(agent, reviewer, proposal):
    decide(reviewer, proposal, yes(proposal))

    assert_problem(agent.post(f"/incidents/{proposal.incident_id}/proposals", {"action": "refund"}), 409, "already_settled")


def test_after_a_rejection_with_retry_the_agent_tries_again(agent, reviewer, proposal):
    told = decide(reviewer, proposal, yes(proposal, type="reject", reason="too much", retry=True)).json()
    assert (told["status"], told["decision"]["retry"], told["decision"]["args_digest"]) == ("waiting", True, None)

    again = agent.post(f"/incidents/{proposal.incident_id}/proposals", {"action": "refund", "args": {"amount": 5}})

    assert again.status_code == 201
    assert again.json()["proposal"]["revision"] == 2


def test_an_outcome_is_acknowledged_once(agent, reviewer, proposal):
    path = f"/incidents/{proposal.incident_id}/ack"
    done = {"result": "done", "args_digest": proposal.args_digest, "detail": "refund 77"}
    assert_problem(agent.post(path, done), 409, "conflict")
    decide(reviewer, proposal, yes(proposal))
    assert_problem(agent.post(path, {"result": "perhaps"}), 400, "invalid", "/result")
    assert_problem(agent.post(path, {**done, "args_digest": "sha256:0"}), 400, "invalid", "/args_digest")

    response = agent.post(path, done)

    assert response.status_code == 200, response.content
    assert response.json()["acknowledged"]["result"] == "done"
    assert_problem(agent.post(path, done), 409, "already_acknowledged")


def test_an_outcome_that_is_too_old_is_not_acted_on(agent, reviewer, proposal):
    decide(reviewer, proposal, yes(proposal))

    with clock.frozen_at(clock.now() + timedelta(days=2)):
        answer = agent.post(f"/incidents/{proposal.incident_id}/ack", {"result": "done", "args_digest": proposal.args_digest})

    assert_problem(answer, 409, "decision_expired")


def test_a_failed_outcome_comes_back_to_a_person(agent, reviewer, proposal):
    decide(reviewer, proposal, yes(proposal))

    told = agent.post(
        f"/incidents/{proposal.incident_id}/ack", {"result": "failed", "args_digest": proposal.args_digest, "detail": "no"}
    ).json()

    assert (told["status"], told["proposal"]["revision"], told["proposal"]["state"]) == ("waiting", 2, "pending")


# -- the estimate


def test_the_wait_is_estimated_from_the_pace_of_the_role(agent, reviewer, proposal):
    def estimate():
        return agent.get(f"/incidents/{proposal.incident_id}").json()["estimated_wait_seconds"]

    assert 4 * 3600 - 60 <= estimate() <= 4 * 3600, "nobody decided anything yet: it is due in four hours"
    now = clock.now()
    for n in range(3):
        one = ProposalFactory(incident=IncidentFactory(source=agent.source), routed_at=now - timedelta(seconds=600))
        assert decide(reviewer, one, yes(one)).status_code == 200, n

    assert 590 <= estimate() <= 620
    with clock.frozen_at(now + timedelta(seconds=400)):
        assert 190 <= estimate() <= 220
    with clock.frozen_at(now + timedelta(hours=2)):
        assert estimate() == 0
    decide(reviewer, proposal, yes(proposal))
    assert estimate() is None
