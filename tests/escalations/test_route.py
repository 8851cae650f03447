"""From what was classified to a queue or a decision by policy; untrusted words only tighten."""

from datetime import timedelta

import pytest

from escalations import audit, clock, ingest, lifecycle, queue, route
from escalations.floors.rulebook import Rulebook
from escalations.models import Classification, Decision, Incident, Notice, Proposal, RoutingRule, Trigger, Work
from tests.factories import PersonFactory, RuleFactory, SourceFactory, role

pytestmark = pytest.mark.django_db
AGENT = audit.Actor("source", "agent", "agent")


@pytest.fixture(autouse=True)
def only_my_rules(defaults):
    RoutingRule.objects.update(state="archived")


@pytest.fixture
def source():
    return SourceFactory()


def posted(source, *words, kind="action", args=None, title="Refund for order 1182", **data):
    """Post one incident and let these engines have spoken: (engine, severity, category, confidence)."""
    if kind == "action":
        claims = data.pop("claims", {})
        data["proposal"] = {"action": "refund", "args": {"order": 1182, "amount": 20} if args is None else args, **claims}
    incident, _ = ingest.receive(
        source=source, key_env="live", data={"kind": kind, "title": title, **data}, key=None, body_digest="a" * 64
    )
    work = Work.objects.get(incident=incident)
    for engine, severity, category, confidence in words or [("rules", "info", "refund", 0.95)]:
        Classification.objects.create(
            incident=incident, work=work, engine=engine, severity=severity, category=category, confidence=confidence,
            error="" if severity else "no answer", sure=engine == "rules",
        )
    Work.objects.filter(pk=work.pk).update(stage="route")
    while route.run_batch():
        pass
    return Proposal.objects.filter(incident=incident).order_by("-revision").first()


def auto(**more):
    return RuleFactory(floor="auto", **{"condition": 'proposal.action == "refund" && proposal.args.amount <= 50', **more})


def test_with_nothing_matched_a_person_must_look(source):
    proposal = posted(source)

    assert (proposal.state, proposal.floor, proposal.role.name) == ("pending", "review", "finance")  # by its category
    assert proposal.due_at == proposal.routed_at + timedelta(hours=4)
    assert proposal.expires_at == proposal.routed_at + timedelta(hours=12)
    assert [step["name"] for step in proposal.policy["steps"]] == ["manager", "manager"]
    assert Incident.objects.get().escalate == "human"


def test_an_auto_rule_settles_by_policy_and_names_itself(source):
    rule = auto()
    proposal = posted(source)

    decision = Decision.objects.get()
    assert proposal.state == "approved"
    assert (decision.by_kind, decision.by_id, decision.args_digest) == ("policy", rule.name, proposal.args_digest)
    assert Incident.objects.get().escalate == "none"


def test_the_strictest_floor_wins(source):
    auto()
    RuleFactory(floor="review", condition='incident.kind == "action"', role=role("specialist"))

    proposal = posted(source)
    assert (proposal.state, proposal.floor, proposal.role.name) == ("pending", "review", "specialist")


def test_a_block_is_refused_without_asking(source):
    RuleFactory(floor="block", condition='proposal.action == "refund"', why="Refunds are stopped this week.")

    proposal = posted(source)
    decision = Decision.objects.get()
    assert (proposal.state, decision.type, decision.by_kind) == ("rejected", "reject", "policy")
    assert decision.reason == "Refunds are stopped this week."


def test_any_trigger_keeps_it_with_a_person(source):
    auto(condition='proposal.action == "refund"')

    proposal = posted(source, args={"order": 1182, "amount": 5000})
    assert proposal.state == "pending" and "high_stakes" in proposal.trigger_names


def test_a_trigger_that_is_turned_off_does_not_fire(source):
    auto(condition='proposal.action == "refund"')
    Trigger.objects.filter(name="high_stakes").update(enabled=False)

    assert posted(source, args={"order": 1182, "amount": 5000}).state == "approved"


def test_an_error_in_an_auto_rule_is_no_match(source):
    auto(condition='proposal.action == "refund" && proposal.args.total < 10')

    assert posted(source).state == "pending"


