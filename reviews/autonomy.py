"""What the pages of lanes say: where a lane stands, in words; what it would let go, what it got wrong, who signed what when."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from escalations import clock, looks
from escalations.learn import evidence
from escalations.learn.evidence import LaneView
from escalations.models import ClassifierVersion, Lane, LaneGrant, Person, Proposal, Trial
from escalations.policies import lanes as verbs
from escalations.policies import proving
from escalations.proof import sampling
from escalations.proof.ladder import Rung
from escalations.states import LaneState, TrialMode, VersionState

from .autonomy_plot import Plot, percent, plot_of, score
from .peoples_error import corrected

PAGE = 50  # lanes on one page of the list
LISTED = 20  # audits, and what went alone
SHOWS = {"": "All", "granted": "Acting alone", "ready": "Could act alone", "watching": "Watching"}
SCORES: tuple[tuple[str, str, Callable[[float], str]], ...] = (  # of what it says of a yes, as `learned.scoring` names them
    ("accuracy", "foretold what people decided", percent),
    ("base", "always the commonest answer would have", percent),
    ("auroc", "put an approved one above a refused one (AUROC)", lambda value: f"{100 * value:.1f} %"),
    ("ece", "its chances are off by (ECE)", percent),
    ("n", "measured on", lambda value: f"{value:.0f} later decisions"),
)
SOON = timedelta(days=7)  # an end that is so near is said beside the grant


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of lanes, and how to come to the next."""

    rows: list[Lane]
    onward: int | None  # the next page's number


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a lane stands: one line, its tone (good, warn, bad or nothing), and how far it has come, where that can be said."""

    head: str
    tone: str = ""
    done: int = 0
    of: int = 0  # 0: how many it takes cannot be said

    @property
    def left(self) -> str:
        """Return how many decisions it still takes, about; "" for none."""
        return about(self.of - self.done) if self.of > self.done else ""


@dataclass
class Shown:
    """Everything a lane's page is made of."""

    view: LaneView
    standing: Standing
    plot: Plot | None
    audits: list[Trial]
    alone: list[Trial]
    why_not: str  # why the reader may not grant it; "" who may
    own: int  # of the evidence, the decisions of the reader
    ends_soon: bool
    coming: ClassifierVersion | None  # where none is live: the newest that is ready or being trained

    @property
    def lane(self) -> Lane:
        return self.view.lane

    @property
    def grant(self) -> LaneGrant | None:
        return self.view.grant

    @property
    def proposals(self) -> list[Proposal]:
        """Return every proposal that is drawn, with its decision: what a veil has to know."""
        return [one.proposal for one in (*self.view.mistakes, *self.view.harm, *self.audits, *self.alone)]

    @property
    def began_anew(self) -> LaneGrant | None:
        """Return the grant by whose end what had been believed is believed no more; None where all that was decided counts."""
        last = next((one for one in self.view.history if one.end in proving.BROKEN), None)
        return last if self.grant is None else None

    @property
    def alpha(self) -> float:
        """Return what may be wrong of what the plot is about: the grant's, where one stands."""
        return self.grant.alpha if self.grant else self.lane.alpha

    @property
    def delta(self) -> float:
        return self.grant.delta if self.grant else self.lane.delta

    @property
    def mostly_own(self) -> bool:
        """Say whether the reader would sign on the strength of their own decisions."""
        return 2 * self.own > sum(one.many for one in self.view.deciders)

    @property
    def sure(self) -> str:
        """Return the confidence of the plot and the offer, as "95 %"."""
        return percent(1 - self.delta)

    @property
    def lane_sure(self) -> str:
        """Return the confidence that the lane asks for from now on."""
        return percent(1 - self.lane.delta)

    @property
    def audits_first(self) -> float:
        """Return with which chance the first ones that could go alone are drawn for a person."""
        return sampling.audit_share(0)

    @property
    def audits_later(self) -> float:
        return sampling.LONG_RUN

    @property
    def certified(self) -> list[Rung]:
        """Return every threshold that could be signed, the one that lets most go first, and of equals the strictest."""
        return sorted((rung for rung in self.view.rungs if rung.passed), key=lambda rung: (-rung.selected, -rung.threshold))

    @property
    def scores(self) -> list[tuple[str, str]]:
        """Return what the classifier reached, in words; those of its scores that have a name here."""
        told = ((self.view.version.scores if self.view.version else None) or {}).get("approve") or {}
        return [(said, write(told[name])) for name, said, write in SCORES if isinstance(told.get(name), int | float)]


def listing(person: Person, show: str, number: int) -> Listing:
    """Return one page of the lanes this person may see. One query."""
    rows: QuerySet[Lane] = evidence.listed(person)
    if show == "granted":
        rows = rows.filter(state=LaneState.GRANTED)
    elif show == "ready":
        rows = rows.filter(state=LaneState.WATCHING, summary__share__gt=0)
    elif show == "watching":
        rows = rows.filter(state=LaneState.WATCHING)
    first = PAGE * (number - 1)
    found = list(rows[first : first + PAGE + 1])
    return Listing(found[:PAGE], number + 1 if len(found) > PAGE else None)


