"""python -m bench.wait: how often the interval of the estimated wait holds, on queues of several kinds, and how wide it is.

Each queue is simulated item by item, then looked at again as it ran: at random moments, for random items that stood in it, the interval
is worked out from what was known then and compared with what came. Nothing is tuned on the moments that are counted.
"""

import argparse
import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from escalations.waits import ENOUGH, LEVEL, LOOK_BACK, OPEN_SEEN, Item, Past

DAY = 86_400.0


@dataclass
class World:
    """A queue: when things come, how long one takes a person, who works when, and which is taken next."""

    name: str
    arrival: Callable[[random.Random, float], float]  # seconds until the next, at this moment
    service: Callable[[random.Random], float]
    people: Callable[[float], int]
    pick: str  # "due", "newest", "random"
    due: Callable[[random.Random, float], float]
    days: float = 20.0


def soon(mean: float) -> Callable[[random.Random, float], float]:
    return lambda draw, at: draw.expovariate(1 / mean)


def by_day(at: float) -> int:
    return 3 if 9 <= (at % DAY) / 3600 < 17 else 0


def four_hours(draw: random.Random, at: float) -> float:
    return at + 4 * 3600


def by_urgency(draw: random.Random, at: float) -> float:
    return at + draw.choice([900.0, 4 * 3600.0, 12 * 3600.0])


WORLDS = [
    World("steady, first come first served", soon(300), lambda draw: draw.expovariate(1 / 240), lambda at: 1, "due", four_hours),
    World("three people, some urgent", soon(100), lambda draw: draw.lognormvariate(5, 1), lambda at: 3, "due", by_urgency),
    World("anybody picks anything", soon(150), lambda draw: draw.expovariate(1 / 270), lambda at: 2, "random", four_hours),
    World("the newest first", soon(150), lambda draw: draw.expovariate(1 / 260), lambda at: 2, "newest", four_hours),
    World("by day only", soon(600), lambda draw: draw.expovariate(1 / 400), by_day, "due", four_hours, days=40),
    World(
        "rush every morning", lambda draw, at: draw.expovariate(1 / (120 if 9 <= (at % DAY) / 3600 < 11 else 900)),
        lambda draw: draw.expovariate(1 / 300), lambda at: 2, "due", four_hours, days=40,
    ),
    World(
        "ever more work, the backlog grows", lambda draw, at: draw.expovariate(1 / (400 - 12 * min(at / DAY, 20))),
        lambda draw: draw.expovariate(1 / 280), lambda at: 1, "due", four_hours,
    ),
    World("now and then it takes for ever", soon(400), lambda draw: draw.paretovariate(1.6) * 90, lambda at: 1, "due", four_hours),
]


def run(world: World, draw: random.Random) -> list[Item]:
    """Return what came and when it left. A person who is there takes the next; work that was begun is finished."""
    items: list[list[float]] = []  # came, left, due
    waiting: list[tuple[float, int]] = []
    busy: list[float] = []
    at, arrival, end = 0.0, world.arrival(draw, 0.0), world.days * DAY
    while at < end:
        look_again = at + 60.0
        moments = [arrival, look_again if waiting and len(busy) < 4 else end] + ([busy[0]] if busy else [])
        at = min(moments)
        while busy and busy[0] <= at:
            heapq.heappop(busy)
        if arrival <= at:
            items.append([at, float("inf"), world.due(draw, at)])
            order = {"due": items[-1][2], "newest": -at, "random": draw.random()}[world.pick]
            heapq.heappush(waiting, (order, len(items) - 1))
            arrival = at + max(0.001, world.arrival(draw, at))
        while waiting and len(busy) < world.people(at):
            _, number = heapq.heappop(waiting)
            done = at + world.service(draw)
            items[number][1] = done
            heapq.heappush(busy, done)
    return [Item(came, None if left > end else left, due) for came, left, due in items]


def known_at(items: list[Item], now: float) -> list[Item]:
    """Return what the database would show at that moment."""
    came = [item for item in items if item.came <= now]
    over = sorted((item for item in came if item.left is not None and item.left <= now), key=lambda item: -(item.left or 0))[:LOOK_BACK]
    still = sorted((item for item in came if item.left is None or item.left > now), key=lambda item: item.due)[:OPEN_SEEN]
    return over + [item._replace(left=None) for item in still]


@dataclass
class Counted:
    asked: int = 0
    held: int = 0
    above: int = 0
    below: int = 0
    open_ended: int = 0
    width: float = 0.0
    miss: float = 0.0
    wait: float = 0.0


def count(world: World, seed: int, looks: int) -> Counted:
    """Return how often the interval held in one run of a world, asked about as things come and while they wait."""
    draw = random.Random(seed)
    items = run(world, draw)
    end = world.days * DAY
    counted = Counted()
    answered = [item for item in items if item.left is not None and end * 0.2 < item.came < end * 0.9]
    for number in range(looks):
        if number % 2:  # as it comes
            item = draw.choice(answered)
            now = item.came
        else:  # whatever stands there at some moment
            now = draw.uniform(end * 0.2, end * 0.9)
            there = [item for item in items if item.left is not None and item.came <= now < item.left]
            if not there:
                continue
            item = draw.choice(there)
        assert item.left is not None
        seen = known_at(items, now)
        if sum(one.left is not None for one in seen) < ENOUGH:
            continue
        ahead = sum(one.left is None and one.due < item.due for one in seen)
        expected = Past(seen, now).expect(ahead, now - item.came, now)
        if expected is None:
            continue
        middle, low, high = expected
        rest = item.left - now
        counted.asked += 1
        counted.open_ended += high is None
        counted.below += rest < low
        counted.above += high is not None and rest > high
        counted.held += low <= rest and (high is None or rest <= high)
        counted.width += (rest * 2 if high is None else high) - low
        counted.miss += abs(middle - rest)
        counted.wait += rest
    return counted


def table(looks: int, seeds: int) -> list[tuple[str, Counted]]:
    """Return what was counted of each world, all its runs together."""
    found = []
    for world in WORLDS:
        whole = Counted()
        for seed in range(seeds):
            one = count(world, seed, looks)
            for name in vars(whole):
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
        found.append((world.name, whole))
    return found


def main() -> None:
    """Print a line for each kind of queue."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--looks", type=int, default=150, help="moments asked about in each run")
    parser.add_argument("--seeds", type=int, default=4, help="runs of each kind")
    options = parser.parse_args()
    began = time.monotonic()
    print(f"level {LEVEL:.0%}: the interval should hold at least so often\n")
    print(f"{'queue':36} {'asked':>6} {'held':>6} {'below':>6} {'above':>6} {'no end':>6} {'wait':>8} {'off by':>8} {'wide':>8}")
    for name, one in table(options.looks, options.seeds):
        of = max(1, one.asked)
        print(
            f"{name:36} {one.asked:6d} {one.held / of:6.1%} {one.below / of:6.1%} {one.above / of:6.1%} {one.open_ended / of:6.1%} "
            f"{one.wait / of:7.0f}s {one.miss / of:7.0f}s {one.width / of:7.0f}s", flush=True,
        )
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
