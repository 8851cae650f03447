"""What a new database starts with, and that a second start changes nothing an administrator did."""

from datetime import UTC, datetime

import pytest

from escalations import defaults, queue, states
from escalations.floors.cel import compile_condition
from escalations.models import AuditEntry, Category, EscalationPolicy, Role, RoutingRule, Trigger, WakeUp
from escalations.states import Floor

pytestmark = pytest.mark.django_db


def facts(kind="action", action="", args=None, *, title="", body="", request="", draft=None, tier="", flags=(), demo=False, said="info"):
    """Return facts with every fixed name present, as rules get them."""
    return {
        "incident": {
            "kind": kind, "title": title, "body": body, "severity": "", "fingerprint": "", "external_id": "", "environment": "",
            "on_behalf_of": "", "session": "", "test": False, "payload": {}, "request": request, "why": "",
        },
        "proposal": {
            "action": action, "args": args or {}, "draft": draft or {"to": "", "subject": "", "body": ""}, "description": "",
            "confidence": None, "reversible": None, "impact": "",
        },
        "classification": {"severity": said, "category": "", "confidence": 0.9, "triggers": []},
        "source": {"name": "desk", "owner": "", "demo": demo, "authoritative_paths": []},
        "customer": {"id": "", "tier": tier, "flags": list(flags)},
        "now": datetime(2026, 3, 2, 9, tzinfo=UTC),
    }


def matching(facts):
    """Return the names of the default rules whose condition holds, but for the lanes' own, which only asks for the kind; fail on one
    that could not be evaluated."""
    names = []
    for rule in (rule for rule in defaults.RULES if rule.by != "lane"):
        result = compile_condition(rule.condition, auto=rule.floor == Floor.AUTO).evaluate(facts)
        assert isinstance(result, bool), f"{rule.name}: {result.why}"
        if result:
            names.append(rule.name)
    return names


def test_a_second_installation_changes_nothing_and_writes_nothing():
    defaults.install()
    entries = AuditEntry.objects.count()
    Trigger.objects.filter(name="high_stakes").update(settings={"mine": 1}, description="mine")
    RoutingRule.objects.filter(name="Deletions").update(name="Removals", state="archived")
    EscalationPolicy.objects.update(name="ours")
    before = {model: list(model.objects.order_by("pk").values()) for model in (Role, Trigger, Category, RoutingRule, EscalationPolicy)}
    defaults.install()
    assert {model: list(model.objects.order_by("pk").values()) for model in before} == before
    assert AuditEntry.objects.count() == entries


def test_every_trigger_has_a_row_with_the_role_of_the_table():
    assert tuple(defaults.TRIGGERS) == states.TRIGGERS
    rows = {trigger.name: trigger.role.name for trigger in Trigger.objects.select_related("role")}
    assert rows == {name: role for name, (_, role) in defaults.TRIGGERS.items()}
    assert rows["high_stakes"] == "finance" and rows["agent_failed"] == "operations"


def test_only_managers_decide_everything_and_auditors_only_look():
    assert set(Role.objects.filter(decides_everything=True).values_list("name", flat=True)) == {"manager"}
    assert set(Role.objects.filter(sees_everything=True).values_list("name", flat=True)) == {"manager", "auditor"}


def test_the_default_policy_asks_the_manager_twice_and_then_rejects():
    policy = EscalationPolicy.objects.get(is_default=True)
    (step,) = policy.steps.all()
    assert (step.role.name, step.after.total_seconds(), step.repeat) == ("manager", 4 * 3600, 1)
    assert (policy.expires_after.total_seconds(), policy.fallback) == (12 * 3600, "reject")


def test_there_is_a_wake_up_row_for_every_job():
    assert set(WakeUp.objects.values_list("kind", flat=True)) == set(queue.JOBS)


def test_no_two_default_rules_can_be_in_conflict():
    priorities = [rule.priority for rule in defaults.RULES]
    assert len(priorities) == len(set(priorities))
    assert {rule.role for rule in defaults.RULES} - {None} <= set(defaults.ROLES)


def test_default_rules_compile_and_only_the_demo_rule_and_what_lanes_earned_lets_the_machine_act_alone():
    for rule in defaults.RULES:
        compile_condition(rule.condition, auto=rule.floor == Floor.AUTO)
        assert rule.why
    assert [rule.name for rule in defaults.RULES if rule.floor == Floor.AUTO] == [
        "Info exceptions and alerts of a demo source", "What a lane has earned",
    ]


def test_what_lanes_have_earned_stands_below_every_rule_and_asks_for_a_lane():
    (rule,) = [rule for rule in defaults.RULES if rule.by == "lane"]
    assert rule.floor == Floor.AUTO and rule.priority < min(one.priority for one in defaults.RULES if one is not rule)
    held = compile_condition(rule.condition, auto=True)
    assert [kind for kind in states.Kind if held.evaluate(facts(kind, "do"))] == ["exception", "action", "draft", "alert"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (facts(action="refund", args={"amount": 250}), ["Refunds over 100"]),
        (facts(action="refund", args={"amount": 100.5}), ["Refunds over 100"]),
        (facts(action="refund", args={"amount": 100}), []),
        (facts(action="send_payment", args={"amount": 101}), ["Payments over 100"]),
        (facts(action="grant_permission", args={"user": "x"}), ["Permission changes"]),
        (facts(action="assign_role", args={}), ["Permission changes"]),
        (facts(action="delete_records", args={}), ["Deletions"]),
        (facts(action="bulk_update_prices", args={}), ["Bulk updates"]),
        (facts(action="close_account", args={}), ["Account closures"]),
        (facts(action="export_customer_data", args={}), ["Data-subject requests"]),
        (facts(action="publish_statement", args={}), ["Legal or public statements"]),
        (facts("draft", draft={"to": "a@b.c", "subject": "Re", "body": "We accept liability for this."}), ["Legal or public statements"]),
        (facts("question", body="My lawyer will write to you."), ["A lawyer is mentioned"]),
        (facts("handoff", request="Under the GDPR I want my data"), ["GDPR is mentioned"]),
        (facts("draft", request="This is a formal complaint"), ["Complaints"]),
        (facts("question", tier="VIP"), ["VIP or flagged customers"]),
        (facts("action", "send_reply", flags=["chargeback"]), ["VIP or flagged customers"]),
        (facts("question", body="Where is my parcel?"), []),
        (facts("exception", "acknowledge", demo=True), ["Info exceptions and alerts of a demo source"]),
        (facts("alert", "acknowledge", demo=True, said="warning"), ["Exceptions and alerts above info", "Info exceptions and alerts of a demo source"]),
        (facts("exception", "acknowledge", demo=False), []),
        (facts("alert", "send_voucher", demo=True), []),
    ],
)
def test_a_default_rule_matches_what_it_is_named_for_and_nothing_else(given, expected):
    assert matching(given) == expected


def test_a_refund_whose_amount_is_missing_or_a_text_is_not_let_through():
    rule = next(rule for rule in defaults.RULES if rule.name == "Refunds over 100")
    condition = compile_condition(rule.condition, auto=False)
    for args in ({}, {"amount": "250"}, {"amount": None}):
        assert not isinstance(condition.evaluate(facts(action="refund", args=args)), bool)
