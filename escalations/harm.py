"""Harm that shows later, read in one way by lanes, training, the weekly review and the export: what speaks against a decision.

Reports say of an incident that it was wrong, complained of or corrected. A failed acknowledgement says that what was let go did not work,
which may be the network's fault: it counts against a lane and is told to the team, and teaches nothing about what people would approve.
A complaint that names no incident is about what went alone lately in the same matter; of what people decided nobody knows that.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from escalations.models import Acknowledgement, Incident, Proposal
from escalations.states import Verdict

WITHIN = timedelta(days=30)  # a complaint that comes so much later is about something else
_HOW = ("complaint", "correction", "ack")  # said in such a way it speaks against, whatever has become of it since

AGAINST = Q(outcome="wrong") | (Q(how__in=_HOW) & ~Q(outcome="right"))  # reports that speak against


def speaks_against(outcome: str, how: str) -> bool:
    """Say the same of one report. Pure."""
    return outcome == "wrong" or (how in _HOW and outcome != "right")


def failed(since: datetime, until: datetime | None = None) -> QuerySet[Acknowledgement]:
    """Return what was reported as failed since then, oldest first, by an index of its own. A no is nothing to fail at."""
    rows = Acknowledgement.objects.filter(result="failed", at__gte=since, decision__type__in=[Verdict.APPROVE, Verdict.EDIT])
    return (rows if until is None else rows.filter(at__lt=until)).order_by("at", "pk")


def complaints(since: datetime, until: datetime | None = None) -> QuerySet[Proposal]:
    """Return what came to people since then because somebody complains, with as much of its incident as is compared; nothing of
    test keys."""
    rows = Proposal.objects.filter(routed_at__gte=since, test=False, triggers__contains=[{"name": "user_complaint"}]).exclude(asked=[])
    known_by = (f"incident__{name}" for name in ("source", "external_id", "session", "customer", "received_at"))
    return (rows if until is None else rows.filter(routed_at__lt=until)).select_related("incident").only("incident", *known_by)


def complained_of(
    complaining: Sequence[Incident], rows: QuerySet[Any], most: int, *, incident: str, source: str, at: str
) -> dict[UUID, UUID]:
    """Return which rows are about what these complain of, row -> complaint: the same matter, run or customer of the same source, let go
    at most WITHIN before. A query a source, the newest `most` of each. `incident`, `source` and `at` are paths from the rows: to their
    incident, their source's key, and when they were let go.
    """
    found: dict[UUID, UUID] = {}
    by_source: dict[int, dict[tuple[str, Any], list[Incident]]] = defaultdict(lambda: defaultdict(list))
    for one in complaining:
        for what in _whose(one.external_id, one.session, _customer(one.customer)):
            by_source[one.source_id][what].append(one)
    for source_id, about in by_source.items():
        asked = {name: [value for kind, value in about if kind == name] for name in ("external_id", "session", "customer")}
        came = [one.received_at for some in about.values() for one in some]
        alike = rows.filter(
            Q(**{f"{incident}__external_id__in": asked["external_id"]}) | Q(**{f"{incident}__session__in": asked["session"]})
            | Q(**{f"{incident}__customer__id__in": asked["customer"]}),
            **{source: source_id, f"{at}__gte": min(came) - WITHIN, f"{at}__lte": max(came)},
        ).order_by(f"-{at}", "pk")
        own = (f"{incident}__{name}" for name in ("id", "external_id", "session", "customer__id"))
        for pk, let_go_at, own_id, external_id, session, customer in alike.values_list("pk", at, *own)[:most]:
            for what in _whose(external_id, session, _customer({"id": customer})):
                for one in about.get(what, ()):
                    if one.pk != own_id and one.received_at - WITHIN <= let_go_at <= one.received_at:
                        found[pk] = one.pk
    return found


def _whose(external_id: str, session: str, customer: str | int | None) -> list[tuple[str, Any]]:
    """Return what an incident is known by: what is empty says nothing."""
    return [(name, value) for name, value in (("external_id", external_id), ("session", session), ("customer", customer)) if value]


def _customer(said: Any) -> str | int | None:
    """Return the id of a customer as it was posted; None where it is none."""
    known = said.get("id") if isinstance(said, dict) else None
    return known if isinstance(known, str | int) and not isinstance(known, bool) else None
