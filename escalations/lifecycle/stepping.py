"""Steps: when the next one is due, and climbing one, or several where nobody is there.

A clock with a calendar stands still off shift, so `after` counts working time. A role in which nobody is there (no active member,
or all away) would only let time pass: on shift, work climbs past it at once, to the first role above in which somebody is; the last
resort is the managers. Where nobody is anywhere above, it stays where it is and its clock goes on. Each step fires once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from escalations import audit, outbox, worktime
from escalations.bulk import insert_many
from escalations.models import Proposal, Role, StepRun, roles_with_somebody
from escalations.models.people import MANAGER

CLOCK, NOBODY = "clock", "nobody"  # why a step fired


@dataclass(frozen=True, slots=True)
class Rung:
    """One step to fire: its number, whom it asks, the moment it was due and why it fires."""

    step: int
    role_id: int
    due_at: datetime
    why: str


def next_due(policy: dict[str, Any], step: int, since: datetime, expires_at: datetime | None) -> datetime | None:
    """Return when the step after `step` is due, counted in working time from `since`; the expiry when there is none or it comes first."""
    steps = policy.get("steps") or []
    if step >= len(steps):
        return expires_at
    due = worktime.add(policy.get("calendar"), since, steps[step]["after"])
    return min(due, expires_at) if expires_at else due


def past_nobody(
    policy: dict[str, Any], step: int, role_id: int, now: datetime, *, present: Collection[int], manager_id: int
) -> list[Rung]:
    """Return the steps that fire now because nobody is in the role asked, nor in those between; none off shift.

    `present` are the roles in which somebody is. Empty too where nobody is anywhere above: there is nobody to climb to.
    """
    if role_id in present or not worktime.is_open(policy.get("calendar"), now):
        return []
    steps, rungs = policy.get("steps") or [], []
    while role_id not in present:
        if step < len(steps):
            role_id = steps[step]["role"]
        elif role_id != manager_id:
            role_id = manager_id
        else:
            return []
        step += 1
        rungs.append(Rung(step, role_id, now, NOBODY))
    return rungs


def step_up(proposals: Sequence[Proposal], now: datetime) -> None:
    """Fire one due step of each, and those behind it in whose role nobody is. For them all: one UPDATE, three INSERTs, two SELECTs."""
    if not proposals:
        return
    roles, manager = _roles()
    present = roles_with_somebody(now)
    climbs = []
    for one in proposals:
        steps = one.policy.get("steps", [])
        role_id = steps[one.step]["role"] if one.step < len(steps) else manager.pk
        first = Rung(one.step + 1, role_id if role_id in roles else manager.pk, one.due_at, CLOCK)
        more = past_nobody(one.policy, first.step, first.role_id, now, present=present, manager_id=manager.pk)
        climbs.append((one, [first, *more]))
    _climb(climbs, roles, manager, now)


def climb_from_nobody(proposals: Sequence[Proposal], now: datetime, present: Collection[int]) -> int:
    """Fire the steps past a role in which nobody is, for each locked proposal that has somebody above it; return how many climbed."""
    if not proposals:
        return 0
    roles, manager = _roles()
    climbs = []
    for one in proposals:
        rungs = past_nobody(one.policy, one.step, one.role_id, now, present=present, manager_id=manager.pk)
        if rungs:
            climbs.append((one, rungs))
    if climbs:
        _climb(climbs, roles, manager, now)
    return len(climbs)


def run_of(proposal: Proposal, rung: Rung, now: datetime) -> StepRun:
    """Return the unsaved row that says this step fired."""
    return StepRun(proposal=proposal, step=rung.step, role_id=rung.role_id, due_at=rung.due_at, fired_at=now, why=rung.why)


def entry_of(proposal: Proposal, rung: Rung, *, to: str, was: str | None, now: datetime) -> Any:
    """Return the audit entry that says this step fired."""
    late: dict[str, Any] = {"late_ms": milliseconds(now - rung.due_at)} if rung.why == CLOCK else {}
    return audit.entry(
        "proposal.stepped", actor=audit.CLOCK, incident_id=proposal.incident_id, proposal_id=proposal.pk, step=rung.step, to=to,
        was=was, due_at=rung.due_at, why=f"Nobody of {was} is there" if rung.why == NOBODY else "", **late,
    )


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds."""
    return int(span.total_seconds() * 1000)


def _roles() -> tuple[dict[int, Role], Role]:
    roles = {role.pk: role for role in Role.objects.all()}
    return roles, next(role for role in roles.values() if role.name == MANAGER)


def _climb(climbs: Sequence[tuple[Proposal, list[Rung]]], roles: dict[int, Role], manager: Role, now: datetime) -> None:
    """Write what climbed: who is asked now is told, the roles that were passed may read it. The claim ends, the version rises."""
    runs, rows, entries, wanted = [], [], [], []
    for one, rungs in climbs:
        for rung in rungs:
            role, was = roles.get(rung.role_id, manager), roles.get(one.role_id)
            one.step, one.role = rung.step, role
            one.asked = one.asked if role.pk in one.asked else [*one.asked, role.pk]
            runs.append(run_of(one, rung, now))
            entries.append(entry_of(one, rung, to=role.name, was=was.name if was else None, now=now))
        last = rungs[-1]
        one.due_at = next_due(one.policy, one.step, last.due_at, one.expires_at)
        one.version += 1
        rows.append((one.pk, one.step, one.role_id, one.due_at, "{" + ",".join(map(str, one.asked)) + "}"))
        facts = {"nobody_in": was.name} if last.why == NOBODY and was else {}
        wanted.append(outbox.Wanted("escalated", proposal=one, role=one.role, step=one.step, facts=facts))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE escalations_proposal AS p
               SET step = n.step, role_id = n.role_id, due_at = n.due_at, asked = n.asked::int[], version = p.version + 1,
                   claimed_by_id = NULL, claim_until = NULL
              FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::timestamptz[], %s::text[]) AS n (id, step, role_id, due_at, asked)
             WHERE p.id = n.id
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
    insert_many(runs)  # unique (proposal, step): a step that fired cannot fire again
    audit.record_many(entries)
    outbox.open_notices(wanted)
