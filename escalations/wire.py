"""The JSON an incident is told in: to callers over the API, and to callbacks. One shape, written down in docs/api.md."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, OuterRef, Subquery, prefetch_related_objects
from django.db.models.fields.json import KT

from escalations import standstill
from escalations.floors import pattern
from escalations.models import Acknowledgement, Decision, Incident, Proposal, Question, Signature
from escalations.states import State, Status, Verdict
from escalations.waits import Wait, estimates

# The yeses to a proposal as it stands, of people who are still here.
_GIVEN = Subquery(
    Signature.objects.filter(proposal=OuterRef("pk"), version=OuterRef("version"), type=Verdict.APPROVE, person__is_active=True)
    .values("proposal").annotate(count=Count("pk")).values("count")
)


def incident_json(incident: Incident) -> dict[str, Any]:
    """Return all there is to say of one incident, for people and callbacks. At most seven queries, fewer when things are loaded."""
    return incidents_json([incident])[0]


def incidents_json(incidents: Iterable[Incident]) -> list[dict[str, Any]]:
    """Return the same for many, in order. The number of queries does not depend on how many."""
    listed = list(incidents)
    return _told(listed, _lines(listed), set())


def handed_out(incidents: Iterable[Incident]) -> list[dict[str, Any]]:
    """Return what a source that asks is told of its incidents, in order: the same, but while everything is stopped what has not left
    looks as if it were still waiting. One query more where something is settled.
    """
    listed = list(incidents)
    lines = _lines(listed)
    return _told(listed, lines, standstill.held_back(one.pk for line in lines.values() for one in line if hasattr(one, "decision")))


def _lines(listed: list[Incident]) -> dict[UUID, list[Proposal]]:
    """Return each incident's revisions, oldest first, with what is told of them read along. At most three queries."""
    lines: dict[UUID, list[Proposal]] = defaultdict(list)
    if not listed:
        return lines
    prefetch_related_objects(listed, "source", "questions")
    proposals = (
        Proposal.objects.filter(incident__in=[incident.pk for incident in listed])
        .select_related("role", "decision__acknowledgement")
        .annotate(needed=KT("policy__quorum"), given=_GIVEN)
        .defer("content", "description", "args_schema", "policy", "triggers", "claims")
        .order_by("revision")
    )
    for proposal in proposals:
        lines[proposal.incident_id].append(proposal)
    return lines


def _told(listed: list[Incident], lines: dict[UUID, list[Proposal]], held_back: set[Any]) -> list[dict[str, Any]]:
    waits = estimates([line[-1] for line in lines.values()])
    told = []
    for incident in listed:
        line = lines.get(incident.pk, [])
        last = line[-1] if line else None
        known = (one.decision for one in reversed(line) if hasattr(one, "decision") and one.pk not in held_back)
        said = _incident(incident, last, next(known, None), waits, incident.questions.all())
        if last is not None and last.pk in held_back:
            said["proposal"] |= {"state": State.PENDING}
            said["pattern_why"] = pattern.why(incident.kind, said["pattern"])  # which rule settled it has not left either
            if not last.decision.retry:  # what is settled besides was so by the source itself, which withdrew it
                said["status"] = Status.WAITING
        told.append(said)
    return told


def received_json(incident: Incident) -> dict[str, Any]:
    """Return what is told of an incident that `ingest` stored a moment ago, in this very call. No queries: nothing came of it yet."""
    return _incident(incident, incident.as_received, None, {}, ())


def _incident(
    incident: Incident, last: Proposal | None, decision: Decision | None, waits: dict[UUID, Wait | None],
    questions: Iterable[Question],
) -> dict[str, Any]:
    applies = incident.pattern or pattern.pattern_of(incident.kind)
    wait = waits.get(last.pk) if last and incident.status != Status.SETTLED else None
    return {
        "id": str(incident.pk),
        "status": incident.status,
        "source": incident.source.name,
        "kind": incident.kind,
        "test": incident.test,
        "title": incident.title,
        "severity": incident.severity,
        "category": incident.category or None,
        "triggers": list(incident.triggers),
        "escalate": incident.escalate or None,
        "pattern": applies,
        "pattern_why": _why(incident, last, applies),
        "received_at": moment(incident.received_at),
        "estimated_wait_seconds": wait.seconds if wait else None,
        "estimated_wait": wait.told if wait else None,
        "questions": [
            {
                "id": str(question.pk),
                "text": question.text,
                "asked_at": moment(question.asked_at),
                "answered_at": moment(question.answered_at),
            }
            for question in questions
        ],
        "proposal": proposal_json(last) if last else None,
        "decision": decision_json(decision) if decision else None,
        "acknowledged": _acknowledged(decision),
        "review_url": settings.PUBLIC_URL.rstrip("/") + (last.get_absolute_url() if last else f"/incidents/{incident.pk}/"),
    }


def _why(incident: Incident, last: Proposal | None, applies: str) -> str:
    """Return why this pattern applies, from what the newest revision was routed by; of one that is not routed its kind alone."""
    if last is None or last.routed_at is None:
        return pattern.why(incident.kind, applies)
    return pattern.why(incident.kind, applies, floor=last.floor, triggers=incident.triggers, rules=last.rules)


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """Return what a caller is told of a proposal. Reads `proposal.role`.

    Where a yes needs several people, and it is known, how many have signed.
    """
    needed = int(getattr(proposal, "needed", None) or 1)
    several = {"signatures": {"given": proposal.given or 0, "needed": needed}} if needed > 1 and proposal.state == State.PENDING else {}
    return several | {
        "id": str(proposal.pk),
        "revision": proposal.revision,
        "version": proposal.version,
        "state": proposal.state,
        "action": proposal.action or None,
        "args": proposal.args,
        "draft": proposal.draft,
        "args_digest": proposal.args_digest,
        "confidence": proposal.confidence,
        "risk": proposal.risk,
        "role": proposal.role.name if proposal.role else None,
        "step": proposal.step,
        "due_at": moment(proposal.due_at),
        "expires_at": moment(proposal.expires_at),
        "allowed_decisions": list(proposal.allowed_decisions),
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as it is told everywhere. No queries."""
    return {
        "type": decision.type,
        "by": {"kind": decision.by_kind, "id": decision.by_id, "name": decision.by_name},
        "reason": decision.reason,
        "action": decision.action or None,
        "args": decision.args,
        "draft": decision.draft,
        "message": decision.message,
        "retry": decision.retry,
        "signed_digest": decision.signed_digest,
        "args_digest": decision.args_digest,
        "decided_at": moment(decision.decided_at),
        "valid_until": moment(decision.valid_until),
    }


def _acknowledged(decision: Decision | None) -> dict[str, Any] | None:
    said: Acknowledgement | None = getattr(decision, "acknowledgement", None)
    if said is None:
        return None
    return {"result": said.result, "args_digest": said.args_digest, "detail": said.detail, "at": moment(said.at)}


def moment(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC with a Z, to the millisecond."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
