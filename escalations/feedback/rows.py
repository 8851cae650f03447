"""What was proposed, what a person made of it and what came of that, one row a decision, oldest first.

Read in batches by key, so that no cursor and no transaction stays open and a million rows need no more memory than one batch. Of a
batch, first only which rows there are and how large they lie in the database; then as many at once as are small enough together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Func, IntegerField, Q, QuerySet
from django.db.models.functions import Coalesce

from escalations.models import OutcomeReport, Person, Proposal, Role, SecondLook, Signature, acknowledges
from escalations.states import LookState, State, Verdict
from escalations.wire import moment

BATCH = 500  # rows looked at together
HEAVIEST = 1_000_000  # bytes, as they lie compressed, that are read at once; a single row may be more
DECIDED = (State.APPROVED, State.EDITED, State.REJECTED, State.ANSWERED, State.EXPIRED)
WEIGHED = ("incident__payload", "incident__context", "incident__body", "content")
# What an incident says of itself, under the names by which it was posted.
SAID = ("kind", "title", "body", "environment", "customer", "payload", "context")
WHOSE = ("fingerprint", "external_id", "on_behalf_of", "session")  # whom and what it is about: left out of what is redacted


@dataclass(frozen=True)
class Scope:
    """Which decisions: settled from `since` until before `until`, by `role` where one is named. Test keys' are never among them."""

    until: datetime
    since: datetime | None = None
    role: Role | None = None
    unseen_by: Person | None = None  # whoever judges some of it again for themselves is not told by a file what was decided

    @property
    def said(self) -> dict[str, str | None]:
        """Return the same for the audit record."""
        return {"since": moment(self.since), "until": moment(self.until), "role": self.role.name if self.role else None}

    def rows(self) -> QuerySet[Proposal]:
        """Return the proposals, in no order yet."""
        found = Proposal.objects.filter(settled_at__lt=self.until, test=False, state__in=DECIDED)
        if self.since:
            found = found.filter(settled_at__gte=self.since)
        if self.unseen_by is not None:
            judging = SecondLook.objects.filter(opened_by=self.unseen_by, state=LookState.OPEN)
            found = found.exclude(incident__in=judging.values("proposal__incident"))
        return found.filter(role=self.role) if self.role else found


def batches(scope: Scope) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows, oldest first, some at a time: one query for each BATCH of them, and three for each part of it."""
    last: tuple[datetime, UUID] | None = None
    while True:
        found = scope.rows()
        if last is not None:
            found = found.filter(Q(settled_at__gt=last[0]) | Q(id__gt=last[1]), settled_at__gte=last[0])
        weight = sum((_bytes(name) for name in WEIGHED[1:]), _bytes(WEIGHED[0]))
        keys = list(found.order_by("settled_at", "id").annotate(weight=weight).values_list("settled_at", "id", "weight")[:BATCH])
        for ids in _parts(keys):
            yield read(ids)
        if len(keys) < BATCH:
            return
        last = keys[-1][:2]


def _bytes(name: str) -> Any:
    return Coalesce(Func(F(name), function="pg_column_size", output_field=IntegerField()), 0)


def _parts(keys: Iterable[tuple[datetime, UUID, int]]) -> Iterator[list[UUID]]:
    """Yield the ids in order, as many at once as are light enough together."""
    part: list[UUID] = []
    carried = 0
    for _, pk, weight in keys:
        if part and carried + weight > HEAVIEST:
            yield part
            part, carried = [], 0
        part.append(pk)
        carried += weight
    if part:
        yield part


def read(ids: list[UUID]) -> list[dict[str, Any]]:
    """Return what there is to say of these proposals, in their order. Three queries.

    Read as plain values: to make models of them took longer than all the rest.
    """
    decided = Proposal.objects.filter(pk__in=ids, decision__isnull=False).annotate(acknowledges=acknowledges())
    found = {values[0]: _read(values) for values in decided.values_list(*_COLUMNS)}
    signed: dict[UUID, list[tuple[int, str, str, bool]]] = defaultdict(list)
    for pk, person, type_, method, there in Signature.objects.filter(proposal__in=ids).order_by("at").values_list(
        "proposal_id", "person_id", "type", "method", "interactive"
    ):
        signed[pk].append((person, type_, method, there))
    later: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    incidents = {one.proposal.incident_id for one in found.values()}
    for said in OutcomeReport.objects.filter(incident__in=incidents).order_by("at", "pk"):
        later[said.incident_id].append({
            "outcome": said.outcome, "how": said.how, "detail": said.detail, "by": said.by_kind, "interactive": said.interactive,
            "at": moment(said.at),
        })
    return [row_of(found[pk], signed[pk], later[found[pk].proposal.incident_id]) for pk in ids if pk in found]


# What is read of a proposal, its incident and its decision, under the names of the models.
_OF_PROPOSAL = (
    "pk", "incident_id", "source__name", "role__name", "kind", "revision", "author", "severity", "category", "risk", "floor", "triggers",
    "routed_at", "action", "args", "draft", "description", "claims",
    "acknowledges",
)
_OF_INCIDENT = (*SAID, *WHOSE, "claimed_severity", "received_at")
_OF_DECISION = (
    "person_id", "type", "by_kind", "by_name", "reason", "action", "args", "draft", "message", "retry", "decided_at",
    "acknowledgement__result", "acknowledgement__detail",
)
_COLUMNS = (*_OF_PROPOSAL, *(f"incident__{name}" for name in _OF_INCIDENT), *(f"decision__{name}" for name in _OF_DECISION))


class Read(NamedTuple):
    """One decided proposal as it was read: each with the attributes of its model that are said here, and no others."""

    proposal: Any
    incident: Any
    decision: Any


def _read(values: tuple[Any, ...]) -> Read:
    left = iter(values)
    return Read(*(SimpleNamespace(**dict(zip(names, left, strict=False))) for names in (_OF_PROPOSAL, _OF_INCIDENT, _OF_DECISION)))


def row_of(read: Read, signed: list[tuple[int, str, str, bool]], later: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row. No queries.

    `teaches` says whether a person who was there decided it, one who signed at the page or in a chat, or by a token marked so: what
    rules, the clock and unattended tokens settle says nothing of what a person would do.
    """
    proposal, incident, decision = read
    methods = [(method, there) for person, type_, method, there in signed if person == decision.person_id and type_ == decision.type]
    method, there = methods[-1] if methods else ("", False)
    acknowledged = decision.acknowledgement__result and {
        "result": decision.acknowledgement__result, "detail": decision.acknowledgement__detail
    }
    return {
        "v": 1,
        "proposal": str(proposal.pk),
        "incident_id": str(proposal.incident_id),
        "source": proposal.source__name,
        "role": proposal.role__name,
        "kind": proposal.kind,
        "revision": proposal.revision,
        "author": proposal.author,
        "severity": proposal.severity,
        "category": proposal.category,
        "risk": proposal.risk,
        "floor": proposal.floor,
        "triggers": [trigger["name"] for trigger in proposal.triggers],
        "received_at": moment(incident.received_at),
        "routed_at": moment(proposal.routed_at),
        "decided_at": moment(decision.decided_at),
        "incident": posted(incident) | {"proposal": proposed(proposal)},
        "decision": {
            "type": decision.type,
            "by": {"kind": decision.by_kind, "name": decision.by_name},
            "method": method,
            "reason": decision.reason,
            "action": decision.action or None,
            "args": decision.args,
            "draft": decision.draft,
            "message": decision.message,
            "retry": decision.retry,
        },
        "labels": labels(proposal, decision),
        "changes": changed(proposal, decision),
        "acknowledged": acknowledged or None,
        "outcomes": later,
        "teaches": decision.by_kind == "person" and there,
    }


