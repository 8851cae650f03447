"""How long what stands in a queue may still take: a number, and an interval that holds as often as it says.

Nothing is assumed of how people work. From the last endings of a role's queue, and what stands in it now, it is known at every moment of
the past how many were due before each item, how long it had waited and since when nobody had ended anything; and how much longer it
took. What is asked about is compared with the moments most like it: the interval is between the order statistics of how long those
took (a prediction interval for exchangeable draws: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, 2.2; the
neighbours make it local: Lei and Wasserman, JRSS B 76, 2014). What has not ended yet counts as lasting at least until now (Kaplan and
Meier, JASA 53, 1958), else a queue that stands still would look quick. `bench/wait.py` counts how often it holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil, floor, inf
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection

from escalations import clock
from escalations.models import Proposal
from escalations.states import UNDECIDED, State

LEVEL = 0.9  # what is promised
ASKED = 0.95  # what is asked of the neighbours for it: they share their moments, so they count for fewer than they are
LOOK_BACK = 200  # endings of a role that tell how it works
OPEN_SEEN = 300  # of what stands in its queue
ENOUGH = 20  # endings, below which the past says too little
RECENT = 20  # decisions that tell the pace, where that is all there is
QUEUE_COUNTED = 500  # places in a queue that are counted; further back makes no difference anybody could use
MOMENTS = 60  # of the past at which the whole queue is looked at
EACH = 12  # items looked at, at each of them
LIKE_IT = 80  # moments most like the one asked about
FRESH = 30.0  # seconds for which what was worked out from the same endings is used again

# In these the role stands as a range, and first in the order: only the index of that role has this order. With `=` PostgreSQL may walk the
# settled ones of all roles until it has found enough of a role that has few: seconds, in a table of a million.
_SEEN = """
SELECT wanted.id, seen.came::float8, seen.left::float8, seen.due::float8, seen.state
FROM unnest(%s::int[]) AS wanted(id) CROSS JOIN LATERAL (
    (SELECT extract(epoch FROM routed_at) AS came, extract(epoch FROM settled_at) AS left, extract(epoch FROM due_at) AS due, state
     FROM escalations_proposal AS over
     WHERE over.role_id BETWEEN wanted.id AND wanted.id AND settled_at IS NOT NULL AND routed_at IS NOT NULL AND asked <> '{}'
     ORDER BY over.role_id, settled_at DESC, over.id DESC LIMIT %s)
    UNION ALL
    (SELECT extract(epoch FROM routed_at), NULL, extract(epoch FROM due_at), state FROM escalations_proposal AS open
     WHERE open.role_id BETWEEN wanted.id AND wanted.id AND state = 'pending' AND routed_at IS NOT NULL
     ORDER BY open.role_id, due_at, open.id LIMIT %s)
) AS seen
"""
# And how many of its queue are due before each, with the role's newest ending, which says whether anything is new.
_PLACES = """
SELECT mine.id, ahead.count, mine.role_id, (
    SELECT over.id FROM escalations_proposal AS over
    WHERE over.role_id BETWEEN mine.role_id AND mine.role_id AND settled_at IS NOT NULL AND routed_at IS NOT NULL AND asked <> '{}'
    ORDER BY over.role_id, settled_at DESC, over.id DESC LIMIT 1
)
FROM escalations_proposal AS mine CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT 1 FROM escalations_proposal AS other
        WHERE other.state = 'pending' AND other.role_id = mine.role_id AND (other.due_at, other.id) < (mine.due_at, mine.id)
        LIMIT %s
    ) AS before
) AS ahead WHERE mine.id = ANY(%s)
"""


class Item(NamedTuple):
    """One item of a queue, in seconds since whenever. `left` is None of what still stands there; `cut`: it was taken away, not answered."""

    came: float
    left: float | None
    due: float
    cut: bool = False


@dataclass(frozen=True)
class Wait:
    """Seconds that it may still take: in at least `level` of such cases no less than `low` and no more than `high`.

    `high` is None where nothing says when it ends at the latest.
    """

    seconds: int
    low: int
    high: int | None
    level: float = LEVEL

    @property
    def told(self) -> dict[str, Any]:
        """Return it as callers are told."""
        return {"seconds": self.seconds, "low": self.low, "high": self.high, "level": self.level}


class Past:
    """Moments of a queue's past, each with what was known of an item then and how much longer it took."""

    def __init__(self, items: Sequence[Item], now: float) -> None:
        """Look at the queue as it was when things came and at evenly spread moments, none chosen by what came of it. Some milliseconds."""
        ended = sorted(item.left for item in items if item.left is not None)
        self.endings = np.array(ended)
        self.known: np.ndarray = np.zeros((0, 3))
        self.ahead: np.ndarray = np.zeros(0)
        self.rest: np.ndarray = np.zeros(0)
        self.over: np.ndarray = np.zeros(0, dtype=bool)
        self.scale, self.farthest = 1.0, 0.0  # beyond so many before it, nobody was seen to come through
        if len(ended) < ENOUGH:
            return
        first = ended[0]  # of before nothing is known but what outlasted it
        items = sorted(items, key=lambda item: item.due)
        came, due_order = np.array([item.came for item in items]), np.arange(len(items))
        left = np.array([inf if item.left is None else item.left for item in items])
        cut = np.array([item.left is None or item.cut for item in items])
        arrivals = due_order[(came >= first) & (came < now)]
        spread = first + (now - first) * (np.arange(MOMENTS) + 0.5) / MOMENTS
        moments = np.concatenate([came[arrivals], spread])
        there = (came[None, :] <= moments[:, None]) & (left[None, :] > moments[:, None])
        before = there.cumsum(axis=1) - there
        rows, columns = [np.arange(len(arrivals))], [arrivals]
        for number in range(len(arrivals), len(moments)):
            standing = np.flatnonzero(there[number])
            some = standing[np.linspace(0, len(standing) - 1, min(EACH, len(standing))).astype(int)] if len(standing) else standing
            rows.append(np.full(len(some), number))
            columns.append(some)
        row, column = np.concatenate(rows), np.concatenate(columns)
        at = moments[row]
        self.scale = max(1.0, float(np.median(np.minimum(left, now)[cut == 0] - came[cut == 0])))
        self.ahead = before[row, column]
        self.known = self._seen(self.ahead, at - came[column], self._idle(at))
        self.rest = np.minimum(left[column], now) - at
        self.over = ~cut[column] & (left[column] <= now)
        self.farthest = 1.25 * float(self.ahead[self.over].max(initial=0)) + 3

    def expect(self, ahead: int, waited: float, now: float, level: float = ASKED) -> tuple[float, float, float | None] | None:
        """Return (middle, low, high) of the seconds that are left, None where too little is known. `high` is None beyond what was seen."""
        count = min(LIKE_IT, len(self.rest))
        if count < ENOUGH:
            return None
        asked = self._seen(np.array([ahead]), np.array([max(0.0, waited)]), self._idle(np.array([now])))
        far = np.abs(self.known - asked).sum(axis=1)
        near = np.argpartition(far, count - 1)[:count]
        # From further back than anything like it stood, it takes as much longer: else a backlog that grows would look short.
        longer = np.maximum(1.0, (1.0 + ahead) / (1.0 + self.ahead[near]))
        middle, low, high = between(self.rest[near] * longer, self.over[near], level)
        return middle, low, high if ahead <= self.farthest else None

    def _idle(self, at: np.ndarray) -> np.ndarray:
        """Return how long before each moment the last item had ended."""
        place = np.searchsorted(self.endings, at, side="right")
        return np.where(place > 0, at - self.endings[np.maximum(place - 1, 0)], 0.0)

    def _seen(self, ahead: np.ndarray, waited: np.ndarray, idle: np.ndarray) -> np.ndarray:
        """Return what two moments are compared by, each so that a step at the small end counts as one at the large."""
        return np.stack([
            np.log1p(ahead), np.log1p(np.maximum(waited, 0) / self.scale * 4), 0.5 * np.log1p(np.maximum(idle, 0) / self.scale * 4)
        ], axis=1)


