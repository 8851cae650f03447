"""Rules, triggers and categories: checked as strictly when saved as they are read when an incident is routed.

What would let the machine do more, or look at less, is not saved but asked: it waits for a second administrator (`second`).
"""

import json
from typing import Any

from django.db import DatabaseError, transaction

from escalations import audit, clock
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid
from escalations.floors.cel import compile_condition
from escalations.floors.text import has_hidden
from escalations.floors.triggers import DEFAULT_SETTINGS
from escalations.models import Category, Change, Person, RoutingRule, RuleVersion, Source, Trigger
from escalations.states import ALWAYS_ON, Floor, RuleState

from . import versions
from .asking import TRIGGER_FIELDS, ask, base_of, needs_asking, one_at_a_time, outdate, said_of
from .changes import HIDDEN, changes, problem, stored, subject_of
from .lowering import lowers
from .versions import RULE_FIELDS, values_of

CATEGORY_FIELDS = ("name", "description", "role", "guidance", "reject_reasons")
SAVED_MEANWHILE = "Somebody saved this rule since you opened it. Look at it again before you save."
LARGEST_SETTINGS = 20_000  # of a trigger, as JSON; the largest built-in ones have about a quarter of it
MOST_LIVE = 200  # rules that are looked at for every incident; bench/rules.py says what they cost


