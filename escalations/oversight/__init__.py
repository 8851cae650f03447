"""Runs of agents, watched: what they do is taken in step by step, and each answer carries what they are to do now.

`OversightSession` has one writer, this package. Every change of a run is made with its row locked, or by a statement that names the
version it was reckoned from; a run's row is locked before a proposal's or an incident's, never after.
"""

from .alarms import withdraw_open
from .directives import Look, directive, look, told, told_many
from .following import end_overdue, find_silent, follow
from .orders import hand_over, order, stop_many
from .starting import end, start
from .stepping import Answer, digest_of, take_steps

__all__ = [
    "Answer",
    "Look",
    "digest_of",
    "directive",
    "end",
    "end_overdue",
    "find_silent",
    "follow",
    "hand_over",
    "look",
    "order",
    "start",
    "stop_many",
    "take_steps",
    "told",
    "told_many",
    "withdraw_open",
]
