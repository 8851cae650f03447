"""The evidence of a lane: what the machine would have done beside what people did, and what that proves."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When

from escalations.models import ClassifierVersion, Lane, LaneGrant, Person, Trial
from escalations.policies import proving
from escalations.proof.ladder import Ladder, Rung, most
from escalations.proof.watch import Watch
from escalations.states import Floor, LaneState, TrialMode

SHOWN = 50  # mistakes, and harm
READ = 200  # proposals of which it is told what kept them

# `place` counts those that were wrong up to here: the one that was, then what followed it.
_WENT_ALONE = """
SELECT count(*), share, wrong, bool_or(wrong AND high_risk) FROM (
    SELECT share, high_risk, "right" IS FALSE AS wrong,
           count(*) FILTER (WHERE "right" IS FALSE) OVER (ORDER BY created_at, proposal_id) AS place
    FROM escalations_trial WHERE grant_id = %s AND mode = %s
) AS went GROUP BY place, wrong, share ORDER BY place, wrong DESC, share
"""


@dataclass(frozen=True, slots=True)
class LetGo:
    """How many of what went alone were wrong, as far as audits tell: weighted by how they were sampled, with a 95 % interval."""

    alone: int  # settled alone under the grant
    wrong: float  # estimated, of these
    low: float
    high: float
    rate: float  # wrong / alone
    rate_low: float
    rate_high: float
    known: int  # of what went alone, what proved wrong
    bound: float  # on the error of what the grant lets go, by all evidence, and never less than what is known of it


@dataclass(frozen=True, slots=True)
class Keeper:
    """What kept proposals of a lane with people, whatever the machine said of them."""

    by: str  # "trigger", "rule", "past" (somebody was asked the same before), "none" (no rule asks what the lane has earned)
    name: str  # of a trigger or a rule
    many: int  # of the newest READ


@dataclass(frozen=True, slots=True)
class LaneView:
    """Everything a page says of one lane. Trials here are decided ones only: nothing that could tell an audit sample apart."""

    lane: Lane
    version: ClassifierVersion | None  # the one this evidence is about: the grant's, else the live one
    decided: int  # proposals of this lane that a person decided
    labelled: int  # of these, those that count: an estimate of this version, a person who was there, nothing else holding it
    right: int
    wrong: int  # of the labelled, what people decided otherwise
    harmed: int  # of the labelled, what went alone and proved wrong
    unknown: int  # expired, withdrawn, superseded
    kept: int  # of the decided ones, those that a trigger, a rule or the past kept with people: they never count
    deciders: list[proving.Decider]  # whose decisions the evidence is, who decided most first
    keepers: list[Keeper]  # what kept them, the commonest first
    rungs: list[Rung]
    certified: Rung | None  # the most that could go alone now, at the lane's alpha and delta
    needed: int | None  # further decisions until something is certified, at the present rate; None: cannot be said
    mistakes: list[Trial]  # what it would have let go and people would not; the newest 50, with proposal, incident, decision
    grant: LaneGrant | None
    audits: int  # decided audit samples of the grant
    audits_wrong: int
    let_go: LetGo | None
    corrected: tuple[float, float] | None  # filled in by who knows how often people are wrong; see proof.noise
    harm: list[Trial]  # what went alone and did harm
    offer: dict[str, Any] | None  # the terms a manager would sign, with their evidence; None when nothing is certified
    digest: str  # of the offer; "" without one
    until: datetime | None  # the evidence of the offer ends here
    history: list[LaneGrant] = field(default_factory=list)  # every grant, newest first


def of(lane: Lane, version: ClassifierVersion, until: datetime | None = None) -> list[tuple[float | None, bool, float]]:
    """Return (score, right, weight) of what is evidence for this version in this lane, in the order in which it was learned. The weight
    is one over the chance with which it is in here. Two queries."""
    return [(one.score, one.right, one.weight) for one in proving.pieces(lane, version, until)]


def ladder(lane: Lane, version: ClassifierVersion, alpha: float, delta: float, until: datetime | None = None) -> Ladder:
    """Return the ladder of this version's rungs with that evidence on it. Two queries."""
    return proving.ladder_of(lane, version, alpha, delta, proving.pieces(lane, version, until))


