"""What managers see of the room: queues, pace, who holds what, escalations, decisions of people and sources. Bounded, whatever waits.

Everything is counted up to a limit or taken from the newest rows, along the indexes proposal_waiting, proposal_came and
proposal_decided; a number that stopped at its limit says so ("250+"). What test keys posted is in no figure.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from escalations import clock, expectation
from escalations.models import AuditEntry, Channel, Proposal, StepRun
from escalations.states import State

from . import measures
from .inbox import HEAVY

ROLES = 60
COUNTED = 250  # of one role and one age; then "250+"
SIMULATED = 500  # of one role's queue
DAY = timedelta(hours=24)
HOURS = 24
COUNTED_AN_HOUR = 300
WEEK = timedelta(days=7)
SAMPLE = 1000  # newest decisions by people, newest arrivals
NEXT = 8
HELD = 12
STEPS = 200  # newest steps looked through
ESCALATIONS = 12  # shown

AGES = (  # since it was routed: up to so many hours; None is the rest
    ("under 1 h", 1), ("1 to 2 h", 2), ("2 to 4 h", 4), ("4 to 8 h", 8), ("8 to 24 h", 24), ("over 24 h", None),
)

_OPEN = "state = 'pending' AND NOT test AND routed_at IS NOT NULL"
_QUEUES = f"""
WITH role AS (
    SELECT id, name FROM auth_group JOIN escalations_role ON group_ptr_id = id ORDER BY name LIMIT {ROLES}
)
SELECT role.id, role.name, oldest.routed_at, upcoming.id, upcoming.due_at, ages.counts
FROM role
LEFT JOIN LATERAL (
    SELECT routed_at FROM escalations_proposal WHERE {_OPEN} AND role_id = role.id ORDER BY routed_at LIMIT 1
) AS oldest ON true
LEFT JOIN LATERAL (
    SELECT id, due_at FROM (
        SELECT id, due_at, test FROM escalations_proposal
        WHERE state = 'pending' AND due_at IS NOT NULL AND role_id = role.id
        ORDER BY due_at, id LIMIT {SIMULATED}
    ) AS ahead WHERE NOT test ORDER BY due_at, id LIMIT 1
) AS upcoming ON true
CROSS JOIN LATERAL (
    SELECT array_agg(counted.number ORDER BY age.place) AS counts
    FROM unnest(%(younger)s::timestamptz[], %(older)s::timestamptz[]) WITH ORDINALITY AS age (since, until, place)
    CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT 1 FROM escalations_proposal
            WHERE {_OPEN} AND role_id = role.id AND routed_at > age.since AND routed_at <= age.until LIMIT {COUNTED + 1}
        ) AS few
    ) AS counted
) AS ages
"""
# `measures.first_breach`, asked where the queue is; in the index's own order, so that it stops at the first. What has a role was routed.
_BREACHES = f"""
SELECT paced.role_id, late.due_at, late.place
FROM unnest(%s::int[], %s::float8[]) AS paced (role_id, pace)
CROSS JOIN LATERAL (
    SELECT due_at, place FROM (
        SELECT id, due_at, row_number() OVER (ORDER BY due_at, id) AS place FROM (
            SELECT id, due_at, test FROM escalations_proposal
            WHERE state = 'pending' AND due_at IS NOT NULL AND role_id = paced.role_id
            ORDER BY due_at, id LIMIT {SIMULATED}
        ) AS ahead WHERE NOT test
    ) AS queued
    WHERE due_at < %s::timestamptz + make_interval(secs => place * paced.pace) ORDER BY due_at, id LIMIT 1
) AS late
"""
_BY_PEOPLE = "NOT test AND NOT (asked = '{}'::int[]) AND state IN ('approved', 'edited', 'rejected', 'answered')"
_CAME = "NOT test AND NOT (asked = '{}'::int[])"
_HOURS = f"""
SELECT came.number, decided.number
FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS hour (begins, place)
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        SELECT 1 FROM escalations_proposal
        WHERE {_CAME} AND routed_at >= hour.begins AND routed_at < hour.begins + interval '1 hour' LIMIT {COUNTED_AN_HOUR + 1}
    ) AS few
) AS came
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        SELECT 1 FROM escalations_proposal
        WHERE {_BY_PEOPLE} AND settled_at >= hour.begins AND settled_at < hour.begins + interval '1 hour' LIMIT {COUNTED_AN_HOUR + 1}
    ) AS few
) AS decided
ORDER BY hour.place
"""
_DECIDED = f"""
SELECT decision.type, person.id, coalesce(nullif(trim(person.first_name || ' ' || person.last_name), ''), person.username),
       recent.role_id, source.name, recent.kind,
       extract(epoch FROM decision.decided_at - recent.routed_at)::float8, decision.decided_at, expected.approve,
       recent.triggers @> '[{{"name": "injection_suspected"}}]',
       jsonb_path_exists(recent.rules, '$[*] ? (@.floor == "auto" && !exists(@.unmet))')  -- as `leaning.let_go` has it
