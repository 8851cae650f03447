"""POST and GET of incidents: the contract of what is taken, refused, repeated and told."""

import json
from uuid import UUID

import pytest

from escalations import clock
from escalations.canonical import args_digest
from escalations.models import Incident, Proposal, Work
from escalations.states import Status
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory

pytestmark = pytest.mark.django_db

FULL = {
    "kind": "action",
    "title": "Refund $250 for order 1182",
    "body": "The customer sent the goods back.\nTwice.",
    "severity": "warning",
    "fingerprint": "refund-1182",
    "external_id": "1182",
    "environment": "production",
    "on_behalf_of": "mia@example.org",
    "customer": {"id": "c-9", "tier": "vip", "flags": ["disputed"]},
    "payload": {"anything": [1, 2.5, None, True, {"deep": "ü"}]},
    "session": "run-7",
    "timeout_seconds": 3600,
    "callback_url": "https://billing.example/other",
    "context": {
        "request": "Please refund me",
        "messages": [{"role": "user", "content": "hello"}],
        "attempts": [{"tool": "lookup", "arguments": {"order": 1182}, "result": "found", "error": None, "at": "2026-01-01T00:00:00Z"}],
        "summary": "s", "why": "over the limit", "links": [{"label": "order", "url": "https://shop.example/1182"}],
    },
    "proposal": {
        "action": "refund", "args": {"order": 1182, "amount": 250}, "draft": None, "description": "d",
        "args_schema": {"type": "object", "properties": {"amount": {"type": "number", "maximum": 500}}},
        "allowed_decisions": ["approve", "edit"], "confidence": 0.62, "reversible": False, "impact": "money", "fallback": "reject",
    },
}


def test_an_incident_is_stored_with_its_work_and_told_in_full(agent):
    response = agent.post("/incidents", FULL, key="one")

    assert response.status_code == 201, response.content
    told = response.json()
    assert response["Location"] == f"/api/v1/incidents/{told['id']}"
    assert "Idempotent-Replayed" not in response
    incident = Incident.objects.get(pk=told["id"])
    assert UUID(told["id"]).version == 7
    assert (told["status"], told["source"], told["kind"], told["test"]) == ("received", "billing-agent", "action", False)
    assert told["title"] == FULL["title"]
    assert told["decision"] is None and told["questions"] == []
    assert told["proposal"]["args"] == FULL["proposal"]["args"]
    assert told["proposal"]["args_digest"] == args_digest("refund", FULL["proposal"]["args"], None)
    assert set(told["proposal"]["allowed_decisions"]) == {"approve", "edit", "reject"}, "reject is always allowed"
    assert told["received_at"].endswith("Z")
    assert told["review_url"].startswith("http://testserver/")
    assert incident.customer == FULL["customer"]
    assert incident.context["attempts"][0]["tool"] == "lookup"
    assert incident.payload == FULL["payload"]
    assert incident.claimed_severity == "warning"
    assert Work.objects.filter(incident=incident).count() == 1


def test_an_incident_without_a_proposal_has_none_while_it_is_received(agent):
    told = agent.post("/incidents", {"kind": "exception", "title": "ValueError"}).json()

    assert told["proposal"] is None
    assert told["status"] == "received"


def test_what_a_test_key_posts_is_marked(agent, action):
    tester = Speaker(key_for(agent.source, env="test"))

    assert tester.post("/incidents", action).json()["test"] is True


@pytest.mark.parametrize("in_body", [False, True])
def test_the_same_key_and_body_is_the_same_incident(agent, action, in_body):
    first = agent.post("/incidents", {**action, "key": "k"} if in_body else action, key=None if in_body else "k")
    spelled = json.dumps(action, indent=3, sort_keys=True).replace('"amount": 250', '"amount": 2.5e2').encode()

    again = agent.post("/incidents", spelled, key="k")

    assert again.status_code == 201
    assert again.json()["id"] == first.json()["id"]
    assert again["Idempotent-Replayed"] == "true"
    assert again["Location"] == first["Location"]
    assert Incident.objects.count() == 1
    assert Proposal.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(agent, action):
    agent.post("/incidents", action, key="k")

    assert_problem(agent.post("/incidents", {**action, "title": "Another"}, key="k"), 422, "idempotency_mismatch")

    assert Incident.objects.count() == 1


