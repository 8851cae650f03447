"""How much of what a run was given it has used. Pure."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from escalations.models import OversightSession

NEAR = 0.9  # of a budget: from here on a person should know


def used(session: OversightSession, now: datetime) -> dict[str, float]:
    """Return the share used of each budget this run has: steps, minutes, cost. Time in which it was paused counts not."""
    shares: dict[str, float] = {}
    if session.max_steps is not None:
        shares["steps"] = _share(session.steps, session.max_steps)
    if session.max_minutes is not None:
        shares["minutes"] = _share(seconds_run(session, now), session.max_minutes * 60)
    if session.max_cost is not None:
        shares["cost"] = _share(session.cost, session.max_cost)
    return shares


def seconds_run(session: OversightSession, now: datetime) -> float:
    """Return for how long it has run, in seconds, without the time in which it was paused."""
    paused = session.paused_seconds + ((now - session.paused_at).total_seconds() if session.paused_at else 0.0)
    return max(0.0, ((session.ended_at or now) - session.started_at).total_seconds() - paused)


def spent(session: OversightSession, now: datetime) -> str:
    """Return in words which budget is used up, "" when none is."""
    return "; ".join(_said(session, name) for name, share in used(session, now).items() if share >= 1)


def nearly_spent(session: OversightSession, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield each budget that is near its end and was not found so before, by name, and in words."""
    for name, share in used(session, now).items():
        if share >= NEAR and name not in session.warned:
            yield name, f"{share:.0%} of its budget is used: {_said(session, name)}"


def _share(so_far: float | Decimal, most: float | Decimal) -> float:
    return float(so_far) / float(most) if most else 1.0


def _said(session: OversightSession, name: str) -> str:
    match name:
        case "steps":
            return f"{session.steps} of {session.max_steps} steps"
        case "minutes":
            return f"the {session.max_minutes} minutes it may run"
        case _:
            return f"{session.cost:f} of the {session.max_cost:f} it may cost"
