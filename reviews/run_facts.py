"""What moves while a run is watched: asked of the database for all runs that somebody watches, by one query.

Called in a thread by the live stream, and by the pages that are drawn, so that both speak of the same.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from escalations.floors import text
from escalations.states import Sensitive

from . import veil

EVERYTHING = veil.Veil(frozenset(Sensitive.values))  # the stream is one for all who read: it shows what nobody may be denied
LONGEST_TOOL = 60

# Walks the primary keys, the key of the alarms and the index incident_by_session.
FACTS = """
SELECT run.id, run.role_id, source.owner_id, run.person_id, run.state, run.orders, run.told, run.seen, run.steps, run.errors,
    run.tokens, run.cost, run.last_tool, run.last_step_at, run.held, run.max_steps, run.max_cost,
    (SELECT count(*) FROM escalations_sessionalarm AS alarm WHERE alarm.session_id = run.id),
    (SELECT count(*) FROM escalations_sessionalarm AS alarm WHERE alarm.session_id = run.id AND alarm.followed_at IS NULL),
    (SELECT count(*) FROM escalations_incident AS incident
        WHERE incident.source_id = run.source_id AND incident.session = run.id::text AND NOT (incident.session = '')),
    ARRAY(SELECT DISTINCT brought.role FROM escalations_sessionalarm AS alarm
        JOIN escalations_proposal AS proposal ON proposal.incident_id = alarm.incident_id
        CROSS JOIN LATERAL unnest(proposal.asked || proposal.role_id::integer) AS brought (role)
        WHERE alarm.session_id = run.id AND brought.role IS NOT NULL)
FROM escalations_oversightsession AS run JOIN escalations_source AS source ON source.id = run.source_id
WHERE run.id = ANY (%s)
"""


@dataclass(frozen=True)
class Facts:
    """How a run stands at this moment."""

    id: UUID
    role_id: int
    owner_id: int | None
    person_id: int | None
    state: str
    orders: int
    told: int
    seen: int
    steps: int
    errors: int
    tokens: int
    cost: Decimal
    last_tool: str
    last_step_at: datetime | None
    held: bool
    max_steps: int | None
    max_cost: Decimal | None
    alarms: int
    open_alarms: int
    incidents: int
    asked: list[int]  # the roles its alarms were brought to

    def is_for(self, person_id: int, everything: bool, roles: frozenset[int]) -> bool:
        """Say whether who has these rights may read it, by the rule of authority.runs_readable_by."""
        return everything or self.role_id in roles or self.owner_id == person_id or not roles.isdisjoint(self.asked)

    @property
    def stamp(self) -> str:
        """Return what changes whenever a part of a page has to be drawn again, and not with every step."""
        parts = (
            self.state, self.orders, self.told, self.seen, self.role_id, self.person_id or 0, self.alarms, self.open_alarms, self.incidents,
            int(self.held),
        )  # fmt: skip
        return ".".join(map(str, parts))

    @property
    def said(self) -> dict[str, Any]:
        """Return what the stream tells of it, ready to be put on a page as text."""
        return {
            "id": str(self.id),
            "stamp": self.stamp,
            "number": self.steps,
            "texts": {
                "steps": number(self.steps),
                "errors": number(self.errors),
                "tokens": number(self.tokens),
                "cost": decimal(self.cost),
                "tool": tool_said(self.last_tool),
            },
            "bars": {
                name: share(used, most)
                for name, used, most in (("steps", self.steps, self.max_steps), ("cost", self.cost, self.max_cost))
                if most is not None
            },
            "at": self.last_step_at.isoformat(timespec="milliseconds") if self.last_step_at else "",
        }


def facts_of(runs: list[UUID]) -> dict[UUID, Facts]:
    """Return how these runs stand. One query, none without runs."""
    if not runs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [runs])
        return {row[0]: Facts(*row) for row in cursor.fetchall()}


def tool_said(name: str) -> str:
    """Return a tool's name as everybody may read it, as plain text: the invisible written out, what looks sensitive masked."""
    said = "".join(piece for _, piece in text.tokens(EVERYTHING.text(name)))
    return said if len(said) <= LONGEST_TOOL else f"{said[:LONGEST_TOOL]}…"


def share(used: float | Decimal, most: float | Decimal) -> float:
    """Return how much of a budget is gone, 0 to 1; a budget of nothing is always gone."""
    return min(1.0, float(used) / float(most)) if most else 1.0


def number(value: int | None) -> str:
    """Return 12345 as "12,345"; nothing for nothing."""
    return "" if value is None else f"{value:,}"


def decimal(value: Decimal | None) -> str:
    """Return 0.420000 as "0.42", 12.000000 as "12.00"; four digits where that is not to be told from nothing."""
    if value is None:
        return ""
    return f"{value:,.2f}" if value == 0 or abs(value) >= Decimal("0.1") else f"{value:,.4f}"
