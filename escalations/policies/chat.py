"""Slack workspaces, who a Slack user is here, and which of their channels a role is told in. For administrators of people alone:
whoever knows a workspace's signing secret can press a button as anybody who is linked there."""

import json
import re
from typing import Any

from django.db import transaction

from escalations import audit, clock, outbox, vault
from escalations.errors import IllegalMove, Invalid
from escalations.models import Channel, Person, Role, SlackAccount, SlackWorkspace
from escalations.senders import SendFailed, slack

from .changes import changes, problem, stored, subject_of

WORKSPACE_FIELDS = ("name", "team_id")
TEAM = re.compile(r"[TE][A-Z0-9]{2,19}")
USER = re.compile(r"[UW][A-Z0-9]{2,19}")
CHANNEL = re.compile(r"[CGDUW][A-Z0-9]{2,19}")
SIGNING_SECRET = re.compile(r"[0-9a-f]{32}")
BOT_TOKEN = re.compile(r"xoxb-[A-Za-z0-9-]{10,200}")


def check_workspace(workspace: SlackWorkspace, *, signing_secret: str = "", bot_token: str = "") -> None:
    """Raise Invalid if this workspace may not be saved. Secrets are needed once; empty, they stay as they are. Up to two queries."""
    errors = []
    others = SlackWorkspace.objects.exclude(pk=workspace.pk)
    if not TEAM.fullmatch(workspace.team_id):
        errors.append(problem("team_id", "invalid", "A workspace's id begins with T: T024BE7LD."))
    elif others.filter(team_id=workspace.team_id).exists():
        errors.append(problem("team_id", "taken", "This workspace is connected already."))
    elif workspace.pk and others.model.objects.filter(pk=workspace.pk).exclude(team_id=workspace.team_id).exists():
        errors.append(problem("team_id", "fixed", "Accounts are linked in this workspace; connect another one instead."))
    if others.filter(name__iexact=workspace.name).exists():
        errors.append(problem("name", "taken", "Another workspace has this name."))
    if signing_secret and not SIGNING_SECRET.fullmatch(signing_secret):
        errors.append(problem("signing_secret", "invalid", "The signing secret is 32 characters of 0 to 9 and a to f."))
    if bot_token and not BOT_TOKEN.fullmatch(bot_token):
        errors.append(problem("bot_token", "invalid", "A bot token begins with xoxb-."))
    if not workspace.pk and not signing_secret:
        errors.append(problem("signing_secret", "required", "Without it nobody can tell Slack's requests from anybody's."))
    if not workspace.pk and not bot_token:
        errors.append(problem("bot_token", "required", "Without it nothing can be posted."))
    if errors:
        raise Invalid(errors)


@transaction.atomic
def save_workspace(
    workspace: SlackWorkspace, *, actor: audit.Actor, signing_secret: str = "", bot_token: str = ""
) -> SlackWorkspace:
    """Save a workspace. New secrets are sealed; the entry says that they changed and nothing of them. Raises Invalid."""
    old = stored(workspace)
    check_workspace(workspace, signing_secret=signing_secret, bot_token=bot_token)
    changed = changes(old, workspace, WORKSPACE_FIELDS)
    if signing_secret:
        workspace.sealed_signing_secret = vault.seal(signing_secret.encode())
        changed["signing_secret"] = {"old": None, "new": "changed"}
    if bot_token:
        workspace.sealed_bot_token = vault.seal(bot_token.encode())
        changed["bot_token"] = {"old": None, "new": "changed"}
    if changed:
        workspace.save()
        audit.record("chat.saved", actor=actor, subject=subject_of(workspace), name=workspace.name, changed=changed)
    return workspace


@transaction.atomic
def disable_workspace(workspace: SlackWorkspace, *, actor: audit.Actor) -> None:
    """Take no press from this workspace and post nothing there, from now on. Links and channels stay."""
    _turn(workspace, actor, off=True)


@transaction.atomic
def enable_workspace(workspace: SlackWorkspace, *, actor: audit.Actor) -> None:
    """Take presses and post again."""
    _turn(workspace, actor, off=False)


def _turn(workspace: SlackWorkspace, actor: audit.Actor, *, off: bool) -> None:
    locked = SlackWorkspace.objects.select_for_update(of=("self",)).get(pk=workspace.pk)
    if (locked.disabled_at is not None) == off:
        return
    locked.disabled_at = clock.now() if off else None
    locked.save(update_fields=["disabled_at"])
    audit.record(
        "chat.saved", actor=actor, subject=subject_of(locked), name=locked.name,
        changed={"disabled": {"old": not off, "new": off}},
    )
    workspace.disabled_at = locked.disabled_at


@transaction.atomic
def link_account(workspace: SlackWorkspace, *, user_id: str, person: Person, actor: audit.Actor) -> SlackAccount:
    """Say who a Slack user is here: what that user presses, this person has signed. The person is told. Raises Invalid."""
    user_id = user_id.strip()
    if not USER.fullmatch(user_id):
        raise Invalid([problem("user_id", "invalid", "A member's id begins with U or W: U012AB3CD.")])
    if not person.is_active:
        raise Invalid([problem("person", "inactive", "That person is deactivated.")])
    SlackWorkspace.objects.select_for_update(of=("self",)).get(pk=workspace.pk)  # two who link the same user come one after the other
    known = SlackAccount.objects.select_related("person").filter(workspace=workspace, user_id=user_id).first()
    if known is not None:
        raise Invalid([problem("user_id", "taken", f"{user_id} is {known.person.name} here. Unlink that first.")])
    account = SlackAccount.objects.create(workspace=workspace, user_id=user_id, person=person)
    audit.record(
        "chat.linked", actor=actor, subject=subject_of(workspace), name=workspace.name, user_id=user_id, username=person.username
    )
    if actor != audit.Actor.of(person):
        outbox.open_notice("chat_linked", person=person, by=actor.name, workspace=workspace.name, user_id=user_id)
    return account


