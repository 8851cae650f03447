"""What a rule was each time it was saved: who, when, why, what differs, and how it is put back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import models

from escalations import audit
from escalations.errors import Invalid
from escalations.models import EscalationPolicy, Person, RoutingRule, RuleVersion, Source, Trigger

from .changes import problem, readable

RULE_FIELDS = (
    "name", "why", "priority", "condition", "floor", "by", "role", "policy", "severity", "category", "threshold", "model_counts",
    "state",
)
LABELS = {"why": "reason shown", "by": "also asked for", "model_counts": "the model's confidence counts"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, in words: `label`, `before` and `after`; `str()` says all three."""

    field: str
    label: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.label}: {self.before} → {self.after}"


def values_of(row: models.Model, fields: Iterable[str] = RULE_FIELDS) -> dict[str, Any]:
    """Return the fields as JSON: rows by their names (people by their user names), durations in seconds."""
    return {field: _plain(getattr(row, field)) for field in fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Person):
        return value.username
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return readable(value)


def put(row: models.Model, values: dict[str, Any]) -> None:
    """Set the fields of an unsaved edit as `values_of` wrote them. One query a name. Raises Invalid where a name is gone."""
    errors = []
    for field, value in values.items():
        known = row._meta.get_field(field)
        try:
            setattr(row, field, _row(known, value) if known.is_relation else _typed(known, value))
        except LookupError:
            errors.append(problem(field, "gone", f"“{value}” is not there any more."))
    if errors:
        raise Invalid(errors)


def _row(field: Any, name: str | None) -> models.Model | None:
    if name is None:
        return None
    model = field.related_model
    found = model._default_manager.filter(**{"username" if model is Person else "name": name})
    if model is EscalationPolicy:
        found = found.filter(archived_at=None)
    if (row := found.first()) is None:
        raise LookupError(name)
    return row


def _typed(field: Any, value: Any) -> Any:
    if isinstance(field, models.DurationField) and value is not None:
        return timedelta(seconds=value)
    if isinstance(field, models.DateField) and isinstance(value, str):
        return date.fromisoformat(value)
    return value


def record(
    rule: RoutingRule, *, actor: audit.Actor, why: str = "", asked_by: audit.Actor | None = None, restored_from: int | None = None
) -> RuleVersion:
    """Write the version that was just saved: by who wanted it (`asked_by`), confirmed by `actor`. One INSERT, the caller's
    transaction."""
    author = asked_by or actor
    return RuleVersion.objects.create(
        rule=rule, version=rule.version, values=values_of(rule), why=why.strip(), actor_kind=author.kind, actor=author.id[:150],
        confirmed_by=actor.id[:150] if asked_by else "", restored_from=restored_from,
    )


def record_found(rule: RoutingRule) -> None:
    """See to it that the version about to be replaced is kept, for a rule that was written by no verb. One or two queries."""
    if not RuleVersion.objects.filter(rule=rule, version=rule.version).exists():
        RuleVersion.objects.create(
            rule=rule, version=rule.version, values=values_of(rule), why="As it was found.", actor_kind=audit.SYSTEM.kind,
            actor=audit.SYSTEM.id, at=rule.changed_at,
        )


def diff(one: RuleVersion | None, other: RuleVersion) -> list[Difference]:
    """Return what differs between two versions, in words, in the order of the form; all that is not empty for a first one."""
    return differences(one.values if one is not None else {}, other.values)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return what differs between two sets of values as `values_of` writes them. What is nested is told key by key."""
    found = []
    for field in sorted(after | before, key=_place):
        old, new = before.get(field), after.get(field)
        if old == new or (not before and new in (None, "", [], {}, False)):
            continue
        label = LABELS.get(field, field.replace("_", " "))
        if isinstance(old, dict) and isinstance(new, dict):
            found += [
                Difference(field, f"{label}, {key}", *_sides(old.get(key), new.get(key)))
                for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
            ]
        else:
            found.append(Difference(field, label, *_sides(old, new)))
    return found


def _place(field: str) -> int:
    return RULE_FIELDS.index(field) if field in RULE_FIELDS else len(RULE_FIELDS)


def _sides(old: Any, new: Any) -> tuple[str, str]:
    """Return both values in words; of long lists only what one has and the other has not."""
    if isinstance(old, list) and isinstance(new, list):
        gone, added = [one for one in old if one not in new], [one for one in new if one not in old]
        kept = len(old) - len(gone)
        if kept > 3 and gone + added:
            return f"{_said(gone)} ({kept} more stay)" if gone else f"{kept} of them", f"{_said(added)} added" if added else "taken out"
    return _said(old), _said(new)


def _said(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_said(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(_said(one) for one in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text  # whole: a condition of which the end is cut off could be confirmed for what it does not say


def versions_of(rule: RoutingRule, limit: int = 50) -> list[tuple[RuleVersion, list[Difference]]]:
    """Return a rule's versions, newest first, each with what it changed. One query."""
    rows = list(rule.versions.order_by("-version")[: limit + 1])
    before = [*rows[1:], None][: len(rows)]
    return [(row, diff(old, row)) for row, old in list(zip(rows, before, strict=True))[:limit]]


def kind_of(row: RoutingRule | Trigger | Source | EscalationPolicy) -> str:
    """Return what `Change.kind` calls this row."""
    return {RoutingRule: "rule", Trigger: "trigger", Source: "source", EscalationPolicy: "policy"}[type(row)]