FROM (
    SELECT * FROM escalations_proposal WHERE {_BY_PEOPLE} AND settled_at >= %s ORDER BY settled_at DESC LIMIT {SAMPLE}
) AS recent
JOIN escalations_decision AS decision ON decision.proposal_id = recent.id AND decision.by_kind = 'person'
JOIN escalations_person AS person ON person.id = decision.person_id
JOIN escalations_source AS source ON source.id = recent.source_id
{expectation.JOINED}"""
_ASKED = f"""
SELECT source.name, newest.number FROM (
    SELECT source_id, count(*) AS number FROM (
        SELECT source_id FROM escalations_proposal WHERE {_CAME} AND routed_at >= %s ORDER BY routed_at DESC LIMIT {SAMPLE}
    ) AS few GROUP BY source_id
) AS newest JOIN escalations_source AS source ON source.id = newest.source_id
"""


@dataclass(slots=True)
class Queue:
    """One role's queue. `ages` counts by AGES, each up to COUNTED; `pace` is seconds between decisions."""

    role_id: int
    role: str
    oldest: datetime | None
    next_id: UUID | None
    next_due: datetime | None
    ages: list[int]
    pace: float | None = None
    breach: measures.Breach | None = None

    @property
    def waiting(self) -> int:
        return sum(min(number, COUNTED) for number in self.ages)

    @property
    def capped(self) -> bool:
        return any(number > COUNTED for number in self.ages)

    @property
    def said_waiting(self) -> str:
        return f"{self.waiting}+" if self.capped else str(self.waiting)

    @property
    def done_in(self) -> timedelta | None:
        """Return how long the whole queue takes at this pace, where all of it was counted."""
        return timedelta(seconds=self.pace * self.waiting) if self.pace and not self.capped else None


@dataclass(frozen=True, slots=True)
class Hour:
    begins: datetime
    came: int
    decided: int


@dataclass(slots=True)
class Held:
    proposal: Proposal
    since: datetime | None


@dataclass(slots=True)
class Escalation:
    """A step that fired, to `role`. By the clock: `who` is the role that had not answered. By hand: who did it, and why."""

    proposal: Proposal
    role: str
    at: datetime
    by_clock: bool
    who: str = ""
    why: str = ""


@dataclass
class Now:
    """What moves from minute to minute; the part of the page that refreshes itself."""

    at: datetime
    queues: list[Queue]
    hours: list[Hour]
    decisions: list[measures.Decided]

    @property
    def ages(self) -> list[tuple[str, int, bool]]:
        """Return (age, how many, whether the count stopped at its limit) over all queues."""
        return [
            (said, sum(min(one.ages[index], COUNTED) for one in self.queues), any(one.ages[index] > COUNTED for one in self.queues))
            for index, (said, _) in enumerate(AGES)
        ]


@dataclass
class Desk:
    """The rest: what to act on, and figures over days."""

    upcoming: list[Proposal]
    held: list[Held]
    held_more: bool
    escalations: list[Escalation]
    by_clock: int
    by_hand: int
    steps_capped: bool
    people: list[measures.OfPerson]
    sources: list[measures.OfSource]
    asked_capped: bool


