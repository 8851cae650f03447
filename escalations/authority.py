"""Who may read and who may decide what. One place for the pages, the API and whatever comes later (law 8)."""

import re
import unicodedata
from collections.abc import Iterable
from email.utils import parseaddr

from django.db.models import Exists, OuterRef, Q, QuerySet

from escalations.errors import CountersignError, IllegalMove, NotAllowed, NotYourQueue, OwnRequest, StepUpRequired
from escalations.floors.clearance import needed_for
from escalations.models import Incident, OversightSession, Person, Proposal, Role, SessionAlarm
from escalations.models.proposals import ProposalQuerySet
from escalations.states import Order

_ADDRESS = re.compile(r"[^\s<>()\[\]{},;:\"']+@[^\s<>()\[\]{},;:\"'@]+")
HAND_OVER = "hand_over"  # what `why_not_run` is asked besides the orders
OWNER_MAY = frozenset({Order.PAUSE, Order.STOP})  # of the runs of their own service: what only makes it do less
NEEDS_THE_PAGE = frozenset({"irreversible", "high_stakes"})  # a token that nobody sits behind may not sign these


def readable_by(person: Person, roles: Iterable[Role] | None = None) -> ProposalQuerySet:
    """Return the proposals this person may read: those their roles were ever asked for; all, for managers and auditors.

    Costs one query for the roles; none when they were just read.
    """
    if not person.is_active:
        return Proposal.objects.none()
    roles = list(person.roles() if roles is None else roles)
    if person.is_superuser or any(role.sees_everything or role.decides_everything for role in roles):
        return Proposal.objects.all()
    ids = [role.pk for role in roles]
    return Proposal.objects.filter(Q(role__in=ids) | Q(asked__overlap=ids)) if ids else Proposal.objects.none()


def may_read(person: Person, proposal: Proposal) -> bool:
    """Return whether this person may read this proposal. Two queries."""
    return bool(readable_by(person).filter(pk=proposal.pk).exists())


def readers_of(proposal: Proposal) -> QuerySet[Person]:
    """Return the active people who may read this proposal, by name: `readable_by` seen from the other side. One query."""
    by_role = Role.objects.filter(
        Q(pk__in=[*proposal.asked, proposal.role_id]) | Q(sees_everything=True) | Q(decides_everything=True)
    )
    people = Person.objects.filter(Q(is_superuser=True) | Q(groups__in=by_role.values("pk")), is_active=True)
    return people.distinct().order_by("first_name", "last_name", "username")


def why_not(
    person: Person, proposal: Proposal, *, interactive: bool = True, roles: Iterable[Role] | None = None
) -> CountersignError | None:
    """Return why this person may not decide this proposal now, or None. Two queries; a page that just read the roles gives them.

    Law 8: a member of the current role, or a manager; never the source's owner, never the person it is asked on behalf of, never
    who edited it into what it is, administrators included. `interactive` says that a person is there at this moment: a plain
    token cannot decide what is irreversible or of high stakes, nor what the page would mask for this person.
    """
    if not person.is_active:
        return NotAllowed("This account is not active.")
    if is_own_request(person, proposal):
        return OwnRequest()
    if proposal.routed_at is None:
        return IllegalMove("This has not been routed to anybody yet.")
    roles = person.roles() if roles is None else roles
    if not any(role.pk == proposal.role_id or role.decides_everything for role in roles):
        return NotYourQueue(role=proposal.role.name if proposal.role else None)
    if interactive:
        return None
    cleared = {kind for role in roles for kind in role.clearance}
    if NEEDS_THE_PAGE & set(proposal.trigger_names) or needed_for(proposal.content) - cleared:
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
    """Return whether `text` (an `on_behalf_of`) names this person: sign-in name, e-mail address or full name, any case.

    "Ana Silva <ana@acme.example>" names her three ways, and an address counts wherever in the text it stands; how a source spells
    it must not open a way round law 8.
    """
    own = {_plain(one) for one in (person.username, person.email, person.get_full_name()) if one}
    return bool(own & _spellings(text))