def watch(grant: LaneGrant) -> Watch:
    """Return the watch over a grant: the evidence it stands on as it is known now, what went alone since, and the audits. Five queries.

    Of audits those that may be evidence count, and every wrong one whoever said so.
    """
    before = [
        one for one in proving.pieces(grant.lane, grant.version)
        if one.grant != grant.pk and one.score is not None and one.score >= grant.threshold
    ]
    watched = Watch(grant.alpha, grant.delta, selected=len(before), wrong=sum(not one.right for one in before))
    for many, share, wrong, risky in went_alone(grant):
        if wrong:
            watched.harm(share=share, high_risk=risky)
        else:
            watched.let_go(many, share=share)
    audits = Trial.objects.filter(Q(counts=True) | Q(right=False), grant=grant, mode=TrialMode.AUDIT, right__isnull=False)
    for right, share, risky in audits.order_by("labelled_at", "pk").values_list("right", "share", "high_risk"):
        watched.audit(right, share=share, high_risk=risky)
    return watched


def went_alone(grant: LaneGrant) -> list[tuple[int, float, bool, bool]]:
    """Return what went alone under a grant, in order: (how many, their share, wrong, of high risk), each that proved wrong by itself, what
    lies between two by its shares. One query, of as many rows, however much went."""
    with connection.cursor() as cursor:
        cursor.execute(_WENT_ALONE, [grant.pk, TrialMode.ALONE])
        return list(cursor.fetchall())


def seen(lane: Lane) -> LaneView:
    """Return what the lane's page says. About fourteen queries, however much there is."""
    history = list(lane.grants.select_related("granted_by", "ended_by", "version").defer("version__weights").order_by("-granted_at"))
    grant = next((one for one in history if one.ended_at is None), None)
    version = proving.speaking(grant)
    found = proving.pieces(lane, version) if version else []
    alpha, delta = (grant.alpha, grant.delta) if grant else (lane.alpha, lane.delta)
    steps = proving.ladder_of(lane, version, alpha, delta, found) if version else None
    rungs = steps.rungs() if steps else []
    certified = most(rungs)
    offer = proving.offer(lane, version, alpha, delta, found) if version and grant is None else None
    threshold = grant.threshold if grant else certified.threshold if certified else min((rung.threshold for rung in rungs), default=None)
    counted = _counted(lane, grant)
    return LaneView(
        lane=lane, version=version, decided=counted["decided"], labelled=len(found), right=sum(one.right for one in found),
        wrong=sum(not one.right and not one.alone for one in found), harmed=sum(one.alone for one in found),
        unknown=counted["unknown"], kept=counted["kept"],
        deciders=proving.deciders(lane, version) if version else [], keepers=keepers(lane) if counted["kept"] else [], rungs=rungs,
        certified=certified,
        needed=steps.needed() if steps else None,
        mistakes=mistakes(lane, version, threshold) if version and threshold is not None else [],
        grant=grant, audits=counted["audits"], audits_wrong=counted["audits_wrong"], let_go=_let_go(grant) if grant else None,
        corrected=None, harm=list(_with_all(Trial.objects.filter(lane=lane, mode=TrialMode.ALONE, right=False))[:SHOWN]), offer=offer,
        digest=proving.digest(offer), until=max(one.at for one in found) if offer else None, history=history,
    )


def mistakes(lane: Lane, version: ClassifierVersion, threshold: float) -> list[Trial]:
    """Return the newest of what this version would have let go at this threshold and people would not. One query."""
    rows = Trial.objects.exclude(mode=TrialMode.ALONE).filter(
        lane=lane, eligible=True, right=False, work__estimates__version=version, work__estimates__approve__gte=threshold
    )
    return list(_with_all(rows)[:SHOWN])


