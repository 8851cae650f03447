"""A lane's errors with people's own taken into account: they judged the machine, and are wrong now and then themselves."""

from dataclasses import replace

from escalations.learn.evidence import LaneView
from escalations.looks import agreement
from escalations.proof import noise


def corrected(view: LaneView) -> LaneView:
    """Return the view with (errors, at most so many) as shares, raised for what people are likely to have missed; as it was where too few
    second looks say how often that is, or nothing was counted yet.

    Counted are the grant's audits; without a grant what is certified, and without that what the laxest rung would let go. The evidence
    itself is not touched: this is told beside it. One query.
    """
    wrong, of = counted(view)
    people = agreement.people_error(view.lane) if of else None
    if people is None or people[2] >= 1:
        return view
    raised = noise.corrected(wrong, of, view.grant.delta if view.grant else view.lane.delta, people)
    return replace(view, corrected=(raised.estimate, raised.bound))


def counted(view: LaneView) -> tuple[int, int]:
    """Return how many were wrong of how many."""
    if view.grant is not None:
        return view.audits_wrong, view.audits
    rung = view.certified or (view.rungs[-1] if view.rungs else None)
    return (rung.wrong, rung.selected) if rung else (0, 0)
