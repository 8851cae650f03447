"""Harm that shows later: what people or the machine let go turns out wrong. It counts against a lane, never for it, whoever says so."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from escalations import audit, clock, harm
from escalations.models import Incident, LaneGrant, OutcomeReport, Trial
from escalations.states import TrialMode

WITHIN = harm.WITHIN
FAILED = "The agent reports that it failed."
NEWEST = 1_000  # acknowledgements and reports read at once
MOST = 200  # times: beyond that the sweep finds what is left


def look(since: datetime, *, limit: int = NEWEST) -> set[int]:
    """Mark what proved wrong `since` then; return the lanes it was in. Three queries when there is nothing, a few for each harm.

    Failures have an index of their own; reports are read newest first by their key, `limit` at once, as far back as `since`: however
    much good news there is, what went wrong is behind it.
    """
    touched: set[int] = set()
    for proposals in _some(_failed(since), limit):
        touched |= _mark(dict.fromkeys(proposals, FAILED))
    told = dict(OutcomeReport.HOW)
    for reports in _back(OutcomeReport.objects.all(), since, limit, "incident_id", "outcome", "how"):
        against = {incident: how for incident, outcome, how in reports if harm.speaks_against(outcome, how)}
        touched |= _mark(_decided({incident: f"Reported as wrong: {told.get(how, how)}." for incident, how in against.items()}))
    for complaints in _complaints(since, limit):
        touched |= _mark(_complained_of(complaints, limit))
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
    """Find what `look` may have passed over, while nobody looked, in what went alone; return the lanes. Two queries when there is nothing,
    two more for each NEWEST failures or reports of the last thirty days."""
    since = clock.now() - WITHIN
    touched = _mark_alone("pk", _failed(since), FAILED)
    told = OutcomeReport.objects.filter(harm.AGAINST, at__gte=since).order_by("pk")
    return touched | _mark_alone("proposal__incident_id", told.values_list("incident_id", flat=True), "Reported as wrong.")


def _mark_alone(name: str, found: QuerySet[Any], why: str) -> set[int]:
    """Mark what went alone lately of what was found, which is the smaller part: of all that went alone hardly anything fails."""
    touched: set[int] = set()
    for ids in _some(found, NEWEST):
        alone = Trial.objects.filter(mode=TrialMode.ALONE, right=None, created_at__gte=clock.now() - WITHIN, **{f"{name}__in": ids})
        touched |= _mark(dict.fromkeys(alone.values_list("pk", flat=True), why))
    return touched


def _failed(since: datetime) -> QuerySet[Any]:
    return harm.failed(since).values_list("decision__proposal_id", flat=True)


def _some(found: QuerySet[Any], many: int) -> Iterator[list[Any]]:
    left = found.iterator(chunk_size=many)
    while some := list(islice(left, many)):
        yield some


def _decided(incidents: dict[UUID, str]) -> dict[UUID, str]:
    """Return the decided proposals of these incidents, with what was said of them. One query, none for none."""
    if not incidents:
        return {}
    rows = Trial.objects.filter(proposal__incident_id__in=incidents, proposal__decision__isnull=False)
    return {pk: incidents[incident] for pk, incident in rows.values_list("pk", "proposal__incident_id")}


def _complaints(since: datetime, limit: int) -> Iterator[list[Incident]]:
    """Yield the incidents that were routed since then and complain, `limit` at once; of sources that ever had a grant. A query each,
    one more at first."""
    sources = set(LaneGrant.objects.order_by().values_list("lane__source_id", flat=True).distinct())
    if not sources:
        return
    rows = harm.complaints(since).filter(source_id__in=sources).order_by("pk")
    last = None
    for _ in range(MOST):
        page = list((rows if last is None else rows.filter(pk__gt=last))[:limit])
        if page:
            yield [one.incident for one in page]
        if len(page) < limit:
            return
        last = page[-1].pk


def _complained_of(complaints: Sequence[Incident], limit: int) -> dict[UUID, str]:
    """Return what went alone lately for those who complain: the same matter, run or customer of the same source. A query a source.

    The newest `limit` of each source that are not marked yet: where all its items name one customer, the next look goes on.
    """
    alone = Trial.objects.filter(mode=TrialMode.ALONE, right=None)
    found = harm.complained_of(
        complaints, alone, limit, incident="proposal__incident", source="lane__source_id", at="created_at"
    )
    return {pk: f"A customer complains: incident {complaint}." for pk, complaint in found.items()}


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