def test_an_error_in_a_review_rule_is_a_match_and_shown(source):
    auto()
    RuleFactory(name="VAT", floor="review", condition="proposal.args.vat > 10")

    proposal = posted(source)
    assert proposal.state == "pending"
    assert [one["error"] for one in proposal.rules if one["name"] == "VAT"]


def test_a_threshold_needs_our_own_engine(source):
    auto(by="threshold", threshold=0.9)

    assert posted(source, ("rules", "info", "refund", 0.95)).state == "approved"
    assert posted(source, ("rules", "info", "refund", 0.7), ("llm", "info", "refund", 1.0), args={"amount": 1}).state == "pending"


def test_a_model_or_a_claim_may_lower_confidence_never_supply_it(source):
    auto(by="threshold", threshold=0.9)

    sure = ("rules", "info", "refund", 0.95)
    assert posted(source, sure, ("llm", "info", "refund", 0.5), args={"amount": 1}).state == "pending"
    assert posted(source, sure, args={"amount": 2}, claims={"confidence": 0.4}).state == "pending"
    assert posted(source, ("rules", "info", "refund", 0.7), args={"amount": 3}, claims={"confidence": 1.0}).state == "pending"


def test_a_model_may_count_for_alerts_where_nothing_runs(source):
    auto(by="threshold", threshold=0.9, model_counts=True, condition='incident.kind == "alert"')

    assert posted(source, ("rules", "info", "other", 0.7), ("llm", "info", "other", 0.95), kind="alert", title="disk").state == "approved"


def test_a_lane_nobody_earned_lets_nothing_go(source):
    auto(by="lane")

    assert posted(source).state == "pending"


def test_a_model_that_always_says_safe_changes_nothing(source):
    proposal = posted(
        source, ("rules", "warning", "refund", 0.9), ("llm", "info", "customer_question", 1.0), args={"order": 1, "amount": 5000}
    )

    assert proposal.state == "pending"
    assert (proposal.severity, proposal.category, proposal.role.name) == ("warning", "refund", "finance")


def test_engines_that_contradict_each_other_ask_a_person(source):
    auto(condition='proposal.action == "refund"')

    proposal = posted(source, ("rules", "info", "refund", 0.9), ("llm", "critical", "security", 0.9))
    assert "low_confidence" in proposal.trigger_names and proposal.severity == "critical"


def test_a_failed_engine_costs_a_trigger_only_when_nobody_else_is_confident(source):
    confident = posted(source, ("rules", "info", "refund", 0.9), ("llm", "", "", None))
    unsure = posted(source, ("rules", "info", "refund", 0.3), ("llm", "", "", None), args={"amount": 1})
    alone = posted(source, ("llm", "", "", None), args={"amount": 2})

    assert "classifier_failed" not in confident.trigger_names
    assert "classifier_failed" in unsure.trigger_names
    yes_man = posted(source, ("rules", "warning", "other", None), ("learned", "", "", None), ("llm", "info", "refund", 1.0))
    assert "classifier_failed" in yes_man.trigger_names, "a model that is sure of everything stands in for no engine of ours"
    assert "no answer" in next(one["why"] for one in alone.triggers if one["name"] == "classifier_failed")


def test_rules_of_equal_priority_that_disagree_fire_a_conflict(source):
    RuleFactory(name="one", condition='proposal.action == "refund"', role=role("finance"), priority=5)
    RuleFactory(name="two", condition='proposal.action == "refund"', role=role("support"), priority=5)

    assert "policy_conflict" in posted(source).trigger_names


def test_the_highest_rule_that_names_a_role_is_asked(source):
    RuleFactory(condition="true", priority=9)
    RuleFactory(condition="true", role=role("support"), priority=8)
    RuleFactory(condition="true", role=role("finance"), priority=7)

    assert posted(source).role.name == "support"


def test_what_is_critical_passes_straight_to_its_role(source):
    person = PersonFactory(roles=["operations"])
    posted(source, ("rules", "critical", "outage", 0.9), kind="alert", title="checkout is down")

    assert Incident.objects.get().escalate == "auto"
    assert Notice.objects.get(kind="critical").person == person