def now_of() -> Now:
    """Return the queues with pace and forecast, the hours, and the newest decisions by people. Four queries."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_DECIDED, [now - WEEK])
        decisions = [measures.Decided(*row) for row in cursor.fetchall()]
        cursor.execute(_QUEUES, _age_bounds(now))
        queues = [Queue(*row) for row in cursor.fetchall()]
        paces = measures.paces(decisions, now)
        cursor.execute(_BREACHES, [list(paces), list(paces.values()), now])
        breaches = {role_id: measures.Breach(due_at, place) for role_id, due_at, place in cursor.fetchall()}
        first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
        begins = [first + timedelta(hours=number) for number in range(HOURS)]
        cursor.execute(_HOURS, [begins])
        hours = [Hour(begin, came, decided) for begin, (came, decided) in zip(begins, cursor.fetchall(), strict=True)]
    for queue in queues:
        queue.pace = paces.get(queue.role_id)
        queue.breach = breaches.get(queue.role_id)
    return Now(now, sorted(queues, key=lambda one: (one.waiting == 0, one.next_due or _NEVER, one.role)), hours, decisions)


_NEVER = datetime.max.replace(tzinfo=UTC)


def _age_bounds(now: datetime) -> dict[str, list[datetime]]:
    """Return for each of AGES after which moment it was routed, and up to which."""
    limits = [timedelta(hours=hours) if hours else None for _, hours in AGES]
    younger = [now - limit if limit else now - timedelta(days=36_500) for limit in limits]
    # What the clock of another machine dates a moment ahead is young, not lost.
    older = [now + timedelta(days=1), *younger[:-1]]
    return {"younger": younger, "older": older}


def desk_of(now: Now) -> Desk:
    """Return the rest of the desk. Six queries."""
    held = list(
        Proposal.objects.open().filter(claim_until__gt=now.at, test=False, claimed_by__isnull=False)
        .order_by("claim_until").values_list("pk", flat=True)[: HELD + 1]
    )
    newest = StepRun.objects.order_by("-pk").values("proposal_id", "proposal__test", "role__name", "fired_at", "why", "step")[:STEPS]
    recent = [row for row in newest if row["fired_at"] > now.at - DAY]
    figured = [row for row in recent if not row["proposal__test"]]
    upcoming = list(
        Proposal.objects.open().filter(test=False, due_at__isnull=False).order_by("due_at", "id").values_list("pk", flat=True)[:NEXT]
    )
    wanted = {*held, *upcoming, *(row["proposal_id"] for row in figured[:ESCALATIONS])}
    found = (
        Proposal.objects.filter(pk__in=wanted)
        .select_related("source", "role", "claimed_by").defer(*HEAVY).in_bulk()
    )
    told = _told(one.incident_id for one in found.values())
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [now.at - WEEK])
        asked = dict(cursor.fetchall())
    return Desk(
        # The state again: between the two queries a colleague may have signed one.
        upcoming=[found[pk] for pk in upcoming if found[pk].state == State.PENDING],
        held=[
            Held(one, _since(told.get(pk, []), one.claimed_by.username))
            for pk in held[:HELD] if (one := found[pk]).claimed_by is not None
        ],
        held_more=len(held) > HELD,
        escalations=[_escalation(found[row["proposal_id"]], row, told) for row in figured[:ESCALATIONS]],
        by_clock=sum(row["why"] == "clock" for row in figured),
        by_hand=sum(row["why"] != "clock" for row in figured),
        steps_capped=len(recent) >= STEPS,
        people=measures.by_person(now.decisions),
        sources=measures.by_source(now.decisions, asked),
        asked_capped=sum(asked.values()) >= SAMPLE,
    )


# What takes a claim, and what ends one.
CLAIMED = "proposal.claimed"
FREED = ("proposal.released", "proposal.lapsed", "proposal.handed_over", "proposal.stepped", "proposal.escalated", "proposal.parked")
LOOKED_THROUGH = 2_000  # entries of what is held or escalated


def _told(incidents: Iterable[UUID]) -> dict[UUID, list[AuditEntry]]:
    """Return what the record tells of claims and steps, per proposal, oldest first. One query."""
    entries = AuditEntry.objects.filter(incident_id__in=list(incidents), action__in=[CLAIMED, *FREED]).order_by("-id")
    told: dict[UUID, list[AuditEntry]] = {}
    for entry in reversed(entries[:LOOKED_THROUGH]):
        told.setdefault(entry.proposal_id, []).append(entry)
    return told


def _since(entries: list[AuditEntry], username: str) -> datetime | None:
    """Return since when this person holds it without a break; renewing a claim is no new one."""
    holder, since = "", None
    for entry in entries:
        if entry.action != CLAIMED:
            holder, since = "", None
        elif entry.actor != holder:
            holder, since = entry.actor, entry.at
    return since if holder == username else None


def _escalation(proposal: Proposal, row: dict[str, Any], told: dict[UUID, list[AuditEntry]]) -> Escalation:
    """Return what is known of a step: the row, and the audit entry that was written with it."""
    said = Escalation(proposal, row["role__name"], row["fired_at"], row["why"] == "clock")
    action = "proposal.stepped" if said.by_clock else "proposal.escalated"
    for entry in told.get(proposal.pk, []):
        body = json.loads(entry.body)
        if entry.action == action and body["facts"].get("step") == row["step"]:
            said.who = str(body["facts"].get("was") or "") if said.by_clock else str(body["actor"].get("name") or entry.actor)
            said.why = str(body["facts"].get("why") or "")
    return said


def failing_channels() -> list[Channel]:
    """Return the channels by which people would not be told now, the one that has failed longest first. One query."""
    failing = Channel.objects.filter(failing_since__isnull=False, disabled_at=None).select_related("person", "role")
    return list(failing.defer("sealed").order_by("failing_since")[:NEXT])
