"""Which lane a proposal comes through, and whether that lane may let it go at this moment.

What goes alone goes only while its grant stands, and whoever ends a grant must not be overtaken: who lets something go takes a lock that
many share and looks again, who gives or ends a grant has that lock alone (`enter`, `close`), as `standstill` does it. So each item
either commits before the grant ends, or sees that it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Max
from django.db.transaction import TransactionManagementError
from django.utils.crypto import salted_hmac

from escalations.models import Classification, Incident, Lane, LaneGrant, Proposal, Trial
from escalations.proof import sampling
from escalations.states import Kind, LaneState, TrialMode, Verdict

FRESH = timedelta(seconds=60)  # a lane whose evidence nobody looked at for longer lets nothing go (law 6)
MOST_LANES = 300  # of one source: who makes up names of actions makes no rows without end
# Whose confidence may meet a threshold, and whose category picks a lane; the model's and the claim's may only take away.
OWN_ENGINES = frozenset({"rules", "learned"})
ASKED_FOR_WORDS = frozenset({Kind.QUESTION, Kind.HANDOFF})  # nothing that could be approved as proposed
COUNTED = sampling.STEPS[-1][0]  # what was let go, or drawn, since a grant is counted so far: the share of audits does not change any more

_LOCK = 0x6C61_6E65
_ENTER = """
SELECT pg_advisory_xact_lock_shared(%s, %s);
SELECT 1 FROM escalations_lane AS lane
JOIN escalations_lanegrant AS given ON given.lane_id = lane.id AND given.ended_at IS NULL
JOIN escalations_source AS source ON source.id = lane.source_id
WHERE lane.id = %s AND lane.state = %s AND given.id = %s AND given.expires_at > %s AND lane.checked_at > %s AND source.disabled_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Open:
    """A grant that stood when the batch began; `enter` says whether it still does."""

    grant: int
    lane: int
    version: int
    threshold: float
    long_run: float  # the share of audits in the long run
    title: str  # who let it go, in words
    why: str


@dataclass(slots=True)
class Lanes:
    """The lanes as one batch knows them: the grants that stand, how many came through each since, and since its last wrong one. One
    query; two more the first time something could go by a grant, three where something was wrong."""

    open: dict[tuple[int, str, str], Open] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)  # by grant
    doubted: dict[int, int] = field(default_factory=dict)  # by grant: how many since an audit failed, or harm showed; few: looked at closely
    ids: dict[tuple[int, str, str], int] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Lanes":
        """Read every grant that stands."""
        lanes = cls()
        for grant in LaneGrant.objects.filter(ended_at=None).select_related("lane__source", "granted_by"):
            lane = grant.lane
            key = (lane.source_id, lane.by, lane.subject)
            lanes.ids[key] = lane.pk
            lanes.open[key] = Open(grant.pk, lane.pk, grant.version_id, grant.threshold, grant.audit_share, title_of(lane), why_of(grant))
        return lanes

    def share(self, grant: Open) -> float:
        """Return the chance with which the next that could go alone is drawn for a person, and count it."""
        if grant.grant not in self.passed:
            self._count(grant.grant)
        before = self.passed[grant.grant]
        self.passed[grant.grant] = before + 1
        since_wrong = self.doubted.get(grant.grant)
        if since_wrong is not None:
            self.doubted[grant.grant] = since_wrong + 1
        return sampling.audit_share(before, grant.long_run, since_wrong)

    def _count(self, grant: int) -> None:
        """Count what came through a grant before this batch: nothing of the batch did, for it is counted before the first does."""
        came = Trial.objects.filter(grant=grant, mode__in=[TrialMode.ALONE, TrialMode.AUDIT])
        self.passed[grant] = came[:COUNTED].count()
        if wrong_at := came.filter(right=False).aggregate(at=Max("labelled_at"))["at"]:
            self.doubted[grant] = came.filter(created_at__gt=wrong_at)[: sampling.DOUBTED].count()

    def id_of(self, key: tuple[int, str, str]) -> int | None:
        """Return the lane of this key, made where there is none yet; None where its source has as many as there may be.

        One query the first time in a batch, three where it is made. What is made here is remembered only once it is committed.
        """
        if key in self.ids:
            return self.ids[key]
        source, by, subject = key
        wanted = {"source_id": source, "by": by, "subject": subject}
        known = Lane.objects.filter(**wanted).values_list("pk", flat=True).first()
        if known is not None:
            self.ids[key] = known
            return int(known)
        if Lane.objects.filter(source_id=source)[:MOST_LANES].count() >= MOST_LANES:
            return None
        Lane.objects.bulk_create([Lane(**wanted)], ignore_conflicts=True)
        made = Lane.objects.filter(**wanted).values_list("pk", flat=True).first()
        return int(made) if made is not None else None