def check_rule(rule: RoutingRule) -> None:
    """Raise Invalid with a pointer per field if this rule may not be saved. Three queries."""
    errors = []
    if RoutingRule.objects.filter(name__iexact=rule.name.strip()).exclude(pk=rule.pk).exists():
        errors.append(problem("name", "taken", "Another rule has this name."))
    if has_hidden(rule.name):
        errors.append(problem("name", "hidden", HIDDEN))
    if rule.state == RuleState.LIVE and RoutingRule.objects.filter(state=RuleState.LIVE).exclude(pk=rule.pk).count() >= MOST_LIVE:
        errors.append(problem("state", "too_many", f"{MOST_LIVE} rules are live, which is the most. Archive one first."))
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
def save_rule(
    rule: RoutingRule, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Save a rule, or ask for it. It holds for whatever is routed from now on; what is already routed keeps what was frozen onto it.

    Returns the rule, with a new version on the record. Where the edit would let the machine do more or look at less (`lowers`),
    nothing of it is saved: a Change waits for a second administrator and is returned. A rule that is new is kept as a draft then.
    `person` is who edits; without one the system saves at once (setup, the demo company). `seen` is the version that was edited.
    Raises Invalid, ChangedSinceSeen (somebody saved it meanwhile), NotAllowed. About eight queries.
    """
    one_at_a_time()
    old = stored(rule)
    if old is not None and old.version != (rule.version if seen is None else seen):
        raise ChangedSinceSeen(SAVED_MEANWHILE)
    rule.name = rule.name.strip()
    check_rule(rule)
    reasons = lowers(old, rule)
    if not needs_asking(reasons, actor=actor, person=person) or person is None:
        return write_rule(rule, old, actor=actor, why=why)
    wanted = values_of(rule)
    if old is None:
        rule.state = RuleState.DRAFT
        write_rule(rule, None, actor=actor, why=why)
        old = rule
    return ask(old, wanted=wanted, base=base_of(old, RULE_FIELDS), lowers=reasons, person=person, why=why)


def write_rule(
    rule: RoutingRule, old: RoutingRule | None, *, actor: audit.Actor, why: str = "", asked_by: audit.Actor | None = None,
    restored_from: int | None = None,
) -> RoutingRule:
    """Write a checked rule with its version and entry; nothing when nothing changed. `old` is as stored, and locked.

    Nobody else's: `save_rule` and the second administrator's yes (`second.confirm_change`) come through here.
    """
    version = rule.version
    try:
        return _written(rule, old, actor=actor, why=why, asked_by=asked_by, restored_from=restored_from)
    except DatabaseError:
        rule.version = version  # as it is stored still: whoever tries again has not been overtaken by themselves
        raise


def _written(
    rule: RoutingRule, old: RoutingRule | None, *, actor: audit.Actor, why: str, asked_by: audit.Actor | None,
    restored_from: int | None,
) -> RoutingRule:
    changed = changes(old, rule, RULE_FIELDS)
    if old is not None and not changed:
        return rule
    rule.changed_at = clock.now()
    if old is None:
        rule.save(force_insert=True)
    else:
        versions.record_found(old)
        rule.version = old.version + 1
        rule.save(update_fields=[*RULE_FIELDS, "version", "changed_at"])  # matched_at is routing's
        outdate(rule, actor=actor)
    versions.record(rule, actor=actor, why=why, asked_by=asked_by, restored_from=restored_from)
    action = "rule.saved"
    if restored_from is not None:
        action = "rule.restored"
    elif old is not None and rule.state == RuleState.LIVE and list(changed) == ["state"]:
        action = "rule.promoted"
    audit.record(
        action, actor=actor, subject=subject_of(rule), name=rule.name, version=rule.version, changed=changed,
        **said_of(why, asked_by),
    )
    return rule


def _moved(
    rule: RoutingRule, state: RuleState, *, actor: audit.Actor, person: Person | None, why: str, seen: int | None
) -> RoutingRule | Change:
    fresh = RoutingRule.objects.get(pk=rule.pk)
    if fresh.state == state:
        raise IllegalMove(f"It is {state} already.")
    fresh.state = state
    return save_rule(fresh, actor=actor, person=person, why=why, seen=seen)


def promote(
    rule: RoutingRule, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Make a rule live, as it is stored; a Change where that lets the machine do more. Raises as `save_rule`, and IllegalMove."""
    return _moved(rule, RuleState.LIVE, actor=actor, person=person, why=why, seen=seen)


def to_shadow(
    rule: RoutingRule, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Have a rule evaluated on real traffic, deciding nothing. A Change where a live rule that asks for people is put there."""
    return _moved(rule, RuleState.SHADOW, actor=actor, person=person, why=why, seen=seen)


def to_draft(
    rule: RoutingRule, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Take a rule back to be worked on: it is not evaluated. A Change where it was live and asked for people."""
    return _moved(rule, RuleState.DRAFT, actor=actor, person=person, why=why, seen=seen)


def archive_rule(
    rule: RoutingRule, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Put a rule away; it can be read and taken back. A Change where it was live and asked for people."""
    return _moved(rule, RuleState.ARCHIVED, actor=actor, person=person, why=why, seen=seen)


@transaction.atomic
def restore(
    rule: RoutingRule, version: int, *, actor: audit.Actor, person: Person | None = None, why: str = "", seen: int | None = None
) -> RoutingRule | Change:
    """Put back what a rule said in an earlier version. Its state stays as it is: a draft does not go live by being put back.

    Saved or asked for as `save_rule` does. Raises Invalid (no such version; a role or policy it named is gone).
    """
    one_at_a_time()
    then = RuleVersion.objects.filter(rule=rule, version=version).first()
    if then is None:
        raise Invalid([problem("version", "unknown", f"There is no version {version} of this rule.")])
    fresh = RoutingRule.objects.select_for_update(of=("self",)).get(pk=rule.pk)
    old = RoutingRule.objects.get(pk=rule.pk)
    if seen is not None and old.version != seen:
        raise ChangedSinceSeen(SAVED_MEANWHILE)
    versions.put(fresh, {field: value for field, value in then.values.items() if field != "state"})
    if not changes(old, fresh, RULE_FIELDS):
        raise IllegalMove(f"It is as it was in version {version} already.")
    check_rule(fresh)
    reasons = lowers(old, fresh)
    said = why.strip() or f"As it was in version {version}."
    if not needs_asking(reasons, actor=actor, person=person) or person is None:
        return write_rule(fresh, old, actor=actor, why=said, restored_from=version)
    return ask(old, wanted=values_of(fresh), base=base_of(old, RULE_FIELDS), lowers=reasons, person=person, why=said)


def check_trigger(trigger: Trigger) -> None:
    """Raise Invalid if this trigger may not be saved."""
    errors = []
    if not trigger.enabled and trigger.name in ALWAYS_ON:
        errors.append(problem("enabled", "always_on", "This trigger cannot be turned off."))
    if trigger.policy_id and trigger.policy.archived_at:
        errors.append(problem("policy", "archived", "That policy is archived."))
    errors += _settings_problems(trigger.settings, DEFAULT_SETTINGS.get(trigger.name, {}))
    for name in ("below", "above"):
        if not errors and not 0 <= trigger.settings.get(name, 0) <= 1:
            errors.append(problem("settings", "out_of_range", f"“{name}” is between 0 and 1."))
    if errors:
        raise Invalid(errors)


def _settings_problems(given: Any, known: dict[str, Any]) -> list[dict[str, str]]:
    """Compare with the defaults' names and shapes, so that a slip of the pen does not silently turn a trigger deaf."""
    if not isinstance(given, dict):
        return [problem("settings", "not_an_object", "Settings are a JSON object.")]
    if len(json.dumps(given)) > LARGEST_SETTINGS:
        return [problem("settings", "too_large", f"Settings have at most {LARGEST_SETTINGS:,} characters: each incident is held against them.")]
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
def save_trigger(trigger: Trigger, *, actor: audit.Actor, person: Person | None = None, why: str = "") -> Trigger | Change:
    """Save a retuned trigger, or ask for it where it would fire less (`lowers`): all of the edit waits then, and the Change is
    returned. Triggers are not made by hand: what fires them is code. `person` as for `save_rule`. About five queries."""
    one_at_a_time()
    old = stored(trigger)
    check_trigger(trigger)
    reasons = lowers(old, trigger)
    if old is None or not needs_asking(reasons, actor=actor, person=person) or person is None:
        return write_trigger(trigger, old, actor=actor, why=why)
    return ask(
        old, wanted=values_of(trigger, TRIGGER_FIELDS), base=base_of(old, TRIGGER_FIELDS), lowers=reasons, person=person, why=why
    )


def write_trigger(
    trigger: Trigger, old: Trigger | None, *, actor: audit.Actor, why: str = "", asked_by: audit.Actor | None = None
) -> Trigger:
    """Write a checked trigger and its entry; nothing when nothing changed. `old` is as stored, and locked."""
    if changed := changes(old, trigger, TRIGGER_FIELDS):
        trigger.save()
        outdate(trigger, actor=actor)
        audit.record(
            "trigger.saved", actor=actor, subject=subject_of(trigger), name=trigger.name, changed=changed,
            **said_of(why, asked_by),
        )
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
