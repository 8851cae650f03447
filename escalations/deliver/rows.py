"""The rows behind the sending.

Taking them, freezing what is sent, writing what came of it. Every write checks the fencing token.
"""

import json
import logging
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import F

from escalations import audit, clock, outbox, queue, standstill, vault, wire
from escalations.models import Delivery, DeliveryAttempt, Notice, Role, Source
from escalations.models.people import MANAGER
from escalations.states import Sending

from . import drafts, signing
from .failed import DeliveryFailed

logger = logging.getLogger(__name__)

# Standard Webhooks' own schedule, seconds between one try and the next: 75 hours and 35 minutes in all.
WAITS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1  # up to a tenth longer, so that a thousand deliveries that failed together do not come back together
FAILING = 3  # failed tries after which the owner is told: some five minutes
TOLD_ONCE_IN = timedelta(hours=1)
PER_ENDPOINT = 50  # rows of one endpoint taken at once; what was not begun in time goes back
_ORIGIN = "lower(coalesce(substring({0}.url from '^[^:]+://[^/?#]+'), {0}.channel))"

# An endpoint (scheme, host and port) is served by one sender at a time, so "two at a time" holds whatever the number of
# workers, and one that hangs takes nobody else's place. The lock orders the claims themselves; it lasts as long as this
# one statement.
_CLAIM = f"""
WITH busy AS (
    SELECT DISTINCT {_ORIGIN.format("d")} AS origin FROM escalations_delivery AS d
    WHERE d.state = 'waiting' AND d.next_try_at <= %(now)s AND d.lease_until > %(now)s
), due AS (
    SELECT d.id, {_ORIGIN.format("d")} AS origin, d.next_try_at FROM escalations_delivery AS d
    WHERE d.state = 'waiting' AND d.next_try_at <= %(now)s AND (d.lease_until IS NULL OR d.lease_until <= %(now)s)
), lined_up AS (
    SELECT id, row_number() OVER (PARTITION BY origin ORDER BY next_try_at, id) AS place FROM due
    WHERE origin NOT IN (SELECT origin FROM busy)
), chosen AS (
    SELECT d.id, {_ORIGIN.format("d")} AS origin FROM escalations_delivery AS d JOIN lined_up USING (id)
    WHERE d.state = 'waiting' AND lined_up.place <= %(each)s
    ORDER BY lined_up.place, d.next_try_at LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE escalations_delivery AS d SET lease_until = %(until)s, token = d.token + 1
FROM chosen WHERE d.id = chosen.id RETURNING d.id, d.token, chosen.origin
"""
_CLAIM_LOCK = 0x636F_7573_6967_6E01


@dataclass
class Parcel:
    """A row that was taken, and what happens to it.

    With neither `failure` nor `sent` it was not begun and goes back.
    """

    delivery: Delivery
    origin: str
    secrets: list[str] = field(default_factory=list)
    sent: bool = False
    status: int | None = None
    failure: DeliveryFailed | None = None
    duration_ms: int = 0


def claim(limit: int) -> list[Parcel]:
    """Take up to `limit` due rows, fairly between endpoints, with their bodies frozen and their secrets read.

    A parcel that has a `failure` already cannot be sent as it is: it goes straight to `settle`. None while everything is stopped.
    """
    now = clock.now()
    with transaction.atomic():
        if standstill.enter():
            return []
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])
            cursor.execute(_CLAIM, {"now": now, "until": now + queue.LEASE, "each": PER_ENDPOINT, "limit": limit})
            taken = {pk: (token, origin) for pk, token, origin in cursor.fetchall()}
    if not taken:
        return []
    rows = Delivery.objects.filter(pk__in=taken).select_related(
        "source__owner", "incident__source", "proposal__decision", "proposal__role"
    )
    held = [row for row in rows.order_by("next_try_at", "pk") if row.token == taken[row.pk][0]]
    parcels = [Parcel(row, taken[row.pk][1]) for row in held if not _parked(row)]
    _freeze([parcel for parcel in parcels if not parcel.delivery.body])
    _give_secrets([parcel for parcel in parcels if parcel.delivery.channel == "webhook"])
    return parcels