def between(rest: np.ndarray, over: np.ndarray, level: float) -> tuple[float, float, float | None]:
    """Return (middle, low, high) of how long things lasted, where `over` says of each whether it ended or was last seen then.

    With everything over, `low` and `high` are the k-th smallest and largest of n for which one more of the same lies between them with
    at least this level: k = floor((n + 1)(1 - level) / 2).
    """
    count = len(rest)
    tail = (1 - level) / 2
    order = np.lexsort((~over, rest))  # of one length, what ended first
    at_risk = count - np.arange(count)
    lasting = np.cumprod(1.0 - over[order] / at_risk)
    gone = 1.0 - lasting
    sorted_rest = rest[order]

    def reached(part: float) -> float | None:
        place = int(np.searchsorted(gone, part - 1e-9))
        return float(sorted_rest[place]) if place < count else None

    first, last = floor((count + 1) * tail), ceil((count + 1) * (1 - tail))
    low = (reached(first / count) or 0.0) if first else 0.0
    high = reached(last / count) if last <= count else None
    middle = reached(0.5)
    return (middle if middle is not None else float(sorted_rest[-1])), low, high


def estimates(proposals: Iterable[Proposal]) -> dict[UUID, Wait | None]:
    """Return the wait of many, by id; None of what waits for nobody. One query, two where something ended since, or half a minute is over.

    Nothing takes longer than the clock allows: where the past says nothing, or nothing as long, that is the upper end. Without enough
    endings the number is the role's pace: the median wait of its last decisions, and the median time between them for each item that is
    due before; without any, the time until its step is due, by when it is asked to answer.
    """
    listed = list(proposals)
    open_ones = [one for one in listed if one.state == State.PENDING and one.role_id and one.routed_at and one.due_at]
    found: dict[UUID, Wait | None] = dict.fromkeys((one.pk for one in listed), None)
    if not open_ones:
        return found
    now = clock.now()
    places, last = _places([one.pk for one in open_ones])
    pasts = _pasts(last, now)
    for one in open_ones:
        found[one.pk] = _wait(one, pasts.get(one.role_id), places.get(one.pk, 0), now)
    return found


