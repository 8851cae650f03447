"""Which pattern applies is said at once, and why; a caller need not ask for one."""

import pytest

from escalations.api import docs
from escalations.floors import pattern
from escalations.policies import stop
from escalations.states import TRIGGERS, Kind
from tests.factories import RuleFactory

pytestmark = pytest.mark.django_db

POSTS = {
    "action": ({"proposal": {"action": "water_plants", "args": {"room": "b"}}}, "approval"),
    "draft": ({"proposal": {"draft": {"to": "mia@example.org", "subject": "Hello", "body": "All is well."}}}, "review_gate"),
    "exception": ({"payload": {"exception": {"type": "ValueError", "message": "no"}}}, "exception"),
    "alert": ({}, "exception"),
    "handoff": ({}, "exception"),
    "question": ({}, "approval"),
}


@pytest.mark.parametrize("kind", POSTS)
def test_the_first_answer_says_what_the_kind_alone_says(agent, kind):
    more, wanted = POSTS[kind]

    told = agent.post("/incidents", {"kind": kind, "title": "Something", **more}).json()

    assert told["pattern"] == wanted
    assert told["pattern_why"].endswith("; rules and triggers have not spoken yet.")


def test_afterwards_it_says_which_rule_asked_and_what_fired(agent, run_jobs):
    posted = agent.post("/incidents", {
        "kind": "action", "title": "Refund", "proposal": {"action": "refund", "args": {"order": "A-1", "amount": 9000}, "confidence": 0.99},
    }).json()
    run_jobs()

    told = agent.get(f"/incidents/{posted['id']}").json()

    assert told["pattern"] == "approval"
    assert "high_stakes" in told["triggers"]
    assert told["pattern_why"].startswith("An action runs only as it was signed: the rule")
    assert "for a person" in told["pattern_why"] and "high_stakes" in told["pattern_why"]


def test_doubt_alone_makes_it_a_matter_of_confidence(agent, run_jobs):
    posted = agent.post("/incidents", {
        "kind": "action", "title": "Water the plants",
        "proposal": {"action": "water_plants", "args": {"room": "b"}, "confidence": 0.1},
    }).json()
    run_jobs()

    told = agent.get(f"/incidents/{posted['id']}").json()

    assert (told["triggers"], told["pattern"]) == (["low_confidence"], "confidence")
    assert told["pattern_why"].startswith("Nothing but doubt")


def test_what_goes_alone_says_by_which_rule(agent, run_jobs):
    RuleFactory(name="Small", floor="auto", condition='proposal.action == "refund" && proposal.args.amount <= 50')
    posted = agent.post("/incidents", {
        "kind": "action", "title": "Refund", "proposal": {"action": "refund", "args": {"order": 1, "amount": 20}},
    }).json()
    run_jobs()

    told = agent.get(f"/incidents/{posted['id']}").json()

    assert (told["escalate"], told["pattern"]) == ("none", "approval")
    assert told["pattern_why"] == "An action runs only as it was signed: the rule “Small” lets it go without a person."


def test_an_action_with_a_name_of_ones_own_is_no_doubt_and_its_rule_lets_it_go(agent, run_jobs):
    RuleFactory(name="Plants", floor="auto", condition='proposal.action == "water_plants" && proposal.args.room == "b"')
    told = []
    for room in ("b", "c"):
        posted = agent.post("/incidents", {
            "kind": "action", "title": "Water the plants", "proposal": {"action": "water_plants", "args": {"room": room}},
        }).json()
        run_jobs()
        told.append(agent.get(f"/incidents/{posted['id']}").json())

    assert [(one["escalate"], one["triggers"], one["pattern"]) for one in told] == [("none", [], "approval"), ("human", [], "approval")]


def test_while_everything_is_stopped_the_rule_that_settled_it_is_not_told(agent, run_jobs, ada):
    RuleFactory(name="Small", floor="block", condition='proposal.action == "refund" && proposal.args.amount <= 50')
    stop.stop_everything(person=ada, reason="something is wrong")
    posted = agent.post("/incidents", {
        "kind": "action", "title": "Refund", "proposal": {"action": "refund", "args": {"order": 1, "amount": 20}},
    }).json()
    run_jobs()

    told = agent.get(f"/incidents/{posted['id']}").json()

    assert (told["status"], told["decision"]) == ("waiting", None)
    assert "Small" not in told["pattern_why"]


@pytest.mark.parametrize(("floor", "rules", "says"), [
    ("auto", [{"name": "a", "floor": "auto"}], "the rule “a” lets it go without a person."),
    ("auto", [{"name": "a", "floor": "auto"}, {"name": "b", "floor": "auto", "unmet": "needs"}], "the rule “a” lets it go"),
    ("block", [{"name": "a", "floor": "block"}, {"name": "c", "floor": "block"}], "the rules “a” and “c” refuse it without asking"),
    ("review", [{"name": "a", "floor": "review"}, {"name": "b", "floor": "auto"}], "the rule “a” asks for a person."),
    ("review", [{"name": "a", "floor": "review", "error": "no such key"}], "“a” could not be answered, so that a person decides."),
    ("review", [{"name": "", "floor": "review", "why": "said by ada"}], "it is held for a person whatever rules say."),
    ("review", [{"name": "a", "floor": "auto", "unmet": "needs confidence 0.9"}], "the rule that could let it go alone is not met"),
    ("review", [], "no rule lets it go alone, so that a person decides."),
])  # fmt: skip
def test_the_sentence_names_who_asked(floor, rules, says):
    assert says in pattern.why("action", "approval", floor=floor, rules=rules)


def test_every_kind_and_every_trigger_has_a_pattern_and_a_sentence():
    for kind in Kind:
        for name in TRIGGERS:
            applies = pattern.pattern_of(kind, [{"name": name}])
            assert applies in ("approval", "review_gate", "confidence", "exception", "oversight")
            assert pattern.why(kind, applies, floor="review", triggers=[name]).endswith(f"and {name} fired.")


def test_a_watched_run_that_is_in_trouble_is_a_matter_of_oversight():
    assert pattern.pattern_of("handoff", [{"name": "loop_detected", "where": "steps"}]) == "oversight"
    assert pattern.pattern_of("handoff", [{"name": "agent_failed", "where": pattern.WATCHED}]) == "oversight"
    assert pattern.pattern_of("handoff", [{"name": "agent_failed", "where": "acknowledgement"}]) == "exception"


def test_the_schema_says_that_both_are_always_there():
    answer = docs.document()["components"]["schemas"]["IncidentOut"]

    assert {"pattern", "pattern_why"} <= set(answer["required"])
    assert not answer["properties"]["pattern"].get("nullable")