def test_a_key_belongs_to_one_source(agent, other_agent, action):
    first = agent.post("/incidents", action, key="k").json()
    second = other_agent.post("/incidents", action, key="k").json()

    assert first["id"] != second["id"]


def test_without_a_key_each_post_is_an_incident(agent, action):
    agent.post("/incidents", action)
    agent.post("/incidents", action)

    assert Incident.objects.count() == 2


def test_two_keys_that_differ_are_refused(agent, action):
    assert_problem(agent.post("/incidents", {**action, "key": "a"}, key="b"), 400, "invalid", "/key")
    assert agent.post("/incidents", {**action, "key": "a"}, key="a").status_code == 201


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
def test_an_unfit_key_is_refused(agent, action, key):
    assert_problem(agent.post("/incidents", action, key=key), 400, "invalid")


def test_a_replay_tells_how_it_is_now(agent, action):
    first = agent.post("/incidents", action, key="k").json()
    Incident.objects.filter(pk=first["id"]).update(status=Status.WAITING, severity="critical")

    again = agent.post("/incidents", action, key="k").json()

    assert (again["status"], again["severity"]) == ("waiting", "critical")


REFUSED = [
    ({"colour": "red"}, "/colour", "unknown_field"),
    ({"kind": None}, "/kind", "required"),
    ({"kind": "panic"}, "/kind", "unknown_value"),
    ({"title": None}, "/title", "required"),
    ({"title": ""}, "/title", "blank"),
    ({"title": 1}, "/title", "wrong_type"),
    ({"title": "x" * 501}, "/title", "too_long"),
    ({"severity": "fatal"}, "/severity", "unknown_value"),
    ({"timeout_seconds": "60"}, "/timeout_seconds", "wrong_type"),
    ({"timeout_seconds": True}, "/timeout_seconds", "wrong_type"),
    ({"timeout_seconds": 0}, "/timeout_seconds", "out_of_range"),
    ({"timeout_seconds": 30 * 86400 + 1}, "/timeout_seconds", "out_of_range"),
    ({"customer": "mia"}, "/customer", "wrong_type"),
    ({"customer": {"name": "mia"}}, "/customer/name", "unknown_field"),
    ({"customer": {"flags": "vip"}}, "/customer/flags", "wrong_type"),
    ({"customer": {"flags": [1]}}, "/customer/flags/0", "wrong_type"),
    ({"context": {"mood": "bad"}}, "/context/mood", "unknown_field"),
    ({"context": {"messages": [{"content": "x"}]}}, "/context/messages/0/role", "required"),
    ({"context": {"links": [{"url": "javascript:alert(1)"}]}}, "/context/links/0/url", "bad_url"),
    ({"context": {"attempts": [{}, {"tools": 1}]}}, "/context/attempts/1/tools", "unknown_field"),
    ({"callback_url": "https://evil.example/"}, "/callback_url", "bad_callback"),
    ({"callback_url": "http://billing.example/hook"}, "/callback_url", "bad_callback"),
    ({"proposal": []}, "/proposal", "wrong_type"),
    ({"proposal": None}, "/proposal", "required"),
    ({"proposal": {}}, "/proposal/action", "required"),
    ({"proposal": {"args": {}}}, "/proposal/action", "required"),
    ({"proposal": {"action": "pay", "args": [1]}}, "/proposal/args", "wrong_type"),
    ({"proposal": {"action": "pay", "args": {"a/b": 2**53}}}, "/proposal/args/a~1b", "not_signable"),
    ({"proposal": {"action": "pay", "arguments": {}}}, "/proposal/arguments", "unknown_field"),
    ({"proposal": {"action": "pay", "fallback": "approve"}}, "/proposal/fallback", "unknown_value"),
    ({"proposal": {"action": "pay", "confidence": 7}}, "/proposal/confidence", "out_of_range"),
    ({"proposal": {"action": "pay", "confidence": "0.9"}}, "/proposal/confidence", "wrong_type"),
    ({"proposal": {"action": "pay", "reversible": "yes"}}, "/proposal/reversible", "wrong_type"),
    ({"proposal": {"action": "pay", "allowed_decisions": ["maybe"]}}, "/proposal/allowed_decisions/0", "unknown_value"),
    ({"proposal": {"action": "pay", "allowed_decisions": []}}, "/proposal/allowed_decisions", "wrong_length"),
    ({"proposal": {"action": "pay", "args_schema": {"$ref": "#"}}}, "/proposal/args_schema/$ref", "not_supported"),
    ({"proposal": {"action": "pay", "args_schema": {"pattern": "(?=x)"}}}, "/proposal/args_schema/pattern", "bad_pattern"),
    ({"proposal": {"action": "pay", "args_schema": {"type": 7}}}, "/proposal/args_schema/type", "bad_schema"),
    ({"proposal": {"draft": {"to": "a@b.c", "subject": "s", "body": "b", "format": "html"}}}, "/proposal/draft/format", "unknown_value"),
    ({"proposal": {"draft": {"to": "a\nb", "subject": "s", "body": "b", "format": "text"}}}, "/proposal/draft/to", "line_break"),
]


