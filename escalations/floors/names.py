"""What helps somebody to write a condition: the names with the values of a real incident, where an error stands, ready examples."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from escalations.errors import Invalid

from .cel import AUTO_NAMES, NAMES, compile_condition, value_at

MOST_NAMES = 200
LONGEST_VALUE = 120
ORDER = ("incident.kind", "proposal.action", "proposal.args", "source", "customer", "incident.payload", "proposal", "incident", "")
TYPES = {str: "text", bool: "true/false", int: "number", float: "number", list: "list", dict: "object", type(None): "nothing"}

_PLAIN = re.compile(r"[A-Za-z_]\w*\Z")
_WORD = re.compile(r"[\w.\[\]\"]+")


@dataclass(frozen=True, slots=True)
class Name:
    """A name a condition may read, and what it stands for in one incident. The value is untrusted text."""

    name: str
    type: str
    value: str
    alone: bool  # a rule that lets the machine act alone may read it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a condition is wrong: the text in three pieces, of which the middle one is underlined."""

    line: int
    column: int
    message: str
    before: str
    at: str
    after: str


@dataclass(frozen=True, slots=True)
class Example:
    """A ready condition that compiles as it stands; `paths` have to be marked authoritative for it to act alone."""

    said: str
    condition: str
    alone: bool = False
    paths: tuple[str, ...] = ()


EXAMPLES = (
    Example(
        "Refunds over 100 by one agent",
        'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100 && source.name == "billing-agent"',
    ),
    Example(
        "Small refunds for customers the shop itself calls verified",
        'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= 20 && customer.tier == "verified"',
        alone=True, paths=("customer.tier",),
    ),
    Example(
        "Refunds within the order's own total",
        'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= incident.payload.order.total',
        alone=True, paths=("payload.order.total",),
    ),
    Example(
        "A currency that is not ours",
        'incident.kind == "action" && proposal.action == "send_money" && !(proposal.args.currency in ["EUR", "USD"])',
    ),
    Example("Any action whose name speaks of deleting", 'incident.kind == "action" && proposal.action.matches("(?i)delete|purge|wipe")'),
    Example("Drafts that leave for another domain", 'incident.kind == "draft" && !proposal.draft.to.endsWith("@marlow-finch.example")'),
    Example(
        "A message that speaks of a lawyer",
        'incident.kind in ["question", "handoff"] && (incident.title + " " + incident.body).matches("(?i)\\\\blawyers?\\\\b")',
    ),
    Example("Customers with a flag", 'incident.kind in ["action", "draft"] && "vip" in customer.flags'),
    Example("What the engines are unsure of", 'incident.kind == "action" && classification.confidence < 0.6'),
    Example(
        "Outside of working hours in Berlin",
        'incident.kind == "action" && (now.getHours("Europe/Berlin") < 9 || now.getHours("Europe/Berlin") >= 18)',
        alone=True,
    ),
    Example("Exceptions of production", 'incident.kind == "exception" && incident.environment == "production"'),
    Example("What an agent calls irreversible", 'incident.kind == "action" && proposal.reversible == false'),
    Example("Alerts of a demo source", 'incident.kind == "alert" && source.demo', alone=True),
)


def names_of(facts: Mapping[str, Any], authoritative: Iterable[str] = ()) -> list[Name]:
    """Return every name with its value in these facts, args and payload opened to their leaves: what is there first, in the order in
    which a condition asks. At most MOST_NAMES."""
    paths = [f"incident.{path}" if path.split(".", 1)[0] == "payload" else path for path in authoritative]
    found = []
    for name in sorted(NAMES, key=lambda one: next(at for at, start in enumerate(ORDER) if one.startswith(start))):
        value = value_at(facts, name)
        if name in ("proposal.args", "incident.payload") and isinstance(value, Mapping) and value not in ({}, {"value": None}):
            found += [_name(path, one, paths) for path, one in _leaves(name, value)]
        else:
            found.append(_name(name, value, paths))
    known = {one.name for one in found}
    found += [_name(path, None, paths) for path in paths if path not in known]
    return sorted(found[:MOST_NAMES], key=lambda one: not one.value)


def place_of(text: str, *, auto: bool, authoritative: Iterable[str] = ()) -> Place | None:
    """Return where a condition is wrong, and how; None for one that may be saved. Compiles it (5 to 20 ms, cached)."""
    try:
        compile_condition(text, auto=auto, authoritative=frozenset(authoritative))
    except Invalid as error:
        position = error.extra["position"]
        return placed(text, position["line"], position["column"], position["message"])
    return None


def placed(text: str, line: int, column: int, message: str) -> Place:
    """Return the pieces around a place: the whole name that stands there, else one sign; nothing at the end of the text."""
    lines = text.split("\n")
    start = sum(len(one) + 1 for one in lines[: max(0, line - 1)]) + column - 1
    start = min(max(0, start), len(text))
    end = min(start + 1, len(text))
    for word in _WORD.finditer(text):
        if word.start() <= start < word.end():
            start, end = word.span()
            break
    return Place(line, column, message, text[:start], text[start:end], text[end:])


def _name(name: str, value: Any, paths: list[str]) -> Name:
    alone = name in AUTO_NAMES or name.startswith("proposal.args") or any(name == one or name.startswith(f"{one}.") for one in paths)
    kind = TYPES.get(type(value), "time" if name == "now" else "text")
    if value is None and name in NAMES and NAMES[name][1] is not None:
        kind = TYPES.get(type(NAMES[name][1]), kind)
    return Name(name, kind, _said(value), alone)


def _said(value: Any) -> str:
    if value in (None, {}, [], {"value": None}):  # the last is a payload that was not sent, as conditions see it
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | Mapping) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _leaves(name: str, value: Any, depth: int = 0) -> list[tuple[str, Any]]:
    """Return (name, value) of each leaf as a condition spells it, not deeper than a person would."""
    if isinstance(value, Mapping) and value and depth < 6:
        found = []
        for key, inner in value.items():
            plain = bool(_PLAIN.match(str(key)))
            if not plain and ('"' in str(key) or "\\" in str(key) or not str(key).isprintable()):
                continue  # it can be written, but nobody should click it into a rule
            found += _leaves(f"{name}.{key}" if plain else f'{name}["{key}"]', inner, depth + 1)
            if len(found) >= MOST_NAMES:
                break
        return found
    return [(name, value)]
