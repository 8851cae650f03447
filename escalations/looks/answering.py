"""Taking a second look: opening it, leaving it, answering it. Nothing leaves, nothing settles, nobody is told but who answered."""

from django.db import transaction

from escalations import audit, authority, clock
from escalations.errors import Conflict, DecisionNotAllowed, Invalid, NotFound
from escalations.models import Category, Person, SecondLook
from escalations.states import LookState, Verdict

from .seeing import open_for

LONGEST = 5_000  # characters of a reason


def open_look(look_id: int, *, person: Person) -> SecondLook:
    """Return the look, which is this person's from now on, for an hour against others. Raises NotFound where it is not theirs to take.

    Four queries. Opening it again changes nothing.
    """
    with transaction.atomic():
        look = _taken(look_id, person)
        if look.opened_by_id != person.pk:
            look.opened_by, look.opened_at = person, clock.now()
            look.save(update_fields=["opened_by", "opened_at"])
        return look


def leave(look_id: int, *, person: Person) -> None:
    """Give a look back that one has opened: somebody else takes it. Raises NotFound for any other."""
    with transaction.atomic():
        look = SecondLook.objects.select_for_update().filter(pk=look_id, state=LookState.OPEN, opened_by=person).first()
        if look is None:
            raise NotFound
        look.opened_by = look.opened_at = None
        look.save(update_fields=["opened_by", "opened_at"])


def answer(look_id: int, *, person: Person, verdict: str, reason: str = "", category: str = "") -> SecondLook:
    """Keep what this person would have decided. What was decided stands as it is, whatever they say.

    A yes needs no words, everything else does: it is read by whoever decided. `category` is what they hold it for; empty for as it was
    shown. Raises NotFound where it is not theirs to take, Conflict where it was answered or lapsed, DecisionNotAllowed for a decision
    that the proposal did not take, Invalid where words are missing. Six queries.
    """
    reason, category = reason.strip(), category.strip()
    with transaction.atomic():
        look = _taken(look_id, person)
        if verdict not in {*look.proposal.allowed_decisions, Verdict.REJECT}:
            raise DecisionNotAllowed
        wrong = []
        if verdict != Verdict.APPROVE and not reason:
            wrong.append({"pointer": "/reason", "code": "required", "detail": "Say why: whoever decided it reads it."})
        if len(reason) > LONGEST:
            wrong.append({"pointer": "/reason", "code": "too_long", "detail": f"At most {LONGEST} characters."})
        if category and not Category.objects.filter(name=category).exists():
            wrong.append({"pointer": "/category", "code": "unknown", "detail": "There is no such category."})
        if wrong:
            raise Invalid(wrong)
        look.person, look.verdict, look.reason, look.category = person, verdict, reason, category
        look.state, look.answered_at = LookState.ANSWERED, clock.now()
        look.save(update_fields=["person", "verdict", "reason", "category", "state", "answered_at"])
        audit.record(
            "second.answered", actor=audit.Actor.of(person), proposal_id=look.proposal_id, subject=f"SecondLook {look.pk}",
            type=verdict, reason=reason[:200],
        )
    return look


def _taken(look_id: int, person: Person) -> SecondLook:
    """Return the look, locked, where this person may take it now."""
    look = SecondLook.objects.select_for_update(of=("self",)).filter(pk=look_id).first()
    if look is None:
        raise NotFound
    if look.state != LookState.OPEN and look.role_id in {role.pk for role in person.roles()}:
        raise Conflict("Somebody has looked at this already." if look.state == LookState.ANSWERED else "This look lapsed.")
    found = open_for(person).filter(pk=look_id).first()
    if found is None or authority.is_own_request(person, found.proposal):
        raise NotFound
    return found
