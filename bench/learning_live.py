"""A lane as it lives: watched, granted, audited, withdrawn; beside it three ways of doing without a bound. Pure, over scored items.

The ladder, the watch, the drift and the draw are production's own (`escalations.proof`); what is played here is the people: every
decision is the label and comes at once, and a manager grants the moment the page offers something.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from escalations.proof import Alarm, Drift, Ladder, Watch
from escalations.proof.sampling import audit_share, draw

LOOK = 10  # decisions between two looks at the page
EVERY = 50  # items between two comparisons of the traffic: as `escalations.learn.following` has it
UNFAMILIAR = 0.98  # novelty beyond which an item stays with a person whatever it scores


class Item(NamedTuple):
    """One item with what the machine thought of it; `score` is None where it did not know, or where it was too unfamiliar."""

    score: float | None
    right: bool
    action: str = ""
    novelty: float | None = None


@dataclass
class Life:
    """What became of a lane's items."""

    seen: int = 0
    alone: int = 0
    wrong: int = 0  # of those alone
    audits: int = 0
    audits_wrong: int = 0
    grants: int = 0
    granted_at: int | None = None  # the first time
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        return self.alone / self.seen if self.seen else 0.0

    @property
    def error(self) -> float:
        return self.wrong / self.alone if self.alone else 0.0


class Lane:
    """One lane with its manager. Evidence begins anew after a withdrawal: what was true before is no evidence of what is now."""

    def __init__(self, rungs: Sequence[float], alpha: float, delta: float, seed: int) -> None:
        self.rungs, self.alpha, self.delta = rungs, alpha, delta
        self.secret = f"seed {seed}".encode()
        self.life = Life()
        self.threshold: float | None = None
        self.alarm: Alarm | None = None
        self._watching()

    def take(self, item: Item) -> bool | None:
        """Let one item come in; return whether it was right if it went alone, else None."""
        self.life.seen += 1
        if self.threshold is not None:
            return self._granted(item, self.threshold)
        self.ladder.add(item.score, item.right)
        self.scores.append(item.score)
        self.novelties.append(item.novelty)
        if self.life.seen % LOOK == 0 and (found := self.ladder.certifies()) is not None:
            self._grant(found)
        return None

    def _watching(self) -> None:
        self.threshold = None
        self.ladder = Ladder(self.rungs, self.alpha, self.delta)
        self.scores: list[float | None] = []
        self.novelties: list[float | None] = []

    def _grant(self, threshold: float) -> None:
        self.threshold = threshold
        self.life.grants += 1
        self.life.granted_at = self.life.granted_at or self.life.seen
        _, selected, wrong = next(one for one in self.ladder.counts() if one[0] == threshold)
        self.watch = Watch(self.alpha, self.delta, selected, wrong)
        known = [one for one in self.novelties if one is not None]
        scores = [one for one in self.scores if one is not None]
        self.drifts = [Drift(scores, 0.005, every=EVERY), Drift(known, 0.005, every=EVERY, what="novelty")]
        self.passed = 0
        self.since_wrong: int | None = None

    def _granted(self, item: Item, threshold: float) -> bool | None:
        alone: bool | None = None
        for drift, value in zip(self.drifts, (item.score, item.novelty), strict=True):
            drift.add(value)
        if item.score is not None and item.score >= threshold:
            share = audit_share(self.passed, since_wrong=self.since_wrong)
            self.passed += 1
            self.since_wrong = None if self.since_wrong is None else self.since_wrong + 1
            if draw(self.secret, str(self.life.seen)) < share:
                self.life.audits += 1
                self.life.audits_wrong += not item.right
                self.since_wrong = self.since_wrong if item.right else 0
                self.watch.audit(item.right, share=share)
            else:
                alone = item.right
                self.life.alone += 1
                self.life.wrong += not item.right
                self.watch.let_go(share=share)
        self.alarm = self.watch.alarm or next((one.alarm for one in self.drifts if one.alarm), None)
        if self.alarm:
            self.life.ends[self.alarm.end] += 1
            self._watching()
        return alone


def live(items: Iterable[Item], rungs: Sequence[float], alpha: float, delta: float, seed: int = 0) -> Life:
    """Return what becomes of the items as they come in, in order."""
    lane = Lane(rungs, alpha, delta, seed)
    for item in items:
        lane.take(item)
    return lane.life


def naive(past: Iterable[Item], alpha: float) -> float | None:
    """Return the lowest threshold whose error on past data is at most alpha: no bound, no price for having searched."""
    best, wrong = None, 0
    ordered = sorted((item for item in past if item.score is not None), key=lambda item: -(item.score or 0.0))
    for count, item in enumerate(ordered, 1):
        wrong += not item.right
        last_of_its_score = count == len(ordered) or ordered[count].score != item.score
        if last_of_its_score and wrong <= alpha * count:
            best = item.score
    return best


def above(items: Iterable[Item], threshold: float | None) -> Life:
    """Return what becomes of the items if everything at or above the threshold goes alone, always."""
    told = Life()
    for item in items:
        told.seen += 1
        if threshold is not None and item.score is not None and item.score >= threshold:
            told.alone += 1
            told.wrong += not item.right
    return told