def shown_to(person: Person, lane: Lane) -> Shown:
    """Return what this person is shown of a lane, without what they have open for a second look. The queries of `evidence.seen`, and five
    more."""
    view = corrected(evidence.seen(lane))
    open_looks = set(looks.opened_by(person).values_list("proposal__incident_id", flat=True))
    view = replace(view, mistakes=without(open_looks, view.mistakes), harm=without(open_looks, view.harm))
    grant = view.grant
    chosen = grant.threshold if grant else view.certified.threshold if view.certified else None
    return Shown(
        view=view,
        standing=standing_of(view),
        plot=plot_of(view.rungs, grant.alpha if grant else lane.alpha, chosen),
        audits=without(open_looks, tried(grant, TrialMode.AUDIT)) if grant else [],
        alone=without(open_looks, tried(grant, TrialMode.ALONE)) if grant else [],
        why_not=verbs.may_grant(person, lane), own=sum(one.many for one in view.deciders if one.person == person.pk),
        ends_soon=bool(grant and grant.expires_at - clock.now() < SOON),
        coming=None if view.version else coming(),
    )


def without(incidents: set[UUID], trials: list[Trial]) -> list[Trial]:
    """Return the trials of other incidents than these. Pure."""
    return [one for one in trials if one.proposal.incident_id not in incidents]


def is_live() -> bool:
    """Say whether a classifier is live. One query."""
    return ClassifierVersion.objects.filter(state=VersionState.LIVE).exists()


def coming() -> ClassifierVersion | None:
    """Return the newest version that is ready, or is to be. One query."""
    on_its_way = ClassifierVersion.objects.filter(state__in=[VersionState.WAITING, VersionState.TRAINING, VersionState.READY])
    return on_its_way.only("number", "state").order_by("-number").first()


def tried(grant: LaneGrant, mode: TrialMode) -> list[Trial]:
    """Return the newest trials under a grant: of audits those that are decided, never one that waits. One query."""
    rows = Trial.objects.filter(grant=grant, mode=mode)
    if mode != TrialMode.ALONE:
        rows = rows.filter(labelled_at__isnull=False, proposal__decision__isnull=False)
    return list(rows.select_related("proposal__decision", "proposal__source", "proposal__incident").order_by("-created_at")[:LISTED])


def standing_of(view: LaneView) -> Standing:
    """Say where a lane stands. Pure."""
    lane, grant = view.lane, view.grant
    sure = percent(1 - lane.delta)
    if grant is not None:
        above = score(grant.threshold)
        return Standing(f"It acts alone on what scores at least {above}; the rest, and a random share of that, goes to people.", "good")
    if view.version is None:
        return Standing("People decide everything. No classifier is live, so there is nothing yet to compare their decisions with.")
    if view.certified is not None:
        one = view.certified
        return Standing(
            f"{percent(one.share)} could go alone: with {sure} confidence at most {percent(lane.alpha)} of that is wrong. "
            "People decide everything until a manager grants it.",
            "good", view.labelled, view.labelled,
        )
    if not view.labelled and view.kept and view.kept == view.decided:
        return Standing(
            "People decide everything. Nothing of what they decided so far counts as evidence: something that stands above every lane kept "
            "it with them, whatever the machine says."
        )
    if not view.labelled:
        return Standing("People decide everything. Nothing that counts as evidence was decided yet.", of=view.needed or 0)
    if view.needed is None:
        return Standing(
            f"People decide everything. On what was decided so far, no part of it could be shown to be wrong in at most {percent(lane.alpha)}."
        )
    return Standing(
        f"People decide everything. Decided {view.labelled} of about {about(view.labelled + view.needed)} that it takes to show, with {sure} "
        f"confidence, that at most {percent(lane.alpha)} of a part is wrong.",
        "", view.labelled, view.labelled + view.needed,
    )


def progress(lane: Lane) -> Standing:
    """Return how far a lane of the list has come, from its summary. Pure."""
    told: dict[str, Any] = lane.summary or {}
    labelled, needed = int(told.get("labelled") or 0), told.get("needed")
    if lane.state == LaneState.GRANTED:
        return Standing("acts alone", "good")
    if told.get("share"):
        return Standing(f"{percent(told['share'])} could go alone", "good", labelled, labelled)
    if not labelled and told.get("kept") and told["kept"] == told.get("decided"):
        return Standing("kept with people by rules and triggers")
    if needed is None:
        return Standing("too early to say" if not labelled else "not on what was decided so far")
    return Standing(f"{labelled} of about {about(labelled + int(needed))} that count", "", labelled, labelled + int(needed))


def about(number: int) -> str:
    """Return a forecast as finely as it can be meant: 51, 370, 11,100."""
    fine = 1 if number < 200 else 10 if number < 2_000 else 100
    return f"{fine * round(number / fine):,}"


def since(value: str | None) -> datetime | None:
    """Return a moment as JSON keeps it; None for nothing, and for what is none."""
    try:
        return datetime.fromisoformat(value) if value else None
    except (TypeError, ValueError):
        return None
