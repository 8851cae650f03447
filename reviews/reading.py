"""The values that are signed as a person reads them: each with how it reads, where it came from and what is odd about that."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from escalations.floors.provenance import (
    AGENT,
    COMMON,
    MIXED,
    NOWHERE,
    OPERATOR,
    PERSON,
    RECORD,
    STRONG,
    TOOL,
    Origin,
    Part,
    Place,
    leaves,
    origins,
)

from . import formats, values
from .context import Context, Mark

MOST_MARKS = 60  # highlighted places in the timeline
_CALL = re.compile(r"context\.attempts\[(\d+)\]")
_MESSAGE = re.compile(r"context\.messages\[(\d+)\]")


class Step(NamedTuple):
    """A piece of what is said of an origin: words of ours, or a place to go to."""

    said: str
    href: str = ""


@dataclass
class Value:
    """One leaf of what is signed, or a telling piece of one."""

    path: str
    type: str
    raw: str
    anchor: str
    readings: list[formats.Reading]
    origin: Origin
    came: list[Step]
    code: bool = False
    pieces: list["Value"] = field(default_factory=list)

    @property
    def mark(self) -> str:
        return self.origin.mark

    @property
    def copyable(self) -> bool:
        return 0 < len(self.raw) <= 500

    @property
    def long(self) -> bool:
        return len(self.raw) > 200 or self.raw.count("\n") > 3

    @property
    def flagged(self) -> bool:
        """Say whether it leads somewhere no person named by itself, not only for what stands in it."""
        return self.mark == STRONG and not self.origin.within

    @property
    def flags(self) -> list["Value"]:
        """Return this, or those of its pieces, that lead somewhere no person named."""
        return [self] if self.flagged else [piece for piece in self.pieces if piece.flagged]


@dataclass
class Reading:
    """What is signed, read: the args (or the draft's parts) in order, and how many more there are."""

    values: list[Value]
    more: int

    @property
    def flags(self) -> list[Value]:
        return [flag for value in self.values for flag in value.flags]


def parts_read(told: Iterable[Part], *, payload: Any, customer: Any, body: str, said: Iterable[tuple[str, str, str]]) -> list[Part]:
    """Return all that was said or read, in order: what the contexts told first. `said` is what the agent says of itself: (anchor,
    label, text)."""
    out = list(told)
    for anchor, label, sent in (("payload", "the payload", payload), ("customer", "the customer's record", customer)):
        if sent not in (None, "", {}, []):
            out.append(Part(RECORD, anchor, label, sent if isinstance(sent, str) else values.editable(sent)))
    if body:
        out.append(Part(RECORD, "body", "the body", body))
    return out + [Part(AGENT, anchor, label, text) for anchor, label, text in said if text]


def read(content: Any, parts: Sequence[Part], timeline: Iterable[Context], prefix: str = "arg") -> Reading:
    """Return the values of args or a draft with their origins, and mark their places in the timeline. No query.

    Linear in the parts, like `origins`; at most values.ROWS values, MOST_MARKS places.
    """
    if content in (None, {}, []):
        return Reading([], 0)
    flat = list(leaves(content))
    beside = _beside(content)
    found = origins(content, parts)
    out = []
    for number, ((path, raw), origin) in enumerate(zip(flat[: values.ROWS], found, strict=False)):
        out.append(_value(path, raw, f"{prefix}-{number}", origin, beside.get(path.rpartition(".")[0], {})))
    point_at(out, timeline)
    return Reading(sorted(out, key=lambda one: not one.flagged), max(0, len(flat) - len(out)))  # stable: else as they were sent


def _beside(content: Any) -> dict[str, dict[str, Any]]:
    """Return the object that stands at each path, so that an amount finds the currency beside it."""
    out: dict[str, dict[str, Any]] = {}
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict):
            out[path] = one
            waiting += [(f"{path}.{key}" if path else str(key), inner) for key, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(f"{path}[{index}]", inner) for index, inner in enumerate(one)]
    return out


def _value(path: str, raw: Any, anchor: str, origin: Origin, beside: dict[str, Any]) -> Value:
    out = Value(
        path, values.TYPES.get(type(raw), "text"), values.plain(raw), anchor, formats.readings(path, raw, beside), origin, came(origin),
        formats.is_code(raw),
    )  # fmt: skip
    if origin.kind != PERSON or any(piece.mark for piece in origin.pieces):
        for number, piece in enumerate(origin.pieces):
            out.pieces.append(_value(path, piece.value, f"{anchor}-{number}", piece, {}))
    return out


