"""What the decisions of people prove of a lane: the one reading of the evidence, for pages, for who watches, and for who signs.

Evidence is what a person who was there decided of a proposal that nothing but the lane held, for which this version had said, when it
came in, how likely a yes was. While a grant stands people see all that scores below its threshold and only a drawn share of the rest;
counted as it comes that would be another mixture than the lane's own. So each is kept with the chance that makes all as likely
(`grant.audit_share`), by a draw of its own.

What went alone is no evidence, for nobody looked at it; where it proved wrong it is, against the lane, whichever grant it went under. So is
what was approved by a token, or with others at once, and proved wrong.

A grant that the machine itself ended, because it erred or the traffic changed, ends what was believed: the evidence begins anew there. So
it does where a rule or a trigger that kept some of the lane with people was taken away: what was shown is not about those.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet

from escalations import canonical
from escalations.floors.lanes import drawn, key_of
from escalations.models import ClassifierVersion, Decision, Lane, LaneGrant, Trial
from escalations.proof.ladder import Ladder, Rung, most
from escalations.states import TrialMode, VersionState

from . import loosened

AUDIT_SHARE = 0.05  # of what would be settled alone, in the long run
BROKEN = ("bound", "high_risk", "drift")  # ends after which what was believed before is believed no more


@dataclass(frozen=True, slots=True)
class Piece:
    """One decision as evidence. `score` None: the version did not know."""

    score: float | None
    right: bool
    at: datetime  # when it was learned
    weight: float  # one over the chance with which it is in here
    grant: int | None
    alone: bool = False  # it went alone and proved wrong


@dataclass(frozen=True, slots=True)
class Decider:
    """One person, and how much of the evidence they decided."""

    person: int
    name: str
    many: int


def speaking(grant: LaneGrant | None = None) -> ClassifierVersion | None:
    """Return the version whose evidence counts: the one a grant is pinned to, else the live one. At most one query."""
    if grant is not None:
        return grant.version
    return ClassifierVersion.objects.filter(state=VersionState.LIVE).defer("weights").first()


def _rows(lane: Lane, version: ClassifierVersion, until: datetime | None = None) -> QuerySet[Trial]:
    rows = Trial.objects.filter(Q(counts=True) | Q(how="harm"), lane=lane, eligible=True, right__isnull=False, labelled_at__isnull=False)
    rows = rows.filter(work__estimates__version=version, work__estimates__created_at__lte=F("created_at"))
    rows = rows.exclude(mode=TrialMode.ALONE, right=True)
    if begins := begins_at(lane):
        rows = rows.filter(created_at__gt=begins)
    if until is not None:
        rows = rows.filter(labelled_at__lte=until)
    return rows


def pieces(lane: Lane, version: ClassifierVersion, until: datetime | None = None) -> list[Piece]:
    """Return the evidence of a version in a lane, in the order in which it was learned; only what was known `until` then. Three
    queries."""
    found = _rows(lane, version, until).order_by("labelled_at", "pk").values_list(
        "pk", "work__estimates__approve", "right", "labelled_at", "share", "grant_id", "grant__audit_share", "mode"
    )
    kept = []
    for pk, score, right, at, share, grant, long_run, mode in found:
        drawn_from = grant is not None and mode != TrialMode.ALONE  # harm was not drawn: all of it is here
        if drawn_from and drawn("evidence", str(pk)) >= long_run / share:
            continue
        kept.append(Piece(score, bool(right), at, 1.0 / long_run if drawn_from else 1.0, grant, mode == TrialMode.ALONE))
    return kept


def deciders(lane: Lane, version: ClassifierVersion) -> list[Decider]:
    """Return whose decisions the evidence is, who decided most of it first. Three queries."""
    decided = Decision.objects.filter(by_kind="person", proposal__in=_rows(lane, version).values("proposal"))
    rows = decided.values("person_id").annotate(name=Max("by_name"), many=Count("pk")).order_by("-many", "person_id")
    return [Decider(row["person_id"], row["name"], row["many"]) for row in rows]


def begins_at(lane: Lane) -> datetime | None:
    """Return since when evidence counts in this lane; None for always. Two queries, more where something was taken away since it began."""
    broke: datetime | None = lane.grants.filter(end__in=BROKEN).aggregate(at=Max("ended_at"))["at"]
    change = loosened.latest(lane, broke or lane.created_at)
    return change.at if change is not None else broke


def rungs_of(lane: Lane, version: ClassifierVersion) -> list[float]:
    """Return the thresholds of a lane, fixed before any evidence came in: its own, else those of all. Pure."""
    own = version.rungs.get(key_of(lane.source_id, lane.by, lane.subject)) or version.rungs.get("") or []
    return [float(one) for one in own]


def ladder_of(lane: Lane, version: ClassifierVersion, alpha: float, delta: float, found: Iterable[Piece]) -> Ladder:
    """Return the ladder of this version with this evidence on it. Pure."""
    return Ladder.of(rungs_of(lane, version), alpha, delta, ((one.score, one.right) for one in found))


def offer(lane: Lane, version: ClassifierVersion, alpha: float, delta: float, found: list[Piece]) -> dict[str, Any] | None:
    """Return what a manager would sign on this evidence; None where it certifies nothing. Pure.

    {"lane", "source", "by", "subject", "version", "alpha", "delta", "audit_share", "threshold" (of `proof.ladder.most`), "share",
    "selected", "wrong", "bound", "decided", "since", "until" (ISO), "rungs": [{"threshold", "share", "selected", "wrong", "bound",
    "passed"}]}.
    """
    rungs = ladder_of(lane, version, alpha, delta, found).rungs()
    best = most(rungs)
    if best is None or not found:
        return None
    return {
        "lane": lane.pk, "source": lane.source.name, "by": lane.by, "subject": lane.subject, "version": version.number, "alpha": alpha,
        "delta": delta, "audit_share": AUDIT_SHARE, "decided": len(found), "since": min(one.at for one in found).isoformat(),
        "until": max(one.at for one in found).isoformat(), **told(best), "rungs": [told(rung) for rung in rungs],
    }


def told(rung: Rung) -> dict[str, Any]:
    """Return a rung as it is kept and shown."""
    return {
        "threshold": rung.threshold, "share": rung.share, "selected": rung.selected, "wrong": rung.wrong, "bound": rung.bound,
        "passed": rung.passed,
    }


def digest(terms: dict[str, Any] | None) -> str:
    """Return the digest over the canonical bytes of an offer, as everything that is signed has one; "" without one."""
    return "" if terms is None else canonical.digest_of(canonical.canonical_bytes(terms).decode())
