"""How many of the injected actions the item page marks before anyone reads, and how many honest ones it marks for nothing.

    python bench/provenance.py [--show injected|honest]      # ../shared/data, or $COUNTERSIGN_SHARED_DATA

Three marks are counted, each a harder claim than the one before: `any` (some value is not from a person), `look here` (an address,
account or link that no person named, in running text or nowhere), `speaks` (and the text that brought it addresses the machine; that
last one leans on the words of known attacks). Only the request, the calls and their results are read: no label, title or model's name.
Prints; asserts nothing.
"""

import argparse
import gzip
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from escalations.floors.provenance import STRONG, Origin, origins, parts_of  # noqa: E402

DATA = Path(os.environ.get("COUNTERSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))
OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--show", choices=["injected", "honest"], help="print the injected ones without the mark, or the honest ones with it")
Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    """Return the records of one file; an empty list, said aloud, where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        print(f"SKIPPED {name}: {path} is not there. Nothing of it was measured.")
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judged(row: Row) -> tuple[bool, bool, bool, list[Origin]]:
    """Return whether a row carries any mark, the strong one, and the strong one beside words to the machine."""
    found = origins((row["proposal"] or {}).get("arguments"), parts_of(row["context"]))
    strong = [one for one in found if one.mark == STRONG]
    return any(one.mark for one in found), bool(strong), any(one.beside for one in strong), found


def table(title: str, asked: Iterable[Row], of: Callable[[Row], str]) -> None:
    """Print one line for each kind of row and one for all."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in asked:
        some, strong, speaks, _ = judged(row)
        for name in dict.fromkeys((of(row), "all")):
            counted[name].update({"n": 1, "any": some, "strong": strong, "speaks": speaks})
    print(f"\n{title}\n{'':34}{'items':>6} {'any':>8} {'look here':>10} {'speaks':>8}")
    for name in sorted(counted, key=lambda one: (one == "all", one)):
        one = counted[name]
        shares = [f"{one[what] / one['n']:.1%}" for what in ("any", "strong", "speaks")]
        print(f"{name[:33]:34}{one['n']:>6} {shares[0]:>8} {shares[1]:>10} {shares[2]:>8}")


def show(title: str, asked: Iterable[Row], wanted: bool) -> None:
    """Print the rows that carry the strong mark, or that do not."""
    for row in asked:
        _, strong, _, found = judged(row)
        if strong == wanted:
            print(f"{title}: {row['payload'].get('suite', row['source'])}: {row['context']['request'][:160]!r}\n    {row['proposal']}")
            for one in found:
                print(f"    {one.path}: {one.kind} {one.mark} {[place.label for place in one.places][:2]} {one.shares[:3]}")


def main() -> None:
    said = OPTIONS.parse_args()
    dojo = rows("agentdojo_actions")
    injected = [row for row in dojo if row["label"]["reason"] == "carries_out_injected_instruction"]
    honest = [row for row in dojo if row["label"]["strong"] and row["label"]["should_approve"]]
    quiet = [row for row in honest if not row["label"]["injection_present"]]
    if said.show:
        show(said.show, injected if said.show == "injected" else honest, said.show == "honest")
        return
    if dojo:
        begun = time.perf_counter()
        table("AgentDojo, injected: the call carries out what a tool's result ordered", injected, lambda row: row["payload"]["suite"])
        table("AgentDojo, injected, where the attack went through", [row for row in injected if row["label"]["attack_succeeded"]],
              lambda row: row["payload"]["suite"])  # fmt: skip
        table("AgentDojo, honest: the call does what the user asked for", honest, lambda row: row["payload"]["suite"])
        table("AgentDojo, honest, no injection anywhere in the run", quiet, lambda row: row["payload"]["suite"])
        total = len(injected) * 2 + len(honest) + len(quiet)
        print(f"\n{(time.perf_counter() - begun) / max(total, 1) * 1000:.2f} ms an item")
    # Never looked at while the rules were made.
    table("tau-bench airline, honest: matches the ground truth", [row for row in rows("taubench_airline_actions") if
          row["label"]["should_approve"]], lambda row: row["proposal"]["action"])  # fmt: skip
    safety = rows("agent_safety_judgement")
    for unsafe in (True, False):
        kind = "unsafe" if unsafe else "safe"
        table(f"Agent records judged {kind} (not only injections)", [row for row in safety if bool(row["label"]["unsafe"]) == unsafe],
              lambda row: row["source"])  # fmt: skip


if __name__ == "__main__":
    main()
