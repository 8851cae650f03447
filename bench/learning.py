"""What the machine learns from labelled public data, what it earns, and whether the promise holds. Prints; asserts nothing.

    PYTHONPATH=. python bench/learning.py                     # every set, 3 seeds, 200 runs: about a quarter of an hour
    PYTHONPATH=. python bench/learning.py --quick             # one seed, 40 runs
    PYTHONPATH=. python bench/learning.py --sets clinc150,sgd_confirmations --runs 500

Needs ../shared/data (or $COUNTERSIGN_SHARED_DATA); no database. Features, model and rungs are `escalations.learned`, the proof is
`escalations.proof`: production's own. Labels play the people. No set holds a real reviewer's decision.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import django

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()  # features need no database; the package they lie in wants settings

from bench.learning_live import UNFAMILIAR, Broken, Item, Life, Promise, above, broken_world, five, live, naive, promised  # noqa: E402
from bench.learning_sets import LEFT_OUT, SETS, Labelled, Lived, lived, split  # noqa: E402
from escalations.learned import Model, Said  # noqa: E402
from escalations.learned.fitting import model_of, rungs_of  # noqa: E402
from escalations.learned.fitting import split as earlier_and_later  # noqa: E402
from escalations.proof.calibration import auroc, ece  # noqa: E402

ALPHAS = (0.01, 0.02, 0.05)
DELTA = 0.05
CURVE = (0.1, 0.25, 0.5, 1.0)
UNSEEN = 60  # cases a suite or source must have to be held back as a new world


@dataclass
class Judged:
    """What a model makes of items: as their lane sees them, and as they are scored."""

    items: list[Item]
    scores: list[float]  # of those it knew something of, the unfamiliar among them
    right: list[bool]
    hits: int

    @property
    def accuracy(self) -> float | None:
        return self.hits / len(self.scores) if self.scores else None


def judged(asks: str, model: Model, lives: Sequence[Lived]) -> Judged:
    """Return what the model makes of them.

    Of an approval the score is P(approve) and right means that the person approves. Of a category or severity the score is how sure the
    machine is of its word, right that the person says the same. What is too unfamiliar has no score for its lane.
    """
    told = Judged([], [], [], 0)
    for said, one in zip(model.speak([one.case.features for one in lives]), lives, strict=True):
        score, right, hit, action = _answer(asks, said, one)
        if score is not None:
            told.scores.append(score)
            told.right.append(right)
            told.hits += hit
        familiar = said.novelty is None or said.novelty <= UNFAMILIAR
        told.items.append(Item(score if familiar else None, right, action, said.novelty))
    return told


def _answer(asks: str, said: Said, one: Lived) -> tuple[float | None, bool, bool, str]:
    if asks == "approve":
        right = bool(one.truth)
        return said.approve, right, said.approve is not None and (said.approve >= 0.5) == right, one.action
    word, score = (said.category, said.category_p) if asks == "category" else (said.severity, said.severity_p)
    return score, word == one.truth, word == one.truth, word


@dataclass
class Learned:
    """A model of some history, its rungs, and the later part of that history as a model of the earlier saw it."""

    model: Model
    rungs: list[float]
    past: list[Item]


def learned(asks: str, history: Sequence[Lived]) -> Learned:
    """Fit as `fitting.fit` does: the recipe on the earlier part for rungs and scores, then on everything for the model."""
    of_case = {id(one.case): one for one in history}
    earlier, later = earlier_and_later([one.case for one in history], 0.2)
    seen = judged(asks, model_of(earlier), [of_case[id(case)] for case in later])
    rungs = rungs_of(later, [item.score for item in seen.items]).get("", [])
    return Learned(model_of([one.case for one in history]), rungs, seen.items)


@dataclass
class Row:
    """What one set did with one seed."""

    history: int
    live: int
    accuracy: float | None
    auroc: float | None
    ece: float | None
    curve: list[float | None]
    lives: dict[float, dict[str, Life]]  # alpha -> way -> what became of the live items, once through
    promises: dict[float, Promise]
    blocks: dict[float, Promise]  # the same where whole groups come, one after the other; empty where every group is one item


def one_seed(one: Labelled, every: Sequence[Lived], seed: int, runs: int, length: int) -> Row:
    """Learn from the history, live through the rest once in order, then many times at random for the promise."""
    history, later = split(one, every, seed)
    made = learned(one.asks, history)
    seen = judged(one.asks, made.model, later)
    curve = [judged(one.asks, model_of([part.case for part in history[-int(len(history) * share):]]), later).accuracy for share in CURVE]
    lives = {
        alpha: {
            "lane": live(seen.items, made.rungs, alpha, DELTA, seed), "naive": above(seen.items, naive(made.past, alpha)),
            "five": five(seen.items)
        } for alpha in ALPHAS
    }
    parts: dict[str, list[Item]] = {}
    for item, part in zip(seen.items, later, strict=True):
        parts.setdefault(part.case.group, []).append(item)
    each, blocks = {}, {}
    for alpha in ALPHAS if made.rungs and runs else ():
        each[alpha] = promised(seen.items, made.rungs, alpha, DELTA, runs=runs, length=length, seed=seed)
        if len(parts) < 0.8 * len(later):
            blocks[alpha] = promised(
                seen.items, made.rungs, alpha, DELTA, runs=runs, length=length, seed=seed, blocks=list(parts.values())
            )
    return Row(
        len(history), len(later), seen.accuracy, auroc(seen.scores, seen.right) if seen.scores else None,
        ece(seen.scores, seen.right) if seen.scores else None, curve, lives, each, blocks
    )


def worlds(one: Labelled, every: Sequence[Lived], seed: int, alpha: float, runs: int) -> list[tuple[str, Broken]]:
    """Break the world in every way this set has: labels shuffled from a point on, and each suite or source not seen before."""
    history, later = split(one, every, seed)
    made = learned(one.asks, history)
    known = judged(one.asks, made.model, later).items
    told = []
    if made.rungs:
        answers = [item.right for item in known]
        Random(seed).shuffle(answers)
        shuffled = [item._replace(right=right) for item, right in zip(known, answers, strict=True)]
        told.append(("labels shuffled", broken_world(known, shuffled, made.rungs, alpha, DELTA, runs=runs, seed=seed)))
        flipped = [item._replace(right=not item.right) for item in known]
        told.append(("labels turned round", broken_world(known, flipped, made.rungs, alpha, DELTA, runs=runs, seed=seed)))
    for name in sorted({item.apart for item in every if item.apart}):
        new = [item for item in every if item.apart == name]
        rest = [item for item in every if item.apart != name]
        if min(len(new), len(rest)) < UNSEEN:
            continue
        history, later = split(one, rest, seed)
        made = learned(one.asks, history)
        if made.rungs:
            known, unseen = (judged(one.asks, made.model, part).items for part in (later, new))
            told.append((f"unseen {name}", broken_world(known, unseen, made.rungs, alpha, DELTA, runs=runs, seed=seed)))
    return told


# -- how it is told


def progress(text: str) -> None:
    print(f"  … {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def percent(part: float, of: float) -> str:
    return f"{part / of:.1%}" if of else "–"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def tell_scores(rows: dict[str, list[Row]]) -> None:
    print("\n## What the model is worth on what it had not seen (mean of the seeds); accuracy with less of the history")
    table(
        ["set", "history", "live", "accuracy", "AUROC", "ECE", *(f"with {share:.0%}" for share in CURVE)],
        [[
            name, str(each[0].history), str(each[0].live), number(mean([row.accuracy for row in each])),
            number(mean([row.auroc for row in each])), number(mean([row.ece for row in each])),
            *(number(mean([row.curve[at] for row in each])) for at in range(len(CURVE)))
        ] for name, each in rows.items()]
    )


def tell_lives(rows: dict[str, list[Row]]) -> None:
    print("\n## Once through, in order: share settled alone, and the error really made (all seeds together; nothing goes alone, 0 wrong,"
          " if everything goes to people)")  # fmt: skip
    lines = []
    for name, each in rows.items():
        for alpha in ALPHAS:
            ways = {way: [row.lives[alpha][way] for row in each] for way in ("lane", "naive", "five")}
            cells = []
            for way in ways.values():
                alone, wrong = sum(one.alone for one in way), sum(one.wrong for one in way)
                cells += [percent(alone, sum(one.seen for one in way)), f"{percent(wrong, alone)} ({wrong})"]
            lane = ways["lane"]
            first = [one.granted_at for one in lane if one.granted_at]
            ends = sum((one.ends for one in lane), Counter[str]())
            cells.append(f"{len(first)} of {len(lane)}" + (f" after {min(first)}–{max(first)}" if first else ""))
            cells.append(", ".join(f"{end} {count}" for end, count in sorted(ends.items())) or "–")
            lines.append([name, f"{alpha:.0%}", *cells])
    table(["set", "alpha", "lane: alone", "error", "no bound: alone", "error", "five approvals: alone", "error", "granted", "withdrawn"], lines)


def tell_promises(rows: dict[str, list[Row]], what: str, blocks: bool) -> None:
    print(f"\n## {what} (delta {DELTA:.0%}): in how many runs was a threshold ever offered that errs more than alpha")
    lines = []
    for name, each in rows.items():
        for alpha in ALPHAS:
            said = [found[alpha] for found in (row.blocks if blocks else row.promises for row in each) if alpha in found]
            runs = sum(one.runs for one in said)
            if not runs:
                continue
            first = [one.decisions for one in said if one.decisions]
            lines.append([
                name, f"{alpha:.0%}", str(runs), percent(sum(one.broken for one in said), runs), percent(sum(one.earned for one in said), runs),
                percent(sum(one.share * one.runs for one in said), runs), percent(mean([one.error for one in said if one.earned]) or 0, 1),
                f"{min(first)}–{max(first)}" if first else "–", percent(sum(one.naive_broken for one in said), runs),
                percent(sum(one.naive_share * one.runs for one in said), runs), percent(sum(one.five_broken for one in said), runs)
            ])
    table([
        "set", "alpha", "runs", "broken", "earned anything", "share offered", "its true error", "decisions to the first (median of a seed)",
        "no bound: broken", "its share", "five approvals: broken"
    ], lines)


def tell_worlds(told: dict[str, list[tuple[str, Broken]]], alpha: float) -> None:
    print(f"\n## When the world changes (alpha {alpha:.0%}): granted lanes, and how many wrong ones went alone until the withdrawal")
    lines = []
    for name, ways in told.items():
        for way, said in ways:
            if not said.granted:
                lines.append([name, way, f"0 of {said.runs}", *["–"] * 6])
                continue
            last = len(said.wrong) - 1
            lines.append([
                name, way, f"{said.granted} of {said.runs}", f"{said.new_error:.1%}", percent(said.withdrawn, said.granted),
                f"{said.wrong[last // 2]}", f"{said.wrong[int(last * 0.9)]}", f"{said.items[last // 2]}",
                ", ".join(f"{end} {count}" for end, count in sorted(said.ends.items())) or "–"
            ])
    table([
        "set", "what changes", "granted before", "error of what it selects then", "withdrawn", "wrong alone until then: median", "90 %",
        "items until then: median", "by"
    ], lines)


def main() -> None:
    """Run what was asked for, and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sets", help="names, with commas between; all without it")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--runs", type=int, default=200, help="resampled runs for each set and alpha, over all seeds")
    asked.add_argument("--length", type=int, default=3000, help="decisions in each of them")
    asked.add_argument("--worlds", type=int, default=50, help="lanes for each way in which the world changes")
    asked.add_argument("--alpha", type=float, default=0.05, help="for the changes of the world")
    asked.add_argument("--quick", action="store_true", help="one seed, 40 runs of 2,000, 10 lanes a change")
    said = asked.parse_args()
    if said.quick:
        said.seeds, said.runs, said.length, said.worlds = 1, 40, 2000, 10
    began = time.monotonic()
    rows: dict[str, list[Row]] = {}
    changed: dict[str, list[tuple[str, Broken]]] = {}
    for one in SETS:
        if said.sets and one.name not in said.sets.split(","):
            continue
        progress(f"{one.name}: reading")
        every = lived(one)
        if not every:
            continue
        rows[one.name] = []
        for seed in range(said.seeds):
            rows[one.name].append(one_seed(one, every, seed, -(-said.runs // said.seeds), said.length))
            progress(f"{one.name}: seed {seed} done")
        changed[one.name] = worlds(one, every, 0, said.alpha, said.worlds)
        progress(f"{one.name}: worlds done")
    tell_scores(rows)
    tell_lives(rows)
    tell_promises(rows, "The promise, over resampled runs", blocks=False)
    tell_promises(rows, "The same, where items hang together: whole groups come, one item after the other", blocks=True)
    tell_worlds(changed, said.alpha)
    print("\nLeft out: " + "; ".join(f"{name} ({why})" for name, why in LEFT_OUT.items()))
    took = time.monotonic() - began
    print(f"{said.seeds} seeds, {said.runs} runs or a few more of {said.length} decisions each, delta {DELTA:.0%}; {took:,.0f} s.")


if __name__ == "__main__":
    main()
