"""Take in what sources post: durable, with its wake-up, before anybody is answered (law 2)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from escalations import audit, clock, lifecycle, queue
from escalations.errors import IdempotencyMismatch
from escalations.models import ApiKey, Incident, Proposal, Source, Work
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
    item = Item(data, key, body_digest, raw, sanitised)
    incident, proposal, work = _rows(source, key_env, item)
    rows = [incident, *([proposal] if proposal else []), work, _entry(incident, proposal)]
    is_awake, params = queue.is_awake("classify")
    written = insert_together(rows, once=ONCE, only_if=is_awake, params=params)
    if written is None:
        with transaction.atomic():
            written = insert_together(rows, once=ONCE)
            if written:
                queue.wake("classify")
    return (incident, False) if written else (_known(source, key_env, item), True)


def receive_many(*, source: Source, key_env: str, items: Sequence[Item]) -> list[Received]:
    """Store many with a handful of statements, one transaction; return what became of each, in order.

    Each stands alone: one that was there before is answered with what it is now, one whose key was used with another body with
    a problem, and neither touches the rest. Within one batch the first of two equal keys wins.
    """
    results: dict[int, Received] = {}
    with transaction.atomic():
        built = [(index, *_rows(source, key_env, item)) for index, item in enumerate(items)]
        new = _insert_new([incident for _, incident, _, _ in built])
        fresh = [(index, incident, proposal, work) for index, incident, proposal, work in built if incident.pk in new]
        Proposal.objects.bulk_create([proposal for *_, proposal, _ in fresh if proposal is not None])
        Work.objects.bulk_create([work for *_, work in fresh])
        audit.record_many([_entry(incident, proposal) for _, incident, proposal, _ in fresh])
        if fresh:
            queue.wake("classify")
        results |= {index: Received(incident) for index, incident, _, _ in fresh}
    for index, item in enumerate(items):
        if index not in results:
            try:
                results[index] = Received(_known(source, key_env, item), replayed=True)
            except IdempotencyMismatch as problem:
                results[index] = Received(None, problem=problem)
    return [results[index] for index in range(len(items))]


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


def _rows(source: Source, key_env: str, item: Item) -> tuple[Incident, Proposal | None, Work]:
    """Return the unsaved rows of one incident."""
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
    return incident, proposal, Work(incident=incident, proposal=proposal, run_at=now, created_at=now)


def _entry(incident: Incident, proposal: Proposal | None) -> Any:
    return audit.entry(
        "incident.received",
        actor=audit.Actor.source(incident.source),
        incident_id=incident.pk,
        proposal_id=proposal.pk if proposal else None,
        kind=incident.kind,
        body_digest=incident.body_digest,
        args_digest=proposal.args_digest if proposal else None,
        test=incident.test,
        sanitised=incident.sanitised,
    )


def _insert_new(incidents: Sequence[Incident]) -> set[Any]:
    """Insert those whose key is new; return their ids. Twins in flight elsewhere are waited for by the unique index."""
    in_one_order = sorted(incidents, key=lambda incident: incident.key or "")  # two batches never wait for each other in a ring
    Incident.objects.bulk_create(in_one_order, ignore_conflicts=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM escalations_incident WHERE id = ANY (%s)", [[incident.pk for incident in incidents]]
        )
        return {row[0] for row in cursor.fetchall()}


def _known(source: Source, key_env: str, item: Item) -> Incident:
    """Return what was posted with this key before. A rehearsal with a test key is not the real thing: that is a mismatch too."""
    known = Incident.objects.select_related("source").get(source=source, key=item.key)
    if known.body_digest != item.body_digest or known.test != (key_env == ApiKey.TEST):
        raise IdempotencyMismatch(incident=str(known.pk))
    return known
