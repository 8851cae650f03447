"""What becomes of a signature that can be taken back: its signer takes it back, or its time comes and it settles."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q

from escalations import audit, authority, clock, queue
from escalations.errors import AlreadySettled, CountersignError, IllegalMove, NotFound
from escalations.models import Hold, Person, Proposal
from escalations.states import State, Verdict

from . import hold, moves, quorum
from .decide import sign

logger = logging.getLogger(__name__)


def undo(proposal_id: Any, *, person: Person) -> Proposal:
    """Take back one's own held signature; the proposal is as open as it was, its clock goes on. Seven queries.

    Raises AlreadySettled (too late, or somebody was first), IllegalMove (nothing of this person's is held), NotFound.
    """
    with transaction.atomic():
        proposal = _locked(proposal_id)
        held = Hold.objects.filter(pk=proposal_id, person=person).first() if proposal else None
        if proposal is None or not (held or authority.may_read(person, proposal)):
            raise NotFound
        if held is None:
            if proposal.state != State.PENDING:
                raise moves.refusal(proposal.pk)
            raise IllegalMove("There is no signature of yours on this that could be taken back.")
        if held.settles_at <= clock.now():
            raise AlreadySettled("It can no longer be taken back: its time is over, and it settles as you signed it.")
        Hold.objects.filter(pk=held.pk).delete()
        audit.record(
            "proposal.undone", actor=audit.Actor.of(person), incident_id=proposal.incident_id, proposal_id=proposal.pk,
            type=held.type, version=held.version, signed_at=held.signed_at,
        )
        queue.announce(proposal.incident_id)
    return proposal


def settle_held(limit: int = 200) -> int:
    """Settle up to `limit` signatures whose time to be taken back is over; return how many ended, 0 when nothing is due.

    One transaction each, about twenty queries; what another caller is at is skipped. One that may not settle any more, or cannot,
    falls: the proposal is open as before and its signer is told. So whatever happens it is settled, open, or still held.
    """
    now = clock.read()
    due = Hold.objects.filter(settles_at__lte=now).order_by("settles_at", "pk")
    return sum(_end(proposal_id, now) for proposal_id in list(due.values_list("pk", flat=True)[:limit]))


def _end(proposal_id: Any, now: datetime) -> bool:
    """Settle one or let it fall, each in a transaction of its own; one that can neither stays, and the auditor names it."""
    try:
        with transaction.atomic():
            return _settle(proposal_id, now)
    except Exception as error:  # noqa: BLE001 - one must not stop the line, whatever is wrong with it
        if _is_no_fault_of_its_own(proposal_id, error):
            return False
        why = f"it could not be settled: {error.detail if isinstance(error, CountersignError) else type(error).__name__}"
    try:
        with transaction.atomic():
            return _give_up(proposal_id, now, why)
    except Exception as error:  # noqa: BLE001 - as above
        _is_no_fault_of_its_own(proposal_id, error)
        return False


def _is_no_fault_of_its_own(proposal_id: Any, error: Exception) -> bool:
    """Log it; True for a deadlock or a time limit, after which it is due again. Raises the error when the database is gone."""
    of_the_database = isinstance(error, OperationalError | InterfaceError)
    if of_the_database and not connection.is_usable():
        raise error
    logger.error("the signature held on %s did not settle: %s at %s", proposal_id, type(error).__name__, queue.whence(error))
    return of_the_database


def _give_up(proposal_id: Any, now: datetime, why: str) -> bool:
    proposal = _locked(proposal_id)
    held = Hold.objects.select_related("person").filter(pk=proposal_id, settles_at__lte=now).first()
    if proposal is None or held is None:
        return False
    hold.drop(held, proposal, actor=audit.CLOCK, why=why)
    return True


def _settle(proposal_id: Any, now: datetime) -> bool:
    """Settle one; False when another caller is at it, or was."""
    proposal = _locked(proposal_id, skip=True)
    if proposal is None:
        return False
    held = Hold.objects.select_related("person").filter(pk=proposal_id, settles_at__lte=now).first()
    if held is None:
        return False
    if why := _why_not(proposal, held):
        hold.drop(held, proposal, actor=audit.CLOCK, why=why)
        return True
    Hold.objects.filter(pk=held.pk).delete()
    seen = Q(version=held.version, args_digest=held.digest)
    sign(proposal, _signed(proposal, held), seen=seen, method=held.method, interactive=True, held=held)
    return True


def _why_not(proposal: Proposal, held: Hold) -> str:
    """Return why a held signature counts no more, or "". Rights are those of now; three queries, more where several sign."""
    if proposal.state != State.PENDING:
        return f"it was {proposal.state} meanwhile"
    if (proposal.version, proposal.args_digest) != (held.version, held.digest):
        return "what was signed changed"
    if problem := authority.why_not(held.person, proposal):
        return f"{held.person.name} may not sign this any more: {problem.detail}"
    if held.type == Verdict.APPROVE and not quorum.is_last(proposal):
        return "others who had signed it may not sign it any more"
    return ""


def _signed(proposal: Proposal, held: Hold) -> moves.Verdictum:
    """Return the verdict that was signed. An edit was judged, as what it became, when it was signed."""
    verdict = moves.Verdictum(
        type=Verdict(held.type), by_kind="person", by_id=held.person.username, by_name=held.person.name, person=held.person,
        reason=held.reason, message=held.message, retry=held.retry,
    )
    if held.type == Verdict.APPROVE:
        return replace(verdict, runs=moves.Content.of(proposal))
    if held.type == Verdict.EDIT:
        return replace(verdict, runs=moves.Content.made(proposal.action, held.args, held.draft))
    return verdict


def _locked(proposal_id: Any, *, skip: bool = False) -> Proposal | None:
    rows = Proposal.objects.select_for_update(of=("self",), no_key=True, skip_locked=skip)
    return rows.select_related("incident__source__owner", "role", "source").filter(pk=proposal_id).first()
