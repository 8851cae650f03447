"""The verbs that move proposals. Every one is a transaction of its own kind: lock, look, move, record.

`moves` is the only writer of `Proposal.state` and `Incident.status`; the other files decide when. All verbs take an id, the rest
by keyword, and raise `escalations.errors`. Rows are locked in one order everywhere: proposal first, then its incident.
"""

from .absent import climb, pass_on
from .clockwork import lapse_claims, overdue_ids, push_back, run_out, warn_expiring
from .closing import next_closing, warn_before_closing
from .decide import Outcome, decide
from .desk import ask_back, claim, comment, escalate_now, extend, hand_over, names_in, release, release_all, reveal
from .hold import standing
from .placing import Start, place, settle_by_policy, start
from .settling import settle_held, undo
from .sources import MAX_REVISIONS, acknowledge, add_context, new_proposal, revise, withdraw

__all__ = [
    "MAX_REVISIONS",
    "Outcome",
    "Start",
    "acknowledge",
    "add_context",
    "ask_back",
    "claim",
    "climb",
    "comment",
    "decide",
    "escalate_now",
    "extend",
    "hand_over",
    "lapse_claims",
    "names_in",
    "next_closing",
    "new_proposal",
    "overdue_ids",
    "pass_on",
    "place",
    "push_back",
    "release",
    "release_all",
    "reveal",
    "revise",
    "run_out",
    "settle_by_policy",
    "settle_held",
    "standing",
    "start",
    "undo",
    "warn_before_closing",
    "warn_expiring",
    "withdraw",
]
