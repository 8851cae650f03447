"""Harm that shows later: what people or the machine let go turns out wrong. It counts against a lane, never for it, whoever says so."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from escalations import audit, clock
from escalations.models import Acknowledgement, OutcomeReport, Proposal, Trial
from escalations.states import TrialMode

WITHIN = timedelta(days=30)  # a complaint that comes so much later is about something else
FAILED = "The agent reports that it failed."
NEWEST = 1_000  # acknowledgements and reports read at once
MOST = 200  # times: beyond that the sweep finds what is left


def look(since: datetime, *, limit: int = NEWEST) -> set[int]:
    """Mark what proved wrong `since` then; return the lanes it was in. Three queries when there is nothing, a few for each harm.

    Acknowledgements and reports are read newest first by their key, `limit` at once, as far back as `since`: however much good news
    there is, what went wrong is behind it.
    """
    touched: set[int] = set()
    for acks in _back(Acknowledgement.objects.all(), since, limit, "decision__proposal_id", "result"):
        touched |= _mark({proposal: FAILED for proposal, result in acks if result == "failed"})
    told = dict(OutcomeReport.HOW)
    for reports in _back(OutcomeReport.objects.all(), since, limit, "incident_id", "outcome", "how"):
        against = {incident: how for incident, outcome, how in reports if outcome == "wrong" or how == "complaint"}
        touched |= _mark(_decided({incident: f"Reported as wrong: {told.get(how, how)}." for incident, how in against.items()}))
    complaints = (
        Proposal.objects.filter(routed_at__gte=since, test=False, triggers__contains=[{"name": "user_complaint"}])
        .exclude(asked=[]).select_related("incident").order_by("-routed_at")
    )
    for complaint in complaints[:limit]:
        touched |= _mark(_complained_of(complaint))
    return touched


def _back(rows: QuerySet[Any], since: datetime, limit: int, *fields: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield what was written since then, newest first, `limit` at once and MOST times at the most. One query each."""
    before = None
    for _ in range(MOST):
        page = list((rows if before is None else rows.filter(pk__lt=before)).order_by("-pk").values_list("pk", "at", *fields)[:limit])
        if fresh := [tuple(rest) for _, at, *rest in page if at >= since]:
            yield fresh
        if len(page) < limit or page[-1][1] < since:
            return
        before = page[-1][0]


def sweep() -> set[int]:
    """Find what `look` may have passed over, while nobody looked, in what went alone; return the lanes. Three queries when there is nothing."""
    alone = Trial.objects.filter(mode=TrialMode.ALONE, right=None, created_at__gte=clock.now() - WITHIN)
    failed = alone.filter(proposal__decision__acknowledgement__result="failed").values_list("pk", flat=True)[:NEWEST]
    touched = _mark(dict.fromkeys(failed, FAILED))
    told = alone.filter(Q(proposal__incident__outcomes__outcome="wrong") | Q(proposal__incident__outcomes__how="complaint"))
    return touched | _mark(dict.fromkeys(told.values_list("pk", flat=True)[:NEWEST], "Reported as wrong."))


def _decided(incidents: dict[UUID, str]) -> dict[UUID, str]:
    """Return the decided proposals of these incidents, with what was said of them. One query, none for none."""
    if not incidents:
        return {}
    rows = Trial.objects.filter(proposal__incident_id__in=incidents, proposal__decision__isnull=False)
    return {pk: incidents[incident] for pk, incident in rows.values_list("pk", "proposal__incident_id")}


def _complained_of(complaint: Proposal) -> dict[UUID, str]:
    """Return what went alone lately for whom complains: the same matter, run or customer of the same source. One query."""
    incident = complaint.incident
    customer = incident.customer.get("id") if isinstance(incident.customer, dict) else None
    same = Q(pk=None)
    if incident.external_id:
        same |= Q(proposal__incident__external_id=incident.external_id)
    if incident.session:
        same |= Q(proposal__incident__session=incident.session)
    if isinstance(customer, str | int) and customer not in ("", 0):
        same |= Q(proposal__incident__customer__id=customer)
    rows = Trial.objects.filter(
        same, lane__source_id=incident.source_id, mode=TrialMode.ALONE, right=None, created_at__gte=incident.received_at - WITHIN,
        created_at__lte=incident.received_at,
    ).exclude(proposal__incident=incident)
    return dict.fromkeys(rows.values_list("pk", flat=True), f"A customer complains: incident {incident.pk}.")


def _mark(harmed: dict[UUID, str]) -> set[int]:
    """Write that these were wrong, each with its entry; return their lanes. What is known to be wrong already is left. One query for none."""
    if not harmed:
        return set()
    with transaction.atomic():
        rows = Trial.objects.select_for_update(of=("self",), skip_locked=True).filter(pk__in=harmed).exclude(right=False)
        trials = list(rows.filter(proposal__decision__type="approve").select_related("lane__source", "proposal"))
        now = clock.now()
        Trial.objects.filter(pk__in=[one.pk for one in trials]).update(right=False, how="harm", labelled_at=now)
        audit.record_many(_entries(trials, harmed))
    return {one.lane_id for one in trials}


def _entries(trials: Iterable[Trial], harmed: dict[UUID, str]) -> list[Any]:
    return [
        audit.entry(
            "lane.harmed", actor=audit.SYSTEM, incident_id=one.proposal.incident_id, proposal_id=one.pk, subject=f"Lane {one.lane_id}",
            lane=str(one.lane), alone=one.mode == TrialMode.ALONE, grant=one.grant_id, why=harmed[one.pk],
        )
        for one in trials
    ]
