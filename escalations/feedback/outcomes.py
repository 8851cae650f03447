"""What somebody learned later of what was decided: it was right, it was wrong, it is resolved. Said once, never taken back.

Who said it stays with it, and whether they were there and had not asked for it themselves. What speaks against a decision counts,
whoever says it (`escalations.harm`); that it was right is on record and counts for nothing. Nothing moves at once because of these rows.
"""

from typing import Any

from django.db import transaction

from escalations import audit, authority, clock, standstill
from escalations.errors import Conflict, Invalid, Stopped
from escalations.models import Decision, Delivery, Incident, OutcomeReport, Person
from escalations.wire import moment

RIGHT, COMPLAINT, CORRECTION = "right", "complaint", "correction"


class NothingDecided(Conflict):
    code = "nothing_decided"
    detail = "Nothing was decided here yet, so nothing can have come of it."


def report(
    incident: Incident, *, outcome: str, how: str = "", detail: str = "", complaint: Incident | None = None, actor: audit.Actor,
    person: Person | None = None, interactive: bool = False,
) -> tuple[OutcomeReport, bool]:
    """Store what was learned and return it, and whether it is new: the same said again by the same is what they said first.

    `complaint` is the incident that complains; with one, `how` is a complaint unless something else is said. Raises NothingDecided
    before a decision, Stopped for a source that may not be told yet that there is one, and Invalid for what contradicts itself.
    Six queries.
    """
    how = how or (COMPLAINT if complaint else "feedback")
    _check(incident, outcome, how, complaint)
    with transaction.atomic():
        decision = Decision.objects.filter(proposal__incident=incident).select_related("proposal").order_by("-decided_at").first()
        if decision is None:
            raise NothingDecided
        if actor.kind == "source":
            _check_handed_out(decision)
        there = interactive and person is not None and not _is_own(person, incident, decision)
        said, new = OutcomeReport.objects.get_or_create(
            incident=incident, by_kind=actor.kind, by_id=actor.id, outcome=outcome, how=how,
            defaults={"detail": detail, "person": person, "interactive": there, "complaint": complaint, "at": clock.now()},
        )
        if new:
            facts: dict[str, Any] = {"complaint": str(complaint.pk)} if complaint else {}
            audit.record(
                "outcome.reported", actor=actor, incident_id=incident.pk, proposal_id=decision.proposal_id, outcome=outcome, how=how,
                report=said.pk, interactive=there, **facts,
            )
    return said, new


def report_json(said: OutcomeReport) -> dict[str, Any]:
    """Return what is told of a report to who made it. No queries."""
    return {
        "id": said.pk,
        "incident": str(said.incident_id),
        "outcome": said.outcome,
        "how": said.how,
        "detail": said.detail,
        "complaint": str(said.complaint_id) if said.complaint_id else None,
        "by": {"kind": said.by_kind, "id": said.by_id},
        "at": moment(said.at),
    }


def _check(incident: Incident, outcome: str, how: str, complaint: Incident | None) -> None:
    faults = []
    if outcome == RIGHT and how in (COMPLAINT, CORRECTION):
        faults.append({"pointer": "/how", "code": "contradicts", "detail": "what was right is neither complained of nor corrected"})
    if complaint is not None and how != COMPLAINT:
        faults.append({"pointer": "/complaint", "code": "not_taken", "detail": "an incident complains where how is complaint"})
    if complaint is not None and complaint.pk == incident.pk:
        faults.append({"pointer": "/complaint", "code": "itself", "detail": "an incident does not complain about itself"})
    if complaint is not None and complaint.test != incident.test:
        faults.append({"pointer": "/complaint", "code": "other_world", "detail": "what a test key posted says nothing of what is live"})
    if faults:
        raise Invalid(faults)


def _is_own(person: Person, incident: Incident, decision: Decision) -> bool:
    """Say whether it was this person's own request, or their own service's: they may tell what came of it, as the one who asked."""
    decision.proposal.incident = incident
    return authority.is_own_request(person, decision.proposal)


def _check_handed_out(decision: Decision) -> None:
    """Raise Stopped where the source may not know yet that this was decided; a delivery that was tried may have told it."""
    tried = Delivery.objects.filter(proposal=decision.proposal_id, token__gt=0).exists()
    if not tried and standstill.held_back([decision.proposal_id]):
        raise Stopped
