"""Who may read and who may decide what. One place for the pages, the API and whatever comes later (law 8)."""

from django.db.models import Q

from escalations import clock
from escalations.errors import CountersignError, IllegalMove, NotAllowed, NotYourQueue, OwnRequest, StepUpRequired
from escalations.models import Incident, Person, Proposal
from escalations.models.proposals import ProposalQuerySet
from escalations.states import State

NEEDS_THE_PAGE = frozenset({"irreversible", "high_stakes"})  # a token that nobody sits behind may not sign these


def readable_by(person: Person) -> ProposalQuerySet:
    """Return the proposals this person may read: those their roles were ever asked for; all, for managers and auditors.

    Costs one query for the roles.
    """
    if not person.is_active:
        return Proposal.objects.none()
    roles = list(person.roles())
    if person.is_superuser or any(role.sees_everything or role.decides_everything for role in roles):
        return Proposal.objects.all()
    ids = [role.pk for role in roles]
    return Proposal.objects.filter(Q(role__in=ids) | Q(asked__overlap=ids)) if ids else Proposal.objects.none()


def may_read(person: Person, proposal: Proposal) -> bool:
    """Return whether this person may read this proposal. Two queries."""
    return bool(readable_by(person).filter(pk=proposal.pk).exists())


def why_not(person: Person, proposal: Proposal, *, interactive: bool = True) -> CountersignError | None:
    """Return why this person may not decide this proposal now, or None. Two queries.

    Law 8: a member of the current role, or a manager; never the source's owner, never the person it is asked on behalf of, never
    who edited it into what it is, administrators included. `interactive` says that a person is there at this moment: a plain
    token cannot decide what is irreversible or of high stakes.
    """
    if not person.is_active:
        return NotAllowed("This account is not active.")
    if is_own_request(person, proposal):
        return OwnRequest()
    if proposal.routed_at is None:
        return IllegalMove("This has not been routed to anybody yet.")
    roles = list(person.roles())
    if not any(role.pk == proposal.role_id or role.decides_everything for role in roles):
        return NotYourQueue(role=proposal.role.name if proposal.role else None)
    if not interactive and NEEDS_THE_PAGE & set(proposal.trigger_names):
        return StepUpRequired()
    return None


def check_may_decide(person: Person, proposal: Proposal, *, interactive: bool = True) -> None:
    """Raise the reason why this person may not decide this proposal, if there is one."""
    if problem := why_not(person, proposal, interactive=interactive):
        raise problem


def is_own_request(person: Person, proposal: Proposal) -> bool:
    """Return whether this person, or their own service, asked for this, or edited it into what it is."""
    incident = proposal.incident
    return (
        incident.source.owner_id == person.pk
        or proposal.author_person_id == person.pk
        or names(person, incident.on_behalf_of)
    )


def names(person: Person, text: str) -> bool:
    """Return whether `text` (an `on_behalf_of`) names this person: sign-in name, e-mail address or full name, any case."""
    said = _bare(text)
    return bool(said) and said in {
        one.casefold() for one in (person.username, person.email, person.get_full_name()) if one
    }


def person_named(text: str) -> Person | None:
    """Return the person an `on_behalf_of` names, active or not; None when it names nobody of ours. One query."""
    said = _bare(text)
    if not said:
        return None
    first, _, last = said.partition(" ")
    named = Q(username__iexact=said) | Q(email__iexact=said)
    if last:
        named |= Q(first_name__iexact=first, last_name__iexact=last.strip())
    return Person.objects.filter(named).first()


def claims_to_be_ours(incident: Incident) -> bool:
    """Return whether `on_behalf_of` claims to be one of our people and is not (law 8). At most two queries, none when empty.

    A claim is a `person:` prefix, or an e-mail address at a domain our people have theirs at.
    """
    text = incident.on_behalf_of
    said = _bare(text)
    if not said:
        return False
    domain = said.rpartition("@")[2] if "@" in said else ""
    claims = text.strip().casefold().startswith("person:") or (
        bool(domain) and Person.objects.filter(is_active=True, email__iendswith=f"@{domain}").exists()
    )
    return claims and person_named(text) is None


def is_member(person: Person, role_id: int) -> bool:
    """Return whether this person sits at that role's queue, or may decide in every queue. One query."""
    return any(role.pk == role_id or role.decides_everything for role in person.roles())


def holds(person: Person, proposal: Proposal) -> bool:
    """Return whether this person's claim on the proposal is alive."""
    return (
        proposal.state == State.PENDING
        and proposal.claimed_by_id == person.pk
        and proposal.claim_until is not None
        and proposal.claim_until > clock.now()
    )


def _bare(text: str) -> str:
    said = text.strip().casefold()
    return said.removeprefix("person:").strip()
