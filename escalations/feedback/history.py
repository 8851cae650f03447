"""Labelled cases from before Countersign, taken in so that the learned engine starts warm. They train; they are evidence for no lane."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction

from escalations import audit, clock
from escalations.models import ACKNOWLEDGE, History, Incident, Source
from escalations.states import Kind, Severity, Verdict

from . import chat

BATCH = 500  # rows written at once
LONGEST_KEY = 255
LONGEST_CATEGORY = 80
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

Posted = Callable[[dict[str, Any]], dict[str, Any]]


class Unfit(ValueError):
    """A line is no case; the text says why."""


class TeachesNothing(ValueError):
    """A line of our own export that a machine should not learn from: nobody who was there decided it, or it was wrong."""


@dataclass(frozen=True)
class Case:
    """One labelled case: the incident as it would have been posted, and what people said of it."""

    key: str
    incident: dict[str, Any]
    verdict: str
    category: str
    severity: str
    reason: str
    decided_at: datetime
    incident_id: UUID | None = None  # of an export: what has such an incident in this database was decided here

    @property
    def label(self) -> tuple[str, str, str]:
        return self.verdict, self.category, self.severity


@dataclass
class Counts:
    """What became of the lines."""

    taken: int = 0
    known: int = 0  # taken before, or decided in this database: that teaches already
    differ: int = 0  # taken before, and labelled otherwise then: kept as it was


def case_of(record: Any, *, number: int, posted: Posted, key_of: Callable[[dict[str, Any]], str], at: datetime | None) -> Case:
    """Return the case that a line tells of: of our own export, or a record with an id and a label.

    `posted` makes the incident of a foreign record, `at` is when it was decided where the record does not say so (the later the further
    down it stands, so that the order is kept). Raises Unfit, and TeachesNothing for what people did not decide or found wrong later.
    """
    if not isinstance(record, dict):
        raise Unfit("it is no object")
    if record.get("v") == 1 and "decision" in record:
        return _exported(record)
    label = record.get("label")
    if "id" not in record or not isinstance(label, dict):
        raise Unfit("it has no id and label, nor is it a line of an export")
    verdict, category, severity = _verdict(label), _category(label), _severity(label)
    if not (verdict or category or severity):
        raise Unfit("its label says nothing that is learned here: should_approve, unsafe, category or severity")
    return Case(
        key_of(record), posted(record), verdict, category, severity, _text(label.get("reason") or label.get("explanation")),
        _moment(record.get("ts"), at, number),
    )


def take(source: Source, cases: Iterable[Case], *, actor: audit.Actor, file: str) -> Counts:
    """Store what is new of these cases, and return what became of them: all of it in one transaction, or nothing.

    Two queries for each BATCH to see what is known, one to write. Whatever `cases` raises undoes everything.
    """
    counts = Counts()
    with transaction.atomic():
        for some in _batches(cases):
            known = dict(_known(source, [case.key for case in some]))
            here = _here(some)
            fresh: dict[str, Case] = {}
            for case in some:
                if case.incident_id in here:
                    counts.known += 1
                    continue
                label = known.get(case.key) or (fresh[case.key].label if case.key in fresh else None)
                if label is None:
                    fresh[case.key] = case
                elif label == case.label:
                    counts.known += 1
                else:
                    counts.differ += 1
            History.objects.bulk_create([_row(source, case) for case in fresh.values()])
            counts.taken += len(fresh)
        audit.record(
            "history.imported", actor=actor, subject=source.name, source=source.name, file=file, taken=counts.taken, known=counts.known,
            differ=counts.differ,
        )
    return counts


def _batches(cases: Iterable[Case]) -> Iterator[list[Case]]:
    left = iter(cases)
    while some := list(islice(left, BATCH)):
        yield some


def _known(source: Source, keys: list[str]) -> Iterable[tuple[str, tuple[str, str, str]]]:
    for key, *label in History.objects.filter(source=source, key__in=keys).values_list("key", "verdict", "category", "severity"):
        yield key, (label[0], label[1], label[2])


def _here(cases: list[Case]) -> set[UUID]:
    """Return the incidents of these cases that are in this database. No query for what was never exported."""
    ids = {case.incident_id for case in cases if case.incident_id is not None}
    return set(Incident.objects.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


def _row(source: Source, case: Case) -> History:
    return History(
        source=source, key=case.key, kind=case.incident["kind"], incident=case.incident, verdict=case.verdict, category=case.category,
        severity=case.severity, reason=case.reason, decided_at=case.decided_at, imported_at=clock.now(),
    )


def _exported(record: dict[str, Any]) -> Case:
    try:
        lesson = chat.is_lesson(record)
        decision, incident = record["decision"], dict(record["incident"])
        key, incident_id, signed = str(record["proposal"]), UUID(str(record["incident_id"])), _signed(record)
        verdict, reason, decided = decision["type"], _text(decision.get("reason")), record["decided_at"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unfit(f"it is no whole line of an export: {error}") from None
    if not lesson:
        raise TeachesNothing
    if signed is not None or incident.get("proposal") is None:
        incident.pop("proposal", None)  # Countersign's own: it was not posted
    category, severity = _text((signed or {}).get("category")), (signed or {}).get("severity") or ""
    if verdict not in Verdict.values or incident.get("kind") not in Kind.values or severity not in ("", *Severity.values):
        raise Unfit("its decision, kind or severity is none that there is")
    if not 0 < len(key) <= LONGEST_KEY or len(category) > LONGEST_CATEGORY:
        raise Unfit("its id or its category is too long")
    return Case(key, incident, verdict, category, severity, reason, _moment(decided, None, 0), incident_id)


def _signed(record: dict[str, Any]) -> dict[str, Any] | None:
    """Return the labels that a person signed, None where it is no acknowledgement. Exports from before there were labels say it by what
    was first proposed and what may run; `category` and `severity` beside it are the engines' words, which would teach them themselves.

    Raises KeyError, TypeError and AttributeError for what is no line of an export.
    """
    if "labels" in record:
        signed: dict[str, Any] | None = record["labels"] and dict(record["labels"])
        return signed
    proposal, decision = record["incident"].get("proposal") or {}, record["decision"]
    if record["author"] != "system" or record["revision"] != 1 or proposal.get("action") != ACKNOWLEDGE:
        return None
    return dict(decision["args"] or {}) if decision["type"] in (Verdict.APPROVE, Verdict.EDIT) else {}


def _verdict(label: dict[str, Any]) -> str:
    """Return what a person should have said, from the words that the sets have for it; empty where the label does not say."""
    should, unsafe = label.get("should_approve"), label.get("unsafe")
    if isinstance(should, bool):
        return str(Verdict.APPROVE if should else Verdict.REJECT)
    if unsafe in (True, False, 0, 1) and unsafe is not None:
        return str(Verdict.REJECT if unsafe else Verdict.APPROVE)
    verdict = label.get("verdict")
    if verdict not in (None, *Verdict.values):
        raise Unfit(f"its verdict is none of {', '.join(Verdict.values)}")
    return str(verdict or "")


def _category(label: dict[str, Any]) -> str:
    category = _text(label.get("category")).strip()
    if len(category) > LONGEST_CATEGORY:
        raise Unfit(f"its category has more than {LONGEST_CATEGORY} characters")
    return category


def _severity(label: dict[str, Any]) -> str:
    severity = label.get("severity")
    if severity not in (None, "", *Severity.values):
        raise Unfit(f"its severity is none of {', '.join(Severity.values)}")
    return str(severity or "")


def _text(value: Any) -> str:
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""


def _moment(said: Any, at: datetime | None, number: int) -> datetime:
    """Return when it was decided: as the record says, else `at`. Raises Unfit when neither says it."""
    moment = None if said in (None, "") else _read(said)
    if moment is not None and EARLIEST <= moment <= clock.now():
        return moment
    if at is None:
        raise Unfit(f"{said!r} is no moment in the past; --at says when such lines were decided")
    return at + timedelta(microseconds=number)


def _read(said: Any) -> datetime | None:
    """Return the moment that a number of seconds, or a text in ISO form, means; in UTC where it says no zone."""
    try:
        if isinstance(said, int | float) and not isinstance(said, bool):
            return datetime.fromtimestamp(said, UTC)
        moment = datetime.fromisoformat(str(said))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
