"""One administrator alone finds no second one to be, and no way round by a policy, a name or a calendar."""

from datetime import timedelta

import pytest
from django.urls import reverse

from escalations import audit, clock, policies
from escalations.errors import ChangedSinceSeen, Invalid, OwnRequest
from escalations.models import Calendar, Change, EscalationPolicy, Notice, Person, Role, RoutingRule, Trigger
from escalations.policies.second import lowers, nobody_can
from tests.escalations.policies.asking import asked_of, facts, made, rule, save
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


def of(person):
    return audit.Actor.of(person)


def made_by(maker, **more):
    given = {"username": "puppet", "is_staff": True, "is_superuser": True, **more}
    return policies.save_person(Person(**given), actor=of(maker), password="a long one, really")


# -- somebody made for the purpose


def test_whom_one_has_just_made_is_no_second_administrator(ada, bob):
    puppet = made_by(ada)
    change = asked_of(ada)
    with pytest.raises(OwnRequest, match="do not count as two"):
        policies.confirm_change(change, person=puppet)
    assert set(Notice.objects.filter(kind="change_waits").values_list("person__username", flat=True)) == {"bob"}
    policies.confirm_change(change, person=bob)


def test_nor_the_other_way_round(ada, bob):
    puppet = made_by(ada)
    change = asked_of(puppet)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=ada)
    Person.objects.filter(pk=bob.pk).update(is_staff=False)
    assert nobody_can(change)


@pytest.mark.parametrize("how", ["password", "email", "is_staff", "is_active"])
def test_nor_whose_sign_in_one_has_just_set(ada, bob, how):
    if how == "password":
        policies.save_person(bob, actor=of(ada), password="a long one, really")
    elif how == "is_active":
        policies.deactivate(bob, actor=of(ada))
        policies.reactivate(bob, actor=of(ada))
    else:
        if how == "is_staff":
            Person.objects.filter(pk=bob.pk).update(is_staff=False)
            bob.refresh_from_db()
        setattr(bob, how, {"email": "ada@elsewhere.example", "is_staff": True}[how])
        policies.save_person(bob, actor=of(ada))
    with pytest.raises(OwnRequest, match="do not count as two"):
        policies.confirm_change(asked_of(ada), person=bob)


def test_nor_through_somebody_between_or_under_another_name(ada):
    between = made_by(ada)
    last = made_by(between, username="last")
    policies.deactivate(between, actor=of(ada))
    change = asked_of(ada)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=last)
    ada.username = "somebody-else"
    policies.save_person(ada, actor=audit.Actor("person", "ada", "Ada"))
    with pytest.raises(OwnRequest):
        policies.confirm_change(Change.objects.get(pk=change.pk), person=last)


def test_what_people_change_of_themselves_or_long_ago_or_is_no_sign_in_does_not_matter(ada, bob, monkeypatch):
    policies.save_person(bob, actor=of(bob), password="a long one, really")
    bob.time_zone = "Europe/Vienna"
    policies.save_person(bob, actor=of(ada), roles=[Role.objects.get(name="manager")])
    policies.confirm_change(asked_of(ada), person=bob)
    puppet, later = made_by(ada), clock.now() + timedelta(days=8)
    change = save(rule(name="Go", floor="auto"), ada)
    monkeypatch.setattr(clock, "now", lambda: later)
    policies.confirm_change(change, person=puppet)


def test_a_yes_without_anybody_needs_two_who_are_two(ada, bob):
    puppet = made_by(ada)
    policy = EscalationPolicy(name="quick", fallback="approve")
    policies.save_policy(policy, steps=STEPS(), actor=of(ada), person=ada)
    with pytest.raises(OwnRequest, match="do not count as two"):
        policies.confirm_approve(policy, person=puppet, version=policy.version)
    policies.confirm_approve(policy, person=bob, version=policy.version)


# -- policies


def STEPS():
    return [policies.Step(Role.objects.get(name="manager"), timedelta(hours=1))]


def policy(name="strict", **more):
    return policies.save_policy(EscalationPolicy(name=name, **({"quorum": 3} | more)), steps=STEPS(), actor=audit.SYSTEM)


def fresh(one):
    return type(one).objects.get(pk=one.pk)


def edited(one, ada, **values):
    one = fresh(one)
    for field, value in values.items():
        setattr(one, field, value)
    return policies.save_policy(one, steps=policies.steps_of(one), actor=of(ada), person=ada, why="Too slow.")


