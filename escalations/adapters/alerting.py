"""What doors for monitoring tools share: an alert that ended by itself asks nobody any more."""

from typing import Any

from escalations import errors, lifecycle
from escalations.api import parsers
from escalations.api.auth import Caller


def over(caller: Caller, incident_id: Any, why: str) -> bool:
    """Withdraw an open incident because what it reports is over; `why` stands in its story. Return whether it was still open."""
    try:
        lifecycle.withdraw(incident_id, actor=caller.actor, why=parsers.mended(why))
    except errors.Conflict:
        return False  # somebody was first; to the client that is all the same
    return True
