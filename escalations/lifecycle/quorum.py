"""A yes that several people have to sign: each signs the same digest and the same version, and the last one settles it.

A signature that is not the last is written at once, and the proposal stays pending at its version. Whatever raises the version
leaves the signatures to the version that was signed: they count no more. One no is enough, whoever gives it.
"""

from typing import Any

from escalations import audit, authority, queue
from escalations.errors import AlreadySigned
from escalations.models import Person, Proposal, Signature
from escalations.states import Verdict


def needed(proposal: Proposal) -> int:
    """Return how many people have to sign a yes, by the frozen policy; at least one. No query."""
    return max(1, int(proposal.policy.get("quorum") or 1))


def given(proposal: Proposal) -> list[Signature]:
    """Return the yeses to this version that count, oldest first: of people who may still sign it.

    No query where one is enough, else one, and two for each signature.
    """
    if needed(proposal) == 1:
        return []
    signed = _of_this_version(proposal).select_related("person").order_by("at", "pk")
    return [one for one in signed if authority.why_not(one.person, proposal, interactive=one.interactive) is None]


def check_new(proposal: Proposal, person: Person) -> None:
    """Raise AlreadySigned when this person's yes to this version stands. One query, none where one yes is enough."""
    if needed(proposal) > 1 and _of_this_version(proposal).filter(person=person).exists():
        raise AlreadySigned(signed=len(given(proposal)), needed=needed(proposal))


def is_last(proposal: Proposal) -> bool:
    """Say whether one more yes settles this locked proposal."""
    return len(given(proposal)) + 1 >= needed(proposal)


def add(proposal: Proposal, person: Person, *, method: str, interactive: bool, reason: str) -> int:
    """Write one yes to a locked proposal that may be signed and needs more; return how many count now.

    The signer's claim passes on to whoever is next. Five queries, and those of `given`.
    """
    Signature.objects.create(
        proposal=proposal, person=person, type=Verdict.APPROVE, digest=proposal.args_digest, version=proposal.version,
        method=method, interactive=interactive,
    )
    Proposal.objects.filter(pk=proposal.pk, claimed_by=person).update(claimed_by=None, claim_until=None)
    count = len(given(proposal))
    audit.record(
        "proposal.signed", actor=audit.Actor.of(person), incident_id=proposal.incident_id, proposal_id=proposal.pk,
        type=Verdict.APPROVE, reason=reason, signed_digest=proposal.args_digest, version=proposal.version, method=method,
        interactive=interactive, signed=count, needed=needed(proposal),
    )
    queue.announce(proposal.incident_id)
    return count


def is_repeated(proposal: Proposal, person: Person, *, digest: str, version: int) -> bool:
    """Say whether this person gave this very yes before, and somebody else's settled it or is still to come. One query."""
    return needed(proposal) > 1 and Signature.objects.filter(
        proposal=proposal, person=person, type=Verdict.APPROVE, digest=digest, version=version
    ).exclude(proposal__decision__person=person).exists()


def _of_this_version(proposal: Proposal) -> Any:
    return Signature.objects.filter(
        proposal=proposal, type=Verdict.APPROVE, version=proposal.version, digest=proposal.args_digest
    )
