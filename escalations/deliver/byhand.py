"""What an administrator does by hand: send again, and turn an endpoint on again."""

from uuid import UUID

from django.db import transaction

from escalations import audit, clock, queue, standstill
from escalations.errors import IllegalMove, NotFound, Stopped
from escalations.models import Delivery, DeliveryAttempt, Source
from escalations.states import Sending

from .rows import is_own_endpoint


@transaction.atomic
def replay(delivery_id: UUID, *, actor: audit.Actor) -> Delivery:
    """Send a delivery again from the beginning of its schedule: same id, same body, to the address the source has now.

    Raises NotFound; IllegalMove while it is being sent, while its endpoint is disabled, and where there is nowhere to
    send it; Stopped while everything is.
    """
    if standstill.enter():
        raise Stopped("Everything is stopped: nothing is sent until people release it, and then it goes by itself.")
    row = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("source", "incident")
        .filter(pk=delivery_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such delivery.")
    now = clock.now()
    if row.state == Sending.WAITING and row.lease_until is not None and row.lease_until > now:
        raise IllegalMove("It is being sent at this moment.")
    if row.channel == "webhook":
        row.url = _address(row)
        if not row.url:
            raise IllegalMove("This source has no callback to send to.")
        if row.source.endpoint_disabled_at is not None and is_own_endpoint(row):
            raise IllegalMove("This endpoint is disabled. Enable it first; what waits for it is then sent.")
    was = row.state
    row.state, row.next_try_at, row.attempts, row.lease_until, row.finished_at = Sending.WAITING, now, 0, None, None
    row.token += 1
    row.save(update_fields=["url", "state", "next_try_at", "attempts", "lease_until", "finished_at", "token"])
    DeliveryAttempt.objects.create(delivery=row, by_hand=actor.name[:150])
    audit.record(
        "delivery.replayed",
        actor=actor,
        incident_id=row.incident_id,
        proposal_id=row.proposal_id,
        subject=f"Delivery {row.pk}",
        type=row.type,
        was=str(was),
    )
    queue.wake("deliver")
    return row


@transaction.atomic
def enable_endpoint(source: Source, actor: audit.Actor) -> int:
    """Turn the source's endpoint on again and send what waited for it, to the address it has now.

    Return how many waited.
    """
    now = clock.now()
    turned = Source.objects.filter(pk=source.pk, endpoint_disabled_at__isnull=False).update(
        endpoint_disabled_at=None, endpoint_disabled_why=""
    )
    if not turned:
        return 0
    source.refresh_from_db()
    waiting = Delivery.objects.filter(source=source, channel="webhook", state=Sending.WAITING, next_try_at=None)
    waiting.filter(incident__callback_url="").update(url=source.callback_url)
    released = waiting.update(next_try_at=now, attempts=0)
    audit.record(
        "endpoint.enabled", actor=actor, subject=f"Source {source.pk}", url=source.callback_url, waited=released
    )
    queue.wake("deliver")
    return released


def _address(row: Delivery) -> str:
    return row.incident.callback_url or row.source.callback_url
