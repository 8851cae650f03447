"""How right the rules engine is on the public data beside the checkout, and how fast. Prints; asserts nothing.

    python bench/rules_engine.py        # ../shared/data, or $COUNTERSIGN_SHARED_DATA

Severities of these files come from log levels, fuzzers or hands, not from our reviewers: read them as a direction.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import django

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()  # the engine needs no database; the package it lies in wants settings

from findings import contradictions, facts, in_texts, rows, share, structural, texts  # noqa: E402

from escalations.classify.rules import speak  # noqa: E402

SEVERITIES = ("critical", "warning", "info")


def severity(name: str, label: str, known: tuple[str, ...] = SEVERITIES) -> None:
    """Print accuracy and the table of confusions for one file whose label holds a severity."""
    table: Counter[tuple[str, str]] = Counter()
    for row in rows(name):
        true = row["label"].get(label)
        if true in known:
            table[true, speak(facts(row)).severity] += 1
    if not table:
        return
    total = sum(table.values())
    right = sum(count for (true, said), count in table.items() if true == said)
    trouble = sum(count for (true, said), count in table.items() if (true == "info") == (said == "info"))
    print(f"\n{name}: {share(right, total)} right; trouble or none: {share(trouble, total)}")
    for true in SEVERITIES:
        counts = [table[true, said] for said in SEVERITIES]
        if sum(counts):
            print(f"    {true:>8} said " + "  ".join(f"{said} {count:>5}" for said, count in zip(SEVERITIES, counts, strict=True)))


def alerts() -> None:
    table: Counter[tuple[bool, bool]] = Counter()
    for row in rows("bgl_alert_stream"):
        table[row["label"]["alert"], speak(facts(row)).severity != "info"] += 1
    if table:
        caught, missed, cried = table[True, True], table[True, False], table[False, True]
        print(f"\nbgl_alert_stream: alerts seen {share(caught, caught + missed)}; "
              f"of what was not an alert, called trouble {share(cried, cried + table[False, False])}")  # fmt: skip


def categories() -> None:
    for name in ("sentry_events", "agentdojo_actions", "sgd_confirmations", "taubench_airline_actions", "agent_safety_judgement",
                 "banking77", "clinc150", "ossfuzz_crashes", "syzkaller_crashes"):  # fmt: skip
        said = Counter((word.category, word.sure) for word in (speak(facts(row)) for row in rows(name)))
        total = sum(said.values())
        if total:
            named = [(f"{category} (sure)" if sure else category, count) for (category, sure), count in said.most_common(6)]
            listed = ", ".join(f"{category} {100 * count / total:.0f} %" for category, count in named)
            print(f"  {name:26} {listed}")


def speed() -> None:
    print("\nspeed on one core, incidents a second: rules alone, and with findings, triggers and contradictions")
    for name in ("loghub_severity", "ossfuzz_crashes", "banking77", "agentdojo_actions", "syzkaller_crashes"):
        found = rows(name)[:1500]
        if not found:
            continue
        prepared = [
            (facts(row), texts(row), (row["context"] or {}).get("why") or "", (row["proposal"] or {}).get("arguments") or {})
            for row in found
        ]
        for each, pairs, _, _ in prepared[:50]:
            speak(each), in_texts(pairs)
        started = time.process_time()
        for each, *_ in prepared:
            speak(each)
        alone = time.process_time() - started
        for each, pairs, prose, args in prepared:
            in_texts(pairs), structural(each), contradictions(prose, args)
        both = time.process_time() - started
        average = sum(len(text) for _, pairs, *_ in prepared for _, text in pairs) / len(prepared)
        print(f"  {name:26} {len(found) / alone:>8,.0f}  {len(found) / both:>8,.0f}   ({average:,.0f} characters each)")


if __name__ == "__main__":
    severity("loghub_severity", "severity")
    severity("ossfuzz_crashes", "severity")
    severity("banking77", "severity_handmapped")
    alerts()
    print("\nwhat it calls them")
    categories()
    speed()
