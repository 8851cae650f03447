"""What would let the machine do more, or look at less: nothing of it is saved by one administrator. Everything else is."""

from datetime import timedelta

import pytest

from escalations import audit, policies
from escalations.errors import NotAllowed
from escalations.models import Change, EscalationPolicy, Role, RoutingRule, Source, Trigger
from escalations.policies.second import lowers
from tests.escalations.policies.asking import facts, made, rule, save
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


AUTO = {"floor": "auto", "by": "threshold", "threshold": 0.8}


@pytest.mark.parametrize(("was", "becomes", "said"), [
    ({"state": "draft", "floor": "auto"}, {"state": "live"}, "without a person"),
    ({"state": "shadow", "floor": "auto"}, {"state": "live"}, "without a person"),
    ({"state": "archived", "floor": "auto"}, {"state": "live"}, "without a person"),
    ({"floor": "review"}, {"floor": "auto"}, "asks for review now"),
    ({"floor": "block"}, {"floor": "auto"}, "asks for block now"),
    ({"floor": "block"}, {"floor": "review"}, "from block to review"),
    ({"floor": "review"}, {"state": "draft"}, "no longer apply"),
    ({"floor": "block"}, {"state": "shadow"}, "no longer apply"),
    ({"floor": "review"}, {"state": "archived"}, "no longer apply"),
    ({"floor": "review"}, {"condition": "false"}, "less often"),
    ({"floor": "auto"}, {"condition": 'incident.kind == "action"'}, "more may go"),
    (AUTO, {"threshold": 0.7}, "from 0.8 to 0.7"),
    (AUTO, {"by": "rule"}, "would ask for the condition alone"),
    (AUTO, {"by": "lane"}, "would ask for earned autonomy"),
    ({"floor": "auto", "by": "lane"}, {"by": "threshold", "threshold": 0.9}, "would ask for confidence"),
    (AUTO, {"model_counts": True}, "model's confidence"),
])
def test_an_edit_that_lowers_a_floor_waits(ada, was, becomes, said):
    one = made(**was)
    for field, value in becomes.items():
        setattr(one, field, value)
    one.why = "and this waits with it"
    change = save(one, ada)
    assert isinstance(change, Change) and change.state == "waiting" and said in " ".join(change.lowers)
    stored = RoutingRule.objects.get(pk=one.pk)
    assert stored.version == 1 and stored.why == "" and {field: getattr(stored, field) for field in was} == was
    assert facts("change.asked")["facts"]["lowers"] == change.lowers


@pytest.mark.parametrize(("was", "becomes"), [
    ({"state": "draft"}, {"state": "live"}),
    ({"state": "draft", "floor": "auto"}, {"condition": "true"}),
    ({"state": "shadow", "floor": "auto"}, {"by": "lane"}),
    ({"state": "draft"}, {"floor": "auto"}),
    ({"floor": "auto"}, {"floor": "review"}),
    ({"floor": "auto"}, {"floor": "block"}),
    ({"floor": "review"}, {"floor": "block"}),
    ({"floor": "auto"}, {"state": "archived"}),
    ({"floor": "auto"}, {"by": "threshold", "threshold": 0.9}),
    ({"floor": "auto"}, {"by": "lane"}),
    (AUTO, {"threshold": 0.9}),
    (AUTO | {"model_counts": True}, {"model_counts": False}),
    ({"floor": "review"}, {"priority": 900, "why": "Money.", "severity": "critical"}),
    ({"condition": "true &&\ntrue"}, {"condition": "true &&\r\ntrue\r\n", "why": "as a browser sends it"}),
])
def test_an_edit_that_does_not_is_saved_at_once(ada, was, becomes):
    one = made(**was)
    for field, value in becomes.items():
        setattr(one, field, value)
    assert save(one, ada).version == 2
    assert not Change.objects.exists()


def test_a_new_rule_that_lets_things_go_alone_is_kept_as_a_draft_until_it_is_confirmed(ada, bob):
    change = save(rule(floor="auto"), ada)
    stored = RoutingRule.objects.get(name="Refunds")
    assert (stored.state, stored.version) == ("draft", 1) and policies.waiting(stored) == change
    assert policies.confirm_change(change, person=bob).state == "live"


