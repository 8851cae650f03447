"""What would let the machine do more, or look at less, is asked by one administrator and confirmed by another."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.urls import reverse

from escalations import audit, policies
from escalations.errors import AlreadySettled, ChangedSinceSeen, CountersignError, IllegalMove, Invalid, NotAllowed, OwnRequest
from escalations.models import AuditEntry, Change, EscalationPolicy, Notice, Role, RoutingRule, RuleVersion, Source, Trigger
from escalations.policies.second import lowers
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db

REFUNDS = 'incident.kind == "action" && proposal.action == "refund"'


@pytest.fixture
def ada(db):
    return PersonFactory(username="ada", is_staff=True)


@pytest.fixture
def bob(db):
    return PersonFactory(username="bob", is_staff=True)


def rule(**more):
    return RoutingRule(**{"name": "Refunds", "condition": REFUNDS, "floor": "review", "state": "live"} | more)


def made(**more):
    """A rule that is there already, whoever put it there."""
    return policies.save_rule(rule(**more), actor=audit.SYSTEM)


def save(one, person, **more):
    verb = {RoutingRule: policies.save_rule, Trigger: policies.save_trigger, Source: policies.save_source}[type(one)]
    return verb(one, actor=audit.Actor.of(person), person=person, **more)


def asked_of(ada, **edit):
    """A live rule, and a change of it that waits."""
    one = made()
    for field, value in (edit or {"state": "draft"}).items():
        setattr(one, field, value)
    return save(one, ada, why="Too many of them.")


def facts(action):
    return json.loads(AuditEntry.objects.filter(action=action).latest("pk").body)


# -- what needs a second administrator


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


# -- the second administrator


def test_a_confirmed_change_holds_with_both_names_on_the_record(ada, bob):
    change = asked_of(ada)
    saved = policies.confirm_change(change, person=bob, seen=change.base)
    assert (saved.state, saved.version) == ("draft", 2)
    version = RuleVersion.objects.get(rule=saved, version=2)
    assert (version.actor, version.confirmed_by, version.why) == ("ada", "bob", "Too many of them.")
    change.refresh_from_db()
    assert (change.state, change.settled_by) == ("confirmed", bob)
    entry = facts("change.confirmed")
    assert entry["actor"]["id"] == "bob" and entry["facts"]["asked_by"] == "ada"
    assert facts("rule.saved")["actor"]["id"] == "bob" and facts("rule.saved")["facts"]["asked_by"] == "ada"


def test_who_asked_is_not_the_second_in_whatever_session(ada):
    change = asked_of(ada)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=type(ada).objects.get(pk=ada.pk))
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.objects.filter(pk=change.pk).update(state="confirmed", settled_by=ada)
    assert RoutingRule.objects.get(name="Refunds").state == "live"


@pytest.mark.parametrize("more", [{"is_staff": False}, {"is_staff": True, "is_active": False}])
def test_only_an_active_administrator_is_a_second_one(ada, more):
    change = asked_of(ada)
    other = PersonFactory(**more)
    for act in (
        lambda: policies.confirm_change(change, person=other), lambda: policies.refuse_change(change, person=other, why="no"),
        lambda: policies.withdraw_change(change, person=other),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert Change.objects.get(pk=change.pk).state == "waiting"


def test_who_answers_for_a_source_does_not_say_how_much_it_is_believed(ada, bob):
    source = SourceFactory(known_irreversible=["wire"], owner=bob)
    source.known_irreversible = []
    change = save(source, ada)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=bob)
    source.owner = ada
    policies.save_source(source, actor=audit.SYSTEM)
    source = Source.objects.get(pk=source.pk)
    source.known_irreversible, source.owner = ["other"], bob  # nor who would answer for it from then on
    made(condition='source.owner == "x"')
    source.known_irreversible = []
    with pytest.raises(OwnRequest):
        policies.confirm_change(_waiting(save(source, ada), source), person=bob)


def _waiting(saved, source):
    return saved if isinstance(saved, Change) else policies.waiting(source)


def test_what_was_asked_by_who_is_no_administrator_any_more_does_not_come_to_hold(ada, bob):
    change = asked_of(ada)
    ada.is_staff = False
    ada.save()
    with pytest.raises(IllegalMove):
        policies.confirm_change(change, person=bob)
    policies.refuse_change(change, person=bob, why="She left.")


def test_a_change_of_what_was_edited_meanwhile_is_outdated_at_once(ada, bob):
    change = asked_of(ada, condition="false")
    one = RoutingRule.objects.get(name="Refunds")
    one.why = "Money."
    save(one, bob)
    change.refresh_from_db()
    assert change.state == "outdated" and facts("change.outdated")["actor"]["id"] == "bob"
    with pytest.raises(AlreadySettled):
        policies.confirm_change(change, person=bob)


def test_a_change_of_what_moved_past_the_verbs_is_outdated_when_it_is_confirmed(ada, bob):
    source = SourceFactory(known_irreversible=["wire"])
    source.known_irreversible = []
    change = save(source, ada)
    Source.objects.filter(pk=source.pk).update(description="changed by hand")
    assert policies.second.asked(change).moved
    with pytest.raises(ChangedSinceSeen):
        policies.confirm_change(change, person=bob)
    assert Change.objects.get(pk=change.pk).state == "outdated"
    assert Source.objects.get(pk=source.pk).known_irreversible == ["wire"]


def test_a_newer_change_takes_the_place_of_the_older(ada, bob):
    first = asked_of(ada)
    one = RoutingRule.objects.get(name="Refunds")
    one.condition = "false"
    second = save(one, bob)
    first.refresh_from_db()
    assert (first.state, first.settled_by, second.state) == ("withdrawn", bob, "waiting")
    with pytest.raises(AlreadySettled):
        policies.confirm_change(first, person=bob)
    policies.confirm_change(second, person=ada)


def test_a_second_administrator_who_saw_something_else_is_told(ada, bob):
    with pytest.raises(ChangedSinceSeen):
        policies.confirm_change(asked_of(ada), person=bob, seen="99")


def test_what_has_become_impossible_is_refused_and_goes_on_waiting(ada, bob):
    shop = SourceFactory(authoritative_paths=["payload.total"])
    change = save(rule(floor="auto", condition="incident.payload.total < 5.0"), ada)
    shop.authoritative_paths = []
    save(shop, ada)
    with pytest.raises(Invalid):
        policies.confirm_change(change, person=bob)
    assert Change.objects.get(pk=change.pk).state == "waiting"
    assert RoutingRule.objects.get(name="Refunds").state == "draft"


def test_a_no_needs_a_reason_and_changes_nothing(ada, bob):
    change = asked_of(ada)
    with pytest.raises(Invalid):
        policies.refuse_change(change, person=bob, why="  ")
    with pytest.raises(OwnRequest):
        policies.refuse_change(change, person=ada, why="no")
    policies.refuse_change(change, person=bob, why="We need it.")
    assert facts("change.refused")["facts"]["why"] == "We need it."
    with pytest.raises(AlreadySettled):
        policies.confirm_change(change, person=bob)
    assert RoutingRule.objects.get(name="Refunds").version == 1


def test_who_asked_takes_it_back(ada, bob):
    change = asked_of(ada)
    with pytest.raises(NotAllowed):
        policies.withdraw_change(change, person=bob)
    assert policies.withdraw_change(change, person=ada).state == "withdrawn"
    assert not policies.waiting_changes()


def test_the_other_administrators_are_told_while_it_waits(ada, bob):
    owner = PersonFactory(is_staff=True)
    PersonFactory(is_staff=True, is_active=False)
    PersonFactory(roles=["manager"])
    change = asked_of(ada)
    assert set(Notice.objects.filter(kind="change_waits").values_list("person", flat=True)) == {bob.pk, owner.pk}
    told = Notice.objects.filter(person=bob).get().facts
    assert told["change"] == change.pk and "Refunds" in told["what"] and "no longer apply" in told["text"]
    policies.withdraw_change(change, person=ada)
    assert not Notice.objects.filter(kind="change_waits", state="waiting").exists()

    source = SourceFactory(known_irreversible=["wire"], owner=owner)
    source.known_irreversible = []
    save(source, ada)
    assert list(Notice.objects.filter(kind="change_waits", state="waiting").values_list("person", flat=True)) == [bob.pk]


# -- the pages


def page(row, act=""):
    name = f"admin:escalations_{row._meta.model_name}_{'act' if act else 'change'}"
    return reverse(name, args=[row.pk, act] if act else [row.pk])


def test_the_pages_tell_what_waits_and_the_second_administrator_decides_there(client, ada, bob):
    one = made(role=Role.objects.get(name="finance"))
    client.force_login(ada)
    answer = client.post(page(one, "archive"), {"why": "No <b>longer</b>\u202e needed", "seen": one.version}, follow=True)
    body = answer.content.decode()
    assert "Nothing has changed yet" in body and "waits for a second administrator" in body
    change = policies.waiting(one)
    assert page(change) in client.get(reverse("admin:index")).content.decode()
    own = client.get(page(change)).content.decode()
    assert "&lt;b&gt;longer" in own and "<b>longer" not in own and "\u202e" not in own and "hidden-character" in own
    assert page(change, "withdraw") in own and page(change, "confirm") not in own
    refused = client.post(page(change, "confirm"), {"seen": change.base})
    assert refused.status_code == 200 and "cannot be the one who confirms" in refused.content.decode()

    client.force_login(bob)
    asked = client.get(page(change, "confirm")).content.decode()
    assert "no longer apply" in asked and "archived" in asked
    assert RoutingRule.objects.get(pk=one.pk).state == "live"  # a GET decides nothing
    assert client.post(page(change, "confirm"), {"seen": change.base}).status_code == 302
    assert RoutingRule.objects.get(pk=one.pk).state == "archived"
    assert "confirmed by" in client.get(page(one)).content.decode()
    assert client.get(page(change)).status_code == 200


def test_an_edit_in_the_form_waits_and_the_form_says_so(client, ada):
    source = SourceFactory(known_irreversible=["wire"])
    client.force_login(ada)
    data = {
        "description": "x", "owner": "", "callback_url": "", "allowed_hosts": "", "authoritative_paths": "", "known_irreversible": "",
        "requests_per_minute": 100, "why_now": "It can be undone now.",
    }
    body = client.post(page(source), data, follow=True).content.decode()
    assert "Nothing has changed yet" in body and "no other administrator" in body and "It can be undone now." in body and "was changed successfully" not in body
    assert Source.objects.get(pk=source.pk).description == ""


def test_nobody_but_an_administrator_sees_changes(client, ada):
    change = asked_of(ada)
    client.force_login(PersonFactory(roles=["manager"]))
    assert client.get(page(change)).status_code == 302  # to sign in as somebody else
    assert client.post(page(change, "confirm"), {"seen": change.base}).status_code == 302
    assert Change.objects.get(pk=change.pk).state == "waiting"


def test_the_change_page_costs_the_same_however_much_waits(client, ada, bob, django_assert_max_num_queries):
    change = asked_of(ada)
    client.force_login(bob)
    client.get(page(change))
    with django_assert_max_num_queries(24):
        assert client.get(page(change)).status_code == 200


# -- races


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_who_confirm_at_once_one_does():
    ada, bob, cleo = (PersonFactory(is_staff=True) for _ in range(3))
    change = asked_of(ada)
    results = together(
        lambda: policies.confirm_change(change, person=bob), lambda: policies.confirm_change(change, person=cleo),
        lambda: policies.confirm_change(change, person=ada), lambda: policies.refuse_change(change, person=cleo, why="no"),
    )
    assert len([one for one in results if not isinstance(one, CountersignError)]) == 1
    assert all(isinstance(one, (AlreadySettled, OwnRequest, RoutingRule, Change)) for one in results)
    confirmed = Change.objects.get(pk=change.pk).state == "confirmed"
    assert RoutingRule.objects.get(name="Refunds").version == (2 if confirmed else 1)
    assert RuleVersion.objects.filter(rule__name="Refunds").count() == (2 if confirmed else 1)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_confirmation_and_an_edit_at_once_never_mix():
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    for number in range(12):
        one = made(name=f"Refunds {number}")
        edited = RoutingRule.objects.get(pk=one.pk)
        one.condition = "false"
        change, edited.why = save(one, ada), "edited"
        confirmed, saved = together(
            lambda change=change: policies.confirm_change(change, person=bob), lambda edited=edited: save(edited, bob)
        )
        now = RoutingRule.objects.get(pk=one.pk)
        assert now.version == 2
        if isinstance(saved, CountersignError):
            assert isinstance(saved, ChangedSinceSeen) and (now.condition, now.why) == ("false", "")
        else:
            assert isinstance(confirmed, (AlreadySettled, ChangedSinceSeen)) and (now.condition, now.why) == (REFUNDS, "edited")


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_leave_one_question():
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    one = made()
    edits = [RoutingRule.objects.get(pk=one.pk) for _ in range(2)]
    edits[0].condition, edits[1].state = "false", "archived"
    together(lambda: save(edits[0], ada), lambda: save(edits[1], bob))
    assert sorted(Change.objects.values_list("state", flat=True)) == ["waiting", "withdrawn"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_rule_and_what_it_reads_do_not_slip_past_each_other():
    """One makes an auto rule read a path that nobody vouches for here; another has a source vouch for it: somebody looks twice."""
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    SourceFactory(authoritative_paths=["payload.total"])
    agent = SourceFactory()
    one = made(floor="auto", state="draft", condition="incident.payload.total < 5.0")
    agent.authoritative_paths = ["payload.total"]
    change = policies.promote(one, actor=audit.Actor.of(ada), person=ada)
    confirmed, saved = together(lambda: policies.confirm_change(change, person=bob), lambda: save(agent, ada))
    assert isinstance(confirmed, RoutingRule)
    # Either the source was first (and whoever confirmed the rule confirmed it for this source too), or it waits itself.
    assert isinstance(saved, Change) is (Source.objects.get(pk=agent.pk).authoritative_paths == [])


def together(*acts):
    """Run all acts at once, each in a thread of its own with a connection of its own; return what each returned or raised."""
    gate, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index, act):
        try:
            gate.wait()
            results[index] = act()
        except CountersignError as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    close_old_connections()
    return results
