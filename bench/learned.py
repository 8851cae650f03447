"""How fast the learned engine is: incidents a second on one core with the rules, and what training on 100,000 decisions costs.

    python bench/learned.py [--decisions 100000] [--incidents 3000]

Incidents are the project's own, made from a list of words: refunds with a request, calls and their results, and exceptions with frames.
No database; one core (the libraries are held to one thread). Prints; asserts nothing.
"""

import argparse
import os
import random
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("DEBUG", "1")

import django  # noqa: E402

django.setup()  # the rules engine needs no database; the package it lies in wants settings

from escalations.classify import rules  # noqa: E402
from escalations.learned import Case, Model, of  # noqa: E402
from escalations.learned.fitting import fit  # noqa: E402
from escalations.learned.reading import read  # noqa: E402

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--decisions", type=int, default=100_000)
OPTIONS.add_argument("--incidents", type=int, default=3_000)
BATCH = 250  # as classify claims them
SYLLABLES = [one + two for one in "bdfgklmnprstv" for two in ("a", "e", "i", "o", "u", "en", "ar", "il")]
CATEGORIES = ("refund", "outage", "access", "billing", "shipping", "bug", "security", "other")


def words(draw: random.Random, many: int) -> str:
    """Return made-up words; few of them are frequent, as in a language."""
    return " ".join("".join(SYLLABLES[int(len(SYLLABLES) * draw.random() ** 2)] for _ in range(2 + draw.randrange(2))) for _ in range(many))


def posted(number: int, draw: random.Random) -> tuple[dict[str, Any], bool]:
    """Return one incident as it would be posted, and whether a person approved it."""
    if number % 3 == 0:
        frames = [f"{words(draw, 1)}.{words(draw, 1)}" for _ in range(8)]
        kind = draw.choice(["TimeoutError", "KeyError", "MemoryError", "ConnectionRefusedError"])
        payload = {"exception": {"type": kind, "message": words(draw, 12)}, "frames": frames, "service": f"svc-{draw.randrange(12)}"}
        return {"kind": "exception", "title": f"{kind}: {words(draw, 5)}", "payload": payload}, kind != "MemoryError"
    amount = draw.choice([12, 35, 80, 140, 900, 2_500])
    request = f"Please refund order {number} of {amount}. {words(draw, 25)}"
    calls = [{"tool": "get_order", "arguments": {"order": number}, "result": f"order {number} total {amount} {words(draw, 20)}"}]
    proposal = {"action": draw.choice(["refund", "send_credit"]), "args": {"order": number, "amount": amount, "note": words(draw, 6)}}
    told = {"kind": "action", "title": f"Refund for order {number}", "context": {"request": request, "attempts": calls, "why": words(draw, 15)},
            "proposal": proposal}  # fmt: skip
    return told, (amount < 500) != (draw.random() < 0.03)


def facts(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the rules read of an incident (escalations.floors.facts, without a row)."""
    context, payload = told.get("context") or {}, told.get("payload") or {}
    return {
        "incident": {
            "kind": told["kind"], "title": told["title"], "body": "", "request": context.get("request") or "", "payload": payload,
            "exception": payload.get("exception") or {}, "messages": [], "attempts": context.get("attempts") or [],
        },
        "proposal": told.get("proposal") or {}, "source": {"irreversible": []},
    }  # fmt: skip


def speaking(model: Model, many: int) -> None:
    """Print how many incidents a second one core takes from what was posted to what both engines say."""
    draw = random.Random(2)
    told = [posted(number, draw)[0] for number in range(many)]
    read_ = [read(one) for one in told]
    for one in told[:BATCH]:
        rules.speak(facts(one)), of(*read(one))
    spent = {"rules": 0.0, "features": 0.0, "learned": 0.0}
    for at in range(0, many, BATCH):
        began = time.process_time()
        for one in told[at : at + BATCH]:
            rules.speak(facts(one))
        spent["rules"] += time.process_time() - began
        began = time.process_time()
        vectors = [of(*one) for one in read_[at : at + BATCH]]
        spent["features"] += time.process_time() - began
        began = time.process_time()
        model.speak(vectors)
        spent["learned"] += time.process_time() - began
    each = ", ".join(f"{name} {1000 * seconds / many:.2f} ms" for name, seconds in spent.items())
    print(f"rules and learned: {many / sum(spent.values()):,.0f} incidents a second on one core ({each})")


def main() -> None:
    options = OPTIONS.parse_args()
    draw, began, start = random.Random(1), time.process_time(), datetime(2026, 1, 1, tzinfo=UTC)
    cases = []
    for number in range(options.decisions):
        told, right = posted(number, draw)
        category = CATEGORIES[hash_of(told) % len(CATEGORIES)] if told["kind"] == "exception" else ""
        severity = "critical" if category and not right else "warning" if category else ""
        cases.append(Case(of(*read(told)), told["kind"], right, category, severity, start + timedelta(seconds=number)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(cases):,} decisions, {sum(len(case.features) for case in cases) / 4 / len(cases):.0f} features each: "
          f"made in {time.process_time() - began:.0f} s, {before:,.0f} MiB")  # fmt: skip
    began, wall = time.process_time(), time.monotonic()
    fitted = fit(cases)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    weights = fitted.model.dump()
    print(f"trained (scored on the later fifth, then on all): {time.process_time() - began:.0f} s of one core, "
          f"{time.monotonic() - wall:.0f} s by the clock, {peak:,.0f} MiB at most; weights {len(weights) / 2**20:.1f} MiB")  # fmt: skip
    print(f"reached: {fitted.scores['approve']}")
    del cases
    speaking(Model.load(weights), options.incidents)


def hash_of(told: dict[str, Any]) -> int:
    """Return a number that goes with what failed and where: a category that can be learned."""
    payload = told["payload"]
    return len(payload["exception"]["type"]) + int(payload["service"].removeprefix("svc-")) % 3


if __name__ == "__main__":
    main()
