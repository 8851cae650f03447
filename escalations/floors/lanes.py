"""Which lane a proposal comes through, and whether that lane may let it go at this moment."""

from collections.abc import Sequence

from escalations.models import Classification, Incident, Proposal

FRESH = 60.0  # seconds; a lane whose evidence nobody looked at for longer lets nothing go (law 6)
LONGEST_SUBJECT = 200


def lane_of(incident: Incident, proposal: Proposal, words: Sequence[Classification]) -> tuple[str, str] | None:
    """Return (by, subject) of the lane this comes through, or None. Pure.

    By the action where there is one of the source's own; else by the category that `rules` or `learned` are sure of: never the
    model's, whose words are untrusted.
    """
    raise NotImplementedError
