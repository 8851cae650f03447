"""Every save of a rule is a version: who, when, why, what differs; and it can be put back."""

import json
from datetime import timedelta
from importlib import import_module

import pytest
from django.db import DatabaseError, connection, transaction

from escalations import audit, clock, policies
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid
from escalations.models import AuditEntry, Category, Change, Role, RoutingRule, RuleVersion, Trigger
from escalations.policies import versions
from tests.factories import IncidentFactory, PersonFactory, PolicyFactory, ProposalFactory, RuleFactory, SourceFactory

pytestmark = pytest.mark.django_db

REFUNDS = 'incident.kind == "action" && proposal.action == "refund"'


@pytest.fixture
def ada():
    return PersonFactory(username="ada", is_staff=True)


def rule(**more):
    return RoutingRule(**{"name": "Refunds", "condition": REFUNDS, "floor": "review", "state": "draft"} | more)


def save(one, person, **more):
    return policies.save_rule(one, actor=audit.Actor.of(person), person=person, **more)


def entries(action):
    return [json.loads(entry.body)["facts"] for entry in AuditEntry.objects.filter(action=action).order_by("pk")]


def test_each_save_is_a_version_with_who_when_and_why(ada):
    one = save(rule(), ada, why="We refund too fast.")
    one.priority = 300
    save(one, ada, why="Before the others.")

    second, first = RuleVersion.objects.filter(rule=one)
    assert (first.version, first.actor, first.why) == (1, "ada", "We refund too fast.")
    assert (second.version, second.actor, second.why) == (2, "ada", "Before the others.")
    assert second.at >= first.at and second.values["priority"] == 300 and first.values["priority"] == 100
    assert entries("rule.saved")[-1]["why"] == "Before the others."


def test_saving_without_a_change_is_no_version(ada):
    one = save(rule(), ada)
    save(one, ada)
    assert RuleVersion.objects.filter(rule=one).count() == 1