def test_ending_a_conflict_between_two_rules_that_let_things_go_waits(ada):
    one = made(floor="auto", priority=321, role=Role.objects.get(name="finance"))
    made(name="Other", floor="auto", priority=321, role=Role.objects.get(name="support"))
    for field, value in (("priority", 322), ("role", None), ("role", Role.objects.get(name="support")), ("state", "archived")):
        fresh = RoutingRule.objects.get(pk=one.pk)
        setattr(fresh, field, value)
        assert "conflict" in save(fresh, ada).lowers[0]
    fresh = RoutingRule.objects.get(pk=one.pk)
    fresh.role = Role.objects.get(name="security")
    assert isinstance(save(fresh, ada), RoutingRule)


def test_pointing_a_rule_to_a_policy_under_which_silence_is_a_yes_waits(ada, bob):
    steps = [policies.Step(Role.objects.get(name="manager"), timedelta(hours=1))]
    quick = EscalationPolicy(name="quick", fallback="approve")
    policies.save_policy(quick, steps=steps, actor=audit.Actor.of(ada), person=ada)
    one = made(priority=77)
    one.policy = quick
    assert isinstance(save(one, ada), RoutingRule)  # not confirmed: it rejects
    policies.confirm_approve(quick, person=bob, version=quick.version)
    assert "approved" in lowers(made(name="Before"), rule(name="Before", policy=EscalationPolicy.objects.get(pk=quick.pk)))[0]
    raised = RoutingRule.objects.get(pk=one.pk)
    raised.priority = 78
    assert "hold more often" in save(raised, ada).lowers[0]


HIGH = {"money_limit": 100, "count_limit": 100, "limits": {"amount": 50}}


@pytest.mark.parametrize(("name", "was", "becomes", "waits"), [
    ("high_stakes", {}, {"money_limit": 101}, True),
    ("high_stakes", {}, {"money_limit": 99}, False),
    ("high_stakes", {"money_limit": 50}, {}, True),  # what is left out stands as it is built in
    ("high_stakes", {"money_limit": 200}, {}, False),
    ("high_stakes", {}, {"money_limit": -1}, False),  # of no use, so the built-in one holds
    ("high_stakes", {}, {"count_limit": 1000}, True),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 51}}, True),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 49}}, False),
    ("high_stakes", HIGH, HIGH | {"limits": {}}, True),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 50, "refund.amount": 60}}, True),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 50, "refund.amount": 40}}, False),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 50, "rows": 101}}, True),
    ("high_stakes", HIGH, HIGH | {"limits": {"amount": 50, "rows": 100}}, False),
    ("high_stakes", HIGH | {"limits": {"amount": 500}}, HIGH | {"limits": {}}, False),
    ("high_stakes", HIGH | {"limits": {"amount_cents": 500}}, HIGH | {"limits": {}}, True),
    ("high_stakes", {}, {"money_words": ["amount"]}, True),
    ("high_stakes", {"money_words": ["amount"]}, {"money_words": ["amount", "fee"]}, False),
    ("high_stakes", {"money_words": ["amount"], "count_limit": 10}, {"money_words": ["amount", "fee"], "count_limit": 10}, True),
    ("high_stakes", {"cents_words": ["cents"]}, {"cents_words": ["cents", "amount"]}, True),
    ("high_stakes", {"cents_words": ["cents", "pence"]}, {"cents_words": ["cents"]}, False),
    ("high_stakes", {"vague_words": ["total"]}, {"vague_words": []}, True),
    ("irreversible", {"verbs": ["delete", "drop"]}, {"verbs": ["drop", "Delete ", "melt"]}, False),
    ("irreversible", {"verbs": ["delete", "drop"]}, {"verbs": ["drop"]}, True),
    ("irreversible", {}, {"look_inside": False}, True),
    ("irreversible", {"look_inside": False}, {}, False),
    ("sensitive_data", {"contacts": 5}, {"contacts": 6}, True),
    ("sensitive_data", {}, {"phrases": {}}, True),
    ("user_complaint", {"phrases": ["a", "b"]}, {"phrases": ["a"]}, True),
    ("user_request", {"phrases": []}, {"phrases": ["a"]}, False),
    ("agent_failed", {"max_attempts": 3}, {"max_attempts": 4}, True),
    ("agent_failed", {"max_attempts": 2}, {"max_attempts": 0}, True),  # below one is read as three
    ("agent_failed", {"max_attempts": 3}, {"max_attempts": 2}, False),
    ("low_confidence", {}, {"below": 0.5}, True),
    ("low_confidence", {"below": 0.5}, {"below": 0.7}, False),
])
def test_a_trigger_that_might_fire_less_waits(ada, name, was, becomes, waits):
    trigger = Trigger.objects.get(name=name)
    Trigger.objects.filter(name=name).update(settings=was)
    trigger.settings, trigger.description = becomes, "both or none"
    saved = save(trigger, ada)
    assert isinstance(saved, Change) is waits, getattr(saved, "lowers", "")
    assert Trigger.objects.get(name=name).settings == (was if waits else becomes)


