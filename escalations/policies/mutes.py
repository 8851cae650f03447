"""Maintenance windows: notices wait until one ends. The clock goes on, and so does everything else."""

from datetime import timedelta

from django.db import transaction

from escalations import audit, clock
from escalations.errors import Invalid
from escalations.models import MuteWindow, Notice, Person

from .changes import changes, problem, stored, subject_of

FIELDS = ("name", "since", "until", "source", "role")
LONGEST = timedelta(days=7)


def check_mute(mute: MuteWindow) -> None:
    """Raise Invalid with a pointer per field if this window may not be saved."""
    errors, now = [], clock.now()
    before = MuteWindow.objects.filter(pk=mute.pk).first() if mute.pk else None
    if not mute.name.strip():
        errors.append(problem("name", "required", "What is it for? Whoever misses a message will want to know."))
    if mute.until <= mute.since:
        errors.append(problem("until", "before_since", "It ends before it begins."))
    elif mute.until - mute.since > LONGEST:
        errors.append(problem("until", "too_long", "At most seven days. Nobody should find out later that nobody was told."))
    elif mute.until <= now and (before is None or before.until != mute.until):
        errors.append(problem("until", "past", "That is over already."))
    if errors:
        raise Invalid(errors)


@transaction.atomic
def save_mute(mute: MuteWindow, *, actor: audit.Actor, person: Person | None = None) -> MuteWindow:
    """Save a maintenance window. Raises Invalid. What it holds is looked at anew, so that one that is shortened lets go at once."""
    old = stored(mute)
    mute.name = mute.name.strip()
    check_mute(mute)
    changed = changes(old, mute, FIELDS)
    if old is not None and not changed:
        return mute
    if old is None:
        mute.created_by = person
    mute.save()
    audit.record("mute.saved", actor=actor, subject=subject_of(mute), name=mute.name, changed=changed)
    _look_again()
    return mute


@transaction.atomic
def end_mute(mute: MuteWindow, *, actor: audit.Actor) -> None:
    """End a window now: what waits is told. Nothing happens to one that is over; one that has not begun never will."""
    locked = MuteWindow.objects.select_for_update(of=("self",)).get(pk=mute.pk)
    now = clock.now()
    if locked.until <= now:
        return
    old = locked.until
    locked.until = now if locked.since < now else locked.since + timedelta(microseconds=1)
    locked.save(update_fields=["until"])
    audit.record(
        "mute.saved", actor=actor, subject=subject_of(locked), name=locked.name,
        changed={"until": {"old": old.isoformat(), "new": locked.until.isoformat()}},
    )
    mute.until = locked.until
    _look_again()


def _look_again() -> None:
    """Have everything that waits judged anew, whatever it waits for. One UPDATE."""
    Notice.objects.filter(state="waiting", lease_until=None, attempts=0).update(next_try_at=clock.now())
