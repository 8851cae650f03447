"""Carrying messages: by mail over one connection, to channels side by side, and what becomes of a row when that fails."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from escalations import clock, mailing, queue, vault
from escalations.models import Channel, Notice
from escalations.senders import SendFailed, apprise
from escalations.states import Sending

from . import slack
from .gathering import Message, finish, held, instead_by_mail, is_urgent, put_back, take
from .words import message, plain

logger = logging.getLogger(__name__)

ROUND_SECONDS = 20.0  # with one mail's slow conversation on top it stays below the queue's timeout
CHAT_SECONDS = 10.0  # of Slack in one round; a call may take some seconds more
MESSAGES = 5  # that one Slack channel gets in a round, each with its own buttons; more are one list
# Seconds between one try and the next: about a day and a half in all, then the notice is given up and the page still
# shows the item.
WAITS = (30, 120, 600, 1_800, 7_200, 14_400, 28_800, 72_000)
LEFT_ALONE = (30, 60, 120, 300, 600)  # seconds a channel that failed is not tried by new notices either


def run_batch() -> int:
    """Send what is due, some fifty notices by mail and as many by channels; return how many rows were finished or put off.

    Not inside a transaction. The channels' process works while mails are sent. After ROUND_SECONDS of mails what is left goes
    back: a slow mail server costs time, not tries.
    """
    with _channels() as channels:
        handled = _mails()
        return handled + channels()


# -- mail


def _mails() -> int:
    messages, handled = take(Q(channel=None))
    if not messages:
        return handled
    stop_at = time.monotonic() + ROUND_SECONDS
    connection = mailing.connect()
    unreachable: SendFailed | None = None
    try:
        for one in messages:
            if time.monotonic() >= stop_at:
                _give_back(one)
            elif unreachable is not None:  # it was not there a moment ago: wait no more for each
                handled += _put_off(one, unreachable)
            else:
                try:
                    _mail(one, connection)
                except SendFailed as error:
                    unreachable = error if error.unreachable else None
                    handled += _put_off(one, error)
                else:
                    handled += finish(one.rows, Sending.SENT, also=one.more)
    finally:
        connection.close()
    return handled


def _mail(one: Message, connection: Any) -> None:
    lead = one.lead
    subject, body = _written(one)
    mailing.send(
        to=mailing.one_address(lead.person.email if lead.person else lead.address), subject=subject, body=body, message_id=lead.pk,
        connection=connection, automatic=True,
    )  # fmt: skip


def _written(one: Message) -> tuple[str, str]:
    """Return subject and body. A notice that cannot be written is put off by itself and holds up nobody else."""
    try:
        return message(one.lead, one.also, len(one.more))
    except Exception as error:
        refused = SendFailed(f"it could not be written ({type(error).__name__})")
        logger.error("a notice could not be written: %s at %s", type(error).__name__, queue.whence(error))
        bad = [row for row in one.rows if not _can_be_written(row)]
        good = [row for row in one.rows if row not in bad]
        if not good or not bad:
            raise refused from error
        for row in bad:
            _put_off(Message(row), refused)
        one.lead, one.also = good[0], good[1:]
        return message(one.lead, one.also, len(one.more))


def _can_be_written(notice: Notice) -> bool:
    try:
        message(notice)
    except Exception:  # noqa: BLE001 - whatever it is, it was logged when it first happened
        return False
    return True


# -- channels


@contextmanager
def _channels() -> Iterator[Any]:
    """Start what is due to channels; yields what waits for the end of it and returns how many rows were finished or put off."""
    messages, handled = take(Q(channel__isnull=False))
    posts, chats, failed = {}, [], []
    for one in messages:
        channel = one.lead.channel
        if channel is None:
            continue
        if channel.kind == "slack":
            chats += _apart(one)
            continue
        try:
            posts[str(one.lead.pk)] = (one, _post(one, channel))
        except SendFailed as error:
            failed.append((one, error))
    with apprise.Round(post for _, post in posts.values()) as going:

        def collect() -> int:
            number = handled + _chat(chats)
            outcomes = going.outcomes() if posts else {}
            for key, (one, _) in posts.items():
                number += _told(one, outcomes[key])
            return number + sum(_told(one, error) for one, error in failed)

        yield collect


def _post(one: Message, channel: Channel) -> apprise.Post:
    subject, body = _written(one)
    try:
        url = vault.unseal(channel.sealed).decode()
    except vault.CannotUnseal as error:
        raise SendFailed("its address cannot be opened with our keys any more") from error
    return apprise.Post(str(one.lead.pk), url, plain(subject), plain(body), "failure" if is_urgent(one.lead) else "info")


def _apart(one: Message) -> list[Message]:
    """Return one message for each notice, so that each has its buttons; one for them all where they are too many."""
    return [one] if one.number > MESSAGES else [Message(row) for row in one.rows]


def _chat(messages: Sequence[Message]) -> int:
    """Post to Slack, one after the other; a channel that failed is not asked again in this round."""
    failed: dict[int, SendFailed] = {}
    stop_at = time.monotonic() + CHAT_SECONDS
    handled = 0
    for one in messages:
        channel = one.lead.channel
        if channel is None:
            continue
        if time.monotonic() >= stop_at:
            _give_back(one)
            continue
        error = failed.get(channel.pk)
        if error is None:
            try:
                slack.send(one.lead, channel, one.also, len(one.more))
            except SendFailed as refused:
                error = failed[channel.pk] = refused
        handled += _told(one, error)
    return handled


def _told(one: Message, error: SendFailed | None) -> int:
    """Write what became of a message to a channel, on its rows and on the channel."""
    channel = one.lead.channel
    if channel is None:
        return 0
    now = clock.now()
    mine = Channel.objects.filter(pk=channel.pk)
    if error is None:
        mine.update(failing_since=None, last_error="", last_sent_at=now, retry_at=None)
        return finish(one.rows, Sending.SENT, also=one.more)
    tries = min(one.lead.attempts, len(LEFT_ALONE)) - 1
    alone = now + timedelta(seconds=error.retry_after or LEFT_ALONE[max(tries, 0)])
    mine.update(failing_since=Coalesce("failing_since", now), last_error=error.reason[:300], retry_at=alone)
    return _put_off(one, error)


# -- when it was not taken


def _give_back(one: Message) -> None:
    for row in one.rows:
        put_back(row, row.next_try_at or clock.now())
    _later(one, None)


def _put_off(one: Message, failure: SendFailed) -> int:
    """Try again later, or give up. `attempts` counts claims, this one among them."""
    number = 0
    for row in one.rows:
        if failure.permanent or row.attempts > len(WAITS):
            logger.warning("notice given up", extra={"notice": str(row.pk), "kind": row.kind, "why": failure.reason})
            number += instead_by_mail(row, finish([row], Sending.GIVEN_UP, error=failure.reason))
            continue
        seconds = max(WAITS[row.attempts - 1], failure.retry_after or 0)
        number += held(row).update(
            next_try_at=clock.now() + timedelta(seconds=seconds), lease_until=None, error=failure.reason[:300]
        )
    return number + _later(one, clock.now() + timedelta(seconds=WAITS[0]), failure.reason)


def _later(one: Message, moment: datetime | None, error: str = "") -> int:
    """Give back what was only counted; it is judged anew when it is due."""
    if not one.more:
        return 0
    mine = Notice.objects.filter(pk__in=one.more, state=Sending.WAITING, lease_until=one.lead.lease_until)
    if moment is None:
        return mine.update(lease_until=None, attempts=F("attempts") - 1)
    return mine.update(lease_until=None, error=error[:300], next_try_at=moment)
