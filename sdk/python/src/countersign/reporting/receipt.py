"""What became of a report, as far as it is known: what a host may tell its own caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ESCALATED = "escalated automatically"
ROUTED = "routed for human review"
HANDLED = "recorded, no action needed"
TAKEN = "recorded, being triaged"
KEPT = "recorded here, will be reported"
NOT_KEPT = "not reported"


@dataclass(frozen=True)
class Receipt:
    """What became of one report.

    `reference` is this side's own name for it, there from the first moment and written into the incident (`external_id`), so that a
    person who is told it finds the incident even when it arrives later. `incident` and `level` (critical, warning, info) are None
    until they are known. `state` is `sent`, `queued` (on its way), `kept` (in the spool) or `dropped`.
    """

    reference: str
    state: str
    incident: str | None = None
    level: str | None = None
    escalate: str | None = None
    url: str | None = None

    @property
    def message(self) -> str:
        """One line that is true now: never that a person was asked when nobody knows yet."""
        if self.state == "dropped":
            return NOT_KEPT
        if self.incident is None:
            return KEPT
        return {"auto": ESCALATED, "human": ROUTED, "none": HANDLED}.get(self.escalate or "", TAKEN)

    def as_json(self, error: str = "Internal Server Error") -> dict[str, Any]:
        """Return the body to answer a caller with. It says nothing of the error itself, which is not the caller's."""
        return {
            "error": error, "reference": self.reference, "incident": self.incident, "level": self.level, "message": self.message,
        }

    def headers(self) -> dict[str, str]:
        """Return the same, as far as it fits, for an answer whose body is somebody else's."""
        found = {"X-Countersign-Reference": self.reference}
        if self.incident:
            found["X-Countersign-Incident"] = self.incident
        return found
