"""Reading YAML that came from somewhere: plain values with the line each stands on, and nothing clever.

Anchors, aliases, tags, directives, merge keys and second documents are refused, so nothing can be larger, or anything else, than
it looks. Only `true`, `false`, `null` and numbers are not text: `no`, `12:30` and `2026-12-25` are what they look like.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

LARGEST = 1_000_000  # bytes; a hundred times what a company writes
DEEPEST = 12
MOST_SHOWN = 20  # problems; more would tell nobody more

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,39})")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
          "false": False, "False": False, "FALSE": False}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file is refused: `line` counts from 1 (0: the file as a whole), `where` is the way to it in words."""

    line: int
    where: str
    detail: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"line {self.line}" if self.line else "", self.where, self.detail) if part)


class Refused(Exception):
    """The file is not taken, nothing of it. `problems` are all that were found, in the order of their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda one: one.line)
        more = len(problems) - MOST_SHOWN
        lines = [str(one) for one in self.problems[:MOST_SHOWN]] + ([f"and {more} more"] if more > 0 else [])
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line it begins on. `value` is a scalar, a list of nodes, or a dict of nodes by their keys."""

    value: Any
    line: int

    def plain(self) -> Any:
        """Return the value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read(data: bytes) -> Node:
    """Return the one document in `data`. Raises Refused with the line of what is wrong; never anything else."""
    if len(data) > LARGEST:
        raise Refused([Problem(0, "", f"The file is larger than {LARGEST:,} bytes.")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused([Problem(data[: error.start].count(b"\n") + 1, "", "This is not UTF-8.")]) from None
    try:
        return _document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Refused([Problem(mark.line + 1 if mark else 0, "", f"This is no YAML: {error.problem or error.context}.")]) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise Refused([Problem(line, "", f"The character {ord(str(error.character)[:1]):#x} cannot stand in a file.")]) from None
    except (ValueError, OverflowError):  # an escape that is no character
        raise Refused([Problem(0, "", "An escape in a quoted text names no character.")]) from None


def _document(events: Iterator[yaml.Event]) -> Node:
    next(events)  # the stream begins
    first = next(events)
    if isinstance(first, yaml.StreamEndEvent):
        raise Refused([Problem(0, "", "The file is empty.")])
    if first.version or first.tags:
        raise _no(first, "Directives are not taken.")
    found = _node(next(events), events, 1)
    next(events)  # the document ends
    if not isinstance(after := next(events), yaml.StreamEndEvent):
        raise _no(after, "There is a second document; one file holds one.")
    return found


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    if isinstance(event, yaml.AliasEvent):
        raise _no(event, f"Aliases are not taken (*{event.anchor}): write it out.")
    if event.anchor:
        raise _no(event, f"Anchors are not taken (&{event.anchor}): write it out.")
    if event.tag:
        raise _no(event, f"Tags are not taken ({event.tag}).")
    if depth > DEEPEST:
        raise _no(event, f"This is nested deeper than {DEEPEST} levels.")
    line = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        return Node(_scalar(event), line)
    if isinstance(event, yaml.SequenceStartEvent):
        members = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            members.append(_node(inner, events, depth + 1))
        return Node(members, line)
    return Node(_mapping(events, depth), line)


def _mapping(events: Iterator[yaml.Event], depth: int) -> dict[str, Node]:
    found: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise _no(event, "A key is one plain text, no alias, list or mapping.")
        if event.anchor or event.tag:
            raise _no(event, "Anchors and tags are not taken.")
        key = _storable(event.value, event)
        if key in found:
            raise _no(event, f"“{key}” stands here a second time; it was on line {found[key].line} already.")
        value = _node(next(events), events, depth + 1)
        found[key] = Node(value.value, event.start_mark.line + 1)
    return found


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if not event.implicit[0]:  # quoted, or a block: text, whatever it looks like
        return _storable(text, event)
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return _finite(float(text), event)
    return _storable(text, event)


def _finite(number: float, event: yaml.Event) -> float:
    if not math.isfinite(number):
        raise _no(event, "This number is too large.")
    return number


def _storable(text: str, event: yaml.Event) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _no(event, "NUL and lone surrogates cannot be stored.")
    return text


def _no(event: yaml.Event, detail: str) -> Refused:
    return Refused([Problem(event.start_mark.line + 1, "", detail)])
