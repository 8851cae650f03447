"""Absences: who is away, until when, and who deputises."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from escalations import audit, clock
from escalations.errors import IllegalMove, Invalid
from escalations.models import Absence, Person, Role

from .changes import changes, problem, stored, subject_of

FIELDS = ("person", "since", "until", "deputy", "note")
LONGEST = timedelta(days=366)


def deputies_for(person: Person) -> QuerySet[Person]:
    """Return the active colleagues who may deputise for this person: those who share a role with them, and managers. By name."""
    shared = Q(groups__in=person.groups.all()) | Q(groups__in=Role.objects.filter(decides_everything=True).values("pk"))
    found: QuerySet[Person] = Person.objects.filter(shared, is_active=True).exclude(pk=person.pk)
    return found.distinct().order_by("first_name", "last_name", "username")


def check_absence(absence: Absence) -> None:
    """Raise Invalid with a pointer per field if this absence may not be saved."""
    now, errors = clock.now(), []
    before = Absence.objects.filter(pk=absence.pk).first() if absence.pk else None
    if absence.until <= absence.since:
        errors.append(problem("until", "before_since", "It ends before it begins."))
    elif absence.until <= now and (before is None or before.until != absence.until):
        errors.append(problem("until", "past", "That is over already."))
    elif absence.until - absence.since > LONGEST:
        errors.append(problem("until", "too_long", "At most a year; deactivate who is away for longer."))
    if before is not None and before.passed_on_at is not None and (before.since, before.person_id) != (absence.since, absence.person_id):
        errors.append(problem("since", "begun", "It has begun; only its end, deputy and note can be changed."))
    others = Absence.objects.filter(person=absence.person_id, since__lt=absence.until, until__gt=absence.since)
    if other := others.exclude(pk=absence.pk).first():
        errors.append(problem("since", "overlaps", f"Another absence covers some of that, from {other.since:%-d %b %Y, %H:%M} UTC."))
    if absence.deputy_id is not None:
        if absence.deputy_id == absence.person_id:
            errors.append(problem("deputy", "oneself", "A deputy is somebody else."))
        elif not deputies_for(absence.person).filter(pk=absence.deputy_id).exists():
            errors.append(problem("deputy", "cannot", "A deputy shares a role with who is away, or is a manager, and is active."))
    if errors:
        raise Invalid(errors)


@transaction.atomic
def save_absence(absence: Absence, *, actor: audit.Actor) -> Absence:
    """Save an absence. When it begins the timers pass on what the person holds (`lifecycle.pass_on`)."""
    old = stored(absence)
    absence.note = absence.note.strip()
    Person.objects.select_for_update(of=("self",)).get(pk=absence.person_id)  # two at once must not overlap
    check_absence(absence)
    changed = changes(old, absence, FIELDS)
    if old is not None and not changed:
        return absence
    absence.save()
    audit.record(
        "absence.saved", actor=actor, subject=subject_of(absence), username=absence.person.username, changed=changed
    )
    return absence


@transaction.atomic
def call_off(absence: Absence, *, actor: audit.Actor) -> None:
    """End an absence now; one that has not begun is as if it had never been planned. What was passed on stays with who got it."""
    locked = Absence.objects.select_for_update(of=("self",)).select_related("person").filter(pk=absence.pk).first()
    now = clock.now()
    if locked is None or locked.until <= now:
        raise IllegalMove("That absence is over already.")
    audit.record(
        "absence.saved", actor=actor, subject=subject_of(locked), username=locked.person.username,
        changed={"until": {"old": locked.until.isoformat(), "new": now.isoformat()}}, called_off=True,
    )
    if locked.since >= now:
        locked.delete()
    else:
        locked.until = now
        locked.save(update_fields=["until"])
