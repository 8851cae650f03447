"""What stands in a configuration file: the sections in the order they are applied in, their fields, and rows as plain values.

Everything goes by its name: no ids, no secrets, no people but a source's owner (by the name they sign in with).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from escalations.models import Calendar, Category, EscalationPolicy, Role, RoutingRule, Source, Trigger
from escalations.states import TRIGGERS, Fallback, Floor, Risk, RuleState, Sensitive, Severity

from . import kinds

FORMAT = 1
FORMAT_KEY = "countersign"


@dataclass(frozen=True)
class Section:
    """One kind of thing. `rows` are those that are exported, `written` one of them as plain values in the order of `fields`."""

    name: str
    one: str
    model: type[models.Model]
    fields: dict[str, kinds.Read]
    rows: Callable[[], Iterable[Any]]
    written: Callable[[Any], dict[str, Any]]
    required: tuple[str, ...] = ()
    key: str = "name"


def _name(row: Any) -> str | None:
    return None if row is None else row.name


def _role(role: Role) -> dict[str, Any]:
    return {
        "description": role.description, "sees_everything": role.sees_everything, "decides_everything": role.decides_everything,
        "clearance": list(role.clearance), "notify_email": role.notify_email,
    }  # fmt: skip


def _calendar(calendar: Calendar) -> dict[str, Any]:
    holidays = sorted(calendar.holidays.all(), key=lambda one: one.day)
    return {
        "time_zone": calendar.time_zone, "hours": kinds.said_hours(calendar.hours), "country": calendar.country,
        "subdivision": calendar.subdivision,
        "holidays": {one.day.isoformat(): one.name for one in holidays if not one.filled_in},
        "public_holidays": {one.day.isoformat(): one.name for one in holidays if one.filled_in},
    }  # fmt: skip


def _policy(policy: EscalationPolicy) -> dict[str, Any]:
    return {
        "description": policy.description, "default": policy.is_default,
        "steps": [
            {"role": step.role.name, "after": kinds.said_duration(step.after), "repeat": step.repeat} for step in policy.steps.all()
        ],
        "expires_after": kinds.said_duration(policy.expires_after), "fallback": str(policy.fallback),
        "valid_for": kinds.said_duration(policy.valid_for), "undo_seconds": policy.undo_seconds, "quorum": policy.quorum,
        "calendar": _name(policy.calendar), "chat_up_to": policy.chat_up_to,
    }  # fmt: skip


def _category(category: Category) -> dict[str, Any]:
    return {
        "description": category.description, "role": _name(category.role), "guidance": category.guidance,
        "reject_reasons": list(category.reject_reasons),
    }  # fmt: skip


def _trigger(trigger: Trigger) -> dict[str, Any]:
    return {
        "description": trigger.description, "enabled": trigger.enabled, "role": _name(trigger.role), "policy": _name(trigger.policy),
        "settings": in_order(trigger.settings),
    }  # fmt: skip


def _source(source: Source) -> dict[str, Any]:
    found = {
        "description": source.description, "owner": source.owner.username if source.owner else None,
        "callback_url": source.callback_url, "allowed_hosts": list(source.allowed_hosts),
        "authoritative_paths": list(source.authoritative_paths), "known_irreversible": list(source.known_irreversible),
        "may_email": source.may_email, "may_chat": source.may_chat, "requests_per_minute": source.requests_per_minute,
        "demo": source.is_demo, "disabled": source.disabled_at is not None,
    }  # fmt: skip
    if may_hold_a_secret(source.callback_url):
        del found["callback_url"]
    return found


def may_hold_a_secret(url: str) -> bool:
    """Return whether an address says more than where: a query, or somebody's name and password."""
    parts = urlsplit(url)
    return bool(parts.query or parts.fragment or "@" in parts.netloc)


