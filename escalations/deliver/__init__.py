"""Outcomes on their way to sources, approved drafts on their way to people: at least once, signed, over three days.

Taken with a lease and a fencing token, sent outside any transaction, many at a time but two per endpoint, written down
with what came of it. A sender that dies after the receiver said 200 and before that was written sends again: same id,
same bytes, and the receiver knows the id. Who wants to add a channel adds a module beside `drafts` and a branch in
`_send`.
"""

import asyncio
import logging
import time
from collections import defaultdict

from asgiref.sync import async_to_sync, sync_to_async

from escalations import callbacks, clock, standstill

from . import addresses, drafts, http, rows, signing
from .byhand import enable_endpoint, replay
from .failed import DeliveryFailed

__all__ = ["DeliveryFailed", "enable_endpoint", "replay", "run_batch"]

logger = logging.getLogger(__name__)

IN_FLIGHT = 100
PER_ENDPOINT = 2
ROUND_SECONDS = (
    8.0  # nothing is begun after this; with the last 15 s it stays far below the lease and the queue's timeout
)
LOOK_AGAIN_SECONDS = 0.25  # how often a round that is busy looks for new rows


def run_batch() -> int:
    """Send what is due for a while.

    Return how many tries were written, 0 when there was nothing to do. Not inside a transaction.
    """
    return async_to_sync(_round)()


async def _round() -> int:
    resolver = addresses.SystemResolver()
    gates: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PER_ENDPOINT))
    running: set[asyncio.Task[rows.Parcel]] = set()
    written, stop_at, look_at = 0, time.monotonic() + ROUND_SECONDS, 0.0
    try:
        while True:
            moment = time.monotonic()
            if moment < stop_at and len(running) < IN_FLIGHT and (not running or moment >= look_at):
                look_at = moment + LOOK_AGAIN_SECONDS
                for parcel in await sync_to_async(rows.claim)(IN_FLIGHT - len(running)):
                    running.add(asyncio.create_task(_carry(parcel, gates[parcel.origin], stop_at, resolver)))
            if not running:
                return written
            done, running = await asyncio.wait(running, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            written += await sync_to_async(_settle)([task.result() for task in done])
    finally:
        for task in running:  # only when something broke: what they hold is taken again when its lease lapses
            task.cancel()
        resolver.close()


def _settle(parcels: list[rows.Parcel]) -> int:
    return sum(rows.settle(parcel) for parcel in parcels)


async def _carry(
    parcel: rows.Parcel, gate: asyncio.Semaphore, stop_at: float, resolver: addresses.Resolver
) -> rows.Parcel:
    """Send one parcel when its endpoint has room.

    Return it with what came of it, untouched when the round is over or everything is stopped before that.
    """
    if parcel.failure is not None:
        return parcel
    async with gate:
        if time.monotonic() >= stop_at or await sync_to_async(standstill.is_stopped)():
            return parcel
        began = time.monotonic()
        try:
            parcel.status = await _send(parcel, resolver)
            parcel.sent = True
        except DeliveryFailed as error:
            parcel.failure, parcel.status = error, error.status
        except Exception as error:  # noqa: BLE001 - what a stranger's server provokes is not the round's failure
            logger.error("sending broke", extra={"delivery": str(parcel.delivery.pk), "error": type(error).__name__})
            parcel.failure = DeliveryFailed(f"sending broke ({type(error).__name__})")
        parcel.duration_ms = int((time.monotonic() - began) * 1000)
    return parcel


async def _send(parcel: rows.Parcel, resolver: addresses.Resolver) -> int | None:
    """Return the status of a webhook, None for a mail. Raises DeliveryFailed."""
    row = parcel.delivery
    if row.channel == "email":
        await sync_to_async(drafts.send, thread_sensitive=False)(row)
        return None
    try:
        target = callbacks.check(row.url, callback_url=row.source.callback_url, allowed_hosts=row.source.allowed_hosts)
    except callbacks.BadCallback as error:
        raise DeliveryFailed(f"refused address: {error}", permanent=True) from error
    body = row.body.encode()
    now = await sync_to_async(clock.now)()  # the database's time, asked for where the connection is
    headers = signing.headers(str(row.pk), body, parcel.secrets, now)
    return await http.post(target, headers, body, now=now, resolve=resolver)
