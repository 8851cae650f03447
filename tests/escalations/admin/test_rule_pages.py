"""Rules, triggers, categories and policies are edited through the audited verbs, and a refusal stands at its field."""

import json

import pytest
from django.urls import reverse

from escalations.models import AuditEntry, Category, EscalationPolicy, Role, RoutingRule, Trigger
from tests.escalations.admin.conftest import administrator

pytestmark = pytest.mark.django_db

RULE = {
    "name": "Large refunds", "why": "Money.", "state": "live", "priority": 500, "floor": "review", "by": "rule", "threshold": "",
    "condition": 'incident.kind == "action" && proposal.action == "refund"', "role": "", "policy": "", "severity": "", "category": "",
}
ADD_RULE = "admin:escalations_routingrule_add"


def errors(answer):
    form = answer.context["adminform"].form
    return form.errors


def facts(action):
    return json.loads(AuditEntry.objects.filter(action=action).latest("pk").body)


def policy_data(steps=(("manager", "01:00:00", 0),), **more):
    given = {
        "name": "night", "description": "", "expires_after": "06:00:00", "fallback": "reject", "valid_for": "24:00:00",
        "undo_seconds": 0, "quorum": 1, "calendar": "", "chat_up_to": "",
        "steps-TOTAL_FORMS": len(steps), "steps-INITIAL_FORMS": 0, "steps-MIN_NUM_FORMS": 0, "steps-MAX_NUM_FORMS": 1000,
    }
    for number, (role, after, repeat) in enumerate(steps):
        given |= {
            f"steps-{number}-position": number + 1, f"steps-{number}-role": Role.objects.get(name=role).pk,
            f"steps-{number}-after": after, f"steps-{number}-repeat": repeat,
        }
    return given | more


def test_a_new_rule_is_saved_by_the_verb_with_the_administrator_on_the_record(admin):
    answer = admin.post(reverse(ADD_RULE), RULE)
    assert answer.status_code == 302
    rule = RoutingRule.objects.get(name="Large refunds")
    entry = facts("rule.saved")
    assert entry["actor"]["id"] == "ada" and entry["subject"] == f"RoutingRule {rule.pk}"


def test_an_error_in_a_condition_is_shown_with_its_position(admin):
    answer = admin.post(reverse(ADD_RULE), RULE | {"condition": 'incident.kind == "action" &&\n proposal.nonsense > 3'})
    assert answer.status_code == 200
    assert "line 2, column" in errors(answer)["condition"][0]
    assert not RoutingRule.objects.filter(name="Large refunds").exists()


@pytest.mark.parametrize(("change", "field"), [
    ({"floor": "auto", "by": "threshold"}, "threshold"),
    ({"floor": "auto", "condition": 'incident.title == "x"'}, "condition"),
    ({"name": "deletions"}, "name"),
    ({"name": "Deletions"}, "name"),
    ({"by": "threshold"}, "by"),
    ({"condition": "   "}, "condition"),
    ({"condition": "\x00"}, "condition"),
    ({"priority": "99999999999"}, "priority"),
    ({"threshold": "nan"}, "threshold"),
])
def test_a_refusal_stands_at_its_field_and_is_no_500(admin, change, field):
    answer = admin.post(reverse(ADD_RULE), RULE | change)
    assert answer.status_code == 200
    assert field in errors(answer)


def test_a_changed_rule_shows_old_and_new_in_its_history(admin):
    rule = RoutingRule.objects.get(name="Deletions")
    data = RULE | {"name": rule.name, "why": rule.why, "condition": rule.condition, "priority": 761, "role": rule.role_id,
                   "category": rule.category_id}
    assert admin.post(reverse("admin:escalations_routingrule_change", args=[rule.pk]), data).status_code == 302
    assert facts("rule.saved")["facts"]["changed"] == {"priority": {"old": 760, "new": 761}}
    body = admin.get(reverse("admin:escalations_routingrule_history", args=[rule.pk])).content.decode()
    assert "761" in body and "ada" in body


def test_the_list_of_rules_says_what_they_demand(admin):
    body = admin.get(reverse("admin:escalations_routingrule_changelist")).content.decode()
    assert "auto by threshold 0.8" in body and "finance" in body


def test_a_trigger_that_is_always_on_has_no_switch(admin):
    page = reverse("admin:escalations_trigger_change", args=["user_request"])
    role = Role.objects.get(name="supervisor")
    assert 'name="enabled"' not in admin.get(page).content.decode()
    assert admin.post(page, {"description": "x", "role": role.pk, "policy": ""}).status_code == 302
    trigger = Trigger.objects.get(name="user_request")
    assert trigger.enabled and trigger.role == role


