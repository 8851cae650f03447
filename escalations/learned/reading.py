"""An incident as its source would post it (docs/api.md), for what has no row: imported history, benches. Same features as a row's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

KINDS = {"message": "question", "log": "alert"}  # what others call them


class Posted(Protocol):
    """What is read of an incident. A row of `Incident` has it."""

    kind: str
    title: str
    body: str
    payload: Any
    context: Any
    customer: Any
    source_id: Any
    environment: str
    on_behalf_of: str
    claimed_severity: str


class Proposed(Protocol):
    """What is read of a proposal. A row of `Proposal` has it."""

    action: str
    args: Any
    draft: Any
    description: str
    claims: Any


@dataclass(slots=True)
class PlainIncident:
    """An incident that was never stored."""

    kind: str
    title: str = ""
    body: str = ""
    payload: Any = None
    context: Any = field(default_factory=dict)
    customer: Any = field(default_factory=dict)
    source_id: Any = None
    environment: str = ""
    on_behalf_of: str = ""
    claimed_severity: str = ""


@dataclass(slots=True)
class PlainProposal:
    """A proposal that was never stored."""

    action: str = ""
    args: Any = None
    draft: Any = None
    description: str = ""
    claims: Any = field(default_factory=dict)


def read(posted: Mapping[str, Any], source_id: int | None = None) -> tuple[PlainIncident, PlainProposal | None]:
    """Return an incident, and its proposal if it has one, from the JSON in which it was (or would have been) posted.

    `proposal.arguments` does for `proposal.args`, and the kinds `message` and `log` are a question and an alert. What is missing is empty;
    what is of the wrong type is left out. Never raises for JSON.
    """
    kind = _text(posted.get("kind"))
    incident = PlainIncident(
        kind=KINDS.get(kind, kind), title=_text(posted.get("title"))[:500], body=_text(posted.get("body")), payload=posted.get("payload"),
        context=_dict(posted.get("context")), customer=_dict(posted.get("customer")), source_id=source_id,
        environment=_text(posted.get("environment")), on_behalf_of=_text(posted.get("on_behalf_of")),
        claimed_severity=_text(posted.get("severity")),
    )
    asked = posted.get("proposal")
    if not isinstance(asked, Mapping) or not asked:
        return incident, None
    claims = {name: asked[name] for name in ("confidence", "reversible", "impact") if name in asked}
    return incident, PlainProposal(
        action=_text(asked.get("action"))[:200], args=asked.get("args", asked.get("arguments")), draft=asked.get("draft"),
        description=_text(asked.get("description")), claims=claims or _dict(asked.get("claims")),
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
