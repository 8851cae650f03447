"""A signature that can still be taken back: it stands for `undo_seconds`, then the clock settles the proposal as it was signed.

While it stands the proposal is pending, nobody else decides it or moves it on, no step fires and nothing expires: what was signed in
time is settled. It falls when what was signed changes: the source revises, withdraws or adds context. Only the caller of these
functions locks; the row of the proposal is locked in a statement of its own before its hold is looked for, so that whoever waited
for the lock sees the hold that was made meanwhile.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from escalations import audit, outbox, queue
from escalations.errors import Held
from escalations.models import Hold, Person, Proposal
from escalations.states import State, Verdict

HELD_BY = frozenset({"page", "group", "chat"})  # where a person can press Undo, or is led to it; a token's decision settles at once


def undo_seconds(proposal: Proposal) -> int:
    """Return how long a signature on this proposal can be taken back, by its frozen policy; 0 for not at all. No query."""
    return int(proposal.policy.get("undo_seconds") or 0)


def standing(proposal: Proposal) -> Hold | None:
    """Return the hold on a proposal, or None. One query; none where the policy knows no holds."""
    if not undo_seconds(proposal):
        return None
    return Hold.objects.select_related("person").filter(pk=proposal.pk).first()


def refusal(held: Hold) -> Held:
    """Return what somebody is told who comes while a hold stands. No query when its person is loaded."""
    until = f"{held.settles_at:%Y-%m-%d %H:%M:%S} UTC"
    return Held(
        f"{held.person.name} signed this ({Verdict(held.type).label.lower()}) and can take it back until {until}. Then it settles.",
        by={"kind": "person", "id": held.person.username, "name": held.person.name}, until=held.settles_at,
    )


def check_free(proposal: Proposal) -> None:
    """Raise Held when a signature on this proposal can still be taken back, whoever asks. At most one query."""
    if held := standing(proposal):
        raise refusal(held)


def put(proposal: Proposal, person: Person, *, seen: Q, now: datetime, runs: str | None, **signed: Any) -> Hold | None:
    """Hold a signature on a locked proposal that may be signed; None when it is not (any more) as it was shown.

    `signed` are the columns of Hold; `runs` is the digest of what may run if it settles. Four queries.
    """
    in_time = Q(expires_at=None) | Q(expires_at__gt=now)
    if not Proposal.objects.filter(seen & in_time, pk=proposal.pk, state=State.PENDING).exists():
        return None
    held = Hold.objects.create(
        proposal=proposal, person=person, digest=proposal.args_digest, version=proposal.version, signed_at=now,
        settles_at=now + timedelta(seconds=undo_seconds(proposal)), **signed,
    )
    audit.record(
        "proposal.held", actor=audit.Actor.of(person), incident_id=proposal.incident_id, proposal_id=proposal.pk, type=held.type,
        reason=held.reason, retry=held.retry, signed_digest=held.digest, args_digest=runs, version=held.version,
        method=held.method, settles_at=held.settles_at,
    )
    queue.announce(proposal.incident_id)
    return held


def fall(proposal: Proposal, *, actor: audit.Actor, why: str) -> None:
    """End the hold on a locked proposal, if there is one, without settling it; its signer is told why. At most five queries."""
    if held := standing(proposal):
        drop(held, proposal, actor=actor, why=why)


def drop(held: Hold, proposal: Proposal, *, actor: audit.Actor, why: str) -> None:
    """End this hold: the signature counts for nothing, and its signer is told."""
    if not Hold.objects.filter(pk=held.pk).delete()[0]:
        return
    audit.record(
        "proposal.hold_fell", actor=actor, incident_id=proposal.incident_id, proposal_id=proposal.pk, type=held.type,
        of=held.person.username, why=why, version=proposal.version,
    )
    outbox.open_notice("hold_fell", proposal=proposal, person=held.person, type=held.type, why=why)
    queue.announce(proposal.incident_id)