def test_a_category_keeps_its_name_and_changes_its_role(admin):
    category = Category.objects.get(name="refund")
    page = reverse("admin:escalations_category_change", args=[category.pk])
    support = Role.objects.get(name="support")
    assert admin.post(page, {"name": "other-name", "description": "x", "role": support.pk}).status_code == 302
    category.refresh_from_db()
    assert (category.name, category.role) == ("refund", support)


def test_a_policy_is_saved_with_the_steps_below_it(admin):
    steps = [("supervisor", "01:00:00", 0), ("manager", "02:00:00", 1)]
    assert admin.post(reverse("admin:escalations_escalationpolicy_add"), policy_data(steps)).status_code == 302
    policy = EscalationPolicy.objects.get(name="night")
    assert [(step.role.name, step.after.total_seconds(), step.repeat) for step in policy.steps.all()] == [
        ("supervisor", 3600, 0), ("manager", 7200, 1),
    ]
    assert len(facts("policy.saved")["facts"]["changed"]["steps"]["new"]) == 2


def test_a_step_can_be_removed_and_the_others_move_up(admin):
    admin.post(reverse("admin:escalations_escalationpolicy_add"), policy_data([("supervisor", "01:00:00", 0), ("manager", "02:00:00", 0)]))
    policy = EscalationPolicy.objects.get(name="night")
    first, second = policy.steps.all()
    data = policy_data([("supervisor", "01:00:00", 0), ("manager", "02:00:00", 0)]) | {
        "steps-INITIAL_FORMS": 2, "steps-0-id": first.pk, "steps-1-id": second.pk, "steps-0-policy": policy.pk,
        "steps-1-policy": policy.pk, "steps-0-DELETE": "on",
    }
    assert admin.post(reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]), data).status_code == 302
    assert [(step.position, step.role.name) for step in policy.steps.all()] == [(1, "manager")]


@pytest.mark.parametrize(("steps", "more"), [
    ([("manager", "06:00:00", 0)], {}),
    ([("manager", "00:00:01", 0)], {}),
    ([("manager", "999999999 00:00:00", 30000)], {}),
    ([("manager", "01:00:00", 0)], {"name": "Standard"}),
    ([], {"fallback": "approve"}),
    ([], {"expires_after": "nonsense"}),
    ([], {"expires_after": "999999999999 00:00:00"}),
])
def test_a_policy_that_makes_no_sense_comes_back_with_the_reason(admin, steps, more):
    answer = admin.post(reverse("admin:escalations_escalationpolicy_add"), policy_data(steps, **more))
    assert answer.status_code == 200 and "errornote" in answer.content.decode()
    assert not EscalationPolicy.objects.filter(name="night").exists()


def test_a_yes_without_anybody_is_confirmed_by_somebody_else(admin, client):
    admin.post(reverse("admin:escalations_escalationpolicy_add"), policy_data(fallback="approve"))
    policy = EscalationPolicy.objects.get(name="night")
    page = reverse("admin:escalations_escalationpolicy_act", args=[policy.pk, "confirm"])
    shown = admin.get(reverse("admin:escalations_escalationpolicy_change", args=[policy.pk])).content.decode()
    assert "reject, until a second administrator confirms approve" in shown and page in shown
    answer = admin.post(page, {"version": policy.version})
    assert answer.status_code == 200 and "cannot be the one who confirms" in answer.content.decode()
    client.force_login(administrator("bob", is_superuser=False))
    assert client.get(page).status_code == 200
    assert EscalationPolicy.objects.get(name="night").approve_confirmed_by is None
    assert "was edited" in client.post(page, {"version": policy.version + 1}).content.decode()
    assert client.post(page, {"version": policy.version}).status_code == 302
    assert EscalationPolicy.objects.get(name="night").approve_confirmed_by.username == "bob"


def test_the_default_policy_cannot_be_archived_and_another_can(admin):
    default = EscalationPolicy.objects.get(is_default=True)
    archive = "admin:escalations_escalationpolicy_act"
    admin.post(reverse(archive, args=[default.pk, "archive"]))
    assert EscalationPolicy.objects.get(pk=default.pk).archived_at is None
    admin.post(reverse("admin:escalations_escalationpolicy_add"), policy_data())
    policy = EscalationPolicy.objects.get(name="night")
    assert admin.post(reverse(archive, args=[policy.pk, "archive"])).status_code == 302
    assert EscalationPolicy.objects.get(pk=policy.pk).archived_at
    assert admin.get(reverse("admin:escalations_escalationpolicy_change", args=[policy.pk])).status_code == 200
