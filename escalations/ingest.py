"""Take in what sources post: durable, with its wake-up, before anybody is answered (law 2)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from escalations import audit, clock, lifecycle, queue
from escalations.errors import IdempotencyMismatch
from escalations.models import ApiKey, AuditEntry, Incident, Proposal, Source, Work
from escalations.models.incidents import new_id
from escalations.prepared import insert_together
from escalations.states import Kind

ONCE = ("source_id", "key")  # the columns of the constraint incident_once_per_source
COPIED = ("title", "body", "external_id", "environment", "on_behalf_of", "session", "callback_url")


@dataclass(frozen=True, slots=True)
class Item:
    """One validated incident of a batch. `data` is the contract's input; `body_digest` is over its canonical JSON."""

    data: dict[str, Any]
    key: str | None
    body_digest: str
    raw: bytes | None = None
    sanitised: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one item: an incident (new or replayed), or why not."""

    incident: Incident | None
    replayed: bool = False
    problem: IdempotencyMismatch | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The unsaved rows of one incident."""

    incident: Incident
    proposal: Proposal | None
    work: Work
    entry: AuditEntry


def receive(
    *,
    source: Source,
    key_env: str,
    data: dict[str, Any],
    key: str | None,
    raw: bytes | None = None,
    sanitised: bool = False,
    body_digest: str,
) -> tuple[Incident, bool]:
    """Store one incident with its proposal, its work and its audit entry; return it, and whether it was there before.

    One statement, one transaction (through the ORM it was six or seven, and 2 ms more of the web process's CPU for each POST); a
    few more when the classifier has to be woken. The same key with the same body returns the first incident, however many post it
    at once (the database's unique index makes twins wait for the first); with another body it raises IdempotencyMismatch.
    """
    row = _rows(source, key_env, Item(data, key, body_digest, raw, sanitised))
    if _written([row]):
        return row.incident, False
    return _known(source, key_env, key, body_digest), True


def receive_many(*, source: Source, key_env: str, items: Sequence[Item]) -> list[Received]:
    """Store many as `receive` stores one, with the same statement; return what became of each, in order.

    Each stands alone: one that was there before is answered with what it is now, one whose key was used with another body with
    a problem, and neither touches the rest. Within one batch the first of two equal keys wins.
    """
    if not items:
        return []
    rows = [_rows(source, key_env, item) for item in items]
    # In one order, so that two batches never wait for each other in a ring.
    new = _written(sorted(rows, key=lambda row: row.incident.key or ""))
    results = []
    for item, row in zip(items, rows, strict=True):
        try:
            replayed = row.incident.pk not in new
            results.append(Received(_known(source, key_env, item.key, item.body_digest) if replayed else row.incident, replayed))
        except IdempotencyMismatch as problem:
            results.append(Received(None, problem=problem))
    return results


def _written(rows: Sequence[Rows]) -> set[Any]:
    """Write those whose key is new, with everything that belongs to them; return their ids.

    One statement, which is its own transaction, while a wake-up waits in the queue already: nearly always. Otherwise it writes
    nothing, and is sent again in a transaction that also queues one.
    """
    tables = (
        [row.incident for row in rows], [row.proposal for row in rows if row.proposal], [row.work for row in rows],
        [row.entry for row in rows],
    )
    awake, params = queue.is_awake("classify")
    written = insert_together(*tables, by="incident_id", once=ONCE, only_if=awake, params=params)
    if written is None:
        with transaction.atomic():
            written = insert_together(*tables, by="incident_id", once=ONCE) or set()
            if written:
                queue.wake("classify")
    return written


def fingerprint_of(data: dict[str, Any]) -> str:
    """Return the caller's fingerprint, or one that is equal for the same failure or request of one source.

    Exceptions: type, first frames and the message without its numbers. Actions: the action and its args. Others: the title
    without its numbers.
    """
    if data.get("fingerprint"):
        return str(data["fingerprint"])
    proposal = data.get("proposal") or {}
    payload = data.get("payload")
    exception = payload.get("exception") if isinstance(payload, dict) else None
    if isinstance(exception, dict):
        frames = re.findall(r"(?:File|at)\s+\S+", str(exception.get("stacktrace") or ""))[-3:]
        parts = [exception.get("type"), _without_numbers(str(exception.get("message") or "")), *frames]
    elif data["kind"] == Kind.ACTION and proposal.get("action"):
        parts = [proposal["action"], proposal.get("args")]
    else:
        parts = [_without_numbers(data["title"])]
    return hashlib.sha256(repr([data["kind"], *parts]).encode(errors="replace")).hexdigest()[:32]


def _without_numbers(text: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|\d+", "#", text)[:500]


def _rows(source: Source, key_env: str, item: Item) -> Rows:
    data = item.data
    now = clock.now()
    incident = Incident(
        id=new_id(),
        source=source,
        key=item.key or None,
        body_digest=item.body_digest,
        test=key_env == "test",
        kind=data["kind"],
        claimed_severity=data.get("severity") or "",
        fingerprint=fingerprint_of(data),
        customer=data.get("customer") or {},
        payload=data.get("payload"),
        context=data.get("context") or {},
        timeout_seconds=data.get("timeout_seconds"),
        sanitised=item.sanitised,
        raw=item.raw if item.sanitised else None,  # the row is faithful otherwise; the bytes would only double it
        received_at=now,
        **{name: data.get(name) or "" for name in COPIED},
    )
    proposal = None
    if data.get("proposal"):
        proposal = lifecycle.new_proposal(incident, data["proposal"])
    incident.as_received = proposal  # so that the answer to this call need not read it back
    entry = audit.entry(
        "incident.received",
        actor=audit.Actor.source(source),
        incident_id=incident.pk,
        proposal_id=proposal.pk if proposal else None,
        kind=incident.kind,
        body_digest=incident.body_digest,
        args_digest=proposal.args_digest if proposal else None,
        test=incident.test,
        sanitised=incident.sanitised,
    )
    return Rows(incident, proposal, Work(incident=incident, proposal=proposal, run_at=now, created_at=now), entry)


def _known(source: Source, key_env: str, key: str | None, body_digest: str) -> Incident:
    """Return what was posted with this key before. A rehearsal with a test key is not the real thing: that is a mismatch too."""
    known = Incident.objects.select_related("source").get(source=source, key=key)
    if known.body_digest != body_digest or known.test != (key_env == ApiKey.TEST):
        raise IdempotencyMismatch(incident=str(known.pk))
    return known