def settle(parcel: Parcel) -> bool:
    """Write what came of a parcel: the try, the state, the audit entry, the owner's notice, in one transaction.

    False: it was not begun, or the lease was lost meanwhile and somebody else's word counts; nothing was written.
    """
    if not parcel.sent and parcel.failure is None:
        _held(parcel.delivery).update(lease_until=None)
        return False
    with transaction.atomic():
        written = _arrived(parcel) if parcel.failure is None else _failed(parcel, parcel.failure)
    if not written:
        logger.warning("stale delivery result dropped", extra={"delivery": str(parcel.delivery.pk)})
    return written


def wait_before(attempts: int, asked: float | None) -> timedelta | None:
    """Return how long to wait after the `attempts`-th failed try, None when that was the last.

    What the receiver asked for (Retry-After) only ever lengthens it.
    """
    if attempts > len(WAITS):
        return None
    seconds = WAITS[attempts - 1] * (1 + random.uniform(0, JITTER))
    return timedelta(seconds=max(seconds, asked or 0.0))


def is_own_endpoint(delivery: Delivery) -> bool:
    """Say whether this goes to the source's own callback, the one that can be disabled, not to one incident's."""
    return delivery.channel == "webhook" and bool(delivery.url) and delivery.url == delivery.source.callback_url


# -- taking


def _parked(row: Delivery) -> bool:
    """Put a row for a disabled endpoint aside until somebody enables it.

    It stays waiting: nothing is lost, nobody is woken for it.
    """
    if row.source.endpoint_disabled_at is None or not is_own_endpoint(row):
        return False
    _held(row).update(next_try_at=None, lease_until=None)
    return True


def _freeze(parcels: list[Parcel]) -> None:
    """Write the bodies of rows that are sent for the first time: from here on the same id always has the same bytes."""
    webhooks = [parcel for parcel in parcels if parcel.delivery.channel == "webhook"]
    data = _outcomes(webhooks)
    with transaction.atomic():
        for parcel in parcels:
            row = parcel.delivery
            try:
                body = _mail_body(row) if row.channel == "email" else _webhook_body(row, data[row.incident_id])
            except DeliveryFailed as error:
                parcel.failure = error
                continue
            if _held(row).filter(body="").update(body=body):
                row.body = body
            else:
                parcel.failure = DeliveryFailed("taken over before it was begun")  # settle finds the token gone


def _outcomes(parcels: list[Parcel]) -> dict[Any, Any]:
    """Return each incident's JSON by id.

    An incident that cannot be written has the exception there, and fails alone.
    """
    incidents = {parcel.delivery.incident_id: parcel.delivery.incident for parcel in parcels}
    try:
        return dict(zip(incidents, wire.incidents_json(list(incidents.values())), strict=True))
    except Exception:  # noqa: BLE001 - one record that cannot be written must not hold up the others
        return {pk: _one_outcome(incident) for pk, incident in incidents.items()}


def _one_outcome(incident: Any) -> Any:
    try:
        return wire.incident_json(incident)
    except Exception as error:  # noqa: BLE001 - see above; the try is recorded and made again
        return error