def five(items: Iterable[Item]) -> Life:
    """Return what becomes of the items if an action goes alone for good after five approvals of it and no denial between."""
    told, row = Life(), defaultdict[str, int](int)
    for item in items:
        told.seen += 1
        if row[item.action] >= 5:
            told.alone += 1
            told.wrong += not item.right
        else:
            row[item.action] = row[item.action] + 1 if item.right else 0
    return told


@dataclass(frozen=True)
class Promise:
    """What many lanes on the same kind of traffic did: in how many the promise was broken, ever; and what they earned."""

    runs: int
    earned: int  # lanes that were ever offered anything
    broken: int  # lanes that were ever offered a threshold whose true error is above alpha
    share: float  # that the best offer would let go, on average over all runs, 0 where none was made
    error: float  # of the best offers, on average over runs that had one
    decisions: int | None  # until the first offer: median of those that had one
    naive_broken: int  # of the same number of thresholds chosen without a bound on as many decisions
    naive_share: float
    five_broken: int  # lanes where what "five approvals" let go erred above alpha


def drawn(pool: Sequence[Item], draws: Random) -> Iterator[Item]:
    """Return items like these, for ever."""
    while True:
        yield draws.choice(pool)


def promised(
    pool: Sequence[Item], rungs: Sequence[float], alpha: float, delta: float, *, runs: int, length: int, seed: int, past: int = 500,
    blocks: Sequence[Sequence[Item]] = ()
) -> Promise:
    """Return how `runs` lanes fare whose items are drawn from the pool, so that a threshold's true error is known: the pool's.

    With `blocks` (the pool in parts that hang together) whole blocks are drawn, and their items come one after the other. A lane is
    looked at every LOOK decisions and its promise is broken if ever a threshold is offered that errs more than alpha in truth, whether or
    not a manager would have taken it. The naive threshold is chosen once, on `past` decisions.
    """
    truth = {rung: above(pool, rung) for rung in rungs}
    earned = broken = naive_broken = five_broken = 0
    shares, errors, first, naive_shares = [], [], [], []
    for run in range(runs):
        draws = Random(f"{seed} {run}")
        came = _in_blocks(blocks, draws, length) if blocks else draws.choices(pool, k=length)
        ladder = Ladder(rungs, alpha, delta)
        offers: dict[float, int] = {}
        for at, item in enumerate(came, 1):
            ladder.add(item.score, item.right)
            if at % LOOK == 0 and (found := ladder.certifies()) is not None:
                offers.setdefault(found, at)
        broken += any(truth[one].error > alpha for one in offers)
        if offers:
            earned += 1
            first.append(min(offers.values()))
            errors.append(truth[min(offers)].error)
        shares.append(truth[min(offers)].share if offers else 0.0)
        chosen = above(pool, naive(came[:past], alpha))
        naive_broken += chosen.error > alpha
        naive_shares.append(chosen.share)
        five_broken += five(came).error > alpha
    return Promise(
        runs, earned, broken, sum(shares) / runs, sum(errors) / len(errors) if errors else 0.0,
        sorted(first)[len(first) // 2] if first else None, naive_broken, sum(naive_shares) / runs, five_broken
    )


def _in_blocks(blocks: Sequence[Sequence[Item]], draws: Random, length: int) -> list[Item]:
    came: list[Item] = []
    while len(came) < length:
        came.extend(draws.choice(blocks))
    return came[:length]


@dataclass(frozen=True)
class Broken:
    """How lanes that had been granted fared when the world changed."""

    runs: int
    granted: int
    withdrawn: int
    wrong: list[int]  # that went alone after the change until the withdrawal (or the end), for each granted lane, rising
    items: list[int]  # that came in after the change until the withdrawal (or the end), rising
    new_error: float  # of what the granted thresholds select in the new world, on average
    ends: Counter[str]


def broken_world(
    before: Sequence[Item], after: Sequence[Item], rungs: Sequence[float], alpha: float, delta: float, *, runs: int, seed: int,
    patience: int = 6_000, settled_in: int = 400, then: int = 5_000
) -> Broken:
    """Return how lanes fare that earn a grant on one world, keep it for `settled_in` items, and then live in another.

    A lane with no grant after `patience` items is not counted as granted. One whose grant is withdrawn before the change starts over.
    """
    wrongs, lasted, errors, ends = [], [], [], Counter[str]()
    granted = withdrawn = 0
    for run in range(runs):
        draws = Random(f"broken {seed} {run}")
        lane = Lane(rungs, alpha, delta, seed * 1000 + run)
        source, kept = drawn(before, draws), 0
        while lane.life.seen < patience and kept < settled_in:
            lane.take(next(source))
            kept = kept + 1 if lane.threshold is not None else 0
        if kept < settled_in or lane.threshold is None:
            continue
        granted += 1
        errors.append(above(after, lane.threshold).error)
        source, wrong, count = drawn(after, draws), 0, 0
        while lane.threshold is not None and count < then:
            wrong += lane.take(next(source)) is False
            count += 1
        if lane.threshold is None and lane.alarm:
            withdrawn += 1
            ends[lane.alarm.end] += 1
        wrongs.append(wrong)
        lasted.append(count)
    return Broken(runs, granted, withdrawn, sorted(wrongs), sorted(lasted), sum(errors) / len(errors) if errors else 0.0, ends)