def _wait(one: Proposal, past: "_Queue | None", ahead: int, now: datetime) -> Wait:
    waited = (now - one.routed_at).total_seconds()
    latest = (one.expires_at - now).total_seconds() if one.expires_at and not one.parked_at else None
    expected = past.moments.expect(ahead, waited, now.timestamp()) if past else None
    if expected is not None:
        middle, low, high = expected
    else:
        middle = max(past.wait, (ahead + 1) * past.gap) - waited if past else (one.due_at - now).total_seconds()
        low, high = 0.0, None
    high = latest if high is None else high
    if latest is not None:
        middle, low, high = min(middle, latest), min(low, latest), min(latest if high is None else high, latest)
    low = max(0, floor(low))
    top = None if high is None else max(low, ceil(high))
    seconds = max(low, round(middle))
    return Wait(seconds if top is None else min(seconds, top), low, top)


@dataclass(frozen=True)
class _Queue:
    moments: Past
    wait: float
    gap: float


_worked_out: dict[int, tuple[Any, datetime, _Queue]] = {}


def _pasts(last: dict[int, UUID], now: datetime) -> dict[int, _Queue]:
    """Return how these roles' queues went lately, given the newest ending of each. No query, or one for those in which something ended
    since it was worked out here, or for which that is half a minute ago."""
    held = {role: _worked_out[role] for role in last if role in _worked_out}
    stale = [
        role for role, newest in last.items()
        if role not in held or held[role][0] != newest or abs((now - held[role][1]).total_seconds()) > FRESH
    ]
    if stale:
        by_role: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(_SEEN, [stale, LOOK_BACK, OPEN_SEEN])
            for role, *row in cursor.fetchall():
                by_role[role].append(tuple(row))
        for role, seen in by_role.items():
            _worked_out[role] = (last[role], now, _queue(seen, now.timestamp()))
    return {role: _worked_out[role][2] for role in last if role in _worked_out}


def _queue(seen: list[tuple[Any, ...]], now: float) -> _Queue:
    items = [
        Item(came, left, inf if due is None else due, state in UNDECIDED) for came, left, due, state in seen
    ]
    answered = sorted((item for item in items if item.left is not None and not item.cut), key=lambda item: -(item.left or 0))[:RECENT]
    wait = median([(item.left or 0) - item.came for item in answered] or [0.0])
    gap = median([(later.left or 0) - (earlier.left or 0) for later, earlier in pairwise(answered)] or [0.0])
    return _Queue(Past(items, now), wait, gap)


def _places(ids: list[UUID]) -> tuple[dict[UUID, int], dict[int, UUID]]:
    """Return how many of its role's queue are due before each, and the newest ending of each role in which any is known. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [QUEUE_COUNTED, ids])
        rows = cursor.fetchall()
    return {pk: ahead for pk, ahead, _, _ in rows}, {role: newest for _, _, role, newest in rows if newest is not None}