def _webhook_body(row: Delivery, data: Any) -> str:
    if isinstance(data, Exception):
        raise DeliveryFailed(f"the outcome could not be written ({type(data).__name__})")
    shown = data["proposal"]
    if row.proposal is not None and (shown is None or shown["id"] != str(row.proposal_id)):
        # The line has moved on since; this outcome still tells of the decision it was opened for.
        own = {"proposal": wire.proposal_json(row.proposal), "decision": wire.decision_json(row.proposal.decision)}
        data = {**data, **own, "acknowledged": None}
    at = row.created_at.isoformat().replace("+00:00", "Z")
    return json.dumps(
        {"type": row.type, "timestamp": at, "data": data},
        cls=DjangoJSONEncoder,
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _mail_body(row: Delivery) -> str:
    return json.dumps(drafts.content(row), ensure_ascii=False, separators=(",", ":"))


def _give_secrets(parcels: list[Parcel]) -> None:
    try:
        secrets = signing.live_secrets({parcel.delivery.source_id for parcel in parcels})
    except vault.CannotUnseal as error:
        for parcel in parcels:
            parcel.failure = parcel.failure or DeliveryFailed(f"a signing secret cannot be read: {error}")
        return
    for parcel in parcels:
        parcel.secrets = secrets[parcel.delivery.source_id]


def _held(row: Delivery) -> Any:
    """Return the queryset of this row as long as it is ours."""
    return Delivery.objects.filter(pk=row.pk, token=row.token, state=Sending.WAITING, lease_until__isnull=False)


# -- what came of it


def _arrived(parcel: Parcel) -> bool:
    row, now = parcel.delivery, clock.now()
    if not _held(row).update(
        state=Sending.SENT, attempts=F("attempts") + 1, next_try_at=None, lease_until=None, finished_at=now
    ):
        return False
    _record_try(parcel, "")
    _audit("delivery.sent", row, status=parcel.status, attempts=row.attempts + 1)
    return True


def _failed(parcel: Parcel, failure: DeliveryFailed) -> bool:
    row, now, attempts = parcel.delivery, clock.now(), parcel.delivery.attempts + 1
    gone = failure.disable and is_own_endpoint(row)
    wait = None if failure.permanent or (failure.disable and not gone) else wait_before(attempts, failure.retry_after)
    given_up = wait is None and not gone
    changes: dict[str, Any] = {"attempts": attempts, "lease_until": None}
    if gone:
        changes["next_try_at"] = None
    elif given_up:
        changes |= {"state": Sending.GIVEN_UP, "next_try_at": None, "finished_at": now}
    else:
        changes["next_try_at"] = now + (wait or timedelta())
    if not _held(row).update(**changes):
        return False
    _record_try(parcel, failure.reason)
    if gone:
        _disable(row, failure)
    elif given_up:
        _audit("delivery.given_up", row, status=failure.status, attempts=attempts, why=failure.reason)
        _tell_owner("given_up", row, why=failure.reason, attempts=attempts)
    elif attempts == FAILING:
        _tell_once("failing", row, why=failure.reason, attempts=attempts)
    return True


def _disable(row: Delivery, failure: DeliveryFailed) -> None:
    """Turn the source's endpoint off, once, and put what waits for it aside."""
    now = clock.now()
    turned = Source.objects.filter(pk=row.source_id, endpoint_disabled_at=None).update(
        endpoint_disabled_at=now, endpoint_disabled_why=failure.reason[:300]
    )
    Delivery.objects.filter(
        source=row.source_id, url=row.url, channel="webhook", state=Sending.WAITING, lease_until=None
    ).update(next_try_at=None)
    if turned:
        audit.record(
            "endpoint.disabled", actor=audit.SYSTEM, subject=f"Source {row.source_id}", url=row.url, why=failure.reason
        )
        _tell_owner("endpoint_disabled", row, why=failure.reason)


def _record_try(parcel: Parcel, error: str) -> None:
    """Write the try; one that somebody asked for by hand has its row already, with that name on it."""
    row = parcel.delivery
    facts = {"at": clock.now(), "status": parcel.status, "error": error[:300], "duration_ms": parcel.duration_ms}
    asked = (
        DeliveryAttempt.objects.filter(delivery=row, status=None, error="").exclude(by_hand="").order_by("-pk").first()
    )
    if asked is None:
        DeliveryAttempt.objects.create(delivery=row, **facts)
    else:
        DeliveryAttempt.objects.filter(pk=asked.pk).update(**facts)


def _audit(action: str, row: Delivery, **facts: Any) -> None:
    audit.record(
        action,
        actor=audit.SYSTEM,
        incident_id=row.incident_id,
        proposal_id=row.proposal_id,
        subject=f"Delivery {row.pk}",
        type=row.type,
        channel=row.channel,
        **facts,
    )


def _tell_once(kind: str, row: Delivery, **facts: Any) -> None:
    """Tell the owner unless they were told of this source within TOLD_ONCE_IN: one receiver that is down fails many. One query more."""
    key = f"{kind}:{row.source_id}"
    if not Notice.objects.filter(group_key=key, created_at__gt=clock.now() - TOLD_ONCE_IN).exists():
        _tell_owner(kind, row, group_key=key, **facts)


def _tell_owner(kind: str, row: Delivery, **facts: Any) -> None:
    """Open a notice to the source's owner; to the managers where nobody owns it or the owner has left."""
    if row.incident.test:
        return
    owner = row.source.owner
    reachable = owner is not None and owner.is_active and owner.email
    outbox.open_notice(
        kind,
        proposal=row.proposal,
        person=owner if reachable else None,
        role=None if reachable else Role.objects.filter(name=MANAGER).first(),
        source=row.source.name,
        type=row.type,
        delivery=str(row.pk),
        incident=str(row.incident_id),
        url=row.url,
        **facts,
    )