def test_an_exception_gets_a_proposal_to_acknowledge_its_classification(source):
    proposal = posted(source, ("rules", "critical", "crash", 0.9), kind="exception", title="Segmentation fault")

    assert (proposal.action, proposal.args) == ("acknowledge", {"severity": "critical", "category": "crash"})
    assert proposal.allowed_decisions == ["approve", "edit", "respond"]


def test_whoever_claims_to_act_for_one_of_us_and_is_not_known_is_looked_at(source):
    PersonFactory(email="ana@acme.example")

    assert "injection_suspected" in posted(source, on_behalf_of="boss@acme.example").trigger_names
    assert "injection_suspected" not in posted(source, on_behalf_of="ana@acme.example", args={"amount": 1}).trigger_names
    assert "injection_suspected" not in posted(source, on_behalf_of="customer@mail.example", args={"amount": 2}).trigger_names


# -- callers' wishes


def test_a_caller_may_shorten_the_clock_never_lengthen_it(source):
    short = posted(source, timeout_seconds=600)
    long = posted(source, timeout_seconds=10**6, args={"amount": 1})

    assert short.expires_at == short.due_at == short.incident.received_at + timedelta(seconds=600)
    assert long.expires_at == long.routed_at + timedelta(hours=12)


# -- law 12


def test_nobody_shops_for_a_yes_with_the_same_request(source):
    asked = posted(source)  # a person is asked
    auto()
    again = posted(source)
    other = posted(source, args={"order": 1182, "amount": 19})
    elsewhere = posted(SourceFactory())

    assert asked.args_digest == again.args_digest
    assert (again.state, other.state, elsewhere.state) == ("pending", "approved", "approved")
    with clock.frozen_at(clock.now() + timedelta(hours=13)):
        while lifecycle.run_out():
            pass
    with clock.frozen_at(clock.now() + timedelta(days=8)):
        assert posted(source).state == "approved"


def test_a_line_that_a_person_saw_stays_with_people(source):
    person = PersonFactory(roles=["finance"])
    asked = posted(source, args={"order": 1, "amount": 5000})
    auto()
    lifecycle.decide(
        asked.pk, person=person, type="reject", digest=asked.args_digest, version=asked.version, reason="less", retry=True
    )
    revision = lifecycle.revise(
        asked.incident_id, content={"action": "refund", "args": {"order": 1, "amount": 5}}, actor=AGENT
    )
    Work.objects.filter(proposal=revision).update(stage="route")
    Classification.objects.create(
        incident=asked.incident, work=Work.objects.get(proposal=revision), engine="rules", severity="info", confidence=0.99
    )
    route.run_batch()

    revision.refresh_from_db()
    assert (revision.state, revision.floor) == ("pending", "review")


# -- fails closed


def test_what_cannot_be_judged_goes_to_a_person_with_the_reason(source, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("boom")

    auto()
    monkeypatch.setattr(route, "judge", broken)

    proposal = posted(source)
    assert (proposal.state, proposal.role.name) == ("pending", "queue manager")
    assert "RuntimeError" in proposal.triggers[0]["why"]


def test_a_worker_that_lost_its_lease_writes_nothing(source):
    ingest.receive(source=source, key_env="live", data={"kind": "alert", "title": "x"}, key=None, body_digest="a" * 64)
    Work.objects.update(stage="route")
    (work,) = queue.claim("route", 1)
    Work.objects.update(token=work.token + 1)

    route.route_one(work, Rulebook.load())
    assert not Proposal.objects.exists()
    assert Incident.objects.get().status == "received"


def test_a_withdrawn_incident_is_not_routed(source):
    incident, _ = ingest.receive(
        source=source, key_env="live", data={"kind": "alert", "title": "x"}, key=None, body_digest="a" * 64
    )
    Work.objects.update(stage="route")
    (work,) = queue.claim("route", 1)
    lifecycle.withdraw(incident.pk, actor=AGENT)

    route.route_one(work, Rulebook.load())
    assert not Proposal.objects.exists()
