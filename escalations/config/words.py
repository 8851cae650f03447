"""What an edit changes, in words: one line for one thing."""

from typing import Any

_LONG = 60
_NOTHING: tuple[Any, ...] = (None, "", [], {})


def changed(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """Return what differs between two sets of plain values; of a new one (None before) all that is not empty."""
    if before is None:
        return [line for field, value in after.items() if value not in _NOTHING and value is not False for line in _new(field, value)]
    return [
        line for field, value in after.items() if not same(before.get(field), value) for line in _difference(field, before.get(field), value)
    ]


def same(one: Any, other: Any) -> bool:
    """Return whether two plain values are one: 100 and 100.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _new(field: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _new(f"{field} {key}", inner)]
    if isinstance(value, list):
        return [f"{field}: {_listed(value)}"]
    return [f"{field}: {_said(value)}"]


def _difference(field: str, before: Any, after: Any) -> list[str]:
    if isinstance(after, dict) or isinstance(before, dict):
        before, after = before or {}, after or {}
        return [
            line
            for key in [*before, *(key for key in after if key not in before)]
            if not same(before.get(key), after.get(key)) or (key in before) != (key in after)
            for line in _member(f"{field} {key}", key in before, before.get(key), key in after, after.get(key))
        ]
    if isinstance(after, list) or isinstance(before, list):
        return [f"{field}: {_of_lists(before or [], after or [])}"]
    if max(len(str(before)), len(str(after))) > _LONG:
        return [f"{field} was: {_said(before)}", f"{field} becomes: {_said(after)}"]
    return [f"{field}: {_said(before)} becomes {_said(after)}"]


def _member(field: str, was: bool, before: Any, is_there: bool, after: Any) -> list[str]:
    if not was:
        return [f"{field} is added: {_listed(after) if isinstance(after, list) else _said(after)}"]
    return _difference(field, before, after) if is_there else [f"{field} goes"]


def _of_lists(before: list[Any], after: list[Any]) -> str:
    gone = [one for one in before if one not in after]
    come = [one for one in after if one not in before]
    if not (gone or come):
        return f"{_listed(before)} becomes {_listed(after)}"  # another order, or as often as before
    words = [f"{_listed(come)} {'is' if len(come) == 1 else 'are'} added"] if come else []
    words += [f"{_listed(gone)} {'goes' if len(gone) == 1 else 'go'}"] if gone else []
    return "; ".join(words)


def _listed(values: list[Any]) -> str:
    return ", ".join(_said(value) for value in values) or "nothing"


def _said(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case {"role": role, "after": after, "repeat": repeat}:
            return f"{role} after {after}" + (f", {repeat} more time{'s' * (repeat != 1)}" if repeat else "")
        case dict():
            return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
        case float() | int():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case _:
            return "“" + " ⏎ ".join(str(value).splitlines()) + "”" if " " in str(value) or "\n" in str(value) else str(value)
