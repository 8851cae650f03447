"""What a trigger or a category caught last week, and what people said of it. Bounded: of the newest that came to people."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from escalations import clock
from escalations.models import Proposal
from escalations.states import State

WEEK = timedelta(days=7)
LOOKED = 10_000  # the newest that came to people; more than that in a week, and the page says how far back it looked
NEWEST = 20

# Along the index proposal_came, newest first; what a rule settled alone was asked of nobody, and test keys count nowhere.
_CAUGHT = f"""
WITH came AS MATERIALIZED (
    SELECT id, state, triggers, category, routed_at FROM escalations_proposal
    WHERE NOT test AND NOT (asked = '{{}}'::int[]) AND routed_at >= %(since)s
    ORDER BY routed_at DESC LIMIT {LOOKED}
), caught AS (SELECT * FROM came WHERE $condition)
SELECT state, count(*), (array_agg(id ORDER BY routed_at DESC))[1:{NEWEST}] FROM caught GROUP BY state
UNION ALL
SELECT NULL, count(*), NULL FROM came
"""
_OLDEST = f"""
SELECT min(routed_at) FROM (
    SELECT routed_at FROM escalations_proposal WHERE NOT test AND NOT (asked = '{{}}'::int[]) AND routed_at >= %s
    ORDER BY routed_at DESC LIMIT {LOOKED}
) AS came
"""


@dataclass(frozen=True)
class Caught:
    """How much was caught since when, by what became of it, and the newest of it.

    `looked` proposals came to people in that time; `capped`: there were more, so `since` is later than a week ago.
    """

    since: datetime
    looked: int
    capped: bool
    count: int
    by_state: dict[str, int]
    newest: list[Proposal]

    @property
    def decided(self) -> int:
        """Return how many a person decided."""
        return self.approved + self.edited + self.rejected + self.answered

    @property
    def approved(self) -> int:
        return self.by_state.get(State.APPROVED, 0)

    @property
    def edited(self) -> int:
        return self.by_state.get(State.EDITED, 0)

    @property
    def rejected(self) -> int:
        return self.by_state.get(State.REJECTED, 0)

    @property
    def answered(self) -> int:
        return self.by_state.get(State.ANSWERED, 0)

    @property
    def ran_out(self) -> int:
        return self.by_state.get(State.EXPIRED, 0)

    @property
    def waiting(self) -> int:
        return self.by_state.get(State.PENDING, 0)

    @property
    def gone(self) -> int:
        """Return how many were withdrawn or gave way to a newer revision."""
        return self.by_state.get(State.WITHDRAWN, 0) + self.by_state.get(State.SUPERSEDED, 0)

    @property
    def rejected_percent(self) -> float | None:
        """Return the share of people's decisions that were a no, in percent; None when there were none."""
        return 100 * self.rejected / self.decided if self.decided else None


def caught_by(trigger: str) -> Caught:
    """Return what a trigger caught in the last week. Two queries, three in a busy week."""
    return _caught("triggers @> %(value)s::jsonb", json.dumps([{"name": trigger}]))


def caught_in(category: str) -> Caught:
    """Return what came in a category in the last week. Two queries, three in a busy week."""
    return _caught("category = %(value)s", category)


def _caught(condition: str, value: str) -> Caught:
    since = clock.now() - WEEK
    by_state: dict[str, int] = {}
    newest: list[UUID] = []
    looked = 0
    with connection.cursor() as cursor:
        cursor.execute(_CAUGHT.replace("$condition", condition), {"since": since, "value": value})
        for state, count, ids in cursor.fetchall():
            if state is None:
                looked = count
            else:
                by_state[state] = count
                newest += ids
        capped = looked >= LOOKED
        if capped:
            cursor.execute(_OLDEST, [since])
            since = cursor.fetchone()[0]
    rows = Proposal.objects.filter(pk__in=newest).select_related("source", "role", "decision").order_by("-routed_at", "-pk")[:NEWEST]
    return Caught(since, looked, capped, sum(by_state.values()), by_state, list(rows))
