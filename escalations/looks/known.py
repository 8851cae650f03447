"""Known answers: settled proposals whose right answer is beyond doubt, mixed in among the second looks by administrators' choice."""

from uuid import UUID

from django.db import transaction

from escalations import audit, clock
from escalations.errors import DecisionNotAllowed, IllegalMove, Invalid, NotAllowed, NotFound
from escalations.models import KnownAnswer, Person, Proposal, SecondLook
from escalations.states import UNDECIDED, LookState, State, Verdict


def mark(proposal_id: UUID, *, person: Person, verdict: str, why: str) -> KnownAnswer:
    """Say that the right answer to a settled proposal is known; anew, once it was taken out. For administrators (NotAllowed).

    What was decided then need not be it. Raises NotFound, IllegalMove for what is open or was never decided, came from a test key, or
    is marked already, DecisionNotAllowed for a decision it did not take, Invalid without a reason.
    """
    _check_administrator(person)
    with transaction.atomic():
        proposal = Proposal.objects.select_for_update(of=("self",)).filter(pk=proposal_id).first()
        if proposal is None:
            raise NotFound
        if proposal.state == State.PENDING or proposal.state in UNDECIDED or proposal.test or proposal.role_id is None:
            raise IllegalMove("Only what came to people and was settled can be a known answer, and nothing of test keys.")
        if verdict not in {*proposal.allowed_decisions, Verdict.REJECT}:
            raise DecisionNotAllowed
        if not why.strip():
            raise Invalid([{"pointer": "/why", "code": "required", "detail": "Say why it is beyond doubt: who answers reads it afterwards."}])
        standing = KnownAnswer.objects.filter(proposal=proposal, retired_at=None).first()  # nobody marks it meanwhile: its row is locked
        if standing is not None:
            said = standing.get_verdict_display()
            raise IllegalMove(f"It is marked already, with the answer “{said}”. To say something else, take it out first.")
        known, _ = KnownAnswer.objects.update_or_create(
            proposal=proposal,
            defaults={
                "verdict": verdict, "why": why.strip(), "marked_by": person, "marked_at": clock.now(), "retired_at": None,
            },
        )
        _tell("known.marked", known, person, verdict, why)
    return known


def retire(proposal_id: UUID, *, person: Person, why: str = "") -> KnownAnswer:
    """Take a known answer out; what of it waits to be looked at lapses. For administrators (NotAllowed); NotFound for any other."""
    _check_administrator(person)
    with transaction.atomic():
        known = KnownAnswer.objects.select_for_update().filter(proposal=proposal_id, retired_at=None).first()
        if known is None:
            raise NotFound
        known.retired_at = clock.now()
        known.save(update_fields=["retired_at"])
        SecondLook.objects.filter(proposal=proposal_id, state=LookState.OPEN, expected__gt="").update(state=LookState.LAPSED)
        _tell("known.retired", known, person, known.verdict, why)
    return known


def found(expected: str, verdict: str) -> bool:
    """Say whether an answer is right where `expected` is known: the same decision, or another no where a no is right.

    A change, an answer and a no all keep what was proposed from running as it stood.
    """
    return (expected == Verdict.APPROVE) == (verdict == Verdict.APPROVE)


def _tell(action: str, known: KnownAnswer, person: Person, verdict: str, why: str) -> None:
    # Without the incident: its story is read by those who are to be asked.
    audit.record(
        action, actor=audit.Actor.of(person), proposal_id=known.proposal_id, subject=f"KnownAnswer {known.pk}", type=verdict,
        why=why.strip()[:200],
    )


def _check_administrator(person: Person) -> None:
    if not (person.is_active and (person.is_staff or person.is_superuser)):
        raise NotAllowed("Only administrators mark known answers.")
