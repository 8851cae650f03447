"""What kept some of a lane's items with people and was taken away since: then the evidence is about other items than would go now.

A rule that asks for a person, or a trigger, keeps the hard ones of a lane out of its evidence as well as out of its hands. Where two
administrators let go of it (`policies.second`), the lane has shown nothing about what it kept. Only where it did keep something of this
lane: what it kept of others is no matter of this one.
"""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from django.db.models import Q, QuerySet

from escalations.models import Change, Lane, Proposal, Trial
from escalations.states import ChangeState, Floor, TrialMode

KINDS = ("rule", "trigger", "source")  # a policy says who is asked and when, never whether
MOST = 100  # changes looked through, the newest first
KEPT = 10_000  # answers remembered

_known: dict[tuple[int, int], bool] = {}  # by lane and change: what was kept before a moment stays so for ever
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Loosened:
    """A change that let go of something this lane's items had been kept by."""

    change: int
    name: str
    at: datetime


def latest(lane: Lane, since: datetime) -> Loosened | None:
    """Return the last such change after `since`, None where there is none. One query while nothing was changed, one more for each
    change that was not looked at here before."""
    for change in changes().filter(settled_at__gt=since)[:MOST]:
        if change.settled_at is not None and _touches(lane, change):
            return Loosened(change.pk, change.name, change.settled_at)
    return None


def changes() -> QuerySet[Change]:
    """Return every change that let go of something, the newest first."""
    return Change.objects.filter(state=ChangeState.CONFIRMED, kind__in=KINDS).order_by("-settled_at")


def _touches(lane: Lane, change: Change) -> bool:
    """Say whether what was changed had kept something of this lane, or blocked it. Two queries the first time."""
    with _lock:
        known = _known.get((lane.pk, change.pk))
    if known is None:
        kept = Trial.objects.filter(lane=lane, mode=TrialMode.KEPT, created_at__lte=change.settled_at)
        which = _kept_by(lane, change)
        known = (which is not None and kept.filter(which).exists()) or _blocked_by(lane, change)
        with _lock:
            while len(_known) >= KEPT:
                _known.pop(next(iter(_known)))
            _known[lane.pk, change.pk] = known
    return known


def _kept_by(lane: Lane, change: Change) -> Q | None:
    """Return which of a lane's items the row that was changed had kept; None for none. Pure.

    A rule that lets a lane act alone, and what is known of the source, may have kept any.
    """
    name = change.subject.partition(" ")[2]
    if change.kind == "trigger":
        return Q(proposal__triggers__contains=[{"name": name}])
    if change.kind == "source":
        return Q() if name == str(lane.source_id) else None
    by_lane = change.wanted.get("floor") == Floor.AUTO and change.wanted.get("by") == "lane"
    return Q() if by_lane else Q(proposal__rules__contains=[{"rule": int(name)}])


def _blocked_by(lane: Lane, change: Change) -> bool:
    """Say whether a rule had blocked what would have come through this lane: that was refused, and is no trial of it. One query."""
    if change.kind != "rule":
        return False
    action = lane.subject if lane.by == "action" else "acknowledge"
    refused = Proposal.objects.filter(
        source_id=lane.source_id, action=action, settled_at__lte=change.settled_at, floor=Floor.BLOCK, test=False,
        rules__contains=[{"rule": int(change.subject.partition(" ")[2])}],
    )
    return refused.exists()
