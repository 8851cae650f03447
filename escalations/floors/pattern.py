"""Which pattern of human oversight applies to an incident, and why, in one sentence for its caller. Pure: nothing is read.

A caller does not choose. What is reported says what kind of thing it is; floor, triggers and rules say what becomes of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from escalations.states import Floor, Kind

WATCHED = "oversight"  # where a trigger stands that a watched run set off
# What is said of the rule for lanes where it lets nothing go. Every item hears one of the two, so neither explains anything; and of
# those whose lane was granted all hear the same.
NO_LANE, LEFT = "no lane has earned this", "the lane leaves this one to a person"
OF_LANES = frozenset({NO_LANE, LEFT})

_PATTERNS = {
    Kind.DRAFT: "review_gate", Kind.EXCEPTION: "exception", Kind.ALERT: "exception", Kind.HANDOFF: "exception",
    Kind.ACTION: "approval", Kind.QUESTION: "approval",
}
_BEGINS = {
    Kind.DRAFT: "A draft is read before it leaves", Kind.EXCEPTION: "An exception is triaged", Kind.ALERT: "An alert is triaged",
    Kind.HANDOFF: "A hand-off asks somebody to take over",
    Kind.ACTION: "An action runs only as it was signed", Kind.QUESTION: "A question is answered before the caller goes on",
}
_OTHERWISE = {
    "oversight": "A run that is watched goes on only when a person says so",
    "confidence": "Nothing but doubt about how sure anybody is brings it to a person",
}


def pattern_of(kind: str, triggers: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return what applies to an incident of this kind once these triggers fired; without any, what its kind alone says."""
    names = [trigger["name"] for trigger in triggers]
    if "loop_detected" in names or any(trigger.get("where") == WATCHED for trigger in triggers):
        return "oversight"
    if kind in (Kind.ACTION, Kind.DRAFT) and names == ["low_confidence"]:
        return "confidence"
    return _PATTERNS[Kind(kind)]


def why(kind: str, pattern: str, *, floor: str = "", triggers: Iterable[str] = (), rules: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return why that pattern applies, in one sentence. Without a floor it is not routed: then only the kind has spoken.

    `triggers` are names, `rules` what matched as a proposal keeps it.
    """
    begins = _OTHERWISE.get(pattern) or _BEGINS[Kind(kind)]
    if not floor:
        return f"{begins}; rules and triggers have not spoken yet."
    fired = list(triggers)
    return f"{begins}: {_asked(floor, rules)}{f', and {_listed(fired)} fired' if fired else ''}."


def _asked(floor: str, rules: Sequence[Mapping[str, Any]]) -> str:
    """Return who asked for that floor: rules by name, what holds whatever rules say, or nobody."""
    named = [f"“{rule['name']}”" for rule in rules if rule.get("floor") == floor and _counts(rule)]
    rule = f"the rule {named[0]}" if len(named) == 1 else f"the rules {_listed(named)}" if named else ""
    one = len(named) == 1
    if floor == Floor.AUTO:
        return f"{rule} {'lets' if one else 'let'} it go without a person"
    if floor == Floor.BLOCK:
        return f"{rule} {'refuses' if one else 'refuse'} it without asking a person"
    if rule:
        return f"{rule} {'asks' if one else 'ask'} for a person"
    if broken := [f"“{rule['name']}”" for rule in rules if rule.get("error")]:
        return f"{_listed(broken)} could not be answered, so that a person decides"
    if any(not rule.get("name") for rule in rules):
        return "it is held for a person whatever rules say"  # why is for those who sign
    if any(rule.get("unmet") and rule["unmet"] not in OF_LANES for rule in rules):
        return "the rule that could let it go alone is not met, so that a person decides"
    return "no rule lets it go alone, so that a person decides"


def _counts(rule: Mapping[str, Any]) -> bool:
    return bool(rule.get("name")) and not rule.get("error") and not rule.get("unmet")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
