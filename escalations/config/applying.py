"""Saving what a file wants, one thing at a time, by the verbs of `policies`: each audited, each checked as on its page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import models

from escalations import audit, policies
from escalations.models import Calendar, Category, Change, EscalationPolicy, Person, Role, RoutingRule, Source, Trigger
from escalations.policies.versions import values_of
from escalations.states import RuleState

from . import kinds

WHY = "Import of the configuration."


class NoSuch(Exception):
    """A field names what is not there."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field, self.detail = field, detail


class Asked(Exception):
    """This was asked before, and waits for a second administrator still."""

    def __init__(self, change: Change) -> None:
        super().__init__(str(change))
        self.detail = f"This was asked by {change.asked_by.name} already, and waits for a second administrator."


@dataclass(frozen=True)
class Import:
    """Who imports. Everything is recorded as theirs, and what they may not do alone waits for somebody else."""

    person: Person

    @property
    def actor(self) -> audit.Actor:
        return audit.Actor.of(self.person)


Save = Callable[[Any, str, dict[str, Any], Import], list[str]]  # (row or None, name, fields to set, run) -> why it waits

_NAMED: dict[str, type[models.Model]] = {
    "role": Role, "policy": EscalationPolicy, "category": Category, "calendar": Calendar,
}  # fmt: skip
_ATTRIBUTES = {"default": "is_default", "demo": "is_demo"}
_DURATIONS = frozenset({"expires_after", "valid_for"})


def _set(row: Any, values: dict[str, Any]) -> Any:
    """Set plain values on a row and check each against the model's own limits. Raises NoSuch, ValidationError."""
    for field, value in values.items():
        if field in _NAMED:
            setattr(row, field, _called(_NAMED[field], field, value))
        elif field == "owner":
            row.owner = _person(value)
        else:
            setattr(row, _ATTRIBUTES.get(field, field), kinds.duration_of(value) if field in _DURATIONS else value)
    row.clean_fields(exclude={one.name for one in row._meta.fields if one.is_relation})
    return row


def _called(model: type[models.Model], field: str, name: str | None) -> Any:
    if name is None:
        return None
    if (found := model._default_manager.filter(name=name).first()) is None:
        raise NoSuch(field, f"There is no {model._meta.verbose_name} called “{name}”.")
    return found


def _person(username: str | None) -> Person | None:
    if username is None:
        return None
    if (found := Person.objects.filter(username=username).first()) is None:
        raise NoSuch("owner", f"Nobody signs in as “{username}”.")
    return found


def _waits(saved: Any) -> list[str]:
    """Return why a save waits for a second administrator; nothing when it does not."""
    return [str(one) for one in saved.lowers] if isinstance(saved, Change) else []


def _ask_once(row: Any, wanted: dict[str, Any] | None = None) -> None:
    """Raise Asked when exactly this waits for a second administrator already: an import run again asks nobody again."""
    if not row.pk or row._state.adding or (change := policies.waiting(row)) is None:
        return
    if (wanted or values_of(row, change.wanted)) == change.wanted:
        raise Asked(change)


