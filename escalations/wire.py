"""The JSON an incident is told in: to callers over the API, and to callbacks. One shape, written down in docs/api.md."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, OuterRef, Subquery, prefetch_related_objects
from django.db.models.fields.json import KT

from escalations import clock, standstill
from escalations.floors import pattern
from escalations.models import Acknowledgement, Decision, Incident, Proposal, Question, Signature
from escalations.states import State, Status, Verdict

LOOK_BACK = 200  # recent decisions of all roles that tell the pace
ENOUGH = 20  # of one role's
QUEUE_COUNTED = 500  # places in a queue that are counted; further back makes no difference anybody could use

# The yeses to a proposal as it stands, of people who are still here.
_GIVEN = Subquery(
    Signature.objects.filter(proposal=OuterRef("pk"), version=OuterRef("version"), type=Verdict.APPROVE, person__is_active=True)
    .values("proposal").annotate(count=Count("pk")).values("count")
)
_RECENT = """
SELECT role_id, extract(epoch FROM settled_at - routed_at), extract(epoch FROM settled_at)
FROM (
    SELECT proposal.id, role_id, routed_at, settled_at FROM escalations_proposal AS proposal
    WHERE settled_at IS NOT NULL ORDER BY settled_at DESC, id DESC LIMIT %s
) AS recent
JOIN escalations_decision AS decision ON decision.proposal_id = recent.id AND decision.by_kind = 'person'
WHERE role_id IS NOT NULL AND routed_at IS NOT NULL
"""
_PLACES = """
SELECT mine.id, ahead.count FROM escalations_proposal AS mine CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT 1 FROM escalations_proposal AS other
        WHERE other.state = 'pending' AND other.role_id = mine.role_id AND (other.due_at, other.id) < (mine.due_at, mine.id)
        LIMIT %s
    ) AS before
) AS ahead WHERE mine.id = ANY(%s)
"""


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
    incident: Incident, last: Proposal | None, decision: Decision | None, waits: dict[UUID, int | None],
    questions: Iterable[Question],
) -> dict[str, Any]:
    applies = incident.pattern or pattern.pattern_of(incident.kind)
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
        "estimated_wait_seconds": waits.get(last.pk) if last and incident.status != Status.SETTLED else None,
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


# -- how long it may take



def estimates(proposals: Iterable[Proposal]) -> dict[UUID, int | None]:
    """Return the same for many, by id. Two queries at most.

    A role's pace is the median wait of its last decisions by people, and the median time between them for each item that is due
    before; what was waited already counts, and nothing takes longer than the clock allows. A role that has not decided anything
    lately has no pace: then it is the time until its step is due, by when it is asked to answer.
    """
    listed = list(proposals)
    open_ones = [one for one in listed if one.state == State.PENDING and one.role_id and one.routed_at and one.due_at]
    found: dict[UUID, int | None] = dict.fromkeys((one.pk for one in listed), None)
    paces = _paces() if open_ones else {}
    known = [one for one in open_ones if one.role_id in paces]
    now = clock.now()
    found |= {one.pk: max(0, round((one.due_at - now).total_seconds())) for one in open_ones if one.due_at}
    if not known:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [QUEUE_COUNTED, [one.pk for one in known]])
        places = dict(cursor.fetchall())
    for one in known:
        wait, gap = paces[one.role_id]
        seconds = max(wait, (places.get(one.pk, 0) + 1) * gap) - (now - one.routed_at).total_seconds()
        if one.expires_at:
            seconds = min(seconds, (one.expires_at - now).total_seconds())
        found[one.pk] = max(0, round(seconds))
    return found


def _paces() -> dict[int, tuple[float, float]]:
    """Return (median wait, median time between decisions) in seconds, per role that decided lately. One query over an index."""
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, [LOOK_BACK])
        rows = cursor.fetchall()
    by_role: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for role_id, waited, settled in sorted(rows, key=lambda row: -row[2]):
        if len(by_role[role_id]) < ENOUGH:
            by_role[role_id].append((float(waited), float(settled)))
    return {
        role_id: (
            median(waited for waited, _ in recent),
            median([later - earlier for (_, later), (_, earlier) in pairwise(recent)] or [0.0]),
        )
        for role_id, recent in by_role.items()
    }
