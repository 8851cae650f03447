"""Audit samples that their source took out of people's hands before anybody could judge them.

Whoever withdraws each bad one that did not go at once, or puts a better one in its place, or lets it run out within half a minute, fails
no audit: what is left is all good. A source's own acts count only against a lane, so where these are too many the grant ends.
"""

from django.db.models import Q

from escalations.models import LaneGrant, Trial
from escalations.proof.watch import PATIENCE, Detector
from escalations.states import State, TrialMode

TAKEN_BACK = Q(right=None, labelled_at__isnull=False) & (
    Q(proposal__state__in=[State.WITHDRAWN, State.SUPERSEDED])
    | Q(proposal__state=State.EXPIRED, proposal__incident__timeout_seconds__isnull=False)
)


def too_many(grant: LaneGrant) -> tuple[int, int] | None:
    """Return (audits its source took back, audits that ended) where these are too many to be left out; None else. One query.

    They are counted as wrong by the detector that watches audits for a change (`proof.watch`): one now and then is nothing to it, and
    more than are allowed to be wrong is what no evidence can outweigh.
    """
    audits = Trial.objects.filter(Q(counts=True, right=True) | Q(right=False) | TAKEN_BACK, grant=grant, mode=TrialMode.AUDIT)
    detector, taken, ended = Detector(grant.alpha), 0, 0
    crossed = False
    for right in audits.order_by("labelled_at", "pk").values_list("right", flat=True):
        ended += 1
        taken += right is None
        detector.add(right is True)
        crossed = crossed or (right is None and detector.value >= PATIENCE)
    return (taken, ended) if crossed else None
