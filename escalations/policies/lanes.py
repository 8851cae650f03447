"""Lanes: who gives a lane the right to act alone, who takes it away, and how much error is allowed. The only writer of `Lane.state`
and of `LaneGrant`.

To let a machine act alone is one manager's signed decision about evidence that was shown, for a time. To end that takes less: any
manager, who answers for the source, the clock, or the evidence itself (`learn.following`).
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from escalations import audit, clock, outbox
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, NotFound, OwnRequest
from escalations.floors import lanes
from escalations.models import ClassifierVersion, Lane, LaneGrant, Person, Role
from escalations.states import LaneState, VersionState

from . import proving
from .changes import problem, subject_of

LONGEST_DAYS = 90  # a grant is looked at again after so long at most
LONGEST_REASON = 2_000  # characters
ALPHAS = (0.001, 0.2)  # the least and the largest share of errors a manager may allow
DELTAS = (0.001, 0.2)
NONE_LIVE = "No classifier is live, so there is nothing that could act alone."
CHANGED = "The evidence is not as you saw it any more. Read it again before you sign."


def may_grant(person: Person, lane: Lane) -> str:
    """Return why this person may not grant this lane, in words, or "". One query. Managers may; the source's owner never (law 8)."""
    if not _is_manager(person):
        return "Managers decide how much the machine may do alone."
    if lane.source.owner_id == person.pk:
        return "Nobody lets their own service act alone; another manager has to sign this."
    return ""


def may_end(person: Person, lane: Lane) -> bool:
    """Say whether this person may end a grant of this lane: any manager, and who answers for the source. One query."""
    return _is_manager(person) or (person.is_active and lane.source.owner_id == person.pk)


@transaction.atomic
def grant(
    lane_id: int, *, person: Person, alpha: float, delta: float, threshold: float, days: int, reason: str, digest: str, until: datetime | None,
) -> LaneGrant:
    """Let a lane settle alone what scores at least `threshold`, for `days`. `digest` and `until` are of the offer that was shown
    (`LaneView.digest`, `LaneView.until`): what is signed is that evidence, as it was known then. `threshold` is one that it certifies.
    Later evidence is weighed too: where it does not bear the threshold any more nothing is granted. About a dozen queries.

    Raises NotAllowed, OwnRequest (the source's owner), Invalid, IllegalMove (granted already, or no classifier is live),
    ChangedSinceSeen (the evidence is not as it was shown, or does not bear it any more), NotFound.
    """
    lane = _locked(lane_id)
    _check_may(person, lane)
    reason = _reason(reason)
    _check_terms(alpha, delta)
    if not 1 <= days <= LONGEST_DAYS:
        raise Invalid([problem("days", "out_of_range", f"One to {LONGEST_DAYS} days.")])
    if lane.state != LaneState.WATCHING:
        raise IllegalMove("This lane may act alone already. End that first, to sign it anew.")
    version = proving.speaking()
    if version is None:
        raise IllegalMove(NONE_LIVE)
    terms = proving.offer(lane, version, alpha, delta, proving.pieces(lane, version, until)) if until else None
    if terms is None or proving.digest(terms) != digest:
        raise ChangedSinceSeen(CHANGED)
    shown = next((rung for rung in terms["rungs"] if rung["threshold"] == threshold and rung["passed"]), None)
    if shown is None:
        raise Invalid([problem("threshold", "not_certified", "The evidence does not certify this threshold.")])
    own = sum(one.many for one in proving.deciders(lane, version) if one.person == person.pk)
    today = proving.ladder_of(lane, version, alpha, delta, proving.pieces(lane, version)).rungs()
    if not any(rung.threshold == threshold and rung.passed for rung in today):
        raise ChangedSinceSeen("What was decided since you saw this does not bear it any more. Read it again before you sign.")
    # Whoever takes the version back ends what stands on it: that must see this grant, or this must see that it is taken back.
    if not ClassifierVersion.objects.select_for_update(no_key=True).filter(pk=version.pk, state=VersionState.LIVE).values("pk"):
        raise IllegalMove(NONE_LIVE)
    now = clock.now()
    given = LaneGrant.objects.create(
        lane=lane, version=version, alpha=alpha, delta=delta, threshold=threshold, audit_share=proving.AUDIT_SHARE,
        evidence={**terms, **shown}, terms_digest=digest, granted_by=person, reason=reason, granted_at=now,
        expires_at=now + timedelta(days=days),
    )
    lane.state, lane.checked_at = LaneState.GRANTED, now
    lane.save(update_fields=["state", "checked_at"])
    audit.record(
        "lane.granted", actor=audit.Actor.of(person), subject=subject_of(lane), lane=str(lane), grant=given.pk, version=version.number,
        alpha=alpha, delta=delta, threshold=threshold, days=days, reason=reason, terms=digest, selected=shown["selected"],
        wrong=shown["wrong"], bound=shown["bound"], share=shown["share"], decided=terms["decided"], own=own, until=given.expires_at,
    )
    _tell("lane_granted", lane, by=person.name, until=f"{given.expires_at:%Y-%m-%d}", allowed=f"{100 * alpha:g} %", text=reason)
    return given


