"""JSON values as a person reads them: flat rows with types, differences between two of them, text for an editor."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from escalations.floors import provenance, text

ROWS = 400  # of a table; what is beyond stands in the signed text, which is always shown whole
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Row(NamedTuple):
    """One leaf of a value: where it is, what type it has, and the value as text."""

    path: str
    type: str
    value: str


class Change(NamedTuple):
    """What stood at a path before and after; None where there was nothing."""

    path: str
    before: str | None
    after: str | None


TYPES = {
    bool: "true/false",
    int: "number",
    float: "number",
    str: "text",
    type(None): "nothing",
    dict: "empty object",
    list: "empty list",
}


def plain(value: Any) -> str:
    """Return a leaf as it is in JSON, text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def leaves(value: Any, path: str = "") -> Iterator[Row]:
    """Yield every leaf in the order of the value; an empty object or list is a leaf too."""
    for where, one in provenance.leaves(value, path):
        yield Row(where, TYPES.get(type(one), "text"), plain(one))


def table(value: Any) -> tuple[list[Row], int]:
    """Return the rows to show and how many more there are."""
    rows = list(leaves(value)) if value not in (None, {}, []) else []
    return rows[:ROWS], max(0, len(rows) - ROWS)


def changes(before: Any, after: Any) -> list[Change]:
    """Return what differs between two values, leaf by leaf."""
    old = {row.path: row.value for row in leaves(before)} if before is not None else {}
    new = {row.path: row.value for row in leaves(after)} if after is not None else {}
    paths = list(dict.fromkeys([*old, *new]))
    return [Change(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def signed(one: Any) -> dict[str, Any]:
    """Return the parts of a proposal that are signed, or of a decision that may run."""
    return {"action": one.action, "args": one.args, "draft": one.draft}


def editable(value: Any) -> str:
    """Return JSON to edit by hand, in which a character that cannot be seen is written as its escape."""
    written = json.dumps(value, ensure_ascii=False, indent=2)
    return written if written.isascii() else NOT_ASCII.sub(_escaped, written)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1] if text.has_hidden(found.group()) else found.group()
