"""What was decided in similar cases: the same failure or request first, then the same action with the nearest args."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from escalations.floors import likeness
from escalations.floors.likeness import flat, nearness
from escalations.models import Incident, Person, Proposal
from escalations.states import UNDECIDED, TrialMode

from . import access, veil
from .values import plain
from .veil import NOTHING, Veil

NEAREST = 3
LOOKED_THROUGH = 50  # decisions, newest first, among which the nearest are looked for
BOUND = 300  # of the same action, newest first, among which those are that this person may read
CITED = 3
HEAVY = ("content", "rules", "policy", "args_schema", "description", "claims", "triggers")  # not told of a decision that is cited


@dataclass
class Precedent:
    """A decided proposal and what makes it similar. `near` is between 0 and 1."""

    proposal: Proposal  # of those that are shown, with its decision
    near: float
    same_fingerprint: bool = False
    same: list[str] = field(default_factory=list)  # args that are equal
    other: list[tuple[str, str, str]] = field(default_factory=list)  # args that differ: (name, then, here)
    others_more: int = 0
    veil: Veil = NOTHING  # over what is told of it: what is revealed is revealed of another one


def nearest(proposal: Proposal, person: Person, *, before: datetime | None = None) -> list[Precedent]:
    """Return the nearest decisions this person may read, nearest first; `before` a moment, those that there were then. At most four queries.

    They are compared by what was signed alone; only of the nearest the rest is read.
    """
    then = {} if before is None else {"settled_at__lt": before}
    decided = (
        access.unspoiled(access.proposals_for(person), person)
        .filter(source_id=proposal.source_id, settled_at__isnull=False, test=proposal.test, **then)
        .exclude(state__in=UNDECIDED)
        .exclude(incident_id=proposal.incident_id)
        .exclude(trial__mode=TrialMode.ALONE)  # a machine's own yes must not speak for the next one
        .order_by("-settled_at")
        .values_list("pk", "args", "draft")
    )
    here = flat(proposal.args, proposal.draft)
    found: dict[UUID, tuple[bool, float]] = {}  # whether the fingerprint is the same, and how near
    fingerprint = proposal.incident.fingerprint
    if fingerprint:
        newest = Incident.objects.filter(source_id=proposal.source_id, fingerprint=fingerprint).order_by("-id")
        if before is not None:
            newest = newest.filter(id__lt=proposal.incident_id)  # in the order in which they came: what came later is looked past
        ids = list(newest.values_list("id", flat=True)[:LOOKED_THROUGH])
        alike = decided.filter(incident_id__in=ids)[:LOOKED_THROUGH]
        found = {pk: (True, nearness(here, flat(args, draft))) for pk, args, draft in alike}
    if len(found) < NEAREST:
        same_action = decided.filter(pk__in=_newest_of(proposal, then))[:LOOKED_THROUGH]
        found |= {pk: (False, nearness(here, flat(args, draft))) for pk, args, draft in same_action if pk not in found}
    best = sorted(found, key=lambda pk: (not found[pk][0], -round(found[pk][1], 2)))[:NEAREST]  # stable: newest first
    whole = Proposal.objects.select_related("decision").defer(*HEAVY).in_bulk(best) if best else {}
    return [cited(proposal, whole[pk], *found[pk], veil.of(person, [whole[pk], proposal])) for pk in best]


def _newest_of(proposal: Proposal, then: dict[str, datetime]) -> QuerySet:
    """Return the last decided ones of the same source and action, whoever may read them: a reader of few of a million waits no longer."""
    settled = Proposal.objects.filter(source_id=proposal.source_id, action=proposal.action, settled_at__isnull=False, **then)
    return settled.order_by("-settled_at").values("pk")[:BOUND]


def cited(now: Proposal, then: Proposal, same_fingerprint: bool, near: float, over: Veil) -> Precedent:
    """Return a precedent with what makes it near, leaf by leaf."""
    here, there = flat(now.args, now.draft), flat(then.args, then.draft)
    out = Precedent(then, near, same_fingerprint, veil=over)
    for path in dict.fromkeys([*here, *there]):
        if path in here and path in there and likeness.near(here[path], there[path]) == 1:
            out.same.append(path)
        else:
            out.other.append((path, _short(there.get(path)), _short(here.get(path))))
    out.others_more = max(0, len(out.other) - CITED)
    out.other = out.other[:CITED]
    return out


def _short(value: Any) -> str:
    said = "nothing" if value is None else plain(value)
    return said if len(said) <= 60 else f"{said[:60]}…"