@transaction.atomic
def withdraw(
    lane_id: int, *, end: str = "manager", why: str, person: Person | None = None, actor: audit.Actor | None = None,
    evidence: dict[str, Any] | None = None, grant_id: int | None = None,
) -> LaneGrant | None:
    """End a lane's grant: from the commit of this on people decide everything in it. None when there was none to end, or, where
    `grant_id` is given, when that one has ended already. Waits for what is being let go at this moment: milliseconds.

    `end` is one of LaneGrant.ENDS; a person (any manager, or who answers for the source: it only does less) or an actor ends it, and
    managers are told. Raises NotAllowed, Invalid (no reason), NotFound.
    """
    lane = _locked(lane_id)
    if end not in dict(LaneGrant.ENDS):
        raise ValueError(f"{end} is no way to end a grant")
    if (person is None) == (actor is None):
        raise ValueError("a person ends it or somebody else does")
    if person is not None and not may_end(person, lane):
        raise NotAllowed("Managers end it, and who answers for the source.")
    why = _reason(why)
    given = LaneGrant.objects.filter(lane=lane, ended_at=None).first()
    if given is None or (grant_id is not None and given.pk != grant_id):
        return None
    given.ended_at, given.ended_by, given.end, given.end_why, given.end_evidence = clock.now(), person, end, why, evidence or {}
    given.save(update_fields=["ended_at", "ended_by", "end", "end_why", "end_evidence"])
    lane.state = LaneState.WATCHING
    lane.save(update_fields=["state"])
    by = audit.Actor.of(person) if person is not None else actor or audit.SYSTEM
    audit.record(
        "lane.withdrawn", actor=by, subject=subject_of(lane), lane=str(lane), grant=given.pk, end=end, why=why, evidence=evidence or {},
    )
    _tell("lane_withdrawn", lane, by=by.name, what=given.get_end_display(), text=why)
    return given


@transaction.atomic
def set_target(lane_id: int, *, alpha: float, delta: float, person: Person) -> Lane:
    """Set how much error would be allowed in a lane and with which confidence that is to be shown; a grant that stands keeps its own.
    Raises NotAllowed, OwnRequest, Invalid, NotFound."""
    lane = _locked(lane_id)
    _check_may(person, lane)
    _check_terms(alpha, delta)
    if (lane.alpha, lane.delta) == (alpha, delta):
        return lane
    was = {"alpha": lane.alpha, "delta": lane.delta}
    lane.alpha, lane.delta = alpha, delta
    lane.save(update_fields=["alpha", "delta"])
    audit.record(
        "lane.set", actor=audit.Actor.of(person), subject=subject_of(lane), lane=str(lane), alpha=alpha, delta=delta, was=was,
    )
    return lane


def withdraw_all_of(version_id: int, *, why: str, person: Person | None = None, actor: audit.Actor | None = None) -> int:
    """End every grant that stands on a version of the classifier which is not to be trusted any more; return how many.

    `person` is who took the version back; they need be no manager to make a machine do less. A few queries a grant.
    """
    ended = 0
    by = audit.Actor.of(person) if person is not None else actor or audit.SYSTEM
    for given in LaneGrant.objects.filter(version_id=version_id, ended_at=None).order_by("pk"):
        ended += withdraw(given.lane_id, end="classifier", why=why, actor=by, grant_id=given.pk) is not None
    return ended


def _locked(lane_id: int) -> Lane:
    """Wait until nothing is in between, then lock and return the lane."""
    lanes.close(lane_id)
    lane = Lane.objects.select_for_update(of=("self",)).select_related("source__owner").filter(pk=lane_id).first()
    if lane is None:
        raise NotFound("There is no such lane.")
    return lane


def _is_manager(person: Person) -> bool:
    return bool(person.is_active and person.roles().filter(decides_everything=True).exists())


def _check_may(person: Person, lane: Lane) -> None:
    if why := may_grant(person, lane):
        raise (OwnRequest if lane.source.owner_id == person.pk else NotAllowed)(why)


def _check_terms(alpha: float, delta: float) -> None:
    errors = [
        problem(name, "out_of_range", f"Between {low:g} and {high:g}.")
        for name, value, (low, high) in (("alpha", alpha, ALPHAS), ("delta", delta, DELTAS)) if not low <= value <= high
    ]
    if errors:
        raise Invalid(errors)


def _reason(text: str) -> str:
    text = text.strip().replace("\x00", "\ufffd")
    if not text:
        raise Invalid([problem("reason", "required", "Say why: whoever reads it later will ask.")])
    return text[:LONGEST_REASON]


def _tell(kind: str, lane: Lane, **facts: str) -> None:
    """Tell every manager. A query for the roles, and those of `outbox.open_notices`."""
    roles = Role.objects.filter(decides_everything=True).order_by("pk")
    facts = {"lane": lane.subject, "source": lane.source.name, "page": lane.get_absolute_url(), **facts}
    outbox.open_notices(outbox.Wanted(kind, role=role, facts=facts) for role in roles)
