"""What a team finds of each escalation, its notes, and closing the week. The only writer of a review's state and of findings."""

from uuid import UUID

from django.db import transaction

from escalations import audit, clock
from escalations.errors import Conflict, Invalid, NotAllowed, NotFound
from escalations.models import EscalationReview, Finding, Person, Role
from escalations.states import ReviewState

LONGEST_NOTE = 2_000
LONGEST_NOTES = 20_000
FOUND = dict(Finding.FOUND)


class Closed(Conflict):
    """The week is closed: what was found stands."""

    detail = "This week is closed. What was found stands; a follow-up can still be ended."


def may_write(person: Person, role: Role) -> bool:
    """Say whether this person may write into a team's review: its members, and who decides everything. One query."""
    return person.is_active and any(one.pk == role.pk or one.decides_everything for one in person.roles())


def locked(review_id: int, person: Person) -> EscalationReview:
    """Return the review, locked and open, if this person may write into it. Raises NotFound, NotAllowed, Closed. Two queries."""
    review = EscalationReview.objects.select_for_update(of=("self",)).select_related("role").filter(pk=review_id).first()
    if review is None:
        raise NotFound
    if not may_write(person, review.role):
        raise NotAllowed("Only members of this team, or managers, write into its review.")
    if review.state != ReviewState.OPEN:
        raise Closed
    return review


@transaction.atomic
def find(review_id: int, proposal_id: UUID, *, found: str, note: str, person: Person) -> Finding:
    """Write down what was found of one escalation, anew where something was found before. About six queries.

    Raises Invalid for a finding there is not, and for what is not on this week's list; else as `locked`.
    """
    review = locked(review_id, person)
    errors = []
    if found not in FOUND:
        errors.append({"pointer": "/found", "code": "unknown", "detail": "Say what was found."})
    if len(note) > LONGEST_NOTE:
        errors.append({"pointer": "/note", "code": "too_long", "detail": f"A note has at most {LONGEST_NOTE:,} characters."})
    if str(proposal_id) not in {one["proposal"] for one in review.agenda.get("items", [])}:
        errors.append({"pointer": "/proposal", "code": "unknown", "detail": "That is not on this week's list."})
    if errors:
        raise Invalid(errors)
    finding, _ = Finding.objects.update_or_create(
        review=review, proposal_id=proposal_id, defaults={"found": found, "note": note, "person": person, "at": clock.now()}
    )
    audit.record(
        "weekly.found", actor=audit.Actor.of(person), proposal_id=proposal_id, subject=_subject(review), found=found, note=note[:500]
    )
    return finding


@transaction.atomic
def write_notes(review_id: int, notes: str, *, person: Person) -> EscalationReview:
    """Keep the team's notes of the meeting; nothing when they are as they were. Raises as `locked`, and Invalid. About four queries."""
    review = locked(review_id, person)
    if len(notes) > LONGEST_NOTES:
        raise Invalid([{"pointer": "/notes", "code": "too_long", "detail": f"Notes have at most {LONGEST_NOTES:,} characters."}])
    if notes != review.notes:
        review.notes = notes
        review.save(update_fields=["notes"])
        audit.record("weekly.noted", actor=audit.Actor.of(person), subject=_subject(review), characters=len(notes))
    return review


@transaction.atomic
def close(review_id: int, *, person: Person) -> EscalationReview:
    """Close the week: what was found stands, what is to be done carries over. Raises as `locked`. About five queries."""
    review = locked(review_id, person)
    review.state, review.closed_at, review.closed_by = ReviewState.CLOSED, clock.now(), person
    review.save(update_fields=["state", "closed_at", "closed_by"])
    audit.record(
        "weekly.closed", actor=audit.Actor.of(person), subject=_subject(review), findings=review.findings.count(),
        items=len(review.agenda.get("items", [])),
    )
    return review


def _subject(review: EscalationReview) -> str:
    return f"EscalationReview {review.pk}"
