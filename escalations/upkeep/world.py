"""What was configured, read once: the checks look at this and ask the database nothing."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from escalations import clock
from escalations.models import (
    Absence,
    ApiKey,
    Calendar,
    Category,
    Change,
    Channel,
    EscalationPolicy,
    LaneGrant,
    MuteWindow,
    Person,
    Role,
    RoutingRule,
    SlackWorkspace,
    Source,
    Stop,
    Trigger,
)
from escalations.models.people import MANAGER, QUEUE_MANAGER
from escalations.states import ChangeState, RuleState

MOST = 2_000  # rows of a kind; a company that has more hears of the first


@dataclass(frozen=True)
class World:
    """Rows by kind, and who belongs where. `members` are the active people of a role, `present` those who are not away now."""

    now: datetime
    roles: dict[int, Role]
    members: dict[int, list[Person]]
    away: frozenset[int]
    policies: list[EscalationPolicy]
    rules: list[RoutingRule]
    triggers: dict[str, Trigger]
    categories: list[Category]
    sources: list[Source]
    keys: dict[int, list[ApiKey]]
    calendars: list[Calendar]
    channels: list[Channel]
    workspaces: list[SlackWorkspace]
    changes: list[Change]
    administrators: int
    stop: Stop | None
    mutes: list[MuteWindow]
    absences: list[Absence]
    grants: list[LaneGrant]

    @classmethod
    def read(cls) -> "World":
        """Read it. Twenty queries, whatever there is of it; each bounded."""
        now = clock.now()
        absences = list(Absence.objects.filter(since__lte=now, until__gt=now).select_related("person", "deputy")[:MOST])
        return cls(
            now=now,
            roles={role.pk: role for role in Role.objects.order_by("name")[:MOST]},
            members=_members(),
            away=frozenset(absence.person_id for absence in absences),
            policies=list(
                EscalationPolicy.objects.filter(archived_at=None).select_related("calendar").prefetch_related("steps")
                .order_by("name")[:MOST]
            ),
            rules=list(RoutingRule.objects.exclude(state=RuleState.ARCHIVED).order_by("-priority", "name")[:MOST]),
            triggers={trigger.name: trigger for trigger in Trigger.objects.all()},
            categories=list(Category.objects.order_by("name")[:MOST]),
            sources=list(Source.objects.filter(disabled_at=None).select_related("owner").order_by("name")[:MOST]),
            keys=_keys(),
            calendars=list(Calendar.objects.filter(archived_at=None).prefetch_related("holidays").order_by("name")[:MOST]),
            channels=list(Channel.objects.filter(disabled_at=None).select_related("person", "role").order_by("pk")[:MOST]),
            workspaces=list(SlackWorkspace.objects.filter(disabled_at=None).order_by("pk")[:MOST]),
            changes=list(Change.objects.filter(state=ChangeState.WAITING).select_related("asked_by").order_by("asked_at")[:MOST]),
            administrators=Person.objects.filter(is_staff=True, is_active=True).count(),
            stop=Stop.objects.filter(released_at=None).first(),
            mutes=list(MuteWindow.objects.filter(since__lte=now, until__gt=now).order_by("pk")[:MOST]),
            absences=absences,
            grants=list(LaneGrant.objects.filter(ended_at=None).select_related("lane__source").order_by("pk")[:MOST]),
        )

    @cached_property
    def live(self) -> list[RoutingRule]:
        return [rule for rule in self.rules if rule.state == RuleState.LIVE]

    @cached_property
    def in_use(self) -> dict[int, list[str]]:
        """Return what names each policy: "the default", rules that are live or in shadow, triggers that are on."""
        users: dict[int, list[str]] = defaultdict(list)
        for policy in self.policies:
            if policy.is_default:
                users[policy.pk].append("it is the default")
        for rule in self.rules:
            if rule.policy_id and rule.state in (RuleState.LIVE, RuleState.SHADOW):
                users[rule.policy_id].append(f"rule “{rule.name}”")
        for trigger in self.triggers.values():
            if trigger.policy_id and trigger.enabled:
                users[trigger.policy_id].append(f"trigger {trigger.name}")
        return users

    @cached_property
    def asked_by(self) -> dict[int, list[str]]:
        """Return what asks each role, in words, the most specific first."""
        asking: dict[int, list[str]] = defaultdict(list)
        for rule in self.live:
            if rule.role_id:
                asking[rule.role_id].append(f"rule “{rule.name}”")
        for trigger in self.triggers.values():
            if trigger.enabled:
                asking[trigger.role_id].append(f"trigger {trigger.name}")
        for category in self.categories:
            if category.role_id:
                asking[category.role_id].append(f"category {category.name}")
        for policy in self.policies:
            if policy.pk in self.in_use:
                for number, step in enumerate(policy.steps.all(), start=1):
                    asking[step.role_id].append(f"step {number} of policy “{policy.name}”")
        for role in self.roles.values():
            if role.name in (MANAGER, QUEUE_MANAGER):
                asking[role.pk].append("whatever nobody else is asked for" if role.name == QUEUE_MANAGER else "work that is late")
        return asking

    def can_be_told(self, person: Person) -> bool:
        """Return whether a message reaches this person at all."""
        return bool(person.email) or any(channel.person_id == person.pk for channel in self.channels)

    def reaches(self, role: Role) -> bool:
        """Return whether new work of this role is told to anybody: a member, its mailbox, or a channel of its own."""
        return (
            bool(role.notify_email)
            or any(channel.role_id == role.pk for channel in self.channels)
            or any(self.can_be_told(person) for person in self.members.get(role.pk, ()))
        )

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)


def _members() -> dict[int, list[Person]]:
    found: dict[int, list[Person]] = defaultdict(list)
    people = Person.objects.filter(is_active=True).prefetch_related("groups").order_by("pk")[: 10 * MOST]
    for person in people:
        for group in person.groups.all():
            found[group.pk].append(person)
    return found


def _keys() -> dict[int, list[ApiKey]]:
    found: dict[int, list[ApiKey]] = defaultdict(list)
    for key in ApiKey.objects.alive().order_by("pk")[:MOST]:
        found[key.source_id].append(key)
    return found
