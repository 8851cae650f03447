"""Slack: a notice is posted, the message follows its proposal, and whoever pressed a button is told what came of it.

All three are outbound rows of ours: at least once, tried again, never inside a transaction and never in the clock's way. A message
whose content changed loses its buttons for good; a newer notice brings new ones. Nobody shall press what was swapped under the finger.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from escalations import authority, clock, queue
from escalations.floors import chatting
from escalations.lifecycle import hold, quorum
from escalations.models import Channel, Decision, Notice, Proposal, SlackMessage, SlackPress, SlackWorkspace
from escalations.policies import chat
from escalations.senders import SendFailed, slack
from escalations.states import State

from . import blocks
from .words import message

logger = logging.getLogger(__name__)

BATCH = 25
ROUND_SECONDS = 6.0  # beside mails and posts, in a job that has 90
REWRITE_WAITS = (2, 10, 60, 300, 1_800, 7_200, 28_800)  # seconds; then the message stays as it is, and its buttons say why not
REPLY_WAITS = (2, 10, 60)  # later than that nobody looks any more
KEEP_PRESSES = timedelta(days=1)  # far longer than a captured request could be sent again
AFTER_A_HOLD = timedelta(seconds=2)
RELATED = ("source", "role", "incident")

LEADS = {
    "new_work": "New for {role}",
    "escalated": "Escalated to {role}",
    "critical": "Critical, for {role}",
    "expiring": "About to run out",
    "breaching": "Will run out before anybody is at work",
    "parked": "Waits without a clock",
}


def send(notice: Notice, channel: Channel, also: Sequence[Notice] = (), more: int = 0) -> None:
    """Post `notice` to `channel`; `also` are further notices the one message is to tell of, `more` those it only counts
    (see `words.message`).

    Called outside a transaction, with the notice's person, role and proposal (source, role, incident) loaded. Returning means
    that it was taken. Raises SendFailed. About eight queries and one call.
    """
    workspace, to = chat.where(channel)
    now = clock.now()
    proposal = None
    if notice.proposal_id and notice.kind in LEADS and not also and not more:
        proposal = Proposal.objects.select_related(*RELATED).get(pk=notice.proposal_id)
    if proposal is None or proposal.state != State.PENDING:
        subject, body = message(notice, also, more)
        link = blocks.address(notice.proposal) if notice.proposal and not also else settings.PUBLIC_URL
        _with(workspace, lambda token: slack.post_message(token, to, *blocks.plain_message(subject, body, link)))
        return
    text, shown = _asking(proposal, workspace, channel, lead=LEADS[notice.kind].format(role=proposal.role.name if proposal.role else "you"))
    at, ts = _with(workspace, lambda token: slack.post_message(token, to, text, shown))
    SlackMessage.objects.bulk_create(
        [SlackMessage(
            workspace=workspace, proposal=proposal, told=channel, channel_id=at, ts=ts, digest=proposal.args_digest,
            version=proposal.version, told_version=proposal.version, written_at=now, created_at=now,
        )],
        ignore_conflicts=True,
    )


def follow() -> int:
    """Answer who pressed a button, and write anew what no longer tells the truth; return how many were dealt with.

    Not inside a transaction. After ROUND_SECONDS what is left goes back.
    """
    stop_at = time.monotonic() + ROUND_SECONDS
    SlackMessage.objects.all().mark_untrue(clock.now(), recent=queue.RECENT)
    done = _each(_claim(SlackPress), _reply, stop_at)
    done += _each(_claim(SlackMessage), _rewrite, stop_at)
    if queue.take_turn("slack presses forgotten", 3_600):
        SlackPress.objects.filter(at__lt=clock.now() - KEEP_PRESSES).delete()
    return done


# -- writing anew


def _rewrite(row: SlackMessage) -> None:
    now = clock.now()
    proposal = Proposal.objects.select_related(*RELATED).get(pk=row.proposal_id)
    closed, again = None, None
    if proposal.state != State.PENDING:
        decision = Decision.objects.filter(proposal=proposal).first()
        (text, shown), closed = blocks.settled(proposal, blocks.Standing(decision=decision)), now
    elif (proposal.version, proposal.args_digest) != (row.version, row.digest):
        text, shown = blocks.changed(proposal)
    else:
        text, shown = _asking(proposal, row.workspace, row.told)
        if held := hold.standing(proposal):
            again = held.settles_at + AFTER_A_HOLD  # if it is taken back, nothing else says so
    try:
        _with(row.workspace, lambda token: slack.update(token, row.channel_id, row.ts, text, shown))
    except slack.SlackFailed as error:
        if error.code not in slack.GONE:
            raise
        closed = now  # somebody deleted it, or Slack lets nobody change it any more
    _held(row).update(
        told_version=proposal.version, written_at=now, closed_at=closed, next_try_at=None if closed else again, attempts=0,
        lease_until=None, error="",
    )


def _asking(proposal: Proposal, workspace: SlackWorkspace, told: Channel | None, lead: str = "") -> blocks.Message:
    held = hold.standing(proposal)
    signed = quorum.given(proposal)
    standing = blocks.Standing(
        signed=tuple(one.person.name for one in signed), needed=quorum.needed(proposal), held=hold.refusal(held).detail if held else ""
    )
    why = standing.held or chatting.why_not(proposal) or _why_not_there(proposal, told)
    return blocks.asking(proposal, workspace=workspace.pk, lead=lead, why_no_buttons=why, standing=standing)


def _why_not_there(proposal: Proposal, told: Channel | None) -> str:
    """Return why who is told there has no buttons; "" when they may decide, or when nobody knows who they are."""
    if told is None:
        return ""
    if told.person is not None:
        refused = authority.why_not(told.person, proposal)
        return refused.detail if refused else ""
    if told.role is None or told.role.pk == proposal.role_id or told.role.decides_everything:
        return ""
    return f"The role {proposal.role.name} is asked." if proposal.role else "Another role is asked."


# -- answers to who pressed


def _reply(row: SlackPress) -> None:
    said, _, link = row.reply.rpartition("\n")
    _with(row.workspace, lambda token: slack.tell(token, row.channel_id, row.user_id, *blocks.reply(said, link)))
    _held(row).update(next_try_at=None, lease_until=None, error="")


# -- rows


def _claim(model: Any) -> list[Any]:
    """Lease up to BATCH due rows, as `queue.claim_sending` does. Three queries, one when there is nothing."""
    now = clock.now()
    rows = model.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), next_try_at__lte=now)
    if model is SlackMessage:
        rows = rows.open()
    related = ("workspace", "told__role", "told__person") if model is SlackMessage else ("workspace",)
    with transaction.atomic():
        ids = list(rows.select_for_update(skip_locked=True, of=("self",)).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            return []
        model.objects.filter(pk__in=ids).update(token=F("token") + 1, attempts=F("attempts") + 1, lease_until=now + queue.LEASE)
    return list(model.objects.filter(pk__in=ids).select_related(*related).order_by("pk"))


def _each(rows: Iterable[Any], work: Callable[[Any], None], stop_at: float) -> int:
    """Do each; one that fails is put off and holds up nobody. What there was no time for goes back untouched."""
    done = 0
    for row in rows:
        if time.monotonic() >= stop_at:
            _held(row).update(lease_until=None, attempts=F("attempts") - 1)
            continue
        done += 1
        try:
            work(row)
        except SendFailed as error:
            _put_off(row, error)
    return done


def _put_off(row: Any, failure: SendFailed) -> None:
    waits = REWRITE_WAITS if isinstance(row, SlackMessage) else REPLY_WAITS
    now = clock.now()
    if failure.permanent or row.attempts > len(waits):
        logger.warning("slack: given up: %s", failure.reason)
        closed = {"closed_at": now} if isinstance(row, SlackMessage) else {}
        _held(row).update(next_try_at=None, lease_until=None, error=failure.reason[:300], **closed)
        return
    wait = max(waits[row.attempts - 1], failure.retry_after or 0)
    _held(row).update(next_try_at=now + timedelta(seconds=wait), lease_until=None, error=failure.reason[:300])


def _held(row: Any) -> Any:
    return type(row).objects.filter(pk=row.pk, token=row.token)


def _with(workspace: SlackWorkspace, call: Callable[[str], Any]) -> Any:
    """Call Slack with the workspace's token; a workspace that fails says since when and why, until it works again."""
    try:
        if workspace.disabled_at is not None:
            raise SendFailed("the Slack workspace is disabled")
        said = call(chat.bot_token(workspace))
    except SendFailed as error:
        if getattr(error, "code", "") not in slack.GONE:
            _failing(workspace, error.reason)
        raise
    if workspace.failing_since is not None:
        SlackWorkspace.objects.filter(pk=workspace.pk).update(failing_since=None, last_error="")
    return said


def _failing(workspace: SlackWorkspace, reason: str) -> None:
    since: datetime = workspace.failing_since or clock.now()
    SlackWorkspace.objects.filter(pk=workspace.pk).update(failing_since=since, last_error=reason[:300])
