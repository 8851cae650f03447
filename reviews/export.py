"""What was settled, as a file: one's own rights, the page's filters, masked as on the page. Streamed, so that a million rows need
no more memory than five hundred; no connection is held between two of those."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from escalations import audit, clock, spreadsheet, streaming
from escalations.floors.veiling import each
from escalations.models import Person, Proposal
from escalations.search import without_sensitive

from . import search, settled, veil
from .order import Cursor
from .veil import Veil

CHUNK = 500  # rows read at once
SEARCHED = 2_000  # rows looked through at once when words are looked for
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = (
    "settled_at", "outcome", "decided_by_kind", "decided_by", "reason", "message", "source", "kind", "title", "action", "args",
    "draft", "may_run_action", "may_run_args", "may_run_draft", "acknowledged", "acknowledged_detail", "severity", "category", "risk",
    "triggers", "floor", "role", "received_at", "routed_at", "revision", "author", "test", "incident", "proposal", "external_id",
    "signed_digest", "may_run_digest",
)


def answer(request: HttpRequest, filters: settled.Filters, form: str) -> StreamingHttpResponse:
    """Return the file as a download, after saying in the audit chain who took it and by which filters."""
    person = request.user
    now = clock.now()
    said = filters.said
    if filters.q:
        said["q"] = without_sensitive([("", filters.q)])[0][1]
    with transaction.atomic():
        audit.record("record.exported", actor=audit.Actor.of(person), subject="settled", format=form, filters=said)
    parts = written(chunks(person, filters, now), veil.for_person(person), form)
    name = f"countersign-settled-{now.astimezone(UTC):%Y%m%d-%H%M}.{form}"
    return streaming.answer(request, parts, content_type=TYPES[form], name=name)


def chunks(person: Person, filters: settled.Filters, until: datetime) -> Iterator[list[Proposal]]:
    """Yield the rows, newest first, a chunk at a time: two queries each. What is settled later is left out."""
    parts = [rows.filter(settled_at__lte=until) for rows in settled.lists(person, filters)]
    asked = search.understood(filters.q) if filters.q else None
    cursor: Cursor | None = None
    while True:
        size = SEARCHED if asked else CHUNK
        walk = settled.first(parts, cursor, size)
        if not walk:
            return
        cursor = Cursor(*walk[-1])
        here: QuerySet[Proposal] = Proposal.objects.filter(pk__in=[pk for _, pk in walk])
        if asked:
            here = here.filter(search.matching(asked))
        yield list(settled.whole(here).select_related("role").order_by("-settled_at", "-id"))
        if len(walk) < size:
            return


def written(rows: Iterator[list[Proposal]], bare: Veil, form: str) -> Iterator[str]:
    """Yield the file in pieces, one for each chunk."""
    line = csv_line if form == "csv" else json_line
    if form == "csv":
        yield "\ufeff" + csv_line(dict(zip(COLUMNS, COLUMNS, strict=True)))
    for chunk in rows:
        yield "".join(line(masked(facts_of(one), bare)) for one in chunk)


def facts_of(proposal: Proposal) -> dict[str, Any]:
    """Return what the file says of one. No queries."""
    decision = getattr(proposal, "decision", None)
    said = getattr(decision, "acknowledgement", None)
    incident = proposal.incident
    return {
        "settled_at": moment(proposal.settled_at),
        "outcome": proposal.state,
        "decided_by_kind": decision.by_kind if decision else "",
        "decided_by": decision.by_name if decision else "",
        "reason": decision.reason if decision else "",
        "message": decision.message or "" if decision else "",
        "source": proposal.source.name,
        "kind": proposal.kind,
        "title": proposal.title,
        "action": proposal.action,
        "args": proposal.args,
        "draft": proposal.draft,
        "may_run_action": decision.action if decision else "",
        "may_run_args": decision.args if decision else None,
        "may_run_draft": decision.draft if decision else None,
        "acknowledged": said.result if said else "",
        "acknowledged_detail": said.detail if said else "",
        "severity": proposal.severity,
        "category": proposal.category,
        "risk": proposal.risk,
        "triggers": proposal.trigger_names,
        "floor": proposal.floor,
        "role": proposal.role.name if proposal.role else "",
        "received_at": moment(incident.received_at),
        "routed_at": moment(proposal.routed_at),
        "revision": proposal.revision,
        "author": proposal.author,
        "test": proposal.test,
        "incident": str(proposal.incident_id),
        "proposal": str(proposal.pk),
        "external_id": incident.external_id,
        "signed_digest": decision.signed_digest if decision else proposal.args_digest,
        "may_run_digest": decision.args_digest or "" if decision else "",
    }


OURS = frozenset({"settled_at", "received_at", "routed_at", "incident", "proposal", "signed_digest", "may_run_digest"})


def masked(facts: dict[str, Any], bare: Veil) -> dict[str, Any]:
    """Return the facts as this reader may have them."""
    if not bare.hidden:
        return facts
    over = bare.over(json.dumps(value, ensure_ascii=False) for name, value in facts.items() if name not in OURS)
    return {name: value if name in OURS else each(value, over.text) for name, value in facts.items()}


def json_line(facts: dict[str, Any]) -> str:
    """Return one line of JSON in which a character that cannot be seen is an escape."""
    return json.dumps(facts, ensure_ascii=True) + "\n"


def csv_line(facts: dict[str, Any]) -> str:
    """Return one line of CSV: every cell quoted, none a formula, what cannot be seen as a token."""
    return spreadsheet.line(facts[name] for name in COLUMNS)


def moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else ""
