"""Rules, triggers and categories: checked as strictly when saved as they are read when an incident is routed."""

import json
from typing import Any

from django.db import transaction

from escalations import audit, clock
from escalations.errors import Invalid
from escalations.floors.cel import compile_condition
from escalations.floors.triggers import DEFAULT_SETTINGS
from escalations.models import Category, RoutingRule, Source, Trigger
from escalations.states import ALWAYS_ON, Floor, RuleState

from .changes import changes, problem, stored, subject_of

RULE_FIELDS = (
    "name", "why", "priority", "condition", "floor", "by", "role", "policy", "severity", "category", "threshold", "model_counts",
    "state",
)
TRIGGER_FIELDS = ("description", "enabled", "role", "policy", "settings")
CATEGORY_FIELDS = ("name", "description", "role", "guidance", "reject_reasons")


def check_rule(rule: RoutingRule) -> None:
    """Raise Invalid with a pointer per field if this rule may not be saved. Two queries."""
    errors = []
    if RoutingRule.objects.filter(name__iexact=rule.name.strip()).exclude(pk=rule.pk).exists():
        errors.append(problem("name", "taken", "Another rule has this name."))
    errors += _condition_problems(rule)
    auto = rule.floor == Floor.AUTO
    if auto and rule.by == "threshold" and rule.threshold is None:
        errors.append(problem("threshold", "required", "A rule that lets confidence decide needs the threshold."))
    if rule.threshold is not None and not 0 < rule.threshold <= 1:
        errors.append(problem("threshold", "out_of_range", "A threshold is above 0 and at most 1."))
    if not auto and rule.by != "rule":
        errors.append(problem("by", "only_auto", "Only a rule with floor auto can ask for more than its condition."))
    if rule.model_counts and not (auto and rule.by == "threshold"):
        errors.append(problem(
            "model_counts", "only_threshold", "The model's confidence can only count towards the threshold of an auto rule.",
        ))
    if rule.policy_id and rule.policy.archived_at and rule.state != RuleState.ARCHIVED:
        errors.append(problem("policy", "archived", "That policy is archived."))
    if errors:
        raise Invalid(errors)


def _condition_problems(rule: RoutingRule) -> list[dict[str, str]]:
    """Return what is wrong with the condition. An auto rule may read what any source's administrator marked; when it is
    evaluated, only what was marked for that very source counts."""
    if rule.state == RuleState.ARCHIVED:
        return []  # what was once right may always be put away
    auto = rule.floor == Floor.AUTO
    paths = Source.objects.exclude(authoritative_paths=[]).values_list("authoritative_paths", flat=True) if auto else ()
    try:
        compile_condition(rule.condition, auto=auto, authoritative=frozenset(path for several in paths for path in several))
    except Invalid as error:
        said = error.errors[0] if error.errors else {}
        return [problem("condition", said.get("code", "condition"), said.get("detail") or error.detail)]
    return []


@transaction.atomic
def save_rule(rule: RoutingRule, *, actor: audit.Actor) -> RoutingRule:
    """Save a rule. It holds for whatever is routed from now on; what is already routed keeps what was frozen onto it."""
    old = stored(rule)
    rule.name = rule.name.strip()
    check_rule(rule)
    changed = changes(old, rule, RULE_FIELDS)
    if old is not None:
        if not changed:
            return rule
        rule.version = old.version + 1
    rule.changed_at = clock.now()
    rule.save()
    audit.record("rule.saved", actor=actor, subject=subject_of(rule), name=rule.name, version=rule.version, changed=changed)
    return rule


def check_trigger(trigger: Trigger) -> None:
    """Raise Invalid if this trigger may not be saved."""
    errors = []
    if not trigger.enabled and trigger.name in ALWAYS_ON:
        errors.append(problem("enabled", "always_on", "This trigger cannot be turned off."))
    if trigger.policy_id and trigger.policy.archived_at:
        errors.append(problem("policy", "archived", "That policy is archived."))
    errors += _settings_problems(trigger.settings, DEFAULT_SETTINGS.get(trigger.name, {}))
    if errors:
        raise Invalid(errors)


def _settings_problems(given: Any, known: dict[str, Any]) -> list[dict[str, str]]:
    """Compare with the defaults' names and shapes, so that a slip of the pen does not silently turn a trigger deaf."""
    if not isinstance(given, dict):
        return [problem("settings", "not_an_object", "Settings are a JSON object.")]
    if not _storable(given):
        return [problem("settings", "not_storable", "NaN, Infinity, NUL and lone surrogates cannot be stored.")]
    errors = []
    for name, value in given.items():
        if name not in known:
            one_of = ", ".join(sorted(known)) or "none"
            errors.append(problem("settings", "unknown", f"“{name}” is not a setting of this trigger (known: {one_of})."))
        elif not _same_shape(value, known[name]):
            errors.append(problem("settings", "wrong_type", f"“{name}” has to look like {known[name]!r}."))
    return errors


def _storable(given: dict[str, Any]) -> bool:
    """Whether PostgreSQL takes this as jsonb."""
    try:
        return "\\u0000" not in json.dumps(given, allow_nan=False) and bool(json.dumps(given, ensure_ascii=False).encode())
    except ValueError:
        return False


def _same_shape(value: Any, example: Any) -> bool:
    """Whether `value` is of the example's JSON type, its members included."""
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(example, bool)
    if isinstance(example, (int, float)):
        return isinstance(value, (int, float))
    if isinstance(example, (list, tuple)):
        return isinstance(value, list) and all(_same_shape(one, example[0]) for one in value if example)
    if isinstance(example, dict):
        sample = next(iter(example.values()), None)
        return isinstance(value, dict) and all(sample is None or _same_shape(one, sample) for one in value.values())
    return isinstance(value, type(example))


@transaction.atomic
def save_trigger(trigger: Trigger, *, actor: audit.Actor) -> Trigger:
    """Save a retuned trigger. Triggers are not made by hand: what fires them is code."""
    old = stored(trigger)
    check_trigger(trigger)
    if changed := changes(old, trigger, TRIGGER_FIELDS):
        trigger.save()
        audit.record("trigger.saved", actor=actor, subject=f"Trigger {trigger.name}", name=trigger.name, changed=changed)
    return trigger


@transaction.atomic
def save_category(category: Category, *, actor: audit.Actor) -> Category:
    """Save a category. Its name is what engines and rules say, so it does not change once it exists."""
    old = stored(category)
    if old is not None and old.name != category.name:
        raise Invalid([problem("name", "fixed", "Incidents carry this name; it does not change.")])
    if changed := changes(old, category, CATEGORY_FIELDS):
        category.save()
        audit.record("category.saved", actor=actor, subject=subject_of(category), name=category.name, changed=changed)
    return category
