"""The labelled public data as cases: what each set asks, what is hidden, and how it is split. Commits and prints nothing of the data."""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from escalations.learned import Case, of
from escalations.learned.reading import read

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("COUNTERSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))
HIDDEN = ("id", "source", "group", "label")  # and payload.model: nothing that learns may see them
START = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(frozen=True)
class Labelled:
    """One set: which question its labels answer (approve, category or severity), and how its rows become an order and an answer."""

    name: str
    asks: str
    answer: Callable[[Row], Any]  # None: this row has no label that counts
    when: Callable[[Row], Any] | None = None  # without a time, a seeded order
    apart: Callable[[Row], str] | None = None  # the suite or source that may be held back as a new world
    cut: float = 0.5  # the part that is history


SETS = [
    Labelled(
        "agentdojo_actions", "approve", lambda row: row["label"]["should_approve"] if row["label"]["strong"] else None,
        apart=lambda row: row["source"]
    ),
    Labelled("taubench_airline_actions", "approve", lambda row: row["label"]["should_approve"]),
    Labelled("agent_safety_judgement", "approve", lambda row: row["label"]["should_approve"], apart=lambda row: row["source"]),
    Labelled("sgd_confirmations", "approve", lambda row: row["label"]["should_approve"]),
    Labelled("injection_texts", "approve", lambda row: not row["label"]["injection"], apart=lambda row: row["source"].partition("/")[0]),
    Labelled("ossfuzz_crashes", "severity", lambda row: row["label"]["severity"], when=lambda row: row["ts"], cut=0.35),
    Labelled("loghub_severity", "severity", lambda row: row["label"]["severity"], apart=lambda row: row["source"]),
    Labelled("bgl_alert_stream", "category", lambda row: row["label"]["alert_type"].replace("-", "normal"), when=lambda row: row["ts"]),
    Labelled("syzkaller_crashes", "category", lambda row: row["label"]["type"], cut=0.6),
    Labelled("banking77", "category", lambda row: row["label"]["category"]),
    Labelled("clinc150", "category", lambda row: row["label"]["category"]),
]
LEFT_OUT = {"hostile_payloads": "parser verdicts, nothing anybody approves", "sentry_events": "32 events, for the shape of what comes in"}


@dataclass(frozen=True)
class Lived:
    """One labelled case of a set: what the machine reads, what a person says, and where it belongs."""

    case: Case
    truth: Any
    action: str
    apart: str


def lived(one: Labelled) -> list[Lived]:
    """Return a set's cases in the order of the file, or of their time; empty, said aloud, where the file is absent. About 1 ms a case."""
    path = DATA / f"{one.name}.jsonl.gz"
    if not path.exists():
        print(f"SKIPPED {one.name}: {path} is not there")
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if one.answer(row) is not None]
    if one.when:
        rows.sort(key=one.when)
    return [_lived(one, at, row) for at, row in enumerate(rows)]


def _lived(one: Labelled, at: int, row: Row) -> Lived:
    shown = {key: value for key, value in row.items() if key not in HIDDEN}
    shown["payload"] = {key: value for key, value in row["payload"].items() if key != "model"}
    incident, proposal = read(shown)
    truth = one.answer(row)
    case = Case(
        features=of(incident, proposal), kind=incident.kind, approve=truth if one.asks == "approve" else None,
        category=truth if one.asks == "category" else "", severity=truth if one.asks == "severity" else "",
        at=START + timedelta(minutes=at), group=row["group"] or ""
    )
    return Lived(case, truth, proposal.action if proposal else "", one.apart(row) if one.apart else "")


def split(one: Labelled, every: Sequence[Lived], seed: int) -> tuple[list[Lived], list[Lived]]:
    """Return (history, live), no group in both.

    Where there is a time: the first part is history, and what comes later of groups that history does not know is live, in order of
    time. Elsewhere groups are drawn for either side. History comes group after group, so that its own later part has groups its earlier
    part has not; the order of what is live is drawn item by item.
    """
    draws = Random(seed)
    if one.when:
        at = int(len(every) * one.cut)
        known = {item.case.group for item in every[:at]}
        return list(every[:at]), [item for item in every[at:] if item.case.group not in known]
    groups = sorted({item.case.group for item in every})
    draws.shuffle(groups)
    sizes: dict[str, int] = {}
    for item in every:
        sizes[item.case.group] = sizes.get(item.case.group, 0) + 1
    first: set[str] = set()
    count = 0
    for group in groups:
        if count < len(every) * one.cut:
            first.add(group)
            count += sizes[group]
    place = {group: at for at, group in enumerate(groups)}
    history = sorted((item for item in every if item.case.group in first), key=lambda item: place[item.case.group])
    live = [item for item in every if item.case.group not in first]
    draws.shuffle(live)
    return history, live
