"""What a source sent along, in the parts we know and in the order it was said; whatever else it holds is kept, so that nothing is
left unseen."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from escalations.floors.provenance import AGENT, OPERATOR, PERSON, TOOL, Part, parts_of, text_of
from escalations.floors.text import has_hidden

from . import values

WHO = {PERSON: "the customer", OPERATOR: "whoever runs the agent", AGENT: "the agent", TOOL: "a tool"}


@dataclass
class Link:
    label: str
    url: str
    host: str  # empty: not a web address, shown as text and never made a link


@dataclass
class Said:
    """One text of the timeline. `anchor` is its place on the page; `marks` are the values of the proposal that stand in it."""

    anchor: str
    name: str  # arguments, result, error; empty for what somebody says
    text: str
    kind: str
    marks: list["Mark"] = field(default_factory=list)


@dataclass
class Mark:
    """A value of the proposal in one of the texts it came from."""

    start: int
    end: int
    row: str  # the anchor of the arg's row
    anchor: str  # its own
    strong: bool


@dataclass
class Turn:
    """One step of the timeline: somebody says something, or a tool is called."""

    who: str
    kind: str  # person, operator, agent, tool, call
    texts: list[Said]
    at: str = ""
    number: int = 0  # of calls, as the table of args names them


@dataclass
class Context:
    request: str
    summary: str
    why: str
    turns: list[Turn]
    links: list[Link]
    rest: str
    parts: list[Part]  # the same texts with who said them, to look for values in
    at: Any = None

    @property
    def empty(self) -> bool:
        return not (self.summary or self.turns or self.links or self.rest)

    @property
    def timed(self) -> bool:
        """Say whether the source gave times to everything, so that the order is known rather than supposed."""
        return all(turn.at for turn in self.turns[1:])


def context_of(raw: Any, at: Any = None, prefix: str = "c0") -> Context:
    """Return a source's context in its parts, whatever shape it came in. `prefix` tells several contexts of one page apart."""
    raw = raw if isinstance(raw, dict) else {"context": raw} if raw else {}
    rest = dict(raw)
    known = {name: text(rest.pop(name, None)) for name in ("request", "summary", "why")}
    parts = parts_of(raw, prefix)
    turns = turns_of(raw, parts, prefix)
    for name in ("messages", "attempts"):
        rest.pop(name, None)
    links = [link(one) for one in listed(rest.pop("links", None))]
    return Context(turns=turns, links=links, rest=text(rest) if rest else "", parts=parts, at=at, **known)


def turns_of(raw: dict[str, Any], parts: Iterable[Part], prefix: str) -> list[Turn]:
    """Return the request, the messages and the calls as one timeline; by their times where all have them, else as they were sent."""
    said = {part.anchor: part for part in parts}
    first = []
    if request := text_of(raw.get("request")):
        first = [Turn(WHO[PERSON], PERSON, [Said(f"{prefix}-request", "", request, PERSON)])]
    turns: list[Turn] = []
    for number, one in enumerate(listed(raw.get("messages"))):
        message = one if isinstance(one, dict) else {"content": one}
        anchor = f"{prefix}-message-{number}"
        kind, role = said[anchor].kind, text_of(message.get("role")).strip()
        turns.append(Turn(role or "somebody", kind, [Said(anchor, "", said[anchor].text, kind)], text(message.get("at"))))
    for number, one in enumerate(listed(raw.get("attempts"))):
        call = one if isinstance(one, dict) else {"tool": one}
        anchor = f"{prefix}-call-{number}"
        told = [(name, said.get(f"{anchor}-{name}")) for name in ("arguments", "result", "error")]
        texts = [Said(one.anchor, name, one.text, one.kind) for name, one in told if one and one.text]
        turns.append(Turn(text_of(call.get("tool")) or "a tool without a name", "call", texts, text(call.get("at")), number + 1))
    return first + (sorted(turns, key=lambda turn: turn.at) if all(turn.at for turn in turns) else turns)


def exception_of(payload: Any) -> list[tuple[str, str]]:
    """Return the parts of the exception a source sent, line ends as line ends; empty when it sent none."""
    raised = payload.get("exception") if isinstance(payload, dict) else None
    return [(str(name), text(value)) for name, value in raised.items()] if isinstance(raised, dict) else []


def without_exception(payload: Any) -> Any:
    return {name: value for name, value in payload.items() if name != "exception"} if exception_of(payload) else payload


def text(value: Any) -> str:
    """Return text as it is, nothing for nothing, and anything else as readable JSON."""
    return "" if value in (None, "", [], {}) else value if isinstance(value, str) else values.editable(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "", {}) else [value]


def link(raw: Any) -> Link:
    label, url = (text(raw.get("label")), text(raw.get("url"))) if isinstance(raw, dict) else ("", text(raw))
    return Link(label, url, web_host(url))


def web_host(url: str) -> str:
    """Return the host a web address leads to; empty for what must not become a link."""
    try:
        parts = urlsplit(url.strip())
        web = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and not has_hidden(url)
        return parts.netloc if web else ""
    except ValueError:
        return ""
