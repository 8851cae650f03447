"""Audit samples that their source took out of people's hands before anybody could judge them.

Whoever withdraws each bad one that did not go at once, or puts a better one in its place, or lets it run out within half a minute, fails
no audit: what is left is all good. A source's own acts count only against a lane, so where these are too many the grant ends.
"""

from datetime import datetime, timedelta

from django.db.models import Q

from escalations.models import LaneGrant, Trial
from escalations.proof.watch import PATIENCE, Detector
from escalations.states import State, TrialMode

GONE = (State.WITHDRAWN, State.SUPERSEDED)  # an edit by a person is labelled as wrong; what is left was replaced by its source


def too_many(grant: LaneGrant) -> tuple[int, int] | None:
    """Return (audits its source took back, audits that ended) where these are too many to be left out; None else. One query.

    They are counted as wrong by the detector that watches audits for a change (`proof.watch`): one now and then is nothing to it, and
    more than are allowed to be wrong is what no evidence can outweigh. What people let run out by a policy's own time is left out.
    """
    audits = Trial.objects.filter(Q(counts=True) | Q(right=False), grant=grant, mode=TrialMode.AUDIT, labelled_at__isnull=False)
    detector, taken, ended, crossed = Detector(grant.alpha), 0, 0, False
    for right, *how in audits.order_by("labelled_at", "pk").values_list(
        "right", "proposal__state", "proposal__expires_at", "proposal__incident__received_at", "proposal__incident__timeout_seconds"
    ):
        if right is None and not _taken_back(*how):
            continue
        ended += 1
        taken += right is None
        detector.add(right is True)
        crossed = crossed or (right is None and detector.value >= PATIENCE)
    return (taken, ended) if crossed else None


def _taken_back(state: str, expires_at: datetime | None, received_at: datetime, timeout: int | None) -> bool:
    """Say whether it was its source that ended it: took it back, or had set the time that ran out. Pure."""
    if state in GONE:
        return True
    if state != State.EXPIRED or not timeout or expires_at is None:
        return False
    return expires_at >= received_at + timedelta(seconds=timeout)  # the sooner of this and the policy's own: so it was this