def test_a_version_is_never_changed(ada):
    one = save(rule(), ada)
    for statement in ("UPDATE escalations_ruleversion SET why = 'x'", "DELETE FROM escalations_ruleversion"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert RuleVersion.objects.get(rule=one).why == ""


def test_the_rules_a_new_database_has_are_versions_already():
    assert set(RoutingRule.objects.values_list("pk", "version")) == set(RuleVersion.objects.values_list("rule_id", "version"))


def test_a_rule_from_before_gets_the_version_it_has():
    one = RuleFactory(
        name="From before", condition="true", floor="auto", by="threshold", threshold=0.85, role=Role.objects.get(name="finance"),
        policy=PolicyFactory(name="quick"), category=Category.objects.get(name="refund"), version=7,
    )
    kept = RuleVersion.objects.count()
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(import_module("escalations.migrations.0005_a_version_of_every_rule").WRITE)
    [version] = RuleVersion.objects.filter(rule=one)
    assert (version.version, version.at, version.values) == (7, one.changed_at, versions.values_of(one))
    assert RuleVersion.objects.count() == kept + 1


def test_a_rule_written_by_no_verb_keeps_what_it_was(ada):
    one = RuleFactory(name="By hand", condition="false", state="draft")
    one.condition = REFUNDS
    save(one, ada)
    assert [(row.version, row.actor_kind, row.values["condition"]) for row in one.versions.order_by("version")] == [
        (1, "system", "false"), (2, "person", REFUNDS),
    ]


def test_values_are_json_with_names_and_come_back_as_they_were():
    one = rule(role=Role.objects.get(name="finance"), policy=PolicyFactory(name="quick"), threshold=None)
    values = json.loads(json.dumps(versions.values_of(one)))
    assert values["role"] == "finance" and values["policy"] == "quick" and values["category"] is None

    other = rule(name="Other", floor="block")
    versions.put(other, values)
    assert versions.values_of(other) == values and other.role == one.role


def test_names_that_are_gone_are_named():
    with pytest.raises(Invalid) as refused:
        versions.put(rule(), {"role": "nobody", "category": "nothing", "name": "x"})
    assert [one["pointer"] for one in refused.value.errors] == ["/role", "/category"]


def test_what_differs_is_said_in_words(ada):
    one = save(rule(), ada)
    one.role, one.priority, one.why = Role.objects.get(name="finance"), 7, "Money."
    save(one, ada)
    second, first = one.versions.all()
    assert [str(said) for said in policies.diff(first, second)] == [
        "reason shown: none → Money.", "priority: 100 → 7", "role: none → finance",
    ]
    assert "condition: none → " + REFUNDS in [str(said) for said in policies.diff(None, first)]


def test_what_is_nested_or_long_is_told_by_what_came_and_went():
    trigger = Trigger.objects.get(name="irreversible")
    before = versions.values_of(trigger, ("settings",))
    trigger.settings = trigger.settings | {"verbs": [*trigger.settings["verbs"][1:], "melt"], "look_inside": False}
    said = [str(one) for one in versions.differences(before, versions.values_of(trigger, ("settings",)))]
    assert said[0] == "settings, look_inside: yes → no"
    assert said[1].startswith("settings, verbs: delete (") and said[1].endswith("melt added")


def test_an_earlier_version_is_put_back_as_a_new_one_and_the_state_stays(ada):
    one = save(rule(), ada)
    one.priority = 300
    save(one, ada)
    policies.promote(one, actor=audit.Actor.of(ada), person=ada)

    back = policies.restore(one, 1, actor=audit.Actor.of(ada), person=ada)
    assert (back.priority, back.state, back.version) == (100, "live", 4)
    newest = one.versions.first()
    assert (newest.version, newest.restored_from, newest.why) == (4, 1, "As it was in version 1.")
    assert entries("rule.restored")[-1]["changed"] == {"priority": {"old": 300, "new": 100}}


def test_putting_back_what_lets_the_machine_do_more_waits_too(ada):
    one = save(rule(state="live"), ada)
    one.condition = f"{REFUNDS} || true"
    policies.save_rule(one, actor=audit.SYSTEM)

    change = policies.restore(one, 1, actor=audit.Actor.of(ada), person=ada)
    assert isinstance(change, Change) and change.wanted["condition"] == REFUNDS
    assert RoutingRule.objects.get(pk=one.pk).version == 2


@pytest.mark.parametrize(("version", "error"), [(9, Invalid), (2, IllegalMove)])
def test_a_version_that_is_not_there_or_holds_already_cannot_be_put_back(ada, version, error):
    one = save(rule(), ada)
    one.priority = 300
    save(one, ada)
    with pytest.raises(error):
        policies.restore(one, version, actor=audit.Actor.of(ada), person=ada)


def test_an_edit_of_what_somebody_saved_meanwhile_is_refused(ada):
    one = save(rule(), ada)
    stale = RoutingRule.objects.get(pk=one.pk)
    one.priority = 300
    save(one, ada)
    stale.why = "mine"
    with pytest.raises(ChangedSinceSeen):
        save(stale, ada)
    fresh = RoutingRule.objects.get(pk=one.pk)
    fresh.why = "mine"
    with pytest.raises(ChangedSinceSeen):
        save(fresh, ada, seen=1)
    assert save(fresh, ada, seen=2).version == 3


def test_a_save_leaves_alone_when_the_rule_last_matched(ada):
    one = save(rule(), ada)
    matched = clock.now()
    RoutingRule.objects.filter(pk=one.pk).update(matched_at=matched)
    one.priority = 5
    save(one, ada)
    assert RoutingRule.objects.get(pk=one.pk).matched_at == matched


# -- states


@pytest.mark.parametrize("verb", ["to_shadow", "to_draft", "archive_rule"])
def test_what_never_was_live_goes_anywhere_but_live_by_one_person(ada, verb):
    one = save(rule(floor="auto", state="draft" if verb != "to_draft" else "shadow"), ada)
    moved = getattr(policies, verb)(one, actor=audit.Actor.of(ada), person=ada)
    assert isinstance(moved, RoutingRule) and moved.version == 2
    with pytest.raises(IllegalMove):
        getattr(policies, verb)(one, actor=audit.Actor.of(ada), person=ada)


def test_promoting_a_rule_that_asks_for_people_needs_nobody_else(ada):
    one = save(rule(), ada)
    assert policies.promote(one, actor=audit.Actor.of(ada), person=ada, seen=1).state == "live"
    assert entries("rule.promoted")[-1]["changed"] == {"state": {"old": "draft", "new": "live"}}


def test_there_are_at_most_two_hundred_live_rules(ada, monkeypatch):
    live = RoutingRule.objects.filter(state="live").count()
    RoutingRule.objects.bulk_create(
        RoutingRule(name=f"many {n}", condition="false", state="live") for n in range(policies.MOST_LIVE - live - 1)
    )
    last = save(rule(name="the last", state="live"), ada)
    assert last.state == "live"
    with pytest.raises(Invalid) as refused:
        save(rule(name="one too many", state="live"), ada)
    assert refused.value.errors[0]["pointer"] == "/state"
    assert save(rule(name="a draft", state="draft"), ada).pk
    last.why = "edited"
    assert save(last, ada).version == 2  # who is among them may be edited


# -- conflicts


def past(action, **more):
    source = more.pop("source", None) or SourceFactory()
    incident = IncidentFactory(source=source, kind="action")
    return ProposalFactory(incident=incident, source=source, kind="action", action=action, **more)


def test_rules_of_equal_priority_that_want_something_else_of_the_same_incidents_are_named(ada):
    refunds = [past("refund") for _ in range(3)]
    past("mail")
    past("refund", test=True)
    other = RuleFactory(name="Refunds to support", condition=REFUNDS, priority=555, role=Role.objects.get(name="support"))
    RuleFactory(name="Elsewhere", condition=REFUNDS, priority=554, role=Role.objects.get(name="support"))
    RuleFactory(name="Agrees", condition=REFUNDS, priority=555)
    RuleFactory(name="Never", condition="false", priority=555, floor="block")
    RuleFactory(name="Draft", condition="true", priority=555, floor="block", state="draft")

    one = save(rule(state="live", priority=555, role=Role.objects.get(name="finance")), ada)
    [found] = policies.conflicts(one)
    assert (found.other, found.count, found.looked) == (other, 3, 4)
    assert set(found.examples) == {proposal.incident_id for proposal in refunds}


def test_a_rule_without_rivals_costs_one_query(ada, django_assert_num_queries):
    one = save(rule(state="live", priority=556), ada)
    with django_assert_num_queries(1):
        assert policies.conflicts(one) == []


def test_what_is_older_than_thirty_days_is_no_conflict(ada):
    with clock.frozen_at(clock.now() - timedelta(days=31)):
        past("refund")
    RuleFactory(name="Block", condition=REFUNDS, priority=557, floor="block")
    assert policies.conflicts(save(rule(state="live", priority=557), ada)) == []


def test_an_auto_rule_conflicts_only_where_its_paths_are_believed(ada):
    for source in (SourceFactory(authoritative_paths=["customer.tier"]), SourceFactory()):
        incident = IncidentFactory(source=source, kind="action", customer={"tier": "verified"})
        ProposalFactory(incident=incident, source=source, kind="action", action="refund")
    RuleFactory(name="Ask", condition=REFUNDS, priority=558)
    auto = RuleFactory(name="Verified", condition='customer.tier == "verified"', floor="auto", priority=558)
    assert [(found.other.name, found.count, found.looked) for found in policies.conflicts(auto)] == [("Ask", 1, 2)]