@pytest.mark.parametrize("edit", [{"quorum": 2}, {"chat_up_to": "low"}, {"quorum": 1, "expires_after": timedelta(hours=5)}])
def test_a_policy_that_would_ask_less_waits_and_holds_once_confirmed(ada, bob, edit):
    one = policy()
    made(policy=one)
    change = edited(one, ada, **edit)
    assert isinstance(change, Change) and change.kind == "policy"
    assert (fresh(one).quorum, fresh(one).chat_up_to, fresh(one).version) == (3, "", 1)
    assert [str(one) for one in policies.second.asked(change).differences]
    saved = policies.confirm_change(change, person=bob, seen=policies.second.shown_of(change))
    assert {field: getattr(saved, field) for field in edit} == edit and saved.version == 2
    assert [step.said() for step in policies.steps_of(saved)] == [step.said() for step in STEPS()]
    assert facts("policy.saved")["facts"]["asked_by"] == "ada"


@pytest.mark.parametrize("edit", [{"quorum": 4}, {"chat_up_to": ""}, {"expires_after": timedelta(hours=5)}, {"undo_seconds": 10}])
def test_whatever_asks_no_less_of_people_is_saved(ada, edit):
    one = policy(chat_up_to="low")
    made(policy=one)
    assert isinstance(edited(one, ada, **edit), EscalationPolicy)


def test_what_nothing_goes_by_is_edited_freely_and_compared_when_something_does(ada):
    one = policy()
    assert isinstance(edited(one, ada, quorum=1, chat_up_to="high"), EscalationPolicy)
    trigger = Trigger.objects.get(name="high_stakes")
    trigger.policy = fresh(one)
    assert "chat" in save(trigger, ada).lowers[0]


def test_a_default_that_asks_less_waits_new_or_old(ada, bob):
    strict = policy(is_default=True)
    mild = policy("mild", quorum=1)
    assert isinstance(edited(mild, ada, is_default=True), Change)
    new = EscalationPolicy(name="new", quorum=1, is_default=True)
    change = policies.save_policy(new, steps=STEPS(), actor=of(ada), person=ada)
    assert isinstance(change, Change) and not fresh(new).is_default and fresh(strict).is_default
    policies.confirm_change(change, person=bob)
    assert fresh(new).is_default and not fresh(strict).is_default


@pytest.mark.parametrize("edit", [
    {"policy": "mild"}, {"policy": None}, {"priority": 4}, {"state": "draft"}, {"floor": "auto", "policy": None},
])
def test_a_rule_that_leaves_its_policy_for_one_that_asks_less_waits(ada, edit):
    strict, mild = policy(), policy("mild", quorum=1)
    made(name="Other", policy=mild, priority=5)
    one = made(policy=strict, priority=10)
    for field, value in edit.items():
        setattr(one, field, mild if value == "mild" else value)
    assert "instead of 3" in " ".join(save(one, ada).lowers)


@pytest.mark.parametrize("was", [{"state": "draft"}, {"priority": 1}, {"policy": None}])
def test_a_rule_whose_mild_policy_would_take_over_waits(ada, was):
    strict, mild = policy(), policy("mild", quorum=1)
    made(name="Strict", policy=strict, priority=5)
    becomes = {"state": "live", "priority": 10, "policy": mild}
    one = made(**(becomes | was))
    for field in was:
        setattr(one, field, becomes[field])
    assert "instead of 3" in " ".join(save(one, ada).lowers)


def test_a_rule_that_makes_way_for_a_yes_of_silence_waits(ada, bob):
    quick = EscalationPolicy(name="quick", fallback="approve")
    policies.save_policy(quick, steps=STEPS(), actor=of(ada), person=ada)
    policies.confirm_approve(quick, person=bob, version=quick.version)
    made(name="Silence", policy=fresh(quick), priority=5)
    one = made(policy=policy(quorum=1), priority=10)
    one.priority = 4
    assert "could be approved" in " ".join(save(one, ada).lowers)


def test_chats_are_opened_by_two(ada, bob):
    source = SourceFactory()
    source.may_chat = True
    assert not lowers(fresh(source), source)  # no policy lets a chat decide
    made(policy=policy(chat_up_to="low"))
    change = save(source, ada)
    assert isinstance(change, Change) and not fresh(source).may_chat
    policies.confirm_change(change, person=bob)
    assert fresh(source).may_chat


