"""The evidence of a lane: what the machine would have done beside what people did, and what that proves."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from escalations.models import ClassifierVersion, Lane, LaneGrant, Person, Trial

if TYPE_CHECKING:
    from escalations.proof.ladder import Ladder, Rung
    from escalations.proof.watch import Watch


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


@dataclass(frozen=True, slots=True)
class LaneView:
    """Everything a page says of one lane. Trials here are decided ones only: nothing that could tell an audit sample apart."""

    lane: Lane
    version: ClassifierVersion | None  # the one this evidence is about: the grant's, else the live one
    decided: int  # proposals of this lane that a person decided
    labelled: int  # of these, those that count: an estimate of this version, a person who was there, nothing else holding it
    right: int
    wrong: int
    unknown: int  # expired, withdrawn, superseded
    rungs: "list[Rung]"
    certified: "Rung | None"  # the most that could go alone now, at the lane's alpha and delta
    needed: int | None  # further decisions until something is certified, at the present rate; None: cannot be said
    mistakes: list[Trial]  # what it would have let go, or let go, that was wrong; the newest 50, with proposal, incident, decision
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


def of(lane: Lane, version: ClassifierVersion, until: datetime | None = None) -> list[tuple[float, bool, float]]:
    """Return (score, right, weight) of what is evidence for this version in this lane, in the order in which it was decided. One query."""
    raise NotImplementedError


def ladder(lane: Lane, version: ClassifierVersion, alpha: float, delta: float, until: datetime | None = None) -> "Ladder":
    """Return the ladder of this version's rungs with that evidence on it. One query."""
    raise NotImplementedError


def watch(grant: LaneGrant) -> "Watch":
    """Return the watch over a grant, with its audits in it. Two queries."""
    raise NotImplementedError


def seen(lane: Lane) -> LaneView:
    """Return what the lane's page says. About ten queries, however much there is."""
    raise NotImplementedError


def listed(person: Person) -> QuerySet[Lane]:
    """Return the lanes this person may see, with source and summary: granted ones first. Managers, auditors, administrators; else none.

    `lane.summary` has "decided", "labelled", "wrong", "share" (that could go alone, 0 to 1, or null), "bound", "needed", "audits",
    "audits_wrong", "alone", "harmed", "version" (number), all as of "at".
    """
    raise NotImplementedError
