"""Edits by administrators: checked, audited in the same transaction, refused with a pointer to the field."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from escalations import audit, clock, outbox, policies, vault
from escalations.errors import ChangedSinceSeen, Conflict, IllegalMove, Invalid, NotAllowed, OwnRequest
from escalations.models import (
    ApiKey,
    AuditEntry,
    Category,
    EscalationPolicy,
    Notice,
    Person,
    PersonToken,
    Role,
    RoutingRule,
    SigningSecret,
    Source,
    Trigger,
)

pytestmark = pytest.mark.django_db

ADMIN = audit.Actor("person", "ada", "Ada")
HOUR = timedelta(hours=1)


def person(username="ada", **more):
    return Person.objects.create_user(username, f"{username}@example.com", "correct horse battery", **more)


def rule(**more):
    given = {"name": "Large refunds", "condition": 'incident.kind == "action" && proposal.action == "refund"', "floor": "review"}
    return RoutingRule(**given | more)


def source(name="desk", **more):
    return Source.objects.create(name=name, **more)


def last(action):
    """Return the facts and the actor of the newest entry of that name."""
    entry = AuditEntry.objects.filter(action=action).latest("pk")
    return json.loads(entry.body)["facts"] | {"by": entry.actor}


def pointers(error):
    return [one["pointer"] for one in error.value.errors]


# -- rules


def test_a_saved_rule_leaves_an_entry_with_old_and_new_of_what_changed():
    saved = policies.save_rule(rule(), actor=ADMIN)
    saved.priority, saved.role = 700, Role.objects.get(name="finance")
    policies.save_rule(saved, actor=ADMIN)
    facts = last("rule.saved")
    assert facts["by"] == "ada" and facts["version"] == 2
    assert facts["changed"] == {"priority": {"old": 100, "new": 700}, "role": {"old": None, "new": "finance"}}


def test_saving_without_a_change_writes_nothing():
    saved = policies.save_rule(rule(), actor=ADMIN)
    entries = AuditEntry.objects.count()
    policies.save_rule(saved, actor=ADMIN)
    assert AuditEntry.objects.count() == entries
    assert RoutingRule.objects.get(pk=saved.pk).version == 1


def test_a_condition_that_does_not_compile_is_refused_with_its_position():
    with pytest.raises(Invalid) as error:
        policies.save_rule(rule(condition='incident.kind == "action" && proposal.nonsense > 3'), actor=ADMIN)
    assert pointers(error) == ["/condition"]
    assert "column" in error.value.errors[0]["detail"]
    assert not RoutingRule.objects.filter(name="Large refunds").exists()


@pytest.mark.parametrize("condition", [
    'incident.title == "x"', 'classification.severity == "info"', 'incident.payload.total < 5.0', 'customer.tier == "gold"',
    "proposal.confidence > 0.9",
])
def test_a_rule_that_acts_alone_may_not_read_what_the_source_merely_says(condition):
    with pytest.raises(Invalid) as error:
        policies.save_rule(rule(floor="auto", condition=condition), actor=audit.SYSTEM)
    assert pointers(error) == ["/condition"]


def test_a_path_marked_authoritative_may_be_read_by_a_rule_that_acts_alone():
    source(authoritative_paths=["payload.total"])
    saved = policies.save_rule(rule(floor="auto", condition="incident.payload.total < 5.0"), actor=audit.SYSTEM)
    assert saved.pk


@pytest.mark.parametrize(("given", "field"), [
    ({"floor": "auto", "by": "threshold"}, "/threshold"),
    ({"threshold": 1.5}, "/threshold"),
    ({"threshold": 0}, "/threshold"),
    ({"by": "lane"}, "/by"),
    ({"model_counts": True}, "/model_counts"),
    ({"name": "large REFUNDS "}, "/name"),
])
def test_a_rule_that_makes_no_sense_is_refused_at_its_field(given, field):
    policies.save_rule(rule(), actor=ADMIN)
    with pytest.raises(Invalid) as error:
        policies.save_rule(rule(**{"name": "Another"} | given), actor=ADMIN)
    assert pointers(error) == [field]


def test_a_rule_whose_condition_no_longer_compiles_can_still_be_archived():
    broken = RoutingRule.objects.create(name="Old", condition="gone.away == 1", floor="review")
    broken.state = "archived"
    assert policies.save_rule(broken, actor=audit.SYSTEM).state == "archived"


# -- triggers and categories


@pytest.mark.parametrize("name", ["user_request", "classifier_failed"])
def test_what_is_always_on_cannot_be_turned_off(name):
    trigger = Trigger.objects.get(name=name)
    trigger.enabled = False
    with pytest.raises(Invalid) as error:
        policies.save_trigger(trigger, actor=ADMIN)
    assert pointers(error) == ["/enabled"]
    assert Trigger.objects.get(name=name).enabled


def test_another_trigger_can_be_turned_off_and_that_is_on_the_record():
    trigger = Trigger.objects.get(name="user_complaint")
    trigger.enabled = False
    policies.save_trigger(trigger, actor=audit.SYSTEM)
    assert last("trigger.saved")["changed"] == {"enabled": {"old": True, "new": False}}


@pytest.mark.parametrize("settings", [[], {"no_such_setting": 1}])
def test_settings_a_trigger_does_not_know_are_refused(settings):
    trigger = Trigger.objects.get(name="high_stakes")
    trigger.settings = settings
    with pytest.raises(Invalid) as error:
        policies.save_trigger(trigger, actor=ADMIN)
    assert pointers(error) == ["/settings"]


def test_a_category_keeps_its_name():
    category = Category.objects.get(name="refund")
    category.name = "refunds"
    with pytest.raises(Invalid):
        policies.save_category(category, actor=ADMIN)


# -- policies


def night(**more):
    return EscalationPolicy(**{"name": "night", "expires_after": 6 * HOUR} | more)


def step(role="manager", after=HOUR, repeat=0):
    return policies.Step(Role.objects.get(name=role), after, repeat)


def test_a_policy_is_saved_with_its_steps_in_order_and_both_are_on_the_record():
    policy = policies.save_policy(night(), steps=[step("supervisor"), step("manager", 2 * HOUR, 1)], actor=ADMIN)
    assert [(one.position, one.role.name, one.repeat) for one in policy.steps.all()] == [(1, "supervisor", 0), (2, "manager", 1)]
    policies.save_policy(policy, steps=[step("manager")], actor=ADMIN)
    facts = last("policy.saved")
    assert facts["version"] == 2
    assert facts["changed"]["steps"]["new"] == [{"role": "manager", "after": 3600.0, "repeat": 0}]
    assert policy.steps.count() == 1


@pytest.mark.parametrize(("more", "steps", "field"), [
    ({"expires_after": HOUR}, [(HOUR, 0)], "/expires_after"),
    ({}, [(HOUR, 7)], "/expires_after"),
    ({}, [(timedelta(seconds=1), 0)], "/steps"),
    ({"expires_after": timedelta(0)}, [], "/expires_after"),
    ({"name": "STANDARD"}, [], "/name"),
    ({"fallback": "approve"}, [], "/fallback"),
])
def test_a_policy_that_makes_no_sense_is_refused_at_its_field(more, steps, field):
    with pytest.raises(Invalid) as error:
        policies.save_policy(night(**more), steps=[step("manager", *one) for one in steps], actor=ADMIN, person=person())
    assert field in pointers(error)


def test_a_yes_without_anybody_needs_a_second_administrator():
    ada, bob = person("ada", is_staff=True), person("bob", is_staff=True)
    policy = policies.save_policy(night(fallback="approve"), steps=[step()], actor=audit.Actor.of(ada), person=ada)
    assert policies.effective_fallback(policy) == "reject"
    with pytest.raises(OwnRequest):
        policies.confirm_approve(policy, person=ada, version=policy.version)
    with pytest.raises(NotAllowed):
        policies.confirm_approve(policy, person=person("eve"), version=policy.version)
    with pytest.raises(ChangedSinceSeen):
        policies.confirm_approve(policy, person=bob, version=policy.version + 1)
    policy = policies.confirm_approve(policy, person=bob, version=policy.version)
    assert policies.effective_fallback(policy) == "approve"
    assert last("policy.fallback_confirmed")["asked_by"] == "ada"


def test_every_later_edit_takes_the_confirmation_away():
    ada, bob = person("ada", is_staff=True), person("bob", is_staff=True)
    policy = policies.save_policy(night(fallback="approve"), steps=[step()], actor=ADMIN, person=ada)
    policy = policies.confirm_approve(policy, person=bob, version=policy.version)
    policy = policies.save_policy(policy, steps=[step("supervisor")], actor=audit.Actor.of(bob), person=bob)
    assert policies.effective_fallback(EscalationPolicy.objects.get(pk=policy.pk)) == "reject"
    with pytest.raises(OwnRequest):
        policies.confirm_approve(policy, person=bob, version=policy.version)


def test_there_is_always_exactly_one_default_policy():
    old = EscalationPolicy.objects.get(is_default=True)
    new = policies.save_policy(night(is_default=True), steps=[step()], actor=ADMIN)
    assert list(EscalationPolicy.objects.filter(is_default=True)) == [new]
    new.is_default = False
    with pytest.raises(Invalid) as error:
        policies.save_policy(new, steps=[step()], actor=ADMIN)
    assert pointers(error) == ["/is_default"]
    with pytest.raises(IllegalMove):
        policies.archive_policy(new, actor=ADMIN)
    assert policies.archive_policy(old, actor=ADMIN).archived_at


# -- sources, keys, secrets


@pytest.mark.parametrize("url", ["http://example.com/hook", "https://user:pw@example.com/", "ftp://example.com/", "https:///x"])
def test_a_callback_that_is_no_plain_https_is_refused(url, settings):
    settings.DEBUG = True
    with pytest.raises(Invalid) as error:
        policies.save_source(Source(name="desk", callback_url=url), actor=ADMIN)
    assert pointers(error) == ["/callback_url"]


def test_plain_http_to_this_machine_is_for_development_only(settings):
    settings.DEBUG = True
    assert policies.save_source(Source(name="desk", callback_url="http://127.0.0.1:9000/hook"), actor=ADMIN)
    settings.DEBUG = False
    with pytest.raises(Invalid):
        policies.save_source(Source(name="desk2", callback_url="http://127.0.0.1:9000/hook"), actor=ADMIN)


def test_a_new_source_gets_its_first_signing_secret_once():
    desk = Source(name="desk")
    secret = policies.save_source(desk, actor=ADMIN)
    assert secret.startswith("whsec_")
    assert vault.unseal(SigningSecret.objects.get().sealed).decode() == secret
    desk.description = "more"
    assert policies.save_source(desk, actor=ADMIN) is None


def test_an_issued_key_can_be_checked_and_is_stored_nowhere():
    minted = policies.issue_key(source(), env="live", actor=ADMIN)
    key = ApiKey.objects.get()
    _, key_id, secret = vault.parse_key(minted.text)
    assert key.key_id == key_id and vault.matches(secret, key.secret_hash)
    assert not AuditEntry.objects.filter(body__contains=secret).exists()
    assert last("key.issued")["key_id"] == key_id


def test_a_third_live_key_is_refused_until_one_is_revoked_or_expired():
    desk = source()
    policies.issue_key(desk, env="live", actor=ADMIN)
    policies.issue_key(desk, env="live", actor=ADMIN, expires_at=clock.now() + HOUR)
    policies.issue_key(desk, env="test", actor=ADMIN)
    with pytest.raises(Conflict):
        policies.issue_key(desk, env="live", actor=ADMIN)
    with clock.frozen_at(clock.now() + 2 * HOUR):
        policies.issue_key(desk, env="live", actor=ADMIN)
        with pytest.raises(Conflict):
            policies.issue_key(desk, env="live", actor=ADMIN)
        policies.revoke_key(desk.keys.filter(env="live").first(), actor=ADMIN)
        policies.issue_key(desk, env="live", actor=ADMIN)


def test_rotating_keeps_the_newest_secret_beside_the_new_one():
    desk = source()
    first = policies.rotate_secret(desk, actor=ADMIN)
    second = policies.rotate_secret(desk, actor=ADMIN)
    third = policies.rotate_secret(desk, actor=ADMIN)
    live = {vault.unseal(one.sealed).decode() for one in SigningSecret.objects.filter(retired_at=None)}
    assert live == {second, third} and first not in live
    assert policies.retire_secrets(desk, actor=ADMIN) == 1
    assert not AuditEntry.objects.filter(body__contains=third).exists()


def test_a_disabled_source_gets_no_key():
    desk = source()
    policies.disable_source(desk, actor=ADMIN)
    with pytest.raises(Conflict):
        policies.issue_key(desk, env="live", actor=ADMIN)
    policies.enable_source(desk, actor=ADMIN)
    assert policies.issue_key(desk, env="live", actor=ADMIN)


# -- people


def test_roles_and_password_of_a_person_change_on_the_record_without_the_password():
    bob = Person(username="bob")
    policies.save_person(bob, actor=ADMIN, roles=[Role.objects.get(name="finance")], password="a long and good one")
    assert bob.check_password("a long and good one")
    assert last("person.saved")["changed"]["roles"] == {"old": [], "new": ["finance"]}
    policies.save_person(bob, actor=ADMIN, roles=[])
    assert not bob.roles().exists()
    assert not AuditEntry.objects.filter(body__contains="a long and good one").exists()


def test_deactivating_ends_sessions_tokens_and_sign_in_at_once(client):
    bob = person("bob")
    minted = policies.mint_token(bob, actor=ADMIN)
    client.force_login(bob)
    other = SessionStore()
    other[SESSION_KEY] = str(person("carol").pk)
    other.create()
    policies.deactivate(bob, actor=ADMIN)
    assert not Person.objects.get(pk=bob.pk).is_active
    assert not PersonToken.objects.alive().filter(key_id=minted.key_id).exists()
    assert list(Session.objects.values_list("pk", flat=True)) == [other.session_key]
    assert last("person.deactivated") == {"by": "ada", "username": "bob", "tokens": 1, "sessions": 1}


def test_the_last_administrator_of_people_can_neither_leave_nor_step_down():
    root = person("root", is_superuser=True, is_staff=True)
    with pytest.raises(IllegalMove):
        policies.deactivate(root, actor=ADMIN)
    root.is_superuser = False
    with pytest.raises(Invalid):
        policies.save_person(root, actor=ADMIN)


@pytest.mark.parametrize("days", [0, 91])
def test_a_token_lives_at_most_ninety_days(days):
    with pytest.raises(Invalid):
        policies.mint_token(person(), actor=ADMIN, days=days)


def test_who_did_not_mint_their_own_token_is_told():
    bob = person("bob")
    policies.mint_token(bob, actor=audit.Actor.of(bob))
    assert not Notice.objects.exists()
    minted = policies.mint_token(bob, actor=audit.SYSTEM, interactive=True)
    notice = Notice.objects.get(kind="token_minted", person=bob)
    assert notice.facts["key_id"] == minted.key_id and minted.secret not in json.dumps(notice.facts)
    assert PersonToken.objects.get(key_id=minted.key_id).interactive


def test_managers_can_always_decide_everything():
    role = Role.objects.get(name="manager")
    role.decides_everything = False
    with pytest.raises(Invalid):
        policies.save_role(role, actor=ADMIN)


def test_nothing_is_written_when_a_verb_is_refused():
    before = AuditEntry.objects.count()
    for refused in (
        lambda: policies.save_rule(rule(condition="nonsense("), actor=ADMIN),
        lambda: policies.issue_key(source("one"), env="prod", actor=ADMIN),
        lambda: policies.mint_token(person(), actor=ADMIN, days=0),
    ):
        with pytest.raises(Invalid):
            refused()
    assert AuditEntry.objects.count() == before
    assert outbox.ensure_secret(source("two"))