def person_named(text: str) -> Person | None:
    """Return the person an `on_behalf_of` names, active or not; None when it names nobody of ours. One query, none when empty."""
    said = _spellings(text)
    if not said:
        return None
    named = Q()
    for one in said:
        first, _, last = one.partition(" ")
        named |= Q(username__iexact=one) | Q(email__iexact=one)
        if last:
            named |= Q(first_name__iexact=first, last_name__iexact=last)
    return Person.objects.filter(named).first()


def claims_to_be_ours(incident: Incident) -> bool:
    """Return whether `on_behalf_of` claims to be one of our people and is not (law 8). At most two queries, none when empty.

    A claim is a `person:` prefix, or an e-mail address at a domain our people have theirs at; each address is a claim of its own.
    """
    text = incident.on_behalf_of
    if _plain(text).startswith("person:"):
        return person_named(text) is None
    addresses = _addresses(_plain(text))
    known, ours = Q(), Q()
    for one in addresses:
        known |= Q(username__iexact=one) | Q(email__iexact=one)
    if not addresses:
        return False
    for pair in Person.objects.filter(known).values_list("username", "email"):
        addresses -= {_plain(one) for one in pair}
    for one in addresses:
        ours |= Q(email__iendswith=f"@{one.rpartition('@')[2]}")
    return bool(addresses) and Person.objects.filter(ours, is_active=True).exists()


def is_member(person: Person, role_id: int) -> bool:
    """Return whether this person sits at that role's queue, or may decide in every queue. One query."""
    return any(role.pk == role_id or role.decides_everything for role in person.roles())


def runs_readable_by(person: Person, roles: Iterable[Role] | None = None) -> QuerySet[OversightSession]:
    """Return the runs this person may read: those their roles watch, or were asked about by an alarm, and those of their own services;
    all, for managers and auditors. Costs one query for the roles; none when they were just read.
    """
    if not person.is_active:
        return OversightSession.objects.none()
    roles = list(person.roles() if roles is None else roles)
    if person.is_superuser or any(role.sees_everything or role.decides_everything for role in roles):
        return OversightSession.objects.all()
    ids = [role.pk for role in roles]
    asked = Proposal.objects.filter(Q(role__in=ids) | Q(asked__overlap=ids), incident=OuterRef("incident"))
    brought = SessionAlarm.objects.filter(Exists(asked), session=OuterRef("pk"))
    own = Q(source__owner=person)
    return OversightSession.objects.filter(own | Q(role__in=ids) | Exists(brought) if ids else own)


def why_not_run(
    person: Person, session: OversightSession, order: str, *, roles: Iterable[Role] | None = None
) -> CountersignError | None:
    """Return why this person may not give this run this order (one of `Order`, or HAND_OVER), or None. One or two queries.

    Members of the role that watches, and who decides everything, may give every order. The source's owner may pause and stop, even
    from outside that role, and nothing else, even from inside it: what would let it go on is not theirs to say (law 8).
    """
    if not person.is_active:
        return NotAllowed("This account is not active.")
    if session.source.owner_id == person.pk:
        return None if order in OWNER_MAY else OwnRequest("Whose service this is may pause and stop its runs, and nothing else.")
    roles = person.roles() if roles is None else roles
    if not any(role.pk == session.role_id or role.decides_everything for role in roles):
        return NotYourQueue("Only members of the role that watches this run, or managers, may do that.", role=session.role.name)
    return None


def _plain(text: str) -> str:
    """Return the text as it is read: one case, one kind of space, nothing that cannot be seen."""
    seen = "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    return " ".join(seen.casefold().split())


def _addresses(said: str) -> set[str]:
    """Return every e-mail address that stands in a plain text."""
    return {one.strip(".") for one in _ADDRESS.findall(said)}


def _spellings(text: str) -> set[str]:
    """Return every name and address an `on_behalf_of` may be read as."""
    said = _plain(text).removeprefix("person:").strip()
    last, comma, first = said.partition(",")
    turned = f"{first} {last}" if comma and "@" not in said else ""
    return {one for one in (said, _plain(turned), *map(_plain, parseaddr(said)), *_addresses(said)) if one}