def posted(incident: Any) -> dict[str, Any]:
    """Return what was posted, without what stands there for nothing. No queries."""
    said = {name: getattr(incident, name) for name in (*SAID, *WHOSE)} | {"severity": incident.claimed_severity}
    return {name: value for name, value in said.items() if value not in (None, "", {}, [])}


def proposed(proposal: Any) -> dict[str, Any] | None:
    """Return what was proposed, with what its author said of it; None where there was nothing but the incident. No queries."""
    said = {"action": proposal.action, "args": proposal.args, "draft": proposal.draft, "description": proposal.description}
    said = {name: value for name, value in said.items() if value not in (None, "")} | proposal.claims
    return said if "action" in said or "draft" in said else None


def labels(proposal: Any, decision: Any) -> dict[str, Any] | None:
    """Return the category and the severity that a person signed, null where they signed none; None where that was not what was asked.

    `category` and `severity` of a row are what routing went by: the engines' word, which nobody signed.
    """
    if not proposal.acknowledges:
        return None
    yes = decision.by_kind == "person" and decision.type in (Verdict.APPROVE, Verdict.EDIT)
    said = decision.args if yes and isinstance(decision.args, dict) else {}
    return {name: said[name] if isinstance(said.get(name), str) else None for name in ("category", "severity")}


def changed(proposal: Any, decision: Any) -> list[dict[str, Any]]:
    """Return what an edit changed: [{"path", "from", "to"}] with RFC 6901 pointers; a side that has no such value leaves it out."""
    if decision.type != "edit":
        return []
    before = {"action": proposal.action or None, "args": proposal.args, "draft": proposal.draft}
    after = {"action": decision.action or None, "args": decision.args, "draft": decision.draft}
    return list(differences(before, after))


def differences(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield where two JSON values differ, leaf by leaf; lists of another length differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            here = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in after:
                yield {"path": here, "from": before[name]}
            elif name not in before:
                yield {"path": here, "to": after[name]}
            else:
                yield from differences(before[name], after[name], here)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}/{number}")
    elif not _same(before, after):
        yield {"path": path, "from": before, "to": after}


def _same(one: Any, other: Any) -> bool:
    """Say whether two leaves are the same JSON: 1 and true are not, 1 and 1.0 are."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