@pytest.mark.parametrize(("change", "pointer", "code"), REFUSED, ids=[f"{pointer}-{code}" for _, pointer, code in REFUSED])
def test_what_is_not_in_the_contract_is_refused_with_its_pointer(agent, action, change, pointer, code):
    assert agent.post("/incidents", action).status_code == 201, "the same body without the fault is taken"

    problem = assert_problem(agent.post("/incidents", {**action, **change}), 400, "invalid", pointer)

    assert code in [error["code"] for error in problem["errors"] if error["pointer"] == pointer]
    assert Incident.objects.count() == 1


def test_a_draft_needs_no_action(agent):
    draft = {"to": "mia@example.org", "subject": "Your order", "body": "Hello", "format": "text"}

    told = agent.post("/incidents", {"kind": "draft", "title": "Reply", "proposal": {"draft": draft}}).json()

    assert told["proposal"]["draft"] == draft
    assert (told["proposal"]["action"], told["proposal"]["args"]) == (None, None)


def test_null_is_the_same_as_leaving_out(agent, action):
    assert agent.post("/incidents", {**action, "severity": None, "context": None, "customer": None}).status_code == 201


def test_a_source_reads_its_own_and_nobody_elses(agent, other_agent, action):
    told = agent.post("/incidents", action).json()

    assert agent.get(f"/incidents/{told['id']}").json() == told
    assert_problem(other_agent.get(f"/incidents/{told['id']}"), 404, "not_found")
    assert_problem(agent.get("/incidents/00000000-0000-7000-8000-000000000000"), 404, "not_found")
    assert_problem(agent.get("/incidents/not-an-id"), 404, "not_found")


def test_a_person_reads_what_their_role_was_asked(agent, reviewer):
    mine = ProposalFactory(incident=IncidentFactory(source=agent.source))
    stranger = Speaker(token_for(PersonFactory(roles=["finance"])))

    assert reviewer.get(f"/incidents/{mine.incident_id}").json()["proposal"]["id"] == str(mine.pk)
    assert [one["id"] for one in reviewer.get("/incidents").json()["items"]] == [str(mine.incident_id)]
    assert_problem(stranger.get(f"/incidents/{mine.incident_id}"), 404, "not_found")
    assert stranger.get("/incidents").json()["items"] == []


