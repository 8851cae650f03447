"""Replays: a rule or a trigger as it would be, run over what was judged before. A background job that changes nothing else.

`ask` writes the wish down and wakes the job; `running` works it off in slices; `reading` finds the past, `floors.anew` judges it,
`counting` says what came of it. What a replay can and cannot tell is in docs/rules.md.
"""

from .agreement import Agreement, agreement
from .asking import ask, cancel, rule_of, trigger_of, wanted_of, wanted_of_trigger
from .counting import Figures, figures, nothing
from .running import run_slice

__all__ = [
    "Agreement",
    "Figures",
    "agreement",
    "ask",
    "cancel",
    "figures",
    "nothing",
    "rule_of",
    "run_slice",
    "trigger_of",
    "wanted_of",
    "wanted_of_trigger",
]