def test_a_trigger_turned_off_waits_and_turned_on_does_not(ada, bob):
    trigger = Trigger.objects.get(name="user_complaint")
    trigger.enabled = False
    change = save(trigger, ada)
    assert change.lowers == ["user_complaint would no longer fire."] and Trigger.objects.get(pk=trigger.pk).enabled
    assert policies.confirm_change(change, person=bob).enabled is False
    trigger.enabled = True
    assert save(trigger, ada).enabled and Trigger.objects.get(pk=trigger.pk).enabled


def test_a_path_is_believed_at_once_only_while_no_live_rule_reads_it(ada, bob):
    SourceFactory(name="shop", authoritative_paths=["payload.order.total", "customer.tier"])
    made(floor="auto", condition='incident.kind == "action" && incident . payload.order.total < 20.0')
    made(name="A draft", floor="auto", state="draft", condition='customer.tier == "verified"')
    agent = SourceFactory(name="agent")

    agent.authoritative_paths = ["customer.tier", "payload.note"]
    assert save(agent, ada) is not None and not Change.objects.exists()
    agent.authoritative_paths = ["customer.tier", "payload.note", "payload.order"]
    change = save(agent, ada)
    assert "“Refunds”" in change.lowers[0]
    assert Source.objects.get(pk=agent.pk).authoritative_paths == ["customer.tier", "payload.note"]
    policies.confirm_change(change, person=bob)
    assert Source.objects.get(pk=agent.pk).authoritative_paths == ["customer.tier", "payload.note", "payload.order"]
    fewer = Source.objects.get(pk=agent.pk)
    fewer.authoritative_paths = []
    assert not isinstance(save(fewer, ada), Change)


def test_an_action_that_would_no_longer_count_as_irreversible_waits(ada):
    source = SourceFactory(known_irreversible=["close_account", "Wire"])
    source.known_irreversible = ["wire ", "melt", "close_account"]
    assert not isinstance(save(source, ada), Change)
    source.known_irreversible = ["melt"]
    assert "“close_account”, “wire”" in save(source, ada).lowers[0]


def test_what_a_live_rule_goes_by_of_a_source_does_not_change_by_one_persons_hand(ada):
    source = SourceFactory()
    source.is_demo = True  # a default rule lets a demo source's noise go alone
    assert "source.demo" in save(source, ada).lowers[0]
    source.is_demo, source.owner = False, ada
    assert not isinstance(save(source, ada), Change)
    made(condition='source.owner == "ada"')
    fresh = Source.objects.get(pk=source.pk)
    fresh.owner = None
    assert "source.owner" in save(fresh, ada).lowers[0]


def test_a_new_source_is_registered_without_what_has_to_wait_and_its_secret_is_told(ada, bob):
    secret = save(Source(name="shop", is_demo=True, authoritative_paths=["payload.total"], description="ours"), ada)
    source = Source.objects.get(name="shop")
    assert secret and (source.is_demo, source.authoritative_paths, source.description) == (False, [], "ours")
    policies.confirm_change(policies.waiting(source), person=bob)
    source.refresh_from_db()
    assert (source.is_demo, source.authoritative_paths) == (True, ["payload.total"])


def test_a_person_never_saves_such_a_thing_nameless(ada):
    one = made()
    one.state = "archived"
    with pytest.raises(NotAllowed):
        policies.save_rule(one, actor=audit.Actor.of(ada))
    assert RoutingRule.objects.get(pk=one.pk).state == "live"


