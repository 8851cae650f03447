"""Nobody waits for who is away: their claims pass on when an absence begins, and what stands with a role in which nobody is climbs.

Called by the timers, in batches, safe to run anywhere twice.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Exists, OuterRef, Q
from django.db.models.expressions import RawSQL

from escalations import audit, authority, clock, outbox, worktime
from escalations.models import Absence, Hold, Person, Proposal, Role, people_here, roles_with_somebody
from escalations.models.people import MANAGER

from .stepping import climb_from_nobody

# A later step asks a role in which somebody is.
_SOMEBODY_ABOVE = """
EXISTS (SELECT 1 FROM jsonb_array_elements(escalations_proposal.policy -> 'steps') WITH ORDINALITY AS s (step, number)
         WHERE s.number > escalations_proposal.step AND (s.step ->> 'role')::int = ANY (%s))
"""


def away_now(moment: datetime) -> Exists:
    """Return the condition on a proposal that who claimed it is away at this moment: their claim keeps nobody waiting."""
    return Exists(Absence.objects.at(moment).filter(person=OuterRef("claimed_by")))


def deputies_of(people: Collection[Person], moment: datetime) -> list[tuple[Person, Person]]:
    """Return (deputy, person) for those of these people who are away at this moment and named somebody who is here. One query."""
    absences = Absence.objects.at(moment).filter(person__in=[one.pk for one in people], deputy__in=people_here(moment))
    return [(absence.deputy, absence.person) for absence in absences.select_related("person", "deputy")]


def climb(limit: int = 200) -> int:
    """Escalate at once what stands, on shift, with a role in which nobody is; return how many climbed, 0 when nothing has to.

    Off shift its clock stands still, so nothing happens until it opens. What somebody holds by a claim is theirs. Two small queries
    while every role has somebody.
    """
    with transaction.atomic():
        now = clock.read()
        present = roles_with_somebody(now)
        stuck = _with_nobody(now, present)
        if stuck is None:
            return 0
        shifts = list(stuck.values_list("policy__calendar", flat=True).distinct().order_by())
        on_shift = Q(policy__calendar__name__isnull=True)
        for calendar in shifts:
            if calendar and worktime.is_open(calendar, now):
                on_shift |= Q(policy__calendar=calendar)
        locked = list(
            stuck.filter(on_shift).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")[:limit]
        )
        held = set(Hold.objects.filter(pk__in=[one.pk for one in locked]).values_list("pk", flat=True)) if locked else set()
        return climb_from_nobody([one for one in locked if one.pk not in held], now, present)


def _with_nobody(now: datetime, present: Collection[int]) -> Any:
    """Return the open proposals that are asked of nobody and have somebody above them; None where there can be none."""
    roles = dict(Role.objects.values_list("pk", "name"))
    empty = [pk for pk in roles if pk not in present]
    if not empty or not present:
        return None
    manager_id = next(pk for pk, name in roles.items() if name == MANAGER)
    claimed = Q(claim_until__gt=now, claimed_by__isnull=False) & ~away_now(now)
    stuck = Proposal.objects.open().free().filter(role__in=empty, due_at__gt=now, expires_at__gt=now).exclude(claimed)
    if manager_id not in present:
        stuck = stuck.filter(RawSQL(_SOMEBODY_ABOVE, [sorted(present)], output_field=BooleanField()))
    return stuck.only("incident_id", "test", "step", "role_id", "asked", "due_at", "expires_at", "version", "policy")


def pass_on(limit: int = 20) -> int:
    """Pass on the claims of people whose absence has begun, once each; return how many absences began.

    The deputy gets what they may decide, for as long as a claim lasts, and is told; the rest is given back. Signatures stand.
    """
    with transaction.atomic():
        now = clock.read()
        begun = list(
            Absence.objects.at(now).filter(passed_on_at=None).select_for_update(skip_locked=True, of=("self",))
            .select_related("person", "deputy").order_by("since")[:limit]
        )
        for absence in begun:
            _begin(absence, now)
    return len(begun)


def _begin(absence: Absence, now: datetime) -> None:
    person, deputy = absence.person, absence.deputy
    if deputy is not None and not people_here(now).filter(pk=deputy.pk).exists():
        deputy = None
    held = list(
        Proposal.objects.open().filter(claimed_by=person, claim_until__gt=now).select_for_update(of=("self",))
        .select_related("incident__source", "source", "role").order_by("pk")
    )
    roles = list(deputy.roles()) if deputy else []
    passed = [one for one in held if deputy and authority.why_not(deputy, one, roles=roles) is None]
    given_back = [one for one in held if one not in passed]
    Proposal.objects.filter(pk__in=[one.pk for one in passed]).update(
        claimed_by=deputy, claim_until=now + timedelta(seconds=settings.CLAIM_SECONDS)
    )
    Proposal.objects.filter(pk__in=[one.pk for one in given_back]).update(claimed_by=None, claim_until=None)
    Absence.objects.filter(pk=absence.pk).update(passed_on_at=now)
    entries = [_entry("proposal.passed_on", one, person, to=deputy.username if deputy else None) for one in passed]
    entries += [_entry("proposal.released", one, person, why=f"{person.name} is away") for one in given_back]
    entries.append(
        audit.entry(
            "absence.began", actor=audit.CLOCK, subject=f"Absence {absence.pk}", username=person.username, until=absence.until,
            deputy=deputy.username if deputy else None, passed_on=len(passed), given_back=len(given_back),
        )
    )
    audit.record_many(entries)
    outbox.open_notices([outbox.Wanted("passed_on", one, person=deputy, facts={"by": person.name}) for one in passed])


def _entry(action: str, proposal: Proposal, person: Person, **facts: Any) -> Any:
    return audit.entry(
        action, actor=audit.CLOCK, incident_id=proposal.incident_id, proposal_id=proposal.pk, of=person.username, **facts
    )