def keepers(lane: Lane) -> list[Keeper]:
    """Return what kept the newest decided proposals of a lane that count for nothing, the commonest first. One query."""
    rows = Trial.objects.filter(lane=lane, eligible=False, right__isnull=False, labelled_at__isnull=False).order_by("-labelled_at")
    found: Counter[tuple[str, str]] = Counter()
    for triggers, rules in rows.values_list("proposal__triggers", "proposal__rules")[:READ]:
        why = {("trigger", one["name"]) for one in triggers}
        why |= {("rule" if one["name"] else "past", one["name"]) for one in rules if one.get("floor") != Floor.AUTO}
        found.update(why or {("none", "")})
    return [Keeper(by, name, many) for (by, name), many in found.most_common()]


def summary_of(lane: Lane) -> dict[str, Any]:
    """Return what the list says of a lane; see `listed`. About seven queries."""
    grant = lane.grants.filter(ended_at=None).select_related("version").defer("version__weights").first()
    version = proving.speaking(grant)
    found = proving.pieces(lane, version) if version else []
    steps = proving.ladder_of(lane, version, lane.alpha, lane.delta, found) if version else None
    best = steps.certified() if steps else None
    counted = _counted(lane, grant)
    return {
        "decided": counted["decided"], "labelled": len(found), "wrong": sum(not one.right for one in found),
        "share": best.share if best else None, "bound": best.bound if best else None, "threshold": best.threshold if best else None,
        "needed": steps.needed() if steps else None, "audits": counted["audits"], "audits_wrong": counted["audits_wrong"],
        "alone": counted["alone"], "harmed": counted["harmed"], "kept": counted["kept"],
        "version": version.number if version else None,
    }


def listed(person: Person) -> QuerySet[Lane]:
    """Return the lanes this person may see, with source and summary. Managers, auditors, administrators; else none.

    Granted ones come first, then those that could be granted, then what people decide most.

    `lane.summary` has "decided", "labelled", "wrong", "share" (that could go alone, 0 to 1, or null), "bound", "threshold", "needed",
    "audits", "audits_wrong", "alone", "harmed", "kept", "version" (number), all as of "at"; nothing before the first decision. One query.
    """
    everything = person.is_staff or person.is_superuser
    if not person.is_active or not (everything or person.roles().filter(Q(sees_everything=True) | Q(decides_everything=True)).exists()):
        return Lane.objects.none()
    ready = When(summary__share__gt=0, then=Value(1))
    first = Case(When(state=LaneState.GRANTED, then=Value(0)), ready, default=Value(2), output_field=IntegerField())
    most = F("summary__decided").desc(nulls_last=True)
    return Lane.objects.select_related("source").order_by(first, most, "source__name", "by", "subject", "pk")


def _counted(lane: Lane, grant: LaneGrant | None) -> dict[str, int]:
    """Return how many trials of a lane ended how. One query."""
    told = Q(labelled_at__isnull=False)
    audit = Q(grant=grant, mode=TrialMode.AUDIT) if grant else Q(pk=None)
    alone = Q(mode=TrialMode.ALONE)
    kept = told & Q(eligible=False, right__isnull=False)
    counted: dict[str, int] = Trial.objects.filter(lane=lane).aggregate(
        decided=Count("pk", filter=told & ~alone & Q(right__isnull=False)), unknown=Count("pk", filter=told & ~alone & Q(right=None)),
        audits=Count("pk", filter=told & audit & Q(right__isnull=False)), audits_wrong=Count("pk", filter=audit & Q(right=False)),
        kept=Count("pk", filter=kept), alone=Count("pk", filter=alone), harmed=Count("pk", filter=alone & Q(right=False)),
    )
    return counted


def _let_go(grant: LaneGrant) -> LetGo:
    watched = watch(grant)
    said = watched.estimate()
    of = said.alone or 1
    bound = max(watched.bound, watched.harms / of)
    return LetGo(said.alone, said.errors, said.low, said.high, said.errors / of, said.low / of, said.high / of, watched.harms, bound)


def _with_all(rows: QuerySet[Trial]) -> QuerySet[Trial]:
    return rows.select_related("proposal__incident", "proposal__source", "proposal__decision").order_by("-labelled_at", "-created_at")
