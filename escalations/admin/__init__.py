"""The administrators' door: rules, policies, sources and people are edited through `policies`; the record is only read.

Nothing can be deleted here, and nothing of any other app (django-q2's schedules above all) is reachable.
"""

from . import (
    absences,
    calendars,
    categories,
    changes,
    channels,
    chat,
    classifiers,
    ledger,
    mutes,
    outbound,
    people,
    policies,
    prompt_trials,
    prompts,
    record,
    replays,
    rules,
    sources,
    stops,
    triggers,
)

__all__ = [
    "absences",
    "calendars",
    "categories",
    "changes",
    "channels",
    "chat",
    "classifiers",
    "ledger",
    "mutes",
    "outbound",
    "people",
    "policies",
    "prompt_trials",
    "prompts",
    "record",
    "replays",
    "rules",
    "sources",
    "stops",
    "triggers",
]
