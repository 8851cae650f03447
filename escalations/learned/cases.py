"""What is learned from: one decided incident, as numbers and what was said of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Case:
    """One decided incident. `approve`: a person approved it as proposed; None, "" : nobody said.

    `lane` is "<source pk>/<by>/<subject>" or "", `source` its pk or "" where nobody said; cases of one `group` are never on both sides of a
    split ("" is a group of its own).
    """

    features: bytes
    kind: str
    approve: bool | None
    category: str
    severity: str
    at: datetime
    lane: str = ""
    group: str = ""
    source: str = ""

    @property
    def action(self) -> str:
        """What was proposed; "" where nothing was named."""
        _, by, subject = (self.lane.split("/", 2) + ["", ""])[:3]
        return subject if by == "action" else ""