@transaction.atomic
def unlink_account(account: SlackAccount, *, actor: audit.Actor) -> None:
    """Take the link away: what this Slack user presses decides nothing any more. What was signed stays."""
    gone = SlackAccount.objects.select_for_update(of=("self",)).select_related("workspace", "person").filter(pk=account.pk).first()
    if gone is None:
        return
    audit.record(
        "chat.unlinked", actor=actor, subject=subject_of(gone.workspace), name=gone.workspace.name, user_id=gone.user_id,
        username=gone.person.username,
    )
    gone.delete()


@transaction.atomic
def add_slack_channel(
    workspace: SlackWorkspace, *, channel_id: str, actor: audit.Actor, role: Role | None = None, person: Person | None = None,
    notices: list[str] | None = None,
) -> Channel:
    """Tell a role in a channel of this workspace, or a person in their own (their member id). `notices`: which; None: all. Raises Invalid.

    Whoever is in that channel reads what is posted there, so who is in it is for whoever adds it to know.
    """
    channel_id = channel_id.strip()
    if not CHANNEL.fullmatch(channel_id):
        raise Invalid([problem("channel_id", "invalid", "A channel's id begins with C or G, a member's with U: C012AB3CD.")])
    if (role is None) == (person is None):
        raise Invalid([problem("role", "one", "A channel is for one role or one person.")])
    if unknown := set(notices or ()) - set(outbox.NOTICES):
        raise Invalid([problem("notices", "unknown", f"No such notice: {', '.join(sorted(unknown))}.")])
    label = f"Slack: {workspace.name} {channel_id}"
    if Channel.objects.filter(kind="slack", label=label, role=role, person=person, disabled_at=None).exists():
        raise Invalid([problem("channel_id", "taken", "They are told there already.")])
    channel = Channel.objects.create(
        kind="slack", role=role, person=person, notices=notices or [], label=label,
        sealed=vault.seal(json.dumps({"workspace": workspace.pk, "channel": channel_id}).encode()),
    )
    audit.record(
        "channel.saved", actor=actor, subject=subject_of(channel), label=label,
        changed={"role" if role else "person": {"old": None, "new": str(role or person)}, "notices": {"old": None, "new": notices or []}},
    )
    return channel


def channels_of(workspace: SlackWorkspace) -> list[Channel]:
    """Return the channels that lead to this workspace, oldest first. One query; each is unsealed."""
    channels = Channel.objects.filter(kind="slack").select_related("role", "person").order_by("pk")
    return [channel for channel in channels if _leads(channel).get("workspace") == workspace.pk]


def _leads(channel: Channel) -> dict[str, Any]:
    """Return what was sealed of a Slack channel; {} when it cannot be read."""
    try:
        said = json.loads(vault.unseal(channel.sealed))
    except (vault.CannotUnseal, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def where(channel: Channel) -> tuple[SlackWorkspace, str]:
    """Return the workspace and the id of the channel there that a Channel of kind "slack" leads to. One query.

    Raises SendFailed when it leads nowhere: the workspace is disabled, or what was sealed cannot be read.
    """
    said = _leads(channel)
    if not {"workspace", "channel"} <= set(said):
        raise SendFailed("what was sealed of this channel cannot be read")
    workspace = SlackWorkspace.objects.filter(pk=said["workspace"], disabled_at=None).first()
    if workspace is None:
        raise SendFailed("the Slack workspace is disabled")
    return workspace, str(said["channel"])


def signing_secret(workspace: SlackWorkspace) -> str:
    """Return what signs Slack's requests from this workspace. Raises vault.CannotUnseal."""
    return vault.unseal(workspace.sealed_signing_secret).decode()


def bot_token(workspace: SlackWorkspace) -> str:
    """Return what we post with. Raises SendFailed when it cannot be read."""
    try:
        return vault.unseal(workspace.sealed_bot_token).decode()
    except vault.CannotUnseal as error:
        raise SendFailed("the bot token cannot be unsealed; a key of ENCRYPTION_KEYS is missing") from error


def try_out(workspace: SlackWorkspace, *, channel_id: str) -> str:
    """Ask Slack whose token this is and post a line; return what to tell the administrator. Two calls, up to 16 s, in no transaction.

    Raises IllegalMove with the reason in words.
    """
    if not CHANNEL.fullmatch(channel_id.strip()):
        raise IllegalMove("A channel's id begins with C or G, a member's with U: C012AB3CD.")
    try:
        token = bot_token(workspace)
        found = slack.who_am_i(token)
        if found["team_id"] != workspace.team_id:
            raise IllegalMove(f"The token belongs to another workspace: {found['team']} ({found['team_id']}).")
        line = "Countersign can post here. Nothing is asked of anybody."
        slack.post_message(token, channel_id.strip(), line, [slack.plain(line)])
    except SendFailed as error:
        raise IllegalMove(f"It did not work: {error.reason}.") from error
    return f"Posted to {channel_id.strip()} as {found['user']} of {found['team']}."
