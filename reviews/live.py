"""The room's live stream: what came and what changed, within two seconds, to each only what they may read.

One task a process looks once a second for all its readers, with one query over the audit entries since the last one; nobody who
reads holds a thread or a database connection. Who is signed out, deactivated or has a new password is cut off by the next look.
"""

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error, connections

from escalations.endings import before_the_end

from . import live_rows, run_watch
from .live_rows import Happened, Reading, Rights
from .run_facts import Facts

log = logging.getLogger(__name__)

RECHECK = 60.0  # seconds after which everybody's session and account are looked at again, whatever happened
HEARTBEAT = 15.0  # seconds without a word after which one is said, so that nobody on the way hangs up
PATIENCE = 20.0  # seconds an entry may be on its way; no transaction of ours lasts longer
MOST_READERS = 1_000
MOST_OF_ONE = 12  # streams of one person: windows, not a flood
MOST_TOLD = 100  # proposals named in one message; beyond, the page is told to look at everything it shows
MOST_MISSING = 2_000
REMEMBERED = 5_000  # entries kept for who comes back
PAUSES = (1.0, 2.0, 5.0, 10.0)  # seconds to the next look: the first when all is well, the others after failures in a row
TOUCHES_PEOPLE = frozenset({"person.saved", "person.deactivated", "person.signed_out", "role.saved"})

Result = TypeVar("Result")

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live")
_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, "Feed"] = WeakKeyDictionary()


async def aside(function: Callable[..., Result], *args: Any) -> Result:
    """Return function(*args), run in a thread that gives its connection back at once."""
    return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, _piece, function, args)


