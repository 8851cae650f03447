"""Follow-ups: something to be done, with an owner. They stand on every later review of the team until they are done or dropped."""

from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from escalations import audit, clock
from escalations.errors import Conflict, Invalid, NotAllowed, NotFound
from escalations.models import EscalationReview, Finding, FollowUp, Person, Role

from .finding import find, locked, may_write

LONGEST = 500


class Ended(Conflict):
    """Somebody ended it meanwhile."""

    detail = "Somebody ended this meanwhile."


def owners_of(role: Role) -> QuerySet[Person]:
    """Return who may own a follow-up of this team: its members and the managers, by name. One query."""
    roles = Role.objects.filter(Q(pk=role.pk) | Q(decides_everything=True)).values("pk")
    return Person.objects.filter(is_active=True, groups__in=roles).distinct().order_by("first_name", "last_name", "username")


def shown_on(review: EscalationReview) -> QuerySet[FollowUp]:
    """Return what stands on a review: its own, what is open from earlier weeks of the team, and what of that ended in its week or after
    it was made, oldest due first. One query."""
    later = FollowUp.objects.filter(review__role=review.role_id, review__week__lt=review.week).filter(
        Q(ended_at=None) | Q(ended_at__gte=review.made_at)
    )
    own = FollowUp.objects.filter(review=review)
    return (own | later).select_related("owner", "review", "ended_by", "finding").order_by("ended_at", "due", "pk")


@transaction.atomic
def follow_up(
    review_id: int, text: str, *, owner: Person | None, due: date | None, person: Person, proposal_id: UUID | None = None
) -> FollowUp:
    """Write down what is to be done and by whom; `proposal_id` where it follows from a finding. About seven queries.

    Raises Invalid (no text, nobody to do it, a day that is over), and as `finding.locked`.
    """
    review = locked(review_id, person)
    errors = []
    if not text.strip():
        errors.append({"pointer": "/text", "code": "required", "detail": "Say what is to be done."})
    if len(text) > LONGEST:
        errors.append({"pointer": "/text", "code": "too_long", "detail": f"At most {LONGEST} characters."})
    if owner is None or not owners_of(review.role).filter(pk=owner.pk).exists():
        errors.append({"pointer": "/owner", "code": "unknown", "detail": "Choose who does it: a member of the team or a manager."})
    if due is not None and due < clock.now().date():
        errors.append({"pointer": "/due", "code": "past", "detail": "That day is over."})
    if errors or owner is None:
        raise Invalid(errors)
    finding = Finding.objects.filter(review=review, proposal_id=proposal_id).first() if proposal_id else None
    made = FollowUp.objects.create(
        review=review, finding=finding, text=text.strip(), owner=owner, due=due, created_by=person, created_at=clock.now()
    )
    audit.record(
        "weekly.followed", actor=audit.Actor.of(person), subject=f"EscalationReview {review.pk}", follow_up=made.pk, owner=owner.username,
        due=due.isoformat() if due else None, what="opened", text=made.text,
    )
    return made


@transaction.atomic
def find_and_follow(
    review_id: int, proposal_id: UUID, *, found: str, note: str, text: str, owner: Person | None, due: date | None, person: Person
) -> Finding:
    """Write down what was found of one escalation and, where `text` says something, what is to be done about it; both or neither.

    Raises as `finding.find` and `follow_up`.
    """
    finding = find(review_id, proposal_id, found=found, note=note, person=person)
    if text.strip():
        follow_up(review_id, text, owner=owner, due=due, person=person, proposal_id=proposal_id)
    return finding


@transaction.atomic
def end(follow_up_id: int, *, outcome: str, dropped: bool, person: Person) -> FollowUp:
    """End a follow-up, done or dropped, with what came of it; closed weeks do not matter. About six queries.

    Its owner may, and who may write into the team's review. Raises NotFound, NotAllowed, Ended, and Invalid for one that is dropped
    without a word.
    """
    row = FollowUp.objects.select_for_update(of=("self",)).select_related("review__role", "owner").filter(pk=follow_up_id).first()
    if row is None:
        raise NotFound
    if row.owner_id != person.pk and not may_write(person, row.review.role):
        raise NotAllowed("Only its owner, members of this team, or managers end a follow-up.")
    if row.ended_at is not None:
        raise Ended
    outcome = outcome.strip()
    if dropped and not outcome:
        raise Invalid([{"pointer": "/outcome", "code": "required", "detail": "Say why it is dropped."}])
    if len(outcome) > LONGEST:
        raise Invalid([{"pointer": "/outcome", "code": "too_long", "detail": f"At most {LONGEST} characters."}])
    row.ended_at, row.ended_by, row.dropped, row.outcome = clock.now(), person, dropped, outcome
    row.save(update_fields=["ended_at", "ended_by", "dropped", "outcome"])
    audit.record(
        "weekly.followed", actor=audit.Actor.of(person), subject=f"EscalationReview {row.review_id}", follow_up=row.pk,
        what="dropped" if dropped else "done", text=outcome,
    )
    return row
