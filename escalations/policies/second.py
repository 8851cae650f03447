"""The second administrator: what would let the machine do more, or look at less, is asked by one and confirmed by another.

Everything is checked again when it is confirmed. Who asked cannot confirm, nor can the owner of the source it is about; what was
asked of something that has moved since is outdated and never comes to hold.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from escalations import audit
from escalations.errors import AlreadySettled, ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, OwnRequest
from escalations.models import Change, EscalationPolicy, Person, RoutingRule, Source, Trigger
from escalations.states import ChangeState

from . import puppets, rules, sources, steps
from .asking import TRIGGER_FIELDS, base_of, one_at_a_time, seconds, settle, waiting
from .changes import problem, stored
from .lowering import lowers
from .versions import RULE_FIELDS, Difference, differences, put, values_of

__all__ = [
    "Asked", "asked", "confirm_change", "lowers", "may_confirm", "nobody_can", "refuse_change", "waiting", "waiting_changes", "withdraw_change",
]

MODELS: dict[str, tuple[type[models.Model], tuple[str, ...]]] = {
    "rule": (RoutingRule, RULE_FIELDS), "trigger": (Trigger, TRIGGER_FIELDS), "source": (Source, sources.FIELDS),
    "policy": (EscalationPolicy, steps.FIELDS),
}

Row = RoutingRule | Trigger | Source | EscalationPolicy


@dataclass(frozen=True, slots=True)
class Asked:
    """A change beside what it was asked of: `row` as it is now, `wanted` as it would be (unsaved; None where a name in it is gone),
    and what would differ, in words. `moved`: nobody can confirm it."""

    change: Change
    row: Any
    wanted: Any
    differences: list[Difference]
    moved: bool


def waiting_changes() -> models.QuerySet[Change]:
    """Return what waits for a second administrator, oldest first."""
    return Change.objects.filter(state=ChangeState.WAITING).select_related("asked_by").order_by("asked_at", "pk")


def asked(change: Change) -> Asked:
    """Return what a change would do to its row as that is now. About six queries."""
    row, fields = _row(change)
    wanted: Any = _row(change)[0]
    try:
        put(wanted, {field: value for field, value in change.wanted.items() if field in fields})
    except Invalid:
        wanted = None
    now = values_of(row, fields)
    then = {field: change.wanted.get(field) for field in fields}
    if isinstance(row, EscalationPolicy):
        now, then["steps"] = steps.wanted_of(row, steps.steps_of(row)), change.wanted["steps"]
    return Asked(
        change, row, wanted, differences(now, then),
        moved=change.state == ChangeState.WAITING and base_of(row, fields) != change.base,
    )


def _row(change: Change) -> tuple[Any, tuple[str, ...]]:
    model, fields = MODELS[change.kind]
    return model._default_manager.get(pk=change.subject.removeprefix(f"{model._meta.object_name} ")), fields


def may_confirm(change: Change, person: Person, row: Any = None) -> str:
    """Return why this person may not be the second administrator, in words; "" when they may. Up to three queries, more where one
    of the two was made by somebody lately."""
    if not (person.is_active and person.is_staff):
        return "Only an administrator may confirm this."
    if change.asked_by_id == person.pk:
        return "Who asked for it cannot be the one who confirms it."
    if change.kind == "source":
        row = row or _row(change)[0]
        if row.owner_id == person.pk or change.wanted.get("owner") == person.username:
            return "Who answers for a source cannot say how much it is believed."
    return puppets.why_not_two(change.asked_by, person)


def shown_of(change: Change) -> str:
    """Return what a change is known by on the page it is confirmed from: what it was asked of, and what it was said to lower."""
    said = hashlib.sha256(json.dumps(change.lowers).encode()).hexdigest()
    return f"{change.base} {said[:16]}"


def nobody_can(change: Change) -> bool:
    """Return whether there is no administrator who could confirm this. Two queries."""
    return not seconds(change, _row(change)[0])


def confirm_change(change: Change, *, person: Person, seen: str | None = None) -> Row:
    """Let a second administrator say yes: what was asked holds from now on. Returns the row as saved.

    `seen` is what was shown, as `shown_of` says it. Raises NotAllowed, OwnRequest, AlreadySettled (somebody was faster),
    ChangedSinceSeen (what it was asked of moved: it is outdated then; or it would do more by now than was told: it goes on waiting),
    Invalid (it is no longer possible; it goes on waiting).
    """
    with transaction.atomic():
        row = _confirmed(change, person, seen)
    if isinstance(row, str):  # said after the commit: what became of the question has to stay
        raise ChangedSinceSeen(row)
    return row


def _confirmed(change: Change, person: Person, seen: str | None) -> Row | str:
    one_at_a_time()
    locked = _still_waiting(change)
    if not (person.is_active and person.is_staff):
        raise NotAllowed("Only an administrator may confirm this.")
    model, fields = MODELS[locked.kind]
    row, _ = _row(locked)
    if why := may_confirm(locked, person, row):
        raise OwnRequest(why)
    if not (locked.asked_by.is_active and locked.asked_by.is_staff):
        raise IllegalMove(f"{locked.asked_by} is no administrator any more. Refuse it, and ask for it yourself.")
    old = stored(row)
    actor, asker = audit.Actor.of(person), audit.Actor.of(locked.asked_by)
    if base_of(old, fields) != locked.base:
        settle(locked, ChangeState.OUTDATED, said="What it was asked of was changed meanwhile.", by=None)
        audit.record("change.outdated", actor=actor, subject=locked.subject, name=locked.name, change=locked.pk, said=locked.said)
        return "What this was asked of was changed meanwhile, so it is outdated. Ask for it again."
    if seen is not None and seen != shown_of(locked):
        raise ChangedSinceSeen("This changed since you saw it. Read it again before you confirm.")
    put(row, {field: value for field, value in locked.wanted.items() if field in fields})
    reasons = lowers(old, row)
    if set(reasons) - set(locked.lowers):  # a policy it names may have been edited, or another may have its name now
        locked.lowers = reasons
        locked.save(update_fields=["lowers"])
        return "By now it would do more than what you were told. Read it again before you confirm."
    settle(locked, ChangeState.CONFIRMED, said="", by=person)
    audit.record(
        "change.confirmed", actor=actor, subject=locked.subject, name=locked.name, change=locked.pk, asked_by=asker.id, lowers=reasons,
    )
    if isinstance(row, RoutingRule):
        rules.check_rule(row)
        return rules.write_rule(row, old, actor=actor, why=locked.why, asked_by=asker)
    if isinstance(row, Trigger):
        rules.check_trigger(row)
        return rules.write_trigger(row, old, actor=actor, why=locked.why, asked_by=asker)
    if isinstance(row, EscalationPolicy):
        written = steps.steps_wanted(locked.wanted)
        steps.check_policy(row, written)
        return steps.write_policy(row, old, steps=written, actor=actor, wanted_by=locked.asked_by, why=locked.why, asked_by=asker)
    sources.check_source(row)
    return sources.write_source(row, old, actor=actor, why=locked.why, asked_by=asker)


@transaction.atomic
def refuse_change(change: Change, *, person: Person, why: str) -> Change:
    """Let an administrator say no, with a reason. Raises Invalid (no reason), NotAllowed, OwnRequest, AlreadySettled."""
    one_at_a_time()
    locked = _still_waiting(change)
    if not why.strip():
        raise Invalid([problem("why", "required", "Say why: whoever asked will read it.")])
    if not (person.is_active and person.is_staff):
        raise NotAllowed("Only an administrator may refuse this.")
    if locked.asked_by_id == person.pk:
        raise OwnRequest("Who asked for it withdraws it.")
    settle(locked, ChangeState.REFUSED, said=why.strip()[:2000], by=person)
    audit.record(
        "change.refused", actor=audit.Actor.of(person), subject=locked.subject, name=locked.name, change=locked.pk,
        asked_by=locked.asked_by.username, why=locked.said[:500],
    )
    return locked


@transaction.atomic
def withdraw_change(change: Change, *, person: Person) -> Change:
    """Let who asked take it back. Raises NotAllowed (somebody else), AlreadySettled."""
    one_at_a_time()
    locked = _still_waiting(change)
    if locked.asked_by_id != person.pk:
        raise NotAllowed("Only who asked for it may withdraw it. You may refuse it.")
    settle(locked, ChangeState.WITHDRAWN, said="", by=person)
    audit.record("change.withdrawn", actor=audit.Actor.of(person), subject=locked.subject, name=locked.name, change=locked.pk, said="")
    return locked


def _still_waiting(change: Change) -> Change:
    locked = Change.objects.select_for_update(of=("self",)).select_related("asked_by").get(pk=change.pk)
    if locked.state != ChangeState.WAITING:
        raise AlreadySettled(f"This was already {locked.get_state_display().lower()}.")
    return locked