def _piece(function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    try:
        return function(*args)
    finally:
        connections.close_all()  # with a pool: gives it back


def feed() -> "Feed":
    """Return the one feed of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _feeds.get(loop)
    if found is None:
        found = _feeds[loop] = Feed(loop)
    return found


class Reader:
    """One open stream, and what it has yet to be told."""

    def __init__(self, reading: Reading, runs: tuple[UUID, ...] = ()) -> None:
        self.reading = reading
        self.rights = reading.rights
        self.runs = runs  # that it watches
        self.known: dict[UUID, Facts] = {}  # how they stood when it was told last
        self.news: dict[UUID, Facts] = {}  # how they stand, where it is yet to be told
        self.arrived: set[UUID] = set()
        self.changed: set[UUID] = set()
        self.everything = False
        self.over = False
        self.woken = asyncio.Event()

    def tell(self, changed: set[UUID], arrived: set[UUID]) -> None:
        """Note what happened; the stream says it as soon as its caller takes it."""
        self.changed |= changed
        self.arrived |= arrived
        if len(self.changed) > MOST_TOLD:
            self.look_at_everything()
        self.woken.set()

    def look_at_everything(self) -> None:
        self.changed, self.everything = set(), True
        self.woken.set()

    def end(self) -> None:
        self.over = True
        self.woken.set()

    def message(self, last: int) -> bytes:
        """Return what is to be said now, and forget it; only that we are here when nothing is. `last`: where one comes back to."""
        said = []
        if self.everything:
            said.append(("everything", ""))
        elif self.changed:
            said.append(("changed", json.dumps(sorted(map(str, self.changed)))))
        if self.arrived:
            said.append(("arrived", str(len(self.arrived))))
        if self.news:
            said.append(("runs", run_watch.said(self.news.values())))
            self.news = {}
        self.changed, self.arrived, self.everything = set(), set(), False
        return "".join(f"id: {last}\nevent: {name}\ndata: {data}\n\n" for name, data in said or [("here", "")]).encode()


class Feed:
    """Who reads, and the task that looks. Belongs to one event loop; not for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.readers: set[Reader] = set()
        self.task: asyncio.Task[None] | None = None
        self.watching: asyncio.Task[None] | None = None  # looks at the runs that somebody watches
        self.closing = False
        self.last = 0
        self.missing: dict[int, float] = {}  # numbers that were passed over, and until when they may still come
        self.recent: deque[Happened] = deque(maxlen=REMEMBERED)
        self.looks = 0  # how often it was looked; for tests and curiosity
        self.begins = 0  # what came after this entry is in `recent`
        before_the_end(loop, self.release)

    def has_room(self, person_id: int) -> bool:
        mine = sum(one.reading.person_id == person_id for one in self.readers)
        return not self.closing and len(self.readers) < MOST_READERS and mine < MOST_OF_ONE

    async def lines(self, reading: Reading, since: int | None, runs: tuple[UUID, ...] = ()) -> AsyncIterator[bytes]:
        """Yield somebody's stream, caught up from entry `since`, until it is over; also of how these runs stand.

        Who is cancelled here (the browser hung up) takes only itself away.
        """
        reader = Reader(reading, runs)
        try:
            # Apart by chance, so that not all come back at once when the server did.
            yield f"retry: {random.randint(1_000, 4_000)}\n\n".encode()
            if not await self._join(reader, since):
                return
            while not reader.over:
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.woken.wait(), HEARTBEAT)
                reader.woken.clear()
                if not reader.over:
                    yield reader.message(self.last)
        finally:
            self.readers.discard(reader)

    def release(self) -> None:
        """Let everybody go, and nobody come any more: the process is about to end."""
        self.closing = True
        for reader in self.readers:
            reader.end()

    async def _join(self, reader: Reader, since: int | None) -> bool:
        begin = None if self._looks() else await aside(live_rows.where_to_begin, since)
        if not self.has_room(reader.reading.person_id):
            return False
        if begin is not None and not self._looks():
            self.last = self.begins = begin[0]
            self.missing = dict.fromkeys(begin[1], self.loop.time() + PATIENCE)
            self.recent.clear()
            self.task = self.loop.create_task(self._run(), name="countersign-live")
        self.readers.add(reader)
        if reader.runs and (self.watching is None or self.watching.done()):
            looking = run_watch.look(lambda: list(self.readers), aside)
            self.watching = self.loop.create_task(looking, name="countersign-runs")
        if since is not None and since < self.begins:
            reader.look_at_everything()
        elif since is not None:
            self._tell([one for one in self.recent if one.id > since], [reader])
        return True

    def _looks(self) -> bool:
        return self.task is not None and not self.task.done()

    async def _run(self) -> None:
        """Look until nobody reads any more."""
        tries, recheck = 0, self.loop.time() + RECHECK
        while self.readers:
            began = self.loop.time()
            try:
                found = await aside(live_rows.happened, self.last, list(self.missing))
                if began >= recheck or any(one.action in TOUCHES_PEOPLE for one in found):
                    await self._recheck()
                    recheck = began + RECHECK
                self._note(found)
                self.looks += 1
                tries = 0
                if len(found) >= live_rows.MOST_ROWS:
                    continue
            except (Error, OSError) as error:
                log.warning("the live stream could not look: %s", error)
                tries += 1
            except Exception:  # whatever it was, those who read must not read nothing for ever
                log.exception("the live stream failed")
                tries += 1
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])

    def _note(self, found: list[Happened]) -> None:
        """Take in what was found: remember it, tell it, and see which numbers were passed over."""
        now = self.loop.time()
        for one in found:
            if one.id > self.last:
                passed_over = range(max(self.last + 1, one.id - MOST_MISSING), one.id)
                self.missing |= dict.fromkeys(passed_over, now + PATIENCE)
                self.last = one.id
            self.missing.pop(one.id, None)
        self.missing = {number: until for number, until in list(self.missing.items())[-MOST_MISSING:] if until > now}
        for one in found:
            if one.proposal_id is not None:
                if len(self.recent) == REMEMBERED:
                    self.begins = max(self.begins, self.recent[0].id)
                self.recent.append(one)
        self._tell(found, self.readers)

    def _tell(self, news: list[Happened], readers: Iterable[Reader]) -> None:
        """Tell each reader what is theirs to read; who has the same rights is told the same, found out once."""
        alike: dict[Rights, tuple[set[UUID], set[UUID]]] = {}
        for reader in readers:
            found = alike.get(reader.rights)
            if found is None:
                found = alike[reader.rights] = theirs(news, reader.rights)
            if found[0]:
                reader.tell(*found)

    async def _recheck(self) -> None:
        """End the streams of who is not signed in any more; the others read by the rights they have now."""
        readers = list(self.readers)
        alive = await aside(live_rows.still_reading, [one.reading for one in readers])
        for reader in readers:
            if reader.reading in alive:
                reader.rights = alive[reader.reading]
            else:
                reader.end()


def theirs(news: list[Happened], rights: Rights) -> tuple[set[UUID], set[UUID]]:
    """Return the proposals these rights reach: those to which something happened, and those of them that came into their queues."""
    changed = {one.proposal_id for one in news if one.proposal_id and one.is_for(rights)}
    arrived = {one.proposal_id for one in news if one.proposal_id and one.arrives and one.is_queued_for(rights)}
    return changed, arrived