@pytest.mark.parametrize("edit", [{"priority": 11}, {"role": "support"}, {"role": None}])
def test_a_conflict_is_not_avoided_alone_where_silence_or_a_chat_may_say_yes(ada, edit):
    finance, support = Role.objects.get(name="finance"), Role.objects.get(name="support")
    made(name="Other", priority=10, role=support)
    one = made(priority=10, role=finance)
    for field, value in edit.items():
        setattr(one, field, support if value == "support" else value)
    assert not lowers(fresh(one), one)
    policy(chat_up_to="low")
    assert "policy_conflict" in " ".join(save(one, ada).lowers)


# -- what a name stands for


def test_a_name_shows_what_it_says(ada):
    for verb in (
        lambda: save(rule(name="Refunds\u202eevil"), ada),
        lambda: policies.save_policy(EscalationPolicy(name="calm\u200b"), steps=STEPS(), actor=of(ada), person=ada),
    ):
        with pytest.raises(Invalid, match="not seen"):
            verb()


def test_settings_of_a_trigger_stay_small_enough_to_be_asked_of_every_incident(ada):
    trigger = Trigger.objects.get(name="irreversible")
    trigger.settings = {"verbs": [f"verb{number}" for number in range(5_000)]}
    with pytest.raises(Invalid, match="at most"):
        save(trigger, ada)



def test_a_name_that_means_something_else_since_it_was_read_is_read_again(ada, bob):
    calm, wild = policy("calm"), policy("wild", quorum=1)
    made(name="Other", policy=calm, priority=90)
    one = rule(policy=calm, floor="auto", priority=95)
    change = save(one, ada)
    for row, name in ((calm, "other"), (wild, "calm")):
        edited(row, ada, name=name)
    with pytest.raises(ChangedSinceSeen, match="more than"):
        policies.confirm_change(change, person=bob, seen=policies.second.shown_of(change))
    assert RoutingRule.objects.get(name="Refunds").state == "draft"
    change.refresh_from_db()
    assert change.state == "waiting" and "instead of 3" in " ".join(change.lowers)


# -- the clock under a yes of silence


def test_a_calendar_under_a_yes_of_silence_takes_its_second_with_it(ada, bob):
    office = policies.save_calendar(
        Calendar(name="office", hours={"mon": [["09:00", "17:00"]]}), days=[], actor=audit.SYSTEM
    )
    quick = EscalationPolicy(name="quick", fallback="approve", calendar=office)
    policies.save_policy(quick, steps=STEPS(), actor=of(ada), person=ada)
    policies.confirm_approve(quick, person=bob, version=quick.version)
    office.hours = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    policies.save_calendar(office, days=[], actor=of(ada))
    assert policies.effective_fallback(fresh(quick)) == "reject"
    policies.confirm_approve(quick, person=bob, version=fresh(quick).version)
    assert policies.effective_fallback(fresh(quick)) == "approve"


def test_the_page_of_a_policy_says_what_waits_and_the_second_one_confirms_it(client, ada, bob):
    one = policy()
    made(policy=one)
    page = reverse("admin:escalations_escalationpolicy_change", args=[one.pk])
    form = {
        "name": one.name, "description": "", "expires_after": "12:00:00", "fallback": "reject", "quorum": "1", "valid_for": "1 00:00:00",
        "undo_seconds": "0", "chat_up_to": "", "calendar": "", "steps-TOTAL_FORMS": "0", "steps-INITIAL_FORMS": "0",
    }
    client.force_login(ada)
    told = client.post(page, form, follow=True).content.decode()
    assert "Proposed by" in told and "1 person instead of 3" in told and fresh(one).quorum == 3
    change = Change.objects.get()
    client.force_login(bob)
    assert "1 person instead of 3" in client.get(reverse("admin:escalations_change_change", args=[change.pk])).content.decode()
    act = reverse("admin:escalations_change_act", args=[change.pk, "confirm"])
    assert client.post(act, {"seen": change.base}).status_code == 200 and fresh(one).quorum == 3
    client.post(act, {"seen": client.get(act).context["form"].initial["seen"]})
    assert fresh(one).quorum == 1 and policies.steps_of(fresh(one)) == []
