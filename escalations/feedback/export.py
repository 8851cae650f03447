"""The rows as a file: JSON lines, CSV, or the chat format that models are fine-tuned on; redacted unless something else is asked.

Redacted means: personal data and secrets are placeholders, the same value the same one within a row; who signed (also where a reason of
our own says it), and the ids by which a source names whom it is about, are left out. Not redacted means: as this person's page shows it,
kinds of values without a clearance masked. On the command line nothing is masked then: who runs it can read the database.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Protocol

from django.db import transaction

from escalations import audit, clock, spreadsheet
from escalations.errors import NotAllowed
from escalations.floors.veiling import Veil, each
from escalations.models import Person
from escalations.states import Sensitive

from . import chat, signers
from .rows import WHOSE, Scope, batches

FORMS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "chat": "application/jsonl; charset=utf-8",
}
ENDINGS = {"jsonl": "jsonl", "csv": "csv", "chat": "jsonl"}
COLUMNS = (
    "decided_at", "decision", "by_kind", "by", "method", "teaches", "reason", "message", "role", "source", "kind", "title", "action", "args",
    "draft", "changes", "may_run_args", "may_run_draft", "acknowledged", "outcomes", "severity", "category", "risk", "floor", "triggers",
    "received_at", "routed_at", "revision", "author", "proposal", "incident",
)
OURS = frozenset({  # words and ids of our own: nothing in them is anybody's
    "v", "proposal", "incident_id", "kind", "revision", "author", "severity", "risk", "floor", "triggers", "received_at", "routed_at",
    "decided_at", "teaches", "role",
})
ALL_KINDS = frozenset(Sensitive.values)


class Placeholders(Protocol):
    """One conversation's placeholders, as `classify.mask.Mask` gives them out."""

    def value(self, value: Any) -> Any:
        """Return a JSON value with what must not leave replaced."""


Row = dict[str, Any]
Redact = Callable[[Row], Row]


@dataclass(frozen=True)
class File:
    """What is sent: its pieces, made while they are asked for."""

    parts: Iterator[str]
    content_type: str
    name: str


def check_may(person: Person) -> None:
    """Raise NotAllowed for whoever does not read every queue: managers, auditors and administrators do. One query."""
    if person.is_active and (person.is_superuser or any(role.sees_everything or role.decides_everything for role in person.roles())):
        return
    raise NotAllowed("What was decided everywhere is for managers, auditors and administrators to take away.")


def begin(
    scope: Scope, form: str, *, actor: audit.Actor, person: Person | None, placeholders: Callable[[], Placeholders] | None
) -> File:
    """Return the file, after saying in the audit chain who takes it and what of it. Two queries, three more where it is redacted;
    the rows are read as they are sent.

    `placeholders` makes what redacts one row; None is not redacted. `person` is None on the command line. Raises NotAllowed.
    """
    if person is not None:
        check_may(person)
        scope = replace(scope, unseen_by=person)
    with transaction.atomic():
        audit.record(
            "feedback.exported", actor=actor, subject=form, format=form, redacted=placeholders is not None, scope=scope.said
        )
    if placeholders is not None:
        redact: Redact = redacted_by(placeholders)
    else:
        redact = veiled_for(person) if person is not None else _as_it_is
    name = f"countersign-feedback-{clock.now().astimezone(UTC):%Y%m%d-%H%M}{'-chat' if form == 'chat' else ''}.{ENDINGS[form]}"
    return File(stream(scope, form, redact), FORMS[form], name)


def stream(scope: Scope, form: str, redact: Redact) -> Iterator[str]:
    """Yield the file in pieces, one for each batch that was read."""
    write = {"jsonl": json_line, "csv": csv_line, "chat": chat.line}[form]
    if form == "csv":
        yield "\ufeff" + spreadsheet.line(COLUMNS)
    for rows in batches(scope):
        if form == "chat":
            rows = [row for row in rows if chat.is_lesson(row)]
        yield "".join(write(redact(row)) for row in rows)


def redacted_by(placeholders: Callable[[], Placeholders]) -> Redact:
    """Return what takes personal data and secrets out of a row. Three queries: names that reasons of our own may hold.

    What people wrote themselves is their text: names in it stay, as in all texts.
    """
    without = signers.left_out(signers.names())

    def redact(row: Row) -> Row:
        mask = placeholders()
        incident = {name: value for name, value in row["incident"].items() if name not in WHOSE}
        if isinstance(incident.get("customer"), dict):
            incident["customer"] = {name: value for name, value in incident["customer"].items() if name != "id"}
        decision = row["decision"] | {"by": row["decision"]["by"] | {"name": None}}
        left = row | {"incident": incident, "decision": decision}
        left = {name: value if name in OURS else mask.value(value) for name, value in left.items()}
        if decision["by"]["kind"] != "person":
            left["decision"]["reason"] = without(left["decision"]["reason"])
        left["incident"] |= {name: row["incident"][name] for name in ("kind", "severity") if name in row["incident"]}
        return veiled(left, ALL_KINDS)

    return redact


def veiled_for(person: Person) -> Redact:
    """Return what masks the kinds of values that this person has no clearance for. One query."""
    hidden = ALL_KINDS - {kind for role in person.roles() for kind in role.clearance}
    return lambda row: veiled(row, hidden)


def veiled(row: Row, hidden: frozenset[str]) -> Row:
    """Return the row with values of these kinds masked, wherever in it they stand."""
    if not hidden:
        return row
    theirs = {name: value for name, value in row.items() if name not in OURS}
    over = Veil(hidden).over(json.dumps(value, ensure_ascii=False) for value in theirs.values())
    return {name: each(value, over.text) if name in theirs else value for name, value in row.items()}


def _as_it_is(row: Row) -> Row:
    return row


def json_line(row: Row) -> str:
    """Return one line of JSON in which a character that cannot be seen is an escape."""
    return json.dumps(row, ensure_ascii=True) + "\n"


def csv_line(row: Row) -> str:
    """Return one line of CSV: every cell quoted, none a formula."""
    proposal, decision = row["incident"].get("proposal") or {}, row["decision"]
    told = {
        **row,
        "decision": decision["type"],
        "by_kind": decision["by"]["kind"],
        "by": decision["by"]["name"],
        "method": decision["method"],
        "reason": decision["reason"],
        "message": decision["message"],
        "title": row["incident"].get("title"),
        "action": proposal.get("action"),
        "args": proposal.get("args"),
        "draft": proposal.get("draft"),
        "may_run_args": decision["args"],
        "may_run_draft": decision["draft"],
        "acknowledged": (row["acknowledged"] or {}).get("result"),
        "outcomes": [f"{one['outcome']} ({one['how']})" for one in row["outcomes"]] or None,
        "incident": row["incident_id"],
    }
    return spreadsheet.line(told[name] for name in COLUMNS)
