"""What a field of a configuration file may hold: read from a node into one canonical plain form, the one that is written."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from .reading import Node

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})(?:\.(\d{1,6}))?s)?")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")


class Wrong(Exception):
    """This value cannot stand here; `line` is where."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line, self.detail = line, detail


Read = Callable[[Node], Any]


def text(node: Node) -> str:
    """Return text; nothing at all is empty text. A number is not taken for text: a version 1.10 would become 1.1."""
    if node.value is None:
        return ""
    if isinstance(node.value, str):
        return node.value
    raise Wrong(node.line, f"This is text; write {said(node)} in quotes." if _is_scalar(node) else "This is text, no list or mapping.")


def flag(node: Node) -> bool:
    if isinstance(node.value, bool):
        return node.value
    raise Wrong(node.line, f"This is true or false, not {said(node)}.")


def whole(node: Node) -> int:
    if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) < 2**31:
        return node.value
    raise Wrong(node.line, f"This is a whole number, not {said(node)}.")


def number_or_none(node: Node) -> float | None:
    if node.value is None:
        return None
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    raise Wrong(node.line, f"This is a number, not {said(node)}.")


def texts(node: Node) -> list[str]:
    if node.value is None:
        return []
    if isinstance(node.value, list):
        return [text(member) for member in node.value]
    raise Wrong(node.line, "This is a list: one on a line, each after a hyphen.")


def names(*known: str) -> Read:
    """Return a reader of a list of these names, in the order they are given here, each once."""

    def read(node: Node) -> list[str]:
        given = texts(node)
        if unknown := next((one for one in given if one not in known), None):
            raise Wrong(node.line, f"“{unknown}” is none of {', '.join(known)}.")
        return [one for one in known if one in given]

    return read


def name_or_none(node: Node) -> str | None:
    """Return the name of another thing, or None."""
    return text(node) or None


def one_of(*values: str) -> Read:
    """Return a reader of one of these values."""

    def read(node: Node) -> str:
        if (given := text(node)) in values:
            return given
        raise Wrong(node.line, f"This is one of {', '.join(value or 'nothing' for value in values)}; not {said(node)}.")

    return read


def duration(node: Node) -> str:
    """Return a duration as it is written: 1d12h, 4h, 90s."""
    return said_duration(read_duration(node))


def read_duration(node: Node) -> timedelta:
    given = node.value
    if isinstance(given, str) and given and (found := _DURATION.fullmatch(given.replace(" ", ""))):
        days, hours, minutes, seconds, part = found.groups()
        return timedelta(
            days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0),
            microseconds=int((part or "").ljust(6, "0")),
        )  # fmt: skip
    raise Wrong(node.line, f"This is a duration like 4h, 1d12h or 90s; not {said(node)}.")


def said_duration(given: timedelta) -> str:
    """Return 1d12h, 4h, 90m as 1h30m: the largest units first, none that is nought."""
    seconds, part = divmod(round(given / timedelta(microseconds=1)), 1_000_000)
    words = ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        many, seconds = divmod(seconds, size)
        words += f"{many}{unit}" if many else ""
    rest = f"{seconds}.{part:06}".rstrip("0") if part else str(seconds)
    return words + f"{rest}s" if seconds or part or not words else words


def settings(node: Node) -> dict[str, Any]:
    if node.value is None:
        return {}
    if isinstance(node.value, dict):
        return node.plain()
    raise Wrong(node.line, "These are settings by their names.")


def hours(node: Node) -> dict[str, str]:
    """Return working hours by day: {"mon": "09:00-12:30, 13:30-18:00"}. Whether they overlap is for the verb to say."""
    found: dict[str, str] = {}
    for day, value in members(node).items():
        if day not in DAYS:
            raise Wrong(value.line, f"“{day}” is no day; they are {', '.join(DAYS)}.")
        spans = [_span(part, value.line) for part in text(value).split(",") if part.strip()]
        if spans:
            found[day] = ", ".join(spans)
    return {day: found[day] for day in DAYS if day in found}


def _span(part: str, line: int) -> str:
    ends = [end.strip() for end in part.split("-")]
    if len(ends) != 2 or not all(_CLOCK.fullmatch(end) for end in ends):
        raise Wrong(line, f"“{part.strip()}” is no span of hours; write 09:00-12:30, 13:30-18:00.")
    return "-".join(end.rjust(5, "0") for end in ends)


def hours_of(said: dict[str, str]) -> dict[str, list[list[str]]]:
    """Return hours as a calendar keeps them: {"mon": [["09:00", "12:30"], …]}."""
    return {day: [span.split("-") for span in spans.split(", ")] for day, spans in said.items()}


def said_hours(kept: Any) -> dict[str, str]:
    """Return a calendar's hours as they are written."""
    return {day: ", ".join("-".join(span) for span in kept[day]) for day in DAYS if kept.get(day)}


def days(node: Node) -> dict[str, str]:
    """Return named days in their order: {"2026-12-25": "Christmas"}."""
    found = {}
    for day, value in members(node).items():
        try:
            found[date.fromisoformat(day).isoformat()] = text(value)
        except ValueError:
            raise Wrong(value.line, f"“{day}” is no day; write it like 2026-12-25.") from None
        if not text(value).strip():
            raise Wrong(value.line, "A holiday has a name.")
    return dict(sorted(found.items()))


def members(node: Node) -> dict[str, Node]:
    """Return the members of a mapping; nothing at all is an empty one."""
    if node.value is None:
        return {}
    if isinstance(node.value, dict):
        return node.value
    raise Wrong(node.line, "This is a mapping: a name, a colon, and what belongs to it.")


@dataclass(frozen=True)
class Steps:
    """Ordered steps, each {"role", "after", "repeat"}."""

    most: int = 40

    def __call__(self, node: Node) -> list[dict[str, Any]]:
        if node.value is None:
            return []
        if not isinstance(node.value, list):
            raise Wrong(node.line, "These are steps: one after the other, each after a hyphen.")
        if len(node.value) > self.most:
            raise Wrong(node.line, f"More than {self.most} steps.")
        return [self._step(step) for step in node.value]

    @staticmethod
    def _step(node: Node) -> dict[str, Any]:
        given = members(node)
        if unknown := next((key for key in given if key not in ("role", "after", "repeat")), None):
            raise Wrong(given[unknown].line, f"“{unknown}” is not known here; a step has role, after, repeat.")
        if "role" not in given or "after" not in given:
            raise Wrong(node.line, "A step names its role, and after how long it is asked.")
        repeat = whole(given["repeat"]) if "repeat" in given else 0
        if not 0 <= repeat <= 100:
            raise Wrong(node.line, "A step repeats 0 to 100 times.")
        return {"role": text(given["role"]), "after": duration(given["after"]), "repeat": repeat}


def duration_of(said: str) -> timedelta:
    """Return the duration that `said_duration` wrote."""
    return read_duration(Node(said, 0))


def said(node: Node) -> str:
    """Return a value in the words of an error: shortened, quoted."""
    if isinstance(node.value, dict | list):
        return "a mapping" if isinstance(node.value, dict) else "a list"
    if node.value is None:
        return "nothing"
    return f"“{str(node.value)[:60]}”"


def _is_scalar(node: Node) -> bool:
    return not isinstance(node.value, dict | list)
