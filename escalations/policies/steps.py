"""Escalation policies: who is asked next and when, and what happens when nobody answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from escalations import audit, clock, worktime
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, OwnRequest
from escalations.floors.text import has_hidden
from escalations.models import Change, EscalationPolicy, EscalationStep, Person, Role, RoutingRule, Trigger
from escalations.states import Fallback, Risk, RuleState

from . import puppets
from .asked_less import effective_fallback
from .asking import ask, base_of, needs_asking, one_at_a_time, outdate, said_of
from .changes import HIDDEN, changes, problem, put_away, readable, stored, subject_of
from .lowering import lowers
from .versions import values_of

FIELDS = (
    "name", "description", "expires_after", "fallback", "valid_for", "undo_seconds", "quorum", "calendar", "chat_up_to", "is_default",
)
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=90)
LONGEST_ON_THE_WALL = timedelta(days=366)  # what a policy's working time may take in a calendar
MOST_SIGNATURES = 5
LONGEST_UNDO = 300  # seconds; the caller waits that much longer for every answer
MOST_STEPS = 20  # repeats written out


@dataclass(frozen=True)
class Step:
    """`after` the previous step, ask `role`; `repeat` times more at the same distance."""

    role: Role
    after: timedelta
    repeat: int = 0

    def said(self) -> dict[str, object]:
        return {"role": self.role.name, "after": self.after.total_seconds(), "repeat": self.repeat}


def check_policy(policy: EscalationPolicy, steps: Sequence[Step]) -> None:
    """Raise Invalid with a pointer per field if this policy may not be saved with these steps."""
    errors = []
    if EscalationPolicy.objects.filter(name__iexact=policy.name.strip()).exclude(pk=policy.pk).exists():
        errors.append(problem("name", "taken", "Another policy has this name."))
    if has_hidden(policy.name):
        errors.append(problem("name", "hidden", HIDDEN))
    for field in ("expires_after", "valid_for"):
        if not SHORTEST <= getattr(policy, field) <= LONGEST:
            errors.append(problem(field, "out_of_range", "Between one minute and 90 days."))
    if not 0 <= (policy.undo_seconds or 0) <= LONGEST_UNDO:
        errors.append(problem("undo_seconds", "out_of_range", f"Between 0 and {LONGEST_UNDO} seconds; 0 settles at once."))
    if not 1 <= (policy.quorum or 0) <= MOST_SIGNATURES:
        errors.append(problem("quorum", "out_of_range", f"Between one and {MOST_SIGNATURES} people."))
    if policy.chat_up_to not in ("", Risk.LOW, Risk.MEDIUM, Risk.HIGH):
        errors.append(problem("chat_up_to", "unknown", "Low, medium or high, or none."))
    if policy.calendar is not None:
        errors += _calendar_problems(policy)
    if any(not SHORTEST <= step.after <= LONGEST for step in steps):
        errors.append(problem("steps", "out_of_range", "A step waits between one minute and 90 days."))
    elif sum(1 + step.repeat for step in steps) > MOST_STEPS:
        errors.append(problem("steps", "too_many", f"At most {MOST_STEPS} steps, repeats included."))
    elif sum(((1 + step.repeat) * step.after for step in steps), timedelta()) >= policy.expires_after:
        errors.append(problem("expires_after", "too_short", "The last step would come when it has already expired."))
    if policy.fallback == Fallback.APPROVE and not steps:
        errors.append(problem("fallback", "needs_steps", "A yes without anybody needs steps that were waited out first."))
    if policy.archived_at and policy.is_default:
        errors.append(problem("is_default", "archived", "An archived policy cannot be the default."))
    if not policy.is_default and EscalationPolicy.objects.filter(pk=policy.pk, is_default=True).exists():
        errors.append(problem("is_default", "needed", "Make another policy the default instead; there is always one."))
    if errors:
        raise Invalid(errors)


def _calendar_problems(policy: EscalationPolicy) -> list[dict[str, str]]:
    """Say what keeps a policy from going by its calendar. One query."""
    calendar, now = policy.calendar, clock.now()
    if calendar.archived_at:
        return [problem("calendar", "archived", "That calendar is archived; choose another.")]
    frozen = calendar.frozen(now)
    if why := worktime.why_unusable(frozen):
        return [problem("calendar", "unusable", why)]
    wanted = policy.expires_after.total_seconds()
    if wanted <= LONGEST.total_seconds() and worktime.between(frozen, now, now + LONGEST_ON_THE_WALL) < wanted:
        return [problem("expires_after", "too_long", "In the working hours of that calendar this would take more than a year.")]
    return []


@transaction.atomic
def save_policy(
    policy: EscalationPolicy, *, steps: Sequence[Step], actor: audit.Actor, person: Person | None = None, why: str = ""
) -> EscalationPolicy | Change:
    """Save a policy and its steps, in the order given; or ask for it, where it would ask less of people than what holds now.

    Nothing of such an edit is saved (`lowers`: fewer signatures, chats that decide more, for what goes by it): the Change that waits
    for a second administrator is returned. A policy that is new is saved without being the default then.
    A fallback `approve` needs `person`, who then has asked for it; it counts as `reject` until another administrator confirms
    exactly this version (`confirm_approve`). Every later edit takes the confirmation away again.
    """
    one_at_a_time()
    old = stored(policy)
    policy.name = policy.name.strip()
    check_policy(policy, steps)
    reasons = lowers(old, policy)
    if not needs_asking(reasons, actor=actor, person=person) or person is None:
        return write_policy(policy, old, steps=steps, actor=actor, wanted_by=person, why=why)
    wanted = wanted_of(policy, steps)
    if old is None:
        policy.is_default = False
        write_policy(policy, None, steps=steps, actor=actor, wanted_by=person, why=why)
        old = policy
    return ask(old, wanted=wanted, base=base_of(old, FIELDS), lowers=reasons, person=person, why=why)


def wanted_of(policy: EscalationPolicy, steps: Sequence[Step]) -> dict[str, Any]:
    """Return a policy with its steps as JSON, as a Change keeps it."""
    return values_of(policy, FIELDS) | {"steps": [step.said() for step in steps]}


def steps_wanted(wanted: dict[str, Any]) -> list[Step]:
    """Return the steps that `wanted_of` wrote. One query. Raises Invalid where a role is gone."""
    roles = {role.name: role for role in Role.objects.filter(name__in=[step["role"] for step in wanted["steps"]])}
    if gone := sorted({step["role"] for step in wanted["steps"]} - set(roles)):
        raise Invalid([problem("steps", "gone", f"“{name}” is not there any more.") for name in gone])
    return [Step(roles[step["role"]], timedelta(seconds=step["after"]), step["repeat"]) for step in wanted["steps"]]


def write_policy(
    policy: EscalationPolicy, old: EscalationPolicy | None, *, steps: Sequence[Step], actor: audit.Actor,
    wanted_by: Person | None = None, why: str = "", asked_by: audit.Actor | None = None,
) -> EscalationPolicy:
    """Write a checked policy, its steps and the entry; nothing when nothing changed. `old` is as stored, and locked."""
    changed = changes(old, policy, FIELDS)
    before = steps_of(policy) if old is not None else []
    if [step.said() for step in before] != [step.said() for step in steps]:
        changed["steps"] = {"old": [step.said() for step in before], "new": [step.said() for step in steps]}
    if old is not None and not changed:
        return policy
    policy.approve_confirmed_by = None
    policy.approve_asked_by = None
    if policy.fallback == Fallback.APPROVE:
        if wanted_by is None:
            raise Invalid([problem("fallback", "needs_a_person", "Only an administrator may ask for a yes without anybody.")])
        policy.approve_asked_by = wanted_by
    if old is not None:
        policy.version = old.version + 1
    if policy.is_default:
        _take_default_from_others(policy, actor)
    policy.save()
    outdate(policy, actor=actor)
    policy.steps.all().delete()
    EscalationStep.objects.bulk_create(
        EscalationStep(policy=policy, position=position, role=step.role, after=step.after, repeat=step.repeat)
        for position, step in enumerate(steps, start=1)
    )
    audit.record(
        "policy.saved", actor=actor, subject=subject_of(policy), name=policy.name, version=policy.version, changed=changed,
        effective_fallback=str(effective_fallback(policy)), **said_of(why, asked_by),
    )
    return policy


def steps_of(policy: EscalationPolicy) -> list[Step]:
    """Return a policy's steps in their order. One query."""
    return [Step(step.role, step.after, step.repeat) for step in policy.steps.select_related("role").order_by("position")]


