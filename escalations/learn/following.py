"""What lanes are watched by: every second what was decided is read, evidence is counted, and who lost the right loses it.

A lane is marked as looked at only after it was looked at; one that could not be lets nothing go a minute later (`floors.lanes.FRESH`).
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Count, Exists, Max, OuterRef, Q, Subquery

from escalations import audit, clock, queue
from escalations.models import Heartbeat, Lane, LaneGrant, Signature, Trial
from escalations.policies import lanes, loosened, proving
from escalations.proof.drift import Drift
from escalations.proof.watch import Alarm
from escalations.states import LaneState, TrialMode, VersionState

from . import evidence, harm, taken
from .labelling import label

logger = logging.getLogger(__name__)

BATCH = 500
MARK_EVERY = timedelta(seconds=5)  # a lane is marked as looked at so often: a write, and it is good for a minute
ANSWERED_WITHIN = timedelta(hours=72)  # over a weekend
LAST_AUDITS = 10  # of which at least half are to be answered by a person
REFERENCE = 2_000  # scores of the evidence that recent ones are compared with
EVERY = 50  # that came in, between two comparisons
SUMMED_EVERY = timedelta(seconds=5)
SUMMED_AT_ONCE = 5  # lanes of one look: the list may lag behind a little, deciding must not
OVERLAP = timedelta(seconds=60)  # longer than any transaction that writes what is looked for
NOW_AND_THEN = 10.0  # seconds
SWEPT = "lanes swept"
HARM = "lanes: harm"

@dataclass
class Memory:
    """What one process need not look up again. A new one makes every look a full one, which is slower and says the same."""

    seen: dict[int, Any] = field(default_factory=dict)  # by grant: what was known when it was last found to be good
    came: dict[int, int] = field(default_factory=dict)  # by grant: how many had come in when their likeness was last compared
    last: dict[tuple[str, int], float] = field(default_factory=dict)
    unsummed: set[int] = field(default_factory=set)

    def now_and_then(self, what: str, grant: int) -> bool:
        """Say whether ten seconds are over since this was last said: what needs no second's haste waits for that."""
        moment = time.monotonic()
        if moment - self.last.get((what, grant), float("-inf")) < NOW_AND_THEN:
            return False
        self.last[what, grant] = moment
        return True


def follow(limit: int = BATCH, memory: Memory | None = None) -> int:
    """Label up to `limit` trials that were decided since, look at every granted lane again, withdraw what has to be; return how many
    were labelled. Run by the timers each second; about ten queries when there is nothing to do, two more a granted lane. Several may
    run at once."""
    memory = Memory() if memory is None else memory
    sweeping = queue.take_turn(SWEPT, 59)
    labelled, touched = label(limit)
    if sweeping:
        more, others = label(limit, sweep=True)
        labelled, touched = labelled + more, touched | others | _behind()
    touched |= _harmed(sweeping)
    memory.unsummed |= touched
    _mark([grant.lane_id for grant in _standing() if _looked_at(grant, memory)])
    if memory.unsummed:
        for lane in Lane.objects.filter(pk__in=list(islice(memory.unsummed, SUMMED_AT_ONCE))).select_related("source"):
            _sum_up(lane, memory)
    return labelled


def _standing() -> list[LaneGrant]:
    """Return the grants that stand, each with when something was last taken away that keeps things with people (`last_change`)."""
    grants = LaneGrant.objects.filter(ended_at=None).select_related("lane__source", "version").defer("version__weights")
    return list(grants.annotate(last_change=Subquery(loosened.changes().values("settled_at")[:1])).order_by("pk"))


def _harmed(sweeping: bool) -> set[int]:
    """Look for harm since the last look, which is kept on a heartbeat; a look that failed is done again by the next."""
    now = clock.now()
    last = Heartbeat.objects.filter(name=HARM).values_list("at", flat=True).first()
    if last is not None and timedelta(0) <= now - last < timedelta(seconds=1):
        return set()
    touched = harm.look((last or now - harm.WITHIN) - OVERLAP)
    if sweeping and queue.take_turn("lanes: all harm", 3_600):
        touched |= harm.sweep()
    queue.beat(HARM)
    return touched


def _looked_at(grant: LaneGrant, memory: Memory) -> bool:
    """Look at one grant; end it where it has to end. Returns whether it was looked at and stands. Never raises for what is wrong with one."""
    try:
        alarm = _why_end(grant, memory)
        if alarm is not None:
            lanes.withdraw(
                grant.lane_id, end=alarm.end, why=alarm.why, actor=audit.CLOCK if alarm.end == "expired" else audit.SYSTEM,
                evidence=alarm.evidence, grant_id=grant.pk,
            )
            memory.seen.pop(grant.pk, None)
            memory.unsummed.add(grant.lane_id)
        return alarm is None
    except (OperationalError, InterfaceError):
        raise  # the database itself: the next turn looks again
    except Exception:  # the others have to be looked at; this one lets nothing go when a minute is over
        logger.exception("a lane could not be looked at", extra={"lane": grant.lane_id})
        return False


