"""The weekly escalation review: each Monday, for each team, what came to people is judged and turned into changes.

`make_due` makes the reviews, with an agenda that is counted once (`agenda`, told in docs/weekly.md) and rules that the data suggest
(`suggesting`); `find`, `write_notes` and `close` are the meeting; `follow_up` and `end` carry over until done; `draft` makes a draft of a
suggested rule with its replay, never a live one; `minutes` is what is taken away.
"""

from .drafting import Done, dismiss, draft, may_draft, replay_again
from .finding import Closed, close, find, may_write, write_notes
from .follow_ups import Ended, end, find_and_follow, follow_up, owners_of, shown_on
from .making import EVERY, make, make_due
from .minutes import FORMS, minutes

__all__ = [
    "EVERY",
    "FORMS",
    "Closed",
    "Done",
    "Ended",
    "close",
    "dismiss",
    "draft",
    "end",
    "find",
    "find_and_follow",
    "follow_up",
    "make",
    "make_due",
    "may_draft",
    "may_write",
    "minutes",
    "owners_of",
    "replay_again",
    "shown_on",
    "write_notes",
]
