"""How runs that somebody watches come into the live stream: one task a process looks for all of them, with one query.

It looks while somebody watches, and more often than the stream looks for everything else: what an agent does is seen within a second.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol
from uuid import UUID

from django.db import Error

from . import run_facts
from .live_rows import Reading, Rights
from .run_facts import Facts

log = logging.getLogger(__name__)

EVERY = 0.4  # seconds between looks
PAUSES = (EVERY, 2.0, 5.0, 10.0)  # the others after failures in a row
MOST_WATCHED = 60  # runs on one page


class Watcher(Protocol):
    """Who reads a stream and watches runs in it."""

    reading: Reading
    rights: Rights
    runs: tuple[UUID, ...]
    known: dict[UUID, Facts]
    woken: asyncio.Event


def asked_for(text: str) -> tuple[UUID, ...]:
    """Return the runs a stream is asked to tell of; none for what is no list of ids, or too long a one."""
    try:
        found = tuple(dict.fromkeys(UUID(one) for one in text.split(",") if one))
    except ValueError:
        return ()
    return found if len(found) <= MOST_WATCHED else ()


def notice(watcher: Watcher, found: dict[UUID, Facts]) -> list[Facts]:
    """Return what of the runs it watches is news to this watcher and theirs to read; from now on it is known."""
    news = []
    for pk in watcher.runs:
        facts = found.get(pk)
        rights = watcher.rights
        if facts and facts != watcher.known.get(pk) and facts.is_for(watcher.reading.person_id, rights.everything, rights.roles):
            watcher.known[pk] = facts
            news.append(facts)
    return news


def said(news: Iterable[Facts]) -> str:
    """Return the event's data."""
    return json.dumps([facts.said for facts in news])


async def look(readers: Callable[[], Iterable[Any]], aside: Callable[..., Awaitable[Any]]) -> None:
    """Look until nobody watches any run. Each watcher is woken when there is news; `aside` runs a function in a thread."""
    tries = 0
    while watched := sorted({pk for one in readers() for pk in one.runs}):
        try:
            found = await aside(run_facts.facts_of, watched)
            for one in readers():
                if news := notice(one, found):
                    one.news.update({facts.id: facts for facts in news})
                    one.woken.set()
            tries = 0
        except (Error, OSError) as error:
            log.warning("the live stream could not look at the runs: %s", error)
            tries += 1
        except Exception:  # whatever it was, those who watch must not watch nothing for ever
            log.exception("the live stream failed with the runs")
            tries += 1
        await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