def lane_of(incident: Incident, proposal: Proposal, words: Sequence[Classification]) -> tuple[str, str] | None:
    """Return (by, subject) of the lane this comes through, or None. One query for an acknowledgement that is put again, none for others.

    By the action where the source names one. Where nothing is named by category, and that only where `rules` or `learned` are sure of
    it: never the model's, for untrusted words must not pick the lane. What a model or a reviewer wrote comes through none, nor what its
    source takes no yes to. A draft comes through its category's where that is what the incident is: beside an alert it would go by what
    acknowledgements, of which nothing leaves, have earned.
    """
    if incident.test or proposal.author not in ("source", "system") or incident.kind in ASKED_FOR_WORDS:
        return None
    if Verdict.APPROVE not in proposal.allowed_decisions:
        return None
    if proposal.author == "source" and proposal.action:
        return "action", proposal.action
    if proposal.author == "system" and not proposal.is_acknowledgement:
        return None  # what failed is put to a person again: it has an action, and its category's lane is no way around that one's
    if proposal.author == "source" and incident.kind != Kind.DRAFT:
        return None
    sure = next((word.category for word in words if word.engine in OWN_ENGINES and word.sure and word.category and not word.error), "")
    return ("category", sure) if sure else None


def key_of(source_id: int, by: str, subject: str) -> str:
    """Return the name under which a classifier keeps the rungs of a lane."""
    return f"{source_id}/{by}/{subject}"


def title_of(lane: Lane) -> str:
    """Return what a lane is called where it is the one who decided. Reads its source."""
    return f"The lane “{lane.subject[:80]}” of {lane.source.name[:40]}"


def why_of(grant: LaneGrant) -> str:
    """Return why something went alone, in one sentence for whoever asks later. Reads who granted it; no query when that is loaded.

    Neither the score nor the threshold is in it: what the source is told must not say how near it came.
    """
    return (
        f"{title_of(grant.lane)} has earned this: {grant.granted_by.name} signed on {grant.granted_at:%Y-%m-%d} that it may settle alone "
        f"what people would approve, with at most {100 * grant.alpha:g} % errors, until {grant.expires_at:%Y-%m-%d} (grant {grant.pk})."
    )


def draw(what: str, incident: Incident, revision: int) -> float:
    """Return a number within [0, 1) that nobody without our secret can foresee, and that is the same whenever it is asked for again:
    a job that runs twice draws the same. `what` keeps draws for different ends apart. Pure."""
    return drawn(what, f"{incident.pk}/{revision}")


def drawn(what: str, name: str) -> float:
    """Return the draw of a name; see `draw`."""
    secret = salted_hmac("countersign.lanes", what, secret=settings.SECRET_KEY, algorithm="sha256").digest()
    return sampling.draw(secret, name)


def enter(grant: Open, now: datetime) -> bool:
    """Say whether this grant lets things go now; where it does it goes on doing so until the end of the caller's transaction. One round
    trip. False too where nobody looked at the lane's evidence within FRESH."""
    _in_a_transaction()
    values = [_LOCK, grant.lane, grant.lane, LaneState.GRANTED, grant.grant, now, now - FRESH]
    with connection.cursor() as cursor:
        cursor.execute(_ENTER, values)
        cursor.nextset()
        return cursor.fetchone() is not None


def close(lane_id: int) -> None:
    """Wait until nothing of this lane is in between any more, and let nothing enter before the end of the caller's transaction."""
    _in_a_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, lane_id])


def _in_a_transaction() -> None:
    if not connection.in_atomic_block:
        raise TransactionManagementError("The lock lasts as long as a transaction: there has to be one.")
