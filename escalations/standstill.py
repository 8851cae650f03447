"""Whether everything is stopped, asked so that nothing slips through while the switch is thrown.

Who lets something go without a person, or hands something out, calls `enter` first, in the transaction that does it: it takes a
lock that many share and looks again. Who stops or releases everything calls `close` and has that lock alone. So of everything that
runs at that moment each either commits before the switch is thrown, or sees it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists
from django.db.transaction import TransactionManagementError

from escalations.models import Delivery, Stop
from escalations.states import Sending

_KEY = 0x636F_7573_6967_6E02
# Two statements in one round trip: the second looks with a snapshot of its own, taken when the lock was given.
_ENTER = f"SELECT pg_advisory_xact_lock_shared({_KEY}); SELECT at FROM escalations_stop WHERE released_at IS NULL"
# A condition in SQL on `incident`: its caller may not be told yet how it ended.
HELD_BACK = f"""(
    EXISTS (SELECT FROM escalations_stop WHERE released_at IS NULL)
    AND EXISTS (
        SELECT FROM escalations_delivery AS outcome
        WHERE outcome.incident_id = incident.id AND outcome.type = 'proposal.settled' AND outcome.state = '{Sending.WAITING}'
    )
)"""


def standing() -> Stop | None:
    """Return the stop that holds now, with the people it names; None as a rule. One query."""
    return Stop.objects.filter(released_at=None).select_related("by", "release_asked_by").first()


def is_stopped() -> bool:
    """Say whether everything is stopped. One query, no lock: the next moment it may be otherwise."""
    return Stop.objects.filter(released_at=None).exists()


def enter() -> str:
    """Return why no machine may say yes and nothing may leave, in words, or "" when nothing is stopped; it stays so until the end of
    the caller's transaction, for whoever throws the switch waits for that. One round trip.
    """
    _in_a_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_ENTER)
        cursor.nextset()
        row = cursor.fetchone()
    return said(row[0]) if row else ""


def close() -> None:
    """Wait until nobody is in between any more, and let nobody enter before the end of the caller's transaction."""
    _in_a_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])


def said(at: datetime) -> str:
    """Return the sentence that stands where a rule would have let something go."""
    return f"Everything was stopped at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC; a person decides."


def held_back(proposals: Iterable[UUID]) -> set[Any]:
    """Return which of these settled proposals' callers may not be told yet how they ended: while everything is stopped, what has not
    left does not leave, by whatever door. One query, none for none.
    """
    ids = list(proposals)
    if not ids:
        return set()
    waiting = Delivery.objects.filter(proposal__in=ids, type="proposal.settled", state=Sending.WAITING)
    return set(waiting.filter(Exists(Stop.objects.filter(released_at=None))).values_list("proposal_id", flat=True))


def _in_a_transaction() -> None:
    if not connection.in_atomic_block:
        raise TransactionManagementError("The lock lasts as long as a transaction: there has to be one.")
