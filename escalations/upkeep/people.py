"""Is there somebody? Roles and policies without people, roles nobody can be told about, what waits for a second administrator."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from escalations.models import Change, EscalationPolicy, Person, Role
from escalations.models.people import MANAGER, QUEUE_MANAGER

from .finding import Finding, found, named
from .world import World

WAITS_LONG = timedelta(days=7)
MUTED_LONG = timedelta(days=7)


def roles(world: World) -> Iterator[Finding]:
    """Roles that are asked, and in which nobody is, everybody is away, or nobody can be told."""
    for pk, asking in world.asked_by.items():
        role, members = world.roles[pk], world.members.get(pk, [])
        by = f"It is asked by {named(asking)}."
        if not members:
            yield found(
                "role without people", f"Nobody active belongs to “{role.name}”. {by} What comes there climbs at once.",
                "Give somebody this role, or let another role be asked.", role, grave=True,
            )
        elif all(person.pk in world.away for person in members):
            yield found(
                "role away", f"Everybody in “{role.name}” is away now. {by} What comes there climbs at once.",
                "Give somebody else this role, or end an absence.", role,
            )
        if members and not world.reaches(role):
            yield found(
                "role nobody can be told about",
                f"No member of “{role.name}” has an e-mail address or a channel, and the role has neither mailbox nor channel. {by}",
                "Give a member an address, or the role a mailbox or a channel.", role, grave=True,
            )


def the_last_resort(world: World) -> Iterator[Finding]:
    """What everything falls back to: the two roles the machine itself asks, and the default policy."""
    names = {role.name: role for role in world.roles.values()}
    for name in (MANAGER, QUEUE_MANAGER):
        if name not in names:
            yield found(
                "role missing", f"There is no role “{name}”; without it nothing can be routed.", "Run manage.py setup again.", Role,
                grave=True,
            )
    if MANAGER in names and not (names[MANAGER].decides_everything and names[MANAGER].sees_everything):
        yield found(
            "manager cannot decide", "Managers may not decide everything, and late work climbs to them.",
            "Let the role see and decide everything.", names[MANAGER], grave=True,
        )
    if not any(policy.is_default for policy in world.policies):
        yield found(
            "no default policy", "No escalation policy is the default; without one nothing can be routed.",
            "Make one policy the default.", EscalationPolicy, grave=True,
        )


def policies(world: World) -> Iterator[Finding]:
    """Policies whose steps ask nobody, whose signatures nobody can give, or that nothing goes by."""
    managers = {
        person.pk for pk, role in world.roles.items() if role.decides_everything for person in world.members.get(pk, ())
    }
    for policy in world.policies:
        steps = list(policy.steps.all())
        empty = sorted({world.roles[step.role_id].name for step in steps if not world.members.get(step.role_id)})
        if policy.pk not in world.in_use:
            yield found(
                "policy unused", f"Policy “{policy.name}” is not the default, and no live rule and no trigger names it.",
                "Name it somewhere, or archive it.", policy,
            )
            continue
        if empty:
            yield found(
                "policy without people", f"Policy “{policy.name}” asks {named(empty)}, where nobody active is.",
                "Give somebody the role, or ask another one.", policy, grave=True,
            )
        if not steps and policy.fallback == "park":
            yield found(
                "policy without an end", f"Policy “{policy.name}” has no steps and parks what nobody answers: nobody else ever looks.",
                "Add a step, or let it reject.", policy, grave=True,
            )
        short = sorted({
            world.roles[step.role_id].name for step in steps
            if len({one.pk for one in world.members.get(step.role_id, ())} | managers) < policy.quorum
        })  # fmt: skip
        if policy.quorum > 1 and (short or len(managers | _everybody(world)) < policy.quorum):
            yield found(
                "quorum nobody can reach",
                f"Policy “{policy.name}” wants {policy.quorum} signatures, and fewer people may sign"
                + (f" for {named(short)}." if short else "."),
                "Give more people the role, or ask for fewer signatures.", policy, grave=True,
            )
        if policy.fallback == "approve" and policy.approve_confirmed_by_id is None:
            yield found(
                "yes without anybody unconfirmed",
                f"Policy “{policy.name}” says approve when nobody answers, and no second administrator confirmed that: it rejects.",
                "Let a second administrator confirm it, or say reject.", policy,
            )
        if policy.chat_up_to and not any(source.may_chat for source in world.sources):
            yield found(
                "chat for no source", f"Policy “{policy.name}” lets a button in a chat decide, and no source allows that.",
                "Allow it for a source, or take it from the policy.", policy,
            )


def _everybody(world: World) -> set[int]:
    return {person.pk for members in world.members.values() for person in members}


def second_administrators(world: World) -> Iterator[Finding]:
    """Changes that wait long, and nobody who could confirm one."""
    for change in world.changes:
        if change.asked_at < world.now - WAITS_LONG:
            days = (world.now - change.asked_at).days
            yield found(
                "change waits long", f"A change of “{change.name}”, asked by {change.asked_by.name}, has waited {days} days.",
                "Confirm it, refuse it, or take it back.", change,
            )
    if world.administrators < 2:
        yield found(
            "no second administrator", "There is one administrator. What lowers a floor or weakens a trigger can never be confirmed.",
            "Make somebody else an administrator too.", Change if world.changes else Person, grave=bool(world.changes),
        )


def telling(world: World) -> Iterator[Finding]:
    """Ways of reaching people that reach nobody."""
    for channel in world.channels:
        whose = channel.role.name if channel.role else channel.person.name
        if channel.failing_since is not None:
            since = channel.failing_since.strftime("%Y-%m-%d %H:%M")
            yield found(
                "channel fails", f"{channel.label}, for {whose}, has failed since {since} UTC: {channel.last_error or 'no reason given'}",
                "Look at its address and at what it answers.", channel, grave=True,
            )
        if channel.person is not None and not channel.person.is_active:
            yield found(
                "channel of nobody", f"{channel.label} belongs to {whose}, who is deactivated.", "Switch it off.", channel
            )
        if channel.kind == "slack" and not world.workspaces:
            yield found(
                "channel without a workspace", f"{channel.label}, for {whose}, is a Slack channel, and no Slack workspace is set up.",
                "Set up the workspace, or switch the channel off.", channel, grave=True,
            )
    for workspace in world.workspaces:
        if workspace.failing_since is not None:
            since = workspace.failing_since.strftime("%Y-%m-%d %H:%M")
            yield found(
                "Slack fails", f"Slack workspace “{workspace.name}” has failed since {since} UTC: {workspace.last_error}",
                "Look at its token and at what Slack answers.", workspace, grave=True,
            )
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        yield found(
            "no mail server", "No mail server is set: messages to people are written to the console, and reach nobody.",
            "Set EMAIL_URL.",
        )
    for mute in world.mutes:
        if mute.until - mute.since > MUTED_LONG:
            yield found(
                "silence is long", f"The maintenance window “{mute.name}” holds notices back until {mute.until:%Y-%m-%d %H:%M} UTC.",
                "End it, if the maintenance is over.", mute,
            )
    for absence in world.absences:
        deputy = absence.deputy
        if deputy is not None and (not deputy.is_active or deputy.pk in world.away):
            yield found(
                "deputy is away too", f"{absence.person.name} is away, and so is their deputy {deputy.name}.",
                "Name another deputy.", absence,
            )
