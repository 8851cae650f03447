"""What the pages of weekly reviews are made of: the list of a person's teams, one review with its escalations, follow-ups, suggestions."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.forms import Form
from django.http import Http404

from escalations import clock, replay, weekly
from escalations.models import EscalationReview, Finding, FollowUp, Person, Proposal, Suggestion
from escalations.states import ReplayState, ReviewState, Verdict

from . import access, veil
from .inbox import HEAVY, HEAVY_INCIDENT

PAGE = 20  # escalations, and reviews in the list
FARTHEST = 1_000  # pages of the list
MINE = 50  # follow-ups of one's own
SHOWS = ("", "open")  # all escalations of a week, or those without a finding

MARKED = {  # why something is on the list of escalations: a word, and its tone
    "harmed": ("it did harm", "bad"), "expired": ("ran out of time", "bad"), "climbed": ("climbed: nobody answered", "warn"),
    "raised": ("sent up by a person", "warn"), "overridden": ("decided against the machine", "warn"),
    "waiting": ("still waiting when the week was over", ""), "asked": ("came to a person", ""),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of reviews, newest week first, and whether there are more."""

    rows: list[EscalationReview]
    number: int
    more: bool


@dataclass(slots=True)
class Item:
    """One escalation of the week. `proposal` is None while its reader gives it a second look: then nothing of it is told."""

    pk: str
    marks: list[tuple[str, str]]
    proposal: Proposal | None
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Offered:
    """One suggestion with what its replay says."""

    row: Suggestion
    figures: replay.Figures | None
    running: bool
    x: str  # of the interval, in percent from the left; texts, so that no locale puts separators into them
    width: str


@dataclass
class Shown:
    """Everything a review's page is made of."""

    review: EscalationReview
    items: list[Item]
    page: int
    pages: int
    show: str
    found: int  # escalations of the week with a finding
    follow_ups: list[FollowUp]
    suggestions: list[Offered]
    days: list[dict[str, Any]]
    before: EscalationReview | None
    after: EscalationReview | None
    may_write: bool
    may_draft: bool
    sees_lanes: bool
    owners: list[Person] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.review.state == ReviewState.OPEN

    @property
    def writes(self) -> bool:
        return self.may_write and self.is_open

    @property
    def last(self) -> Any:
        """Return the Sunday of the week."""
        return self.review.week + timedelta(days=6)

    @property
    def total(self) -> int:
        return len(self.review.agenda.get("items", []))

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        """Return how often people said what, in the order in which the room names it."""
        counts = self.review.agenda.get("verdicts", {})
        return [(str(one), counts[one]) for one in Verdict if counts.get(one)]

    @property
    def left(self) -> int:
        return self.total - self.found

    @property
    def still_open(self) -> int:
        return sum(one.ended_at is None for one in self.follow_ups)


def reviews_for(person: Person) -> QuerySet[EscalationReview]:
    """Return the reviews this person may read: of their teams; of all, for who sees every queue. One query for the roles at most."""
    found = EscalationReview.objects.select_related("role", "closed_by")
    if access.sees_everything(person):
        return found
    return found.filter(role__in=[one.pk for one in access.roles_of(person)])


def review_for(person: Person, pk: int) -> EscalationReview:
    """Return the review, or raise Http404: a stranger does not learn that it exists."""
    found = reviews_for(person).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def listing(person: Person, number: int) -> Listing:
    """Return a page of this person's reviews with `findings_made` and `todo` counted. Two queries."""
    counted = reviews_for(person).annotate(
        findings_made=Count("findings", distinct=True),
        todo=Count("follow_ups", filter=Q(follow_ups__ended_at=None), distinct=True),
    ).order_by("-week", "role__name")
    start = (number - 1) * PAGE
    rows = list(counted[start : start + PAGE + 1])
    return Listing(rows[:PAGE], number, len(rows) > PAGE)


def mine(person: Person) -> list[FollowUp]:
    """Return what this person has to do, soonest due first. One query."""
    return list(FollowUp.objects.filter(owner=person, ended_at=None).select_related("review__role").order_by("due", "pk")[:MINE])


def shown(person: Person, review: EscalationReview, *, page: int = 1, show: str = "") -> Shown:
    """Return all of a review's page. About fourteen queries, whatever is on it."""
    findings = {str(one.proposal_id): one for one in Finding.objects.filter(review=review).select_related("person")}
    all_items = review.agenda.get("items", [])
    listed = [one for one in all_items if show != "open" or one["proposal"] not in findings]
    pages = max(1, -(-len(listed) // PAGE))
    page = min(max(page, 1), pages)
    here = listed[(page - 1) * PAGE : page * PAGE]
    rows = _proposals(person, [one["proposal"] for one in here])
    items = [
        Item(one["proposal"], [MARKED.get(mark, (mark, "")) for mark in one["marks"]], rows.get(one["proposal"]), findings.get(one["proposal"]))
        for one in here
    ]
    other = EscalationReview.objects.filter(role=review.role_id)
    may_write = weekly.may_write(person, review.role)
    return Shown(
        review=review, items=items, page=page, pages=pages, show=show, found=len(findings), follow_ups=list(weekly.shown_on(review)),
        suggestions=[_offered(one) for one in review.suggestions.select_related("rule", "replay", "dismissed_by")],
        days=_days(review.agenda), before=other.filter(week__lt=review.week).first(),
        after=other.filter(week__gt=review.week).order_by("week").first(), may_write=may_write, may_draft=weekly.may_draft(person),
        sees_lanes=access.sees_everything(person),
        owners=list(weekly.owners_of(review.role)) if may_write and review.state == ReviewState.OPEN else [],
    )


def veil_of(person: Person, page: Shown) -> veil.Veil:
    """Return the veil over the escalations that are shown."""
    return veil.of(person, [one.proposal for one in page.items if one.proposal is not None])


def tried(form: Form, act: str, key: str) -> dict[str, Any]:
    """Return what a refused form leaves on the page: which one it was, what was typed, what was wrong."""
    return {"act": act, "key": key, "form": form, "errors": [(name, one) for name, several in form.errors.items() for one in several]}


def today() -> str:
    """Return the earliest day a follow-up may be due, as a date field has it."""
    return clock.now().date().isoformat()


def _proposals(person: Person, pks: list[str]) -> dict[str, Proposal]:
    """Return those of these that may be told now. One query."""
    found = access.unspoiled(Proposal.objects.filter(pk__in=[UUID(pk) for pk in pks]), person)
    rows = found.select_related("incident", "source", "role", "decision").defer(*HEAVY, *HEAVY_INCIDENT)
    return {str(one.pk): one for one in rows}


def _offered(row: Suggestion) -> Offered:
    of = row.replay
    running = of is not None and of.state in (ReplayState.WAITING, ReplayState.RUNNING)
    figures = replay.figures(of.result) if of is not None and of.result else None
    return Offered(row, figures, running, f"{row.low * 100:.2f}", f"{max(row.high - row.low, 0.005) * 100:.2f}")


def _days(agenda: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the days of the week with how long their bars are, of a hundred, as attributes of an SVG rect."""
    days = agenda.get("staffing", {}).get("days", [])
    most = max((max(one["came"], one["decided"]) for one in days), default=0) or 1
    bars = ({f"{name}_bar": f"{100 * one[name] / most:.1f}" for name in ("came", "decided")} for one in days)
    return [one | {"day": date.fromisoformat(one["day"])} | bar for one, bar in zip(days, bars, strict=True)]