def _rule(rule: RoutingRule) -> dict[str, Any]:
    return {
        "why": rule.why, "state": str(rule.state), "priority": rule.priority, "condition": rule.condition, "floor": str(rule.floor),
        "by": rule.by, "threshold": rule.threshold, "model_counts": rule.model_counts, "role": _name(rule.role),
        "policy": _name(rule.policy), "severity": rule.severity, "category": _name(rule.category),
    }  # fmt: skip


def in_order(value: Any) -> Any:
    """Return JSON with its keys sorted: PostgreSQL keeps them in an order of its own."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(one) for one in value] if isinstance(value, list) else value


def _triggers() -> list[Trigger]:
    known = {trigger.name: trigger for trigger in Trigger.objects.select_related("role", "policy")}
    return [known[name] for name in TRIGGERS if name in known]


# In the order in which they are applied: what others name comes first.
SECTIONS: tuple[Section, ...] = (
    Section(
        "roles", "role", Role,
        {
            "description": kinds.text, "sees_everything": kinds.flag, "decides_everything": kinds.flag,
            "clearance": kinds.names(*Sensitive.values), "notify_email": kinds.text,
        },
        lambda: Role.objects.order_by("name"), _role,
    ),
    Section(
        "calendars", "calendar", Calendar,
        {
            "time_zone": kinds.text, "hours": kinds.hours, "country": kinds.text, "subdivision": kinds.text, "holidays": kinds.days,
            "public_holidays": kinds.days,
        },
        lambda: Calendar.objects.filter(archived_at=None).prefetch_related("holidays").order_by("name"), _calendar,
        required=("hours",),
    ),
    Section(
        "policies", "policy", EscalationPolicy,
        {
            "description": kinds.text, "default": kinds.flag, "steps": kinds.Steps(), "expires_after": kinds.duration,
            "fallback": kinds.one_of(*Fallback.values), "valid_for": kinds.duration, "undo_seconds": kinds.whole,
            "quorum": kinds.whole, "calendar": kinds.name_or_none, "chat_up_to": kinds.one_of("", Risk.LOW, Risk.MEDIUM, Risk.HIGH),
        },
        lambda: (
            EscalationPolicy.objects.filter(archived_at=None).select_related("calendar").prefetch_related("steps__role")
            .order_by("name")
        ),
        _policy,
    ),
    Section(
        "categories", "category", Category,
        {"description": kinds.text, "role": kinds.name_or_none, "guidance": kinds.text, "reject_reasons": kinds.texts},
        lambda: Category.objects.select_related("role").order_by("name"), _category,
    ),
    Section(
        "triggers", "trigger", Trigger,
        {
            "description": kinds.text, "enabled": kinds.flag, "role": kinds.name_or_none, "policy": kinds.name_or_none,
            "settings": kinds.settings,
        },
        _triggers, _trigger,
    ),
    Section(
        "sources", "source", Source,
        {
            "description": kinds.text, "owner": kinds.name_or_none, "callback_url": kinds.text, "allowed_hosts": kinds.texts,
            "authoritative_paths": kinds.texts, "known_irreversible": kinds.texts, "may_email": kinds.flag, "may_chat": kinds.flag,
            "requests_per_minute": kinds.whole, "demo": kinds.flag, "disabled": kinds.flag,
        },
        lambda: Source.objects.select_related("owner").order_by("name"), _source,
    ),
    Section(
        "rules", "rule", RoutingRule,
        {
            "why": kinds.text, "state": kinds.one_of(*RuleState.values), "priority": kinds.whole, "condition": kinds.text,
            "floor": kinds.one_of(*Floor.values), "by": kinds.one_of("rule", "threshold", "lane"),
            "threshold": kinds.number_or_none, "model_counts": kinds.flag, "role": kinds.name_or_none, "policy": kinds.name_or_none,
            "severity": kinds.one_of("", *Severity.values), "category": kinds.name_or_none,
        },
        lambda: (
            RoutingRule.objects.exclude(state=RuleState.ARCHIVED).select_related("role", "policy", "category")
            .order_by("-priority", "name")
        ),
        _rule, required=("condition",),
    ),
)
BY_NAME = {section.name: section for section in SECTIONS}