def came(origin: Origin) -> list[Step]:
    """Return where a value came from, in words, with links to the places."""
    if origin.kind == COMMON:
        return [Step("too common to tell")]
    if origin.kind == NOWHERE:
        return [Step("nowhere: worked out or made up")]
    if origin.kind == MIXED and not origin.shares:
        return [Step("put together; see its parts")]
    if origin.shares:
        return _composed(origin)
    if origin.kind == AGENT:
        again = ", a tool only repeated it" if origin.echoed else ""
        return [Step(f"said by the agent alone{again}: "), *_places(origin.places[:2])]
    if origin.kind != TOOL:
        return [Step("in "), *_places(origin.places[:2]), *_more(len(origin.places) - 2)]
    first = Step("not named by any person; first in " if origin.target else "first in ")
    where = Step(", as a field of a record") if origin.a_field else Step(", in running text") if origin.target else None
    return [first, *_places(origin.places[:1]), *([where] if where else []), *_more(len(origin.places) - 1)]


def _composed(origin: Origin) -> list[Step]:
    total = sum(number for _, number in origin.shares)
    places = {place.label: place for place in origin.places}
    out = [Step(f"of {total} telling word{'s' if total > 1 else ''} ")]
    for index, (label, number) in enumerate(origin.shares[:4]):
        out.append(Step((", " if index else "") + (f"{number} its own" if label == NOWHERE else f"{number} from ")))
        if label != NOWHERE:
            out += _places([places[label]]) if label in places else [Step(label)]
    return out


def _places(places: list[Place]) -> list[Step]:
    out: list[Step] = []
    for place in places:
        out += [Step(" and ")] if out else []
        out.append(Step(place.label, f"#{place.anchor}" if place.anchor else ""))
    return out


def _more(number: int) -> list[Step]:
    return [Step(f", and in {number} more")] if number > 0 else []


def point_at(found: Iterable[Value], timeline: Iterable[Context]) -> None:
    """Put a mark at each place a value came from, and lead the value's links there."""
    texts = {said.anchor: said for one in timeline for turn in one.turns for said in turn.texts}
    number = 0
    for value in _all(found):
        for place in value.origin.places[:2] if value.origin.kind in (PERSON, TOOL, AGENT, OPERATOR) and not value.origin.shares else ():
            said = texts.get(place.anchor)
            if said is None or number >= MOST_MARKS:
                continue
            mark = next((one for one in said.marks if one.start < place.end and place.start < one.end), None)
            if mark is None:
                number += 1
                mark = Mark(place.start, place.end, value.anchor, f"{value.anchor}-from-{number}", False)
                said.marks.append(mark)
            mark.strong = mark.strong or value.mark == STRONG
            value.came = [Step(step.said, f"#{mark.anchor}") if step.href == f"#{place.anchor}" else step for step in value.came]
    for said in texts.values():
        said.marks.sort(key=lambda mark: mark.start)


def _all(found: Iterable[Value]) -> Iterable[Value]:
    for value in found:
        yield value
        yield from _all(value.pieces)


def place_of(where: str, found: Iterable[Value]) -> tuple[str, str]:
    """Return (anchor, words) of what set a trigger off: "proposal.args.amount" is the row of the amount. ("", …) leads nowhere."""
    for start in ("proposal.args.", "proposal.draft.", "args.", "draft."):
        if where.startswith(start):
            path = where.removeprefix(start)
            anchor = next((value.anchor for value in found if value.path == path or value.path.startswith((f"{path}[", f"{path}."))), "")
            return anchor or "signed-h", path
    if call := _CALL.match(where):
        part = next((name for name in ("arguments", "result", "error") if f".{name}" in where), "")
        return f"c0-call-{call[1]}" + (f"-{part}" if part else ""), f"{part or 'what was tried'}, call {int(call[1]) + 1}"
    if message := _MESSAGE.match(where):
        return f"c0-message-{message[1]}", f"message {int(message[1]) + 1}"
    for name, anchor in (("context.request", "c0-request"), ("payload", "payload"), ("customer", "customer"), ("body", "body")):
        if where == name or where.startswith((f"{name}.", f"{name}[")):
            return anchor, where
    return ("said-h" if where in ("title", "proposal.description", "context.why") else ""), where