def _take_default_from_others(policy: EscalationPolicy, actor: audit.Actor) -> None:
    for other in EscalationPolicy.objects.select_for_update().filter(is_default=True).exclude(pk=policy.pk):
        other.is_default = False
        other.version += 1
        other.save(update_fields=["is_default", "version"])
        audit.record(
            "policy.saved", actor=actor, subject=subject_of(other), name=other.name, version=other.version,
            changed={"is_default": {"old": True, "new": False}},
        )


@transaction.atomic
def confirm_approve(policy: EscalationPolicy, *, person: Person, version: int) -> EscalationPolicy:
    """Let a second administrator confirm the fallback `approve` of exactly the version they were shown.

    Raises ChangedSinceSeen, IllegalMove (nothing to confirm), NotAllowed (no administrator), OwnRequest (who asked for it).
    """
    one_at_a_time()
    locked = EscalationPolicy.objects.select_for_update(of=("self",)).get(pk=policy.pk)
    if not (person.is_active and person.is_staff):
        raise NotAllowed("Only an administrator may confirm this.")
    if locked.version != version:
        raise ChangedSinceSeen("This policy was edited since you saw it. Read it again before you confirm.")
    if locked.fallback != Fallback.APPROVE or locked.approve_confirmed_by_id is not None:
        raise IllegalMove("There is nothing to confirm: either it is confirmed, or its fallback is no approve.")
    if locked.approve_asked_by_id == person.pk:
        raise OwnRequest("Who asked for a yes without anybody cannot be the one who confirms it.")
    if locked.approve_asked_by and (why := puppets.why_not_two(locked.approve_asked_by, person)):
        raise OwnRequest(why)
    locked.approve_confirmed_by = person
    locked.save(update_fields=["approve_confirmed_by"])
    audit.record(
        "policy.fallback_confirmed", actor=audit.Actor.of(person), subject=subject_of(locked), name=locked.name,
        version=locked.version, asked_by=readable(locked.approve_asked_by),
    )
    return locked


@transaction.atomic
def archive_policy(policy: EscalationPolicy, *, actor: audit.Actor) -> EscalationPolicy:
    """Put a policy away. Refused while it is the default, or a rule or trigger still names it."""
    locked = EscalationPolicy.objects.select_for_update(of=("self",)).get(pk=policy.pk)
    if locked.archived_at:
        return locked
    if locked.is_default:
        raise IllegalMove("The default policy cannot be archived; make another one the default first.")
    rules = list(RoutingRule.objects.filter(policy=locked).exclude(state=RuleState.ARCHIVED).values_list("name", flat=True))
    users = rules + list(Trigger.objects.filter(policy=locked).values_list("name", flat=True))
    if users:
        raise IllegalMove(f"Still named by: {', '.join(users)}.")
    put_away(locked, action="policy.saved", actor=actor)
    return locked
