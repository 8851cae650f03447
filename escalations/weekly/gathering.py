"""What came to one team in one week, and what became of it, as rows. Bounded: the newest MOST of a week are looked at, and it says so."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, FloatField, Q, QuerySet, Value

from escalations import leaning
from escalations.expectation import expected
from escalations.harm import AGAINST, failed
from escalations.models import LaneGrant, OutcomeReport, Proposal, Role, StepRun, acknowledges
from escalations.states import State, Verdict

MOST = 10_000  # proposals of one team and week
WEEK = timedelta(days=7)
_FIELDS = (
    "pk", "incident_id", "source_id", "source__name", "kind", "action", "category", "title", "state", "acknowledges", "expected", "triggers",
    "rules", "routed_at", "settled_at", "decision__type", "decision__by_kind", "decision__person_id", "decision__reason",
)  # fmt: skip


@dataclass(slots=True)
class Came:
    """One proposal of the team's week, as much of it as the agenda counts."""

    pk: UUID
    incident_id: UUID
    source_id: int
    source: str
    kind: str
    action: str
    category: str
    title: str
    state: str
    acknowledges: bool  # there was no proposal: nothing runs
    expected: float | None  # the classifier's chance of a yes; of what is decided alone
    triggers: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    routed_at: datetime
    settled_at: datetime | None
    verdict: str | None
    by: str | None
    person_id: int | None
    reason: str | None
    marks: list[str] = field(default_factory=list)  # why it is on the list of escalations

    @property
    def decided(self) -> bool:
        """Say whether a person decided it."""
        return self.by == "person"

    @property
    def as_proposed(self) -> bool:
        """Say whether a person approved it as it was proposed."""
        return self.decided and self.verdict == Verdict.APPROVE

    @property
    def trigger_names(self) -> list[str]:
        return [one["name"] for one in self.triggers]

    @property
    def overridden(self) -> bool | None:
        """Say whether a person decided otherwise than the machine would have; None where nobody decided or it had no word."""
        if not self.decided or self.verdict is None:
            return None
        word = leaning.word(
            self.kind, suspected="injection_suspected" in self.trigger_names, let_go=leaning.let_go(self.rules), expected=self.expected
        )
        return leaning.overridden(word, self.verdict)


@dataclass(frozen=True, slots=True)
class Week:
    """A team's week: [since, until), what came or was settled in it, newest first, and what else happened to that."""

    role: Role
    monday: date
    rows: list[Came]
    capped: bool
    steps: dict[UUID, list[StepRun]]
    harmed: dict[UUID, str]  # incident -> what was learned of it in this week: wrong, a complaint, a later correction, it failed

    @property
    def since(self) -> datetime:
        return begins(self.monday)

    @property
    def until(self) -> datetime:
        return begins(self.monday) + WEEK

    @property
    def came(self) -> list[Came]:
        return [one for one in self.rows if self.since <= one.routed_at < self.until]

    @property
    def over(self) -> list[Came]:
        return [one for one in self.rows if one.settled_at and self.since <= one.settled_at < self.until]


def begins(monday: date) -> datetime:
    """Return the moment at which a week begins: Monday, midnight UTC."""
    return datetime.combine(monday, time(), tzinfo=UTC)


def monday_of(moment: datetime) -> date:
    """Return the Monday of the week in which a moment lies, in UTC."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def of_team(role: Role, since: datetime, until: datetime) -> QuerySet[Proposal]:
    """Return the proposals this role was asked, that came or were settled between these moments. What test keys posted is left out."""
    window = Q(routed_at__gte=since, routed_at__lt=until) | Q(settled_at__gte=since, settled_at__lt=until)
    return Proposal.objects.filter(window, test=False, asked__contains=[role.pk], routed_at__isnull=False)


def rows_of(found: QuerySet[Proposal], most: int = MOST, *, overrides: bool = False) -> list[Came]:
    """Return these proposals as rows, newest first. One query; no args, drafts or contexts are read, and what the classifier expected only
    where `overrides` are asked for."""
    said = expected() if overrides else Value(None, output_field=FloatField())
    told = found.annotate(expected=said, acknowledges=acknowledges()).order_by("-routed_at", "-pk")
    return [Came(*row) for row in told.values_list(*_FIELDS)[:most]]


def week_of(role: Role, monday: date) -> Week:
    """Return what came to a team in a week. Four queries."""
    since, until = begins(monday), begins(monday) + WEEK
    rows = rows_of(of_team(role, since, until), MOST + 1, overrides=True)
    capped, rows = len(rows) > MOST, rows[:MOST]
    steps: dict[UUID, list[StepRun]] = {}
    for step in StepRun.objects.filter(proposal__in=[one.pk for one in rows], fired_at__gte=since, fired_at__lt=until):
        steps.setdefault(step.proposal_id, []).append(step)
    return Week(role, monday, rows, capped, steps, harm(since, until, [one.incident_id for one in rows]))


def harm(since: datetime, until: datetime, incidents: Iterable[UUID] | None = None) -> dict[UUID, str]:
    """Return what was learned between these moments that speaks against a decision: incident -> what. Two queries.

    `incidents` None: of all. What was found right or resolved is no harm. That its source failed at it is, whatever it failed at.
    """
    told = OutcomeReport.objects.filter(AGAINST, at__gte=since, at__lt=until, incident__test=False)
    broke = failed(since, until).filter(decision__proposal__test=False)
    if incidents is not None:
        known = list(incidents)
        told, broke = told.filter(incident__in=known), broke.filter(decision__proposal__incident__in=known)
    says = dict(OutcomeReport.HOW)
    found = dict.fromkeys(broke.order_by("-at").values_list("decision__proposal__incident_id", flat=True)[:MOST], says["ack"])
    return found | {one.incident_id: says.get(one.how, one.how) for one in told.order_by("-at")[:MOST]}


def grants_of(week: Week) -> list[tuple[LaneGrant, str]]:
    """Return the lanes gained and lost in a week, as (grant, "gained" or "lost"), oldest first. Two queries.

    A manager's team sees them all; others those whose action or category they were asked about in the last quarter.
    """
    window = Q(granted_at__gte=week.since, granted_at__lt=week.until) | Q(ended_at__gte=week.since, ended_at__lt=week.until)
    grants = list(LaneGrant.objects.filter(window).select_related("lane__source", "granted_by", "ended_by").order_by("granted_at")[:200])
    if grants and not week.role.decides_everything:
        asked = Proposal.objects.filter(
            test=False, asked__contains=[week.role.pk], routed_at__gte=week.since - 13 * WEEK, source__in={one.lane.source_id for one in grants}
        )
        mine = set(asked.values_list("source_id", "action").distinct()) | set(asked.values_list("source_id", "category").distinct())
        grants = [one for one in grants if (one.lane.source_id, one.lane.subject) in mine]
    found = [(one, one.granted_at, "gained") for one in grants if week.since <= one.granted_at < week.until]
    found += [(one, one.ended_at, "lost") for one in grants if one.ended_at and week.since <= one.ended_at < week.until]
    return [(grant, what) for grant, _, what in sorted(found, key=lambda one: (one[1], one[2]))]


def let_go(since: datetime, until: datetime) -> QuerySet[Proposal]:
    """Return what rules and lanes settled without a person between these moments, each with the name of what let it go (`by`)."""
    return Proposal.objects.filter(
        test=False, settled_at__gte=since, settled_at__lt=until, state=State.APPROVED, decision__by_kind="policy"
    ).annotate(by=F("decision__by_name"))
