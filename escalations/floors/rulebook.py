"""What administrators wrote, read once for a batch of judgements."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from escalations import clock, worktime
from escalations.errors import Invalid
from escalations.models import Calendar, Category, EscalationPolicy, Role, RoutingRule, Source, Trigger, roles_with_somebody
from escalations.models.people import MANAGER, QUEUE_MANAGER
from escalations.models.policies import EscalationStep
from escalations.states import ALWAYS_ON, Fallback, Floor, RuleState

from .cel import Condition, Failed, compile_condition


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A live rule with its condition compiled; `condition` is a Failed when it no longer compiles (that fails closed)."""

    rule: RoutingRule
    condition: Condition | Failed

    @classmethod
    def read(cls, rule: RoutingRule, paths: frozenset[str]) -> "LiveRule":
        """Return a rule with its condition as it compiles where these paths are authoritative. No query."""
        try:
            return cls(rule, compile_condition(rule.condition, auto=rule.floor == Floor.AUTO, authoritative=paths))
        except Invalid as error:
            return cls(rule, Failed(error.detail))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Live rules by falling priority, triggers, categories, roles and policies.

    About seven queries to load, two more where a policy has a calendar.
    """

    rules: list[LiveRule]
    triggers: dict[str, Trigger]
    category_roles: dict[str, int]
    roles: dict[int, Role]
    queue_manager: Role
    manager: Role
    policies: dict[int, EscalationPolicy]
    default_policy: EscalationPolicy
    steps: dict[int, list[EscalationStep]] = field(default_factory=dict)
    calendars: dict[int, dict[str, Any]] = field(default_factory=dict)  # as they are frozen onto a proposal
    present: frozenset[int] = frozenset()  # ids of roles in which somebody is there
    shadow: list[LiveRule] = field(default_factory=list)  # evaluated beside the live ones, decide nothing

    @classmethod
    def load(cls) -> "Rulebook":
        """Read everything a judgement needs."""
        paths = marked_paths()
        roles = {role.pk: role for role in Role.objects.all()}
        by_name = {role.name: role for role in roles.values()}
        policies = {policy.pk: policy for policy in EscalationPolicy.objects.prefetch_related("steps").order_by("pk")}
        heard = RoutingRule.objects.filter(state__in=[RuleState.LIVE, RuleState.SHADOW])
        rules = [LiveRule.read(rule, paths) for rule in heard.select_related("category").order_by("-priority", "name")]
        return cls(
            rules=[live for live in rules if live.rule.state == RuleState.LIVE],
            shadow=[live for live in rules if live.rule.state == RuleState.SHADOW],
            triggers={trigger.name: trigger for trigger in Trigger.objects.all()},
            category_roles={name: role for name, role in Category.objects.values_list("name", "role_id") if role},
            roles=roles,
            queue_manager=by_name[QUEUE_MANAGER],
            manager=by_name[MANAGER],
            policies=policies,
            default_policy=next(policy for policy in policies.values() if policy.is_default),
            steps={pk: list(policy.steps.all()) for pk, policy in policies.items()},
            calendars=_calendars(policies.values()),
            present=roles_with_somebody(clock.now()),
        )

    def enabled(self, trigger: str) -> bool:
        """Return whether a trigger counts. What is always on cannot be turned off, and an unknown one counts (fail closed)."""
        row = self.triggers.get(trigger)
        return trigger in ALWAYS_ON or row is None or row.enabled

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return each trigger's settings by its name."""
        return {name: row.settings for name, row in self.triggers.items()}

    def role_of_trigger(self, trigger: str) -> Role:
        """Return the role a trigger points to."""
        row = self.triggers.get(trigger)
        return self.roles[row.role_id] if row else self.queue_manager

    def frozen(self, policy: EscalationPolicy) -> dict[str, Any]:
        """Return the copy of a policy that a proposal keeps: repeats written out, seconds, role ids with their names.

        {"name", "version", "steps": [{"role", "name", "after"}], "expires_after", "fallback", "valid_for",
        "undo_seconds", "quorum", "chat_up_to", "calendar"}. A calendar nobody can go by is left out, and "calendar_failed" says why:
        the clock then runs without standing still (law 6). A fallback of `approve` that no second administrator has confirmed is
        `reject`.
        """
        steps = [
            {"role": step.role_id, "name": self.roles[step.role_id].name, "after": step.after.total_seconds()}
            for step in self.steps[policy.pk]
            for _ in range(step.repeat + 1)
        ]
        fallback = policy.fallback
        if fallback == Fallback.APPROVE and policy.approve_confirmed_by_id is None:
            fallback = Fallback.REJECT
        return {
            "name": policy.name,
            "version": policy.version,
            "steps": steps,
            "expires_after": policy.expires_after.total_seconds(),
            "fallback": fallback,
            "valid_for": policy.valid_for.total_seconds(),
            "undo_seconds": policy.undo_seconds,
            "quorum": policy.quorum,
            "chat_up_to": policy.chat_up_to,
            **self._calendar_of(policy),
        }

    def _calendar_of(self, policy: EscalationPolicy) -> dict[str, Any]:
        if policy.calendar_id is None:
            return {"calendar": None}
        calendar = self.calendars.get(policy.calendar_id)
        why = worktime.why_unusable(calendar) if calendar else "It is not there any more."
        return {"calendar": None, "calendar_failed": why} if why else {"calendar": calendar}


def marked_paths() -> frozenset[str]:
    """Return every path an administrator marked authoritative for any source. One query."""
    paths = Source.objects.exclude(authoritative_paths=[]).values_list("authoritative_paths", flat=True)
    return frozenset(path for several in paths for path in several)


def _calendars(policies: Iterable[EscalationPolicy]) -> dict[int, dict[str, Any]]:
    """Return the calendars these policies go by. Two queries, none where there is no calendar."""
    wanted = {policy.calendar_id for policy in policies if policy.calendar_id}
    if not wanted:
        return {}
    now = clock.now()
    return {one.pk: one.frozen(now) for one in Calendar.objects.filter(pk__in=wanted).prefetch_related("holidays")}
