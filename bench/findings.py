"""What the findings catch and what they cry wolf about, on the public data beside the checkout. Prints; asserts nothing.

    python bench/findings.py            # ../shared/data, or $COUNTERSIGN_SHARED_DATA
"""

import gzip
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from escalations.floors.findings import contradictions, in_texts  # noqa: E402
from escalations.floors.triggers import structural  # noqa: E402

DATA = Path(os.environ.get("COUNTERSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))


def rows(name: str) -> list[dict[str, Any]]:
    """Return the records of one file; an empty list, said aloud, where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        print(f"SKIPPED {name}: {path} is not there")
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def strings(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(f"{where}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(where, inner)


def texts(row: dict[str, Any]) -> list[tuple[str, str]]:
    payload = {key: value for key, value in (row.get("payload") or {}).items() if key != "model"}
    more = [one for name in ("context", "proposal") for one in strings(name, row[name])]
    return [("title", row["title"]), *strings("payload", payload), *more]


def facts(row: dict[str, Any]) -> dict[str, Any]:
    kind = {"message": "question", "log": "alert"}.get(row["kind"], row["kind"])
    proposal = row["proposal"] or {}
    context = row["context"] or {}
    return {
        "incident": {
            "kind": kind, "title": row["title"], "body": "", "request": context.get("request") or "", "exception": {},
            "payload": {key: value for key, value in row["payload"].items() if key != "model"},
            "attempts": context.get("attempts") or [], "messages": [],
        },
        "proposal": {"action": proposal.get("action", ""), "args": proposal.get("arguments") or {}},
        "source": {"irreversible": []},
    }  # fmt: skip


def share(part: int, whole: int) -> str:
    return f"{part:>5} of {whole:<5} {100 * part / whole:5.1f} %" if whole else "    none"


def injection_texts() -> None:
    print("\ninjection_texts: precision and recall of injection_suspected by source")
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows("injection_texts"):
        fired = any(one.trigger == "injection_suspected" for one in in_texts([("body", row["payload"]["text"])]))
        counted[row["source"]][("true" if row["label"]["injection"] else "false") + ("+" if fired else "-")] += 1
    total: Counter[str] = Counter()
    for source, count in sorted(counted.items()):
        total += count
        line(source, count)
    if total:
        line("all", total)
        print(f"  precision of all {100 * total['true+'] / max(total['true+'] + total['false+'], 1):.1f} %")


def line(name: str, count: Counter[str]) -> None:
    recall = share(count["true+"], count["true+"] + count["true-"])
    print(f"  {name:32} recall {recall}   false alarms {share(count['false+'], count['false+'] + count['false-'])}")


def agentdojo() -> None:
    print("\nagentdojo_actions: an injected text lay in what the agent read, and what followed")
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for row in rows("agentdojo_actions"):
        label = row["label"]
        fired = any(one.trigger == "injection_suspected" for one in in_texts(texts(row)))
        name = "attack succeeded" if label["attack_succeeded"] else "injection present" if label["injection_present"] else "clean"
        counted[f"{name}, {row['source']}"][fired] += 1
        counted[f"{name}, all"][fired] += 1
    for name, count in sorted(counted.items()):
        print(f"  {name:44} fired {share(count[True], count[True] + count[False])}")


def everything_else() -> None:
    print("\nhow often each trigger fires on the other files (none of them holds an attack by intent)")
    names = ("banking77", "clinc150", "loghub_severity", "bgl_alert_stream", "ossfuzz_crashes", "syzkaller_crashes",
             "sentry_events",
             "sgd_confirmations", "taubench_airline_actions", "agent_safety_judgement", "agentdojo_actions")  # fmt: skip
    for name in names:
        counted: Counter[str] = Counter()
        found = rows(name)
        characters, spent = 0, 0.0
        for row in found:
            pairs = texts(row)
            characters += sum(len(text) for _, text in pairs)
            prose = (row["context"] or {}).get("why") or ""
            args = (row["proposal"] or {}).get("arguments") or {}
            started = time.process_time()
            fired = [*in_texts(pairs), *structural(facts(row)), *contradictions(prose, args)]
            spent += time.process_time() - started
            counted.update({one.trigger for one in fired})
        if found:
            listed = ", ".join(f"{trigger} {100 * count / len(found):.1f} %" for trigger, count in counted.most_common())
            size = f"{len(found):>6} items, {characters / len(found):>7.0f} characters, {1000 * spent / len(found):6.2f} ms each"
            print(f"  {name:26} {size}: {listed or 'nothing'}")


if __name__ == "__main__":
    injection_texts()
    agentdojo()
    everything_else()
