"""Waiting for a person without holding a thread or a database connection.

One task a process serves all waiters: it LISTENs (a hint: which incident or run to look at) and asks with one query of each sort
every two seconds for all of them at once (the truth). Without NOTIFY everything still works, two seconds later.

A waiter waits for a `Thing`: that an incident has an answer, or that a run has an order its agent does not know.
"""

import asyncio
import logging
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import connections

from escalations import standstill
from escalations.endings import before_the_end
from escalations.errors import Overloaded
from escalations.states import Stage, State, Status

log = logging.getLogger(__name__)

CHANNEL = "countersign"
APPLICATION = "countersign watch"
POLL = 2.0  # seconds between two looks at everything that is waited for
TICK = 0.1  # seconds within which a new waiter is looked at once
IDLE = 60.0  # seconds without a waiter after which the connection is closed
MOST_WAITERS = 5_000
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds before connecting again

# Those of the incidents asked for that have an answer for their caller: settled, or rejected with `retry`, nobody's turn but theirs.
ANSWERED = f"""
SELECT id FROM escalations_incident AS incident
WHERE id = ANY (%s) AND NOT {standstill.HELD_BACK} AND (
    status = '{Status.SETTLED}'
    OR status = '{Status.WAITING}'
    AND NOT EXISTS (SELECT FROM escalations_proposal WHERE incident_id = incident.id AND state = '{State.PENDING}')
    AND NOT EXISTS (SELECT FROM escalations_work WHERE incident_id = incident.id AND stage <> '{Stage.DONE}')
)
"""

# Those of the runs asked for (each with the last order its agent knows, and whether it knows that everything is stopped) that have
# something to be told.
ORDERED = """
SELECT asked.id, asked.known, asked.held FROM unnest(%s::uuid[], %s::int[], %s::bool[]) AS asked (id, known, held)
JOIN escalations_oversightsession AS session ON session.id = asked.id
WHERE session.orders > asked.known OR asked.held <> EXISTS (SELECT FROM escalations_stop WHERE released_at IS NULL)
"""


class Orders(NamedTuple):
    """What an agent waits for that listens to its run: anything but what it knows."""

    session_id: UUID
    known: int
    held: bool


Thing = UUID | Orders

_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, "Watch"] = WeakKeyDictionary()


def watch() -> "Watch":
    """Return the one watch of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _watches.get(loop)
    if found is None:
        found = _watches[loop] = Watch(loop)
    return found


class Watch:
    """Who waits for what, and the task that looks. Belongs to one event loop; not for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: dict[Thing, set[asyncio.Future[None]]] = {}
        self.named: dict[UUID, set[Thing]] = {}  # what is waited for, by the id that a hint names
        self.count = 0
        self.fresh: set[Thing] = set()
        self.task: asyncio.Task[None] | None = None
        self.closing = False
        self.polls = 0  # how often everything was looked at; for tests and curiosity
        before_the_end(loop, self.release)

    def check_room(self) -> None:
        """Raise Overloaded when no more can wait here."""
        if self.count >= MOST_WAITERS:
            raise Overloaded("Too many callers wait already. Nothing was stored; try again.", retry_after=5)

    async def answered(self, thing: Thing, seconds: float) -> None:
        """Return when the incident has an answer for its caller (the run an order its agent does not know), after `seconds`, or at
        once when the process is about to end.

        Whoever is cancelled here (the client hung up) takes only itself away.
        """
        if self.closing or seconds <= 0:
            return
        future = self.loop.create_future()
        self.waiting.setdefault(thing, set()).add(future)
        self.named.setdefault(_id_of(thing), set()).add(thing)
        self.fresh.add(thing)
        self.count += 1
        self._ensure_task()
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            pass
        finally:
            self.count -= 1
            others = self.waiting[thing]
            others.discard(future)
            if not others:
                del self.waiting[thing]
                alike = self.named[_id_of(thing)]
                alike.discard(thing)
                if not alike:
                    del self.named[_id_of(thing)]

    def wake(self, thing: Thing) -> None:
        """Let those who wait for this go. A future that was cancelled meanwhile is left alone."""
        for future in self.waiting.get(thing, ()):
            if not future.done():
                future.set_result(None)

    def release(self) -> None:
        """Let everybody go, and nobody wait any more: the process is about to end."""
        self.closing = True
        for thing in list(self.waiting):
            self.wake(thing)

    def _ensure_task(self) -> None:
        if self.task is None or self.task.done():
            self.task = self.loop.create_task(self._run(), name="countersign-watch")

    async def _run(self) -> None:
        tries = 0
        while not self.closing:
            try:
                async with await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    tries = 0
                    await self._look(connection)
                    return
            except (psycopg.Error, OSError) as error:
                log.warning("the watch lost its connection: %s", error)
            except Exception:  # whatever it was, those who wait must not wait for nothing
                log.exception("the watch failed")
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    async def _look(self, connection: psycopg.AsyncConnection) -> None:
        """Look until nobody has waited for a while."""
        next_poll = last_waiter = self.loop.time()
        while not self.closing:
            hints = set()
            async for notice in connection.notifies(timeout=TICK, stop_after=1):
                hints.add(notice.payload)
            now = self.loop.time()
            if self.waiting:
                last_waiter = now
            elif now - last_waiter > IDLE:
                return
            if now >= next_poll:
                asked, next_poll = set(self.waiting), now + POLL
                self.polls += bool(asked)
            else:
                hinted = (self.named.get(one, set()) for one in (_id(hint) for hint in hints) if one is not None)
                asked = {thing for things in hinted for thing in things} | {one for one in self.fresh if one in self.waiting}
            self.fresh.clear()
            if incidents := [one for one in asked if isinstance(one, UUID)]:
                found = await connection.execute(ANSWERED, [incidents])
                for (incident_id,) in await found.fetchall():
                    self.wake(incident_id)
            if runs := [one for one in asked if isinstance(one, Orders)]:
                found = await connection.execute(ORDERED, columns(runs))
                for row in await found.fetchall():
                    self.wake(Orders(*row))


def columns(runs: list[Orders]) -> list[list[Any]]:
    """Return what ORDERED takes."""
    return [[run.session_id for run in runs], [run.known for run in runs], [run.held for run in runs]]


def _id_of(thing: Thing) -> UUID:
    return thing.session_id if isinstance(thing, Orders) else thing


def _id(hint: str) -> UUID | None:
    try:
        return UUID(hint)
    except ValueError:
        return None


def _parameters() -> dict[str, Any]:
    """Return what to connect with: Django's own, outside its pool."""
    database = connections["default"]
    parameters = dict(database.get_connection_params())
    for name in ("cursor_factory", "context", "server_side_binding", "prepare_threshold", "pool"):
        parameters.pop(name, None)
    return {**parameters, "application_name": APPLICATION}
