"""Lanes: who gives a lane the right to act alone, who takes it away, and how much error is allowed. The only writer of `Lane.state`
and of `LaneGrant`."""

from datetime import datetime
from typing import Any

from escalations import audit
from escalations.models import Lane, LaneGrant, Person

LONGEST_DAYS = 90  # a grant is looked at again after so long at most
ALPHAS = (0.001, 0.2)  # the least and the largest share of errors a manager may allow
DELTAS = (0.001, 0.2)


def may_grant(person: Person, lane: Lane) -> str:
    """Return why this person may not grant this lane, in words, or "". One query. Managers may; the source's owner never (law 8)."""
    raise NotImplementedError


def grant(
    lane_id: int, *, person: Person, alpha: float, delta: float, threshold: float, days: int, reason: str, digest: str, until: datetime | None,
) -> LaneGrant:
    """Let a lane settle alone what scores at least `threshold`, for `days`. `digest` and `until` are of the offer that was shown
    (`LaneView.digest`, `LaneView.until`): what is signed is that evidence. One transaction.

    Raises NotAllowed, OwnRequest (the source's owner), Invalid, IllegalMove (granted already, or its classifier is not live),
    ChangedSinceSeen (the evidence is not as it was shown, or does not bear it any more), NotFound.
    """
    raise NotImplementedError


def withdraw(
    lane_id: int, *, end: str = "manager", why: str, person: Person | None = None, actor: audit.Actor | None = None,
    evidence: dict[str, Any] | None = None,
) -> LaneGrant | None:
    """End a lane's grant: from the commit of this on people decide everything in it. None when there was none to end.

    `end` is one of LaneGrant.ENDS; a person (any manager, or the source's owner: it only does less) or an actor ends it. Managers are told.
    Raises NotAllowed, Invalid (no reason), NotFound.
    """
    raise NotImplementedError


def set_target(lane_id: int, *, alpha: float, delta: float, person: Person) -> Lane:
    """Set how much error would be allowed in a lane and with which confidence that is to be shown; a grant that stands keeps its own.
    Raises NotAllowed, Invalid, NotFound."""
    raise NotImplementedError