def _role(row: Role | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    policies.save_role(_set(row or Role(name=name), values), actor=run.actor)
    return []


def _calendar(row: Calendar | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    calendar = row or Calendar(name=name)
    kept = policies.holidays_of(calendar) if row is not None else []
    fields = {field: value for field, value in values.items() if field not in ("hours", "holidays", "public_holidays")}
    if "hours" in values:
        calendar.hours = kinds.hours_of(values["hours"])
    _set(calendar, fields)
    policies.save_calendar(calendar, days=_days(values, kept), actor=run.actor)
    brought = policies.holidays_of(calendar)  # a country that is new to it brings its own; what the file says of them holds
    if set(exactly := _days(values, brought)) != set(brought):
        policies.save_calendar(calendar, days=exactly, actor=run.actor)
    return []


def _days(values: dict[str, Any], kept: list[policies.Day]) -> list[policies.Day]:
    """Return the holidays the file gives, and of the kinds it does not give those that are kept."""
    found: dict[date, policies.Day] = {}
    for field, filled_in in (("public_holidays", True), ("holidays", False)):
        if field in values:
            named = [policies.Day(date.fromisoformat(day), name, filled_in) for day, name in values[field].items()]
        else:
            named = [one for one in kept if one.filled_in == filled_in]
        found |= {one.day: one for one in named}  # one of a day: by hand before filled in
    return list(found.values())


def _policy(row: EscalationPolicy | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    policy = row or EscalationPolicy(name=name)
    said = values.get("steps")
    if said is None:
        steps = [policies.Step(step.role, step.after, step.repeat) for step in policy.steps.all()] if policy.pk else []
    else:
        steps = [
            policies.Step(_called(Role, "steps", step["role"]), kinds.duration_of(step["after"]), step["repeat"]) for step in said
        ]
    _set(policy, {field: value for field, value in values.items() if field != "steps"})
    _ask_once(policy, policies.wanted_of(policy, steps))
    saved = policies.save_policy(policy, steps=steps, actor=run.actor, person=run.person, why=WHY)
    if isinstance(saved, Change):
        return _waits(saved)
    if policy.fallback != policies.effective_fallback(policy):
        return ["what nobody answers is approved; until then it is rejected"]
    return []


def _category(row: Category | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    policies.save_category(_set(row or Category(name=name), values), actor=run.actor)
    return []


def _trigger(row: Trigger | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    if row is None:
        raise NoSuch("", "There is no such trigger; what fires one is code.")
    if "role" in values and values["role"] is None:
        raise NoSuch("role", "A trigger names the role that is asked.")
    _ask_once(_set(row, values))
    return _waits(policies.save_trigger(row, actor=run.actor, person=run.person, why=WHY))


def _source(row: Source | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    source = row or Source(name=name)
    _set(source, {field: value for field, value in values.items() if field != "disabled"})
    _ask_once(source)
    saved = policies.save_source(source, actor=run.actor, person=run.person, why=WHY)
    # A new one is saved without what a second administrator has to confirm, and that waits beside it.
    lowers = _waits(policies.waiting(source) if row is None else saved)
    if values.get("disabled") is True:
        policies.disable_source(source, actor=run.actor)
    elif values.get("disabled") is False and row is not None:
        policies.enable_source(source, actor=run.actor)
    return lowers


def _rule(row: RoutingRule | None, name: str, values: dict[str, Any], run: Import) -> list[str]:
    rule = _set(row or RoutingRule(name=name), values)
    _ask_once(rule)
    return _waits(policies.save_rule(rule, actor=run.actor, person=run.person, why=WHY))


SAVE: dict[str, Save] = {
    "roles": _role, "calendars": _calendar, "policies": _policy, "categories": _category, "triggers": _trigger, "sources": _source,
    "rules": _rule,
}  # fmt: skip


def _archive_rule(rule: RoutingRule, run: Import) -> list[str]:
    rule.state = RuleState.ARCHIVED
    _ask_once(rule)
    return _waits(policies.save_rule(rule, actor=run.actor, person=run.person, why=WHY))


def _archive_policy(policy: EscalationPolicy, run: Import) -> list[str]:
    policies.archive_policy(policy, actor=run.actor)
    return []


def _archive_calendar(calendar: Calendar, run: Import) -> list[str]:
    policies.archive_calendar(calendar, actor=run.actor)
    return []


def _disable_source(source: Source, run: Import) -> list[str]:
    policies.disable_source(source, actor=run.actor)
    return []


# In the order in which they go: what names others goes first. Roles, categories and triggers cannot be put away.
PUT_AWAY: dict[str, Callable[[Any, Import], list[str]]] = {
    "rules": _archive_rule, "policies": _archive_policy, "calendars": _archive_calendar, "sources": _disable_source,
}  # fmt: skip