def _why_end(grant: LaneGrant, memory: Memory) -> Alarm | None:
    """Return why a grant ends now, or None. One query while nothing is new of it, a few more where something is."""
    now = clock.now()
    if grant.expires_at <= now:
        return Alarm("expired", f"Its time was over at {grant.expires_at:%Y-%m-%d %H:%M} UTC.", {"expires_at": grant.expires_at.isoformat()})
    if grant.version.state == VersionState.FAILED:
        return Alarm("classifier", f"Classifier {grant.version.number} cannot be trusted any more.", {"version": grant.version.number})
    if (alarm := _loosened(grant)) is not None:
        return alarm
    known = Trial.objects.filter(lane_id=grant.lane_id, labelled_at__isnull=False).aggregate(
        at=Max("labelled_at"), of=Count("pk"), wrong=Count("pk", filter=Q(right=False))
    )
    if memory.seen.get(grant.pk) != known:
        alarm = evidence.watch(grant).alarm or _taken_back(grant) or _unchecked(grant, now)
        if alarm is not None:
            return alarm
        memory.seen[grant.pk] = known
    elif memory.now_and_then("unchecked", grant.pk) and (alarm := _unchecked(grant, now)) is not None:
        return alarm
    return _drifted(grant, memory) if memory.now_and_then("drift", grant.pk) else None


def _loosened(grant: LaneGrant) -> Alarm | None:
    """Return which rule or trigger that kept some of this lane was taken away since the grant. No query while none was."""
    last = getattr(grant, "last_change", None)
    if last is None or last <= grant.granted_at or (change := loosened.latest(grant.lane, grant.granted_at)) is None:
        return None
    return Alarm(
        "drift", f"“{change.name}” kept some of these with people and does so no longer: what was shown is not about those.",
        {"what": "rules", "change": change.change},
    )


def _taken_back(grant: LaneGrant) -> Alarm | None:
    """Return that its source takes too many audits out of people's hands. One query."""
    dodged = taken.too_many(grant)
    if dodged is None:
        return None
    return Alarm(
        "unchecked",
        f"Its source took back {dodged[0]} of {dodged[1]} audit samples before a person could answer them, by withdrawing, replacing or "
        "hurrying them. If those were wrong, too much of what goes alone is.",
        {"taken_back": dodged[0], "audits": dodged[1]},
    )


def _unchecked(grant: LaneGrant, now: datetime) -> Alarm | None:
    """Return why nobody checks it: of the last audits that ended, or wait for too long, fewer than half were answered by a person who
    was there. One query."""
    there = Signature.objects.filter(proposal=OuterRef("proposal"), interactive=True)
    audits = Trial.objects.filter(grant=grant, mode=TrialMode.AUDIT).order_by("-created_at").annotate(there=Exists(there))
    rows = audits.values_list("right", "there", "labelled_at", "created_at")[: 20 * LAST_AUDITS]
    over = [
        right is False or (right is True and somebody)
        for right, somebody, at, created in rows if at is not None or created < now - ANSWERED_WITHIN
    ][:LAST_AUDITS]
    answered = sum(over)
    if len(over) < LAST_AUDITS or 2 * answered >= len(over):
        return None
    return Alarm(
        "unchecked",
        f"Of the last {len(over)} audit samples {answered} were answered by a person; what nobody checks may not go on alone.",
        {"audits": len(over), "answered": answered},
    )


def _drifted(grant: LaneGrant, memory: Memory) -> Alarm | None:
    """Return why what comes in is not what the grant was given for. One query as a rule, five where fifty more came in."""
    came = Trial.objects.filter(lane_id=grant.lane_id, version_id=grant.version_id, eligible=True, created_at__gte=grant.granted_at)
    count = came.count()
    if count // EVERY == memory.came.get(grant.pk, 0) // EVERY:
        return None
    before = Trial.objects.filter(
        lane_id=grant.lane_id, eligible=True, created_at__lt=grant.granted_at, work__estimates__version_id=grant.version_id
    )
    if begins := proving.begins_at(grant.lane):
        before = before.filter(created_at__gt=begins)
    known = list(before.order_by("-created_at").values_list("work__estimates__approve", "work__estimates__novelty")[:REFERENCE])
    looks = [
        (Drift([one[at] for one in known if one[at] is not None], delta=0.005, every=EVERY, what=what), name)
        for at, (what, name) in enumerate((("scores", "score"), ("novelty", "novelty")))
    ]
    for score, novelty in came.order_by("created_at", "pk").values_list("score", "novelty").iterator(chunk_size=2_000):
        looks[0][0].add(score)
        looks[1][0].add(novelty)
    alarm = next((look.alarm for look, _ in looks if look.alarm is not None), None)
    if alarm is None:  # else the grant ends; where that fails, the next look finds it again
        memory.came[grant.pk] = count
    return alarm


def _mark(lane_ids: list[int]) -> None:
    """Write that these were looked at, those whose mark is some seconds old. One query, none for none."""
    if lane_ids:
        now = clock.now()
        rows = Lane.objects.filter(pk__in=lane_ids, state=LaneState.GRANTED)
        rows.exclude(checked_at__gt=now - MARK_EVERY, checked_at__lte=now).update(checked_at=now)


def _behind() -> set[int]:
    """Return some lanes whose summary speaks of another version than the live one. One query."""
    version = proving.speaking()
    if version is None:
        return set()
    rows = Lane.objects.filter(state=LaneState.WATCHING, summary__has_key="version").exclude(summary__version=version.number)
    return set(rows.values_list("pk", flat=True)[:SUMMED_AT_ONCE])


def _sum_up(lane: Lane, memory: Memory) -> None:
    """Write what the list says of a lane, unless that was done a moment ago."""
    now = clock.now()
    at = lane.summary.get("at")
    if at and timedelta(0) <= now - datetime.fromisoformat(at) < SUMMED_EVERY:
        return
    Lane.objects.filter(pk=lane.pk).update(summary={**evidence.summary_of(lane), "at": now.isoformat()})
    memory.unsummed.discard(lane.pk)
