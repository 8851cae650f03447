"""The switch that stops everything: thrown by one manager or administrator, released by two.

While it holds, no rule and no clock says yes, and no outcome leaves; people go on deciding, and what they decide leaves when it is
released. `standstill` says how everybody else looks at it.
"""

from datetime import datetime

from django.db import transaction

from escalations import audit, clock, queue, standstill
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, NotFound, OwnRequest
from escalations.models import Delivery, Person, Stop
from escalations.states import Sending

from .changes import problem, subject_of

LONGEST_REASON = 2_000  # characters
COUNTED = 10_000


def may_stop(person: Person) -> bool:
    """Return whether this person may throw the switch, and be one of the two who release it. One query at most."""
    if not person.is_active:
        return False
    return bool(person.is_staff or person.is_superuser or person.roles().filter(decides_everything=True).exists())


@transaction.atomic
def stop_everything(*, person: Person, reason: str, actor: audit.Actor | None = None) -> Stop:
    """Stop everything. From the commit of this on nothing goes alone and nothing that was not begun to be sent leaves. Six queries.

    Waits for what is in between at this moment, which is over in milliseconds. Raises NotAllowed, Invalid without a reason, IllegalMove
    when everything is stopped already.
    """
    _check_may(person)
    reason = _reason(reason)
    standstill.close()
    if before := standstill.standing():
        raise IllegalMove(f"{before.by.name} stopped everything already, at {before.at:%Y-%m-%d %H:%M} UTC.")
    stop = Stop.objects.create(reason=reason, by=person, at=clock.now())
    audit.record(
        "everything.stopped", actor=actor or audit.Actor.of(person), subject=subject_of(stop), by=person.username, reason=reason,
        being_sent=being_sent(),
    )
    return stop


@transaction.atomic
def ask_release(stop_id: int, *, person: Person, why: str) -> Stop:
    """Ask for the release; a second person confirms it. Raises NotAllowed, Invalid, NotFound, IllegalMove when it is asked already."""
    _check_may(person)
    why = _reason(why, "why")
    stop = _standing(stop_id)
    if stop.release_asked_by is not None and may_stop(stop.release_asked_by):
        raise IllegalMove(f"{stop.release_asked_by.name} has asked for the release already; somebody else confirms it.")
    stop.release_asked_by, stop.release_asked_at, stop.release_why = person, clock.now(), why
    stop.save(update_fields=["release_asked_by", "release_asked_at", "release_why"])
    audit.record("release.asked", actor=audit.Actor.of(person), subject=subject_of(stop), why=why)
    return stop


@transaction.atomic
def withdraw_release(stop_id: int, *, person: Person) -> Stop:
    """Take the question of a release back, or refuse it: everything stays stopped. Raises NotAllowed, NotFound, IllegalMove."""
    _check_may(person)
    stop = _standing(stop_id)
    if stop.release_asked_by is None:
        raise IllegalMove("Nobody has asked for the release.")
    of, stop.release_asked_by, stop.release_asked_at, stop.release_why = stop.release_asked_by, None, None, ""
    stop.save(update_fields=["release_asked_by", "release_asked_at", "release_why"])
    audit.record("release.withdrawn", actor=audit.Actor.of(person), subject=subject_of(stop), of=of.username)
    return stop


@transaction.atomic
def confirm_release(stop_id: int, *, person: Person, asked_at: datetime) -> Stop:
    """Release everything as the second person, as it was asked for at `asked_at`; what was held leaves now. About nine queries.

    Raises NotAllowed, OwnRequest (who asked), ChangedSinceSeen (asked anew, or taken back), NotFound. Who asked has to be somebody
    who still may.
    """
    _check_may(person)
    standstill.close()
    stop = _standing(stop_id)
    if stop.release_asked_by is None or stop.release_asked_at != asked_at:
        raise ChangedSinceSeen("The release is not asked for as you saw it. Read it again before you confirm.")
    if stop.release_asked_by_id == person.pk:
        raise OwnRequest("Who asked for the release cannot be the one who confirms it.")
    if not may_stop(stop.release_asked_by):
        raise NotAllowed(f"{stop.release_asked_by.name}, who asked for it, may not any more. Ask for the release yourself.")
    stop.released_by, stop.released_at = person, clock.now()
    stop.save(update_fields=["released_by", "released_at"])
    # What nobody has to be sent may be asked for again; the rest is due already.
    polled = Delivery.objects.filter(type="proposal.settled", channel="webhook", state=Sending.WAITING, url="")
    handed_out = polled.update(state=Sending.NOTHING_TO_SEND, next_try_at=None, finished_at=stop.released_at)
    queue.wake("deliver")
    audit.record(
        "everything.released", actor=audit.Actor.of(person), subject=subject_of(stop), asked_by=stop.release_asked_by.username,
        seconds=int((stop.released_at - stop.at).total_seconds()), handed_out=handed_out,
    )
    return stop


def waiting() -> int:
    """Return how many outbound rows wait, at most COUNTED + 1. One query."""
    return Delivery.objects.filter(state=Sending.WAITING)[: COUNTED + 1].count()


def being_sent() -> int:
    """Return how many deliveries are being sent at this moment: those may arrive although everything was stopped. One query."""
    return Delivery.objects.filter(state=Sending.WAITING, lease_until__gt=clock.now())[: COUNTED + 1].count()


def _check_may(person: Person) -> None:
    if not may_stop(person):
        raise NotAllowed("Managers and administrators stop everything, and release it.")


def _reason(text: str, field: str = "reason") -> str:
    text = text.strip()
    if not text:
        raise Invalid([problem(field, "required", "Say why: everybody reads it, on every page.")])
    if len(text) > LONGEST_REASON:
        raise Invalid([problem(field, "too_long", f"At most {LONGEST_REASON} characters.")])
    return text.replace("\x00", "\ufffd")


def _standing(stop_id: int) -> Stop:
    """Lock and return the stop, as long as it holds."""
    stops = Stop.objects.select_for_update(of=("self",)).select_related("by", "release_asked_by")
    stop = stops.filter(pk=stop_id, released_at=None).first()
    if stop is None:
        raise NotFound("Nothing is stopped (any more).")
    return stop
