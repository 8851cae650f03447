"""A replay is asked for: what is tried, over which days. And called off."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from escalations import audit, clock, policies, queue
from escalations.errors import Invalid
from escalations.floors.cel import Condition, compile_condition
from escalations.models import Category, EscalationPolicy, Person, Replay, Role, RoutingRule, Source, Trigger
from escalations.states import Floor, ReplayState, RuleState

OPEN = (ReplayState.WAITING, ReplayState.RUNNING)
MOST_OPEN = 10  # they run one after the other
LONGEST = timedelta(days=366)

_PLAIN = ("name", "why", "priority", "condition", "floor", "by", "severity", "threshold", "model_counts", "state")
_NAMED: dict[str, Any] = {"role": Role, "policy": EscalationPolicy, "category": Category}


@transaction.atomic
def ask(
    kind: str, wanted: dict[str, Any], subject: str, since: datetime, until: datetime, person: Person
) -> Replay:
    """Write down that a rule (`wanted_of`) or a trigger (`wanted_of_trigger`) is to be tried, and wake the job. About ten queries.

    `subject` is what the audit calls the row it would change, "" for a rule that was never saved. Raises Invalid for days that make no
    sense, for what could not be saved as it is, and when ten replays wait already.
    """
    now = clock.now()
    until = min(until, now)
    problems = []
    if since >= until:
        problems.append(_problem("since", "empty", "There is nothing between these two moments."))
    if until - since > LONGEST:
        problems.append(_problem("since", "too_long", f"At most {LONGEST.days} days are gone through at once."))
    if Replay.objects.filter(state__in=OPEN).count() >= MOST_OPEN:
        problems.append(_problem("", "too_many", f"{MOST_OPEN} replays wait already. Cancel one, or wait for one to end."))
    if problems:
        raise Invalid(problems)
    if kind == "rule":
        name = rule_of(wanted)[0].name
    elif kind == "trigger":
        name = trigger_of(wanted).name
    else:
        raise Invalid([_problem("kind", "unknown", "A rule or a trigger can be tried.")])
    row = Replay.objects.create(
        kind=kind, subject=subject, name=name or "a new rule", wanted=wanted, since=since, until=until, asked_by=person, created_at=now,
        next_try_at=now,
    )
    audit.record(
        "replay.asked", actor=audit.Actor.of(person), subject=f"Replay {row.pk}", name=row.name, of=subject, since=since.isoformat(),
        until=until.isoformat(),
    )
    queue.wake("replay")
    return row


@transaction.atomic
def cancel(replay: Replay, *, person: Person) -> bool:
    """Call a replay off; what was counted so far stays. False when it had ended already."""
    now = clock.now()
    called_off = Replay.objects.filter(pk=replay.pk, state__in=OPEN).update(
        state=ReplayState.CANCELLED, finished_at=now, next_try_at=None, lease_until=None
    )
    if called_off:
        audit.record("replay.cancelled", actor=audit.Actor.of(person), subject=f"Replay {replay.pk}", name=replay.name)
        replay.refresh_from_db()
    return bool(called_off)


def wanted_of(rule: RoutingRule) -> dict[str, Any]:
    """Return a rule's fields as a replay keeps them: JSON, other rows by their names."""
    plain = {name: getattr(rule, name) for name in _PLAIN}
    return plain | {name: getattr(row, "name", None) for name in _NAMED for row in (getattr(rule, name),)}


def wanted_of_trigger(trigger: Trigger) -> dict[str, Any]:
    """Return a trigger's fields as a replay keeps them."""
    return {
        "name": trigger.name, "enabled": trigger.enabled, "settings": trigger.settings, "role": trigger.role.name,
        "policy": trigger.policy.name if trigger.policy else None,
    }


def rule_of(wanted: dict[str, Any]) -> tuple[RoutingRule, Condition | None]:
    """Return the unsaved rule that these fields make, and its condition, None for an archived one. Raises Invalid. Up to four queries."""
    rule = RoutingRule(**{name: wanted[name] for name in _PLAIN if wanted.get(name) is not None})
    for name, model in _NAMED.items():
        if said := wanted.get(name):
            setattr(rule, name, _row(model, name, said))
    if rule.state == RuleState.ARCHIVED:
        return rule, None
    auto = rule.floor == Floor.AUTO
    marked = Source.objects.exclude(authoritative_paths=[]).values_list("authoritative_paths", flat=True) if auto else ()
    try:
        condition = compile_condition(rule.condition, auto=auto, authoritative=frozenset(path for some in marked for path in some))
    except Invalid as refused:
        said = refused.errors[0] if refused.errors else {}
        raise Invalid([_problem("condition", said.get("code", "condition"), said.get("detail") or refused.detail)]) from None
    return rule, condition


def trigger_of(wanted: dict[str, Any]) -> Trigger:
    """Return the unsaved trigger that these fields make. Raises Invalid. Up to three queries."""
    saved = Trigger.objects.select_related("role", "policy").filter(name=wanted.get("name", "")).first()
    if saved is None:
        raise Invalid([_problem("name", "unknown", "There is no trigger of that name.")])
    trigger = Trigger(
        name=saved.name, description=saved.description, enabled=wanted.get("enabled", saved.enabled),
        settings=wanted.get("settings", saved.settings), role=saved.role, policy=saved.policy,
    )
    if "role" in wanted:
        trigger.role = _row(Role, "role", wanted["role"])
    if "policy" in wanted:
        trigger.policy = _row(EscalationPolicy, "policy", wanted["policy"]) if wanted["policy"] else None
    policies.check_trigger(trigger)
    return trigger


def _row(model: Any, field: str, name: str) -> Any:
    row = model.objects.filter(name=name).first()
    if row is None:
        raise Invalid([_problem(field, "unknown", f"There is no {field} called {name} any more.")])
    return row


def _problem(field: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": f"/{field}" if field else "", "code": code, "detail": detail}