def test_a_person_cannot_post_for_a_source(agent, reviewer, action):
    assert agent.post("/incidents", action).status_code == 201
    assert_problem(reviewer.post("/incidents", action), 403, "not_allowed")
    assert_problem(reviewer.post("/incidents/batch", {"items": [{**action, "key": "a"}]}), 403, "not_allowed")


def test_the_list_is_newest_first_in_pages(agent, other_agent, action):
    ids = [agent.post("/incidents", {**action, "title": f"number {n}"}).json()["id"] for n in range(5)]
    other_agent.post("/incidents", action)

    first = agent.get("/incidents", limit=2).json()
    agent.post("/incidents", {**action, "title": "newer"})
    second = Follow(agent)(first["next"])
    third = Follow(agent)(second["next"])

    assert [one["id"] for page in (first, second, third) for one in page["items"]] == ids[::-1]
    assert third["next"] is None


class Follow:
    def __init__(self, agent):
        self.agent = agent

    def __call__(self, url):
        assert url.startswith("http://testserver/api/v1/incidents?")
        path, _, query = url.partition("/api/v1")[2].partition("?")
        return self.agent.get(path, **dict(part.split("=", 1) for part in query.split("&"))).json()


def test_the_list_is_filtered(agent, action):
    proposal = ProposalFactory(incident=IncidentFactory(source=agent.source, session="s1", severity="critical", fingerprint="f"))
    IncidentFactory(source=agent.source, kind="alert", status="settled", settled_at=proposal.created_at)
    wanted = [str(proposal.incident_id)]

    def found(**query):
        response = agent.get("/incidents", **query)
        assert response.status_code == 200, response.content
        return [one["id"] for one in response.json()["items"]]

    assert len(found()) == 2
    assert found(status="waiting") == wanted
    assert found(kind="action") == wanted
    assert found(severity="critical") == wanted
    assert found(session="s1") == wanted
    assert found(fingerprint="f") == wanted
    assert found(role="queue manager") == wanted
    assert found(role="finance") == []
    assert len(found(created_after="2020-01-01T00:00:00Z")) == 2
    assert found(created_after="2120-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "open"}, {"kind": "x"}, {"severity": "x"}, {"created_after": "yesterday"}, {"created_after": "2020-01-01"},
        {"created_after": "2020-13-45T00:00:00Z"}, {"cursor": "x"}, {"cursor": "é"}, {"limit": "0"}, {"limit": "201"}, {"limit": "²"},
        {"colour": "red"}, {"session": "a\x00"}, {"role": "\x00"}, {"created_after": "0001-01-01T00:00:00+14:00"},
        {"status": ["waiting", "settled"]},
    ],
)
def test_a_filter_that_is_none_is_refused(agent, query):
    assert_problem(agent.get("/incidents", **query), 400, "invalid")


@pytest.mark.parametrize("size", [1, 12])
def test_the_list_costs_the_same_whatever_its_length(agent, size, django_assert_num_queries):
    for _ in range(size):
        ProposalFactory(incident=IncidentFactory(source=agent.source))
    # One moment for both: the first call of a new window of the rate limit sweeps up, which costs one more.
    with clock.frozen_at(clock.now()):
        agent.get("/incidents")

        with django_assert_num_queries(5):  # key with its count, page, questions, proposals with role and decision, pace
            assert len(agent.get("/incidents").json()["items"]) == size


def test_a_draft_is_text_unless_it_says_otherwise_and_that_is_what_is_signed(agent):
    draft = {"to": "a@b.example", "subject": "s", "body": "b"}
    bare = agent.post("/incidents", {"kind": "draft", "title": "t", "proposal": {"draft": draft}}).json()["proposal"]
    full = agent.post("/incidents", {"kind": "draft", "title": "t", "proposal": {"draft": {**draft, "format": "text"}}}).json()["proposal"]

    assert bare["draft"] == full["draft"] == {**draft, "format": "text"}
    assert bare["args_digest"] == full["args_digest"]
