"""Messages to people, from the outbox by mail and by channels: at least once, one row and one id each, never in the way.

What was settled meanwhile is not told any more.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.db.models import F

from escalations import authority, clock, mailing, queue
from escalations.models import Notice
from escalations.outbox import ABOUT_OPEN
from escalations.senders import SendFailed
from escalations.states import Sending, State

from . import slack
from .words import message, one_line, visible

__all__ = ["message", "one_line", "run_batch", "still_true", "visible"]

logger = logging.getLogger(__name__)

ABOUT_ONE_PERSON = frozenset({"mentioned", "hold_fell"})
BATCH = 50
ROUND_SECONDS = 20.0  # with one mail's slow conversation on top it stays below the queue's timeout
# Seconds between one try and the next: about a day and a half in all, then the notice is given up and the page still
# shows the item.
WAITS = (30, 120, 600, 1_800, 7_200, 14_400, 28_800, 72_000)


def run_batch() -> int:
    """Send up to BATCH due notices over one connection; return how many were finished or put off.

    Not inside a transaction. After ROUND_SECONDS what is left goes back: a slow mail server costs time, not tries.
    """
    rows = queue.claim_sending(
        Notice, BATCH, related=("person", "role", "channel", "proposal__source", "proposal__role", "proposal__incident")
    )
    if not rows:
        return 0
    stop_at = time.monotonic() + ROUND_SECONDS
    connection = mailing.connect()
    unreachable: SendFailed | None = None
    handled = 0
    try:
        for row in rows:
            if time.monotonic() >= stop_at:
                _held(row).update(lease_until=None, attempts=F("attempts") - 1)
            elif not still_true(row):
                handled += _finish(row, Sending.NOTHING_TO_SEND)
            elif unreachable is not None:  # it was not there a moment ago: wait no more for each
                handled += _put_off(row, unreachable)
            else:
                try:
                    _send(row, connection)
                except SendFailed as error:
                    unreachable = error if error.unreachable else None
                    handled += _put_off(row, error)
                else:
                    handled += _finish(row, Sending.SENT)
    finally:
        connection.close()
    return handled


def still_true(notice: Notice) -> bool:
    """Say whether the message would still be right.

    The item open, the person here and still of the role that is asked; who is told for their own sake may still read it.
    """
    if notice.kind in ABOUT_OPEN and notice.proposal is not None and notice.proposal.state != State.PENDING:
        return False
    person = notice.person
    if person is None:
        return True
    if not person.is_active:
        return False
    if notice.kind in ABOUT_ONE_PERSON and notice.proposal is not None:
        return authority.may_read(person, notice.proposal)
    return notice.role is None or person.groups.filter(pk=notice.role_id).exists()


def _send(notice: Notice, connection: Any) -> None:
    if notice.channel is not None:
        slack.send(notice, notice.channel)
        return
    address = notice.person.email if notice.person else notice.address
    try:
        subject, body = message(notice)
    except Exception as error:  # one notice that cannot be written must not hold up the others
        raise SendFailed(f"it could not be written ({type(error).__name__})") from error
    mailing.send(
        to=mailing.one_address(address),
        subject=subject,
        body=body,
        message_id=notice.pk,
        connection=connection,
        automatic=True,
    )


def _finish(notice: Notice, state: str) -> int:
    return _held(notice).update(state=state, next_try_at=None, lease_until=None, finished_at=clock.now(), error="")


def _put_off(notice: Notice, failure: SendFailed) -> int:
    """Try again later, or give up. `attempts` counts claims, this one among them."""
    now = clock.now()
    if failure.permanent or notice.attempts > len(WAITS):
        logger.warning("notice given up", extra={"notice": str(notice.pk), "kind": notice.kind, "why": failure.reason})
        return _held(notice).update(
            state=Sending.GIVEN_UP, next_try_at=None, lease_until=None, finished_at=now, error=failure.reason[:300]
        )
    due = now + timedelta(seconds=WAITS[notice.attempts - 1])
    return _held(notice).update(next_try_at=due, lease_until=None, error=failure.reason[:300])


def _held(notice: Notice) -> Any:
    return Notice.objects.filter(pk=notice.pk, token=notice.token, state=Sending.WAITING)
