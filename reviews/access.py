"""One door to each object: nothing of the record reaches a page but through here. Strangers get a 404, never a 403."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from escalations import authority, looks
from escalations.models import Incident, OversightSession, Person, Proposal, Role

MOVED_ON = 20_000  # settled by other roles after one's own was asked: no more than these are listed


class Looking(Http404):
    """This person is giving it a second look, and is shown nothing else of it until they have. `look_id` is where they can."""

    def __init__(self, look_id: int) -> None:
        super().__init__()
        self.look_id = look_id


def roles_of(person: Person) -> list[Role]:
    """Return the person's roles. One query for the life of this object, which is one request."""
    roles: list[Role] | None = getattr(person, "_roles_of_this_request", None)
    if roles is None:
        roles = list(person.roles())
        person._roles_of_this_request = roles  # type: ignore[attr-defined]
    return roles


def sees_everything(person: Person) -> bool:
    """Say whether every queue is this person's to read: managers, auditors and administrators."""
    return person.is_superuser or any(role.sees_everything or role.decides_everything for role in roles_of(person))


def decides_somewhere(person: Person) -> bool:
    """Say whether any queue is this person's to decide in; an auditor only reads."""
    return any(role.decides_everything or not role.sees_everything for role in roles_of(person))


def proposals_for(person: Person) -> QuerySet[Proposal]:
    """Return the proposals this person may read, settled ones included. No query when the roles are known."""
    return authority.readable_by(person, roles_of(person))


def settled_for(person: Person) -> list[QuerySet[Proposal]]:
    """Return the settled ones among `proposals_for`, in lists that have an index each: one for each role of this person, and one for
    what other roles settled after one of these had been asked; one for everything when that is theirs to see.

    The same rights said twice in a query make PostgreSQL expect a tenth of the rows and walk the wrong index. What this person has
    open for a second look is in none of them.
    """
    settled = unspoiled(Proposal.objects.filter(settled_at__isnull=False), person)
    if sees_everything(person):
        return [settled]
    ids = [role.pk for role in roles_of(person)]
    moved_on = settled.filter(asked__overlap=ids, asked__len__gt=1).exclude(role__in=ids)
    # A query of its own, which has nothing to go by but its index: there are few, and looking for the newest of them among all that
    # was ever settled would read all of that.
    elsewhere = settled.filter(pk__in=moved_on.order_by().values("pk")[:MOVED_ON])
    return [*(settled.filter(role=pk) for pk in ids), elsewhere] if ids else []


def unspoiled(settled: QuerySet[Proposal], person: Person) -> QuerySet[Proposal]:
    """Return these without what this person has open for a second look: a list must not tell what was decided. No query of its own."""
    return settled.exclude(incident__in=looks.opened_by(person).values("proposal__incident"))


def proposal_for(person: Person, pk: UUID) -> Proposal:
    """Return the proposal with all a page says of it in one query, or raise Http404; `Looking` of what they have open for a second look,
    by one query more for what is settled or was."""
    rows = proposals_for(person).select_related("incident", "source", "role", "claimed_by").defer("incident__raw")
    found: Proposal = get_object_or_404(rows, pk=pk)
    if found.incident.source_id == found.source_id:
        found.incident.source = found.source  # who asks for the owner of the one has read the other
    if not found.is_alone:  # a later revision's page tells how the one before it ended
        _check_not_looking(person, found.incident_id)
    return found


def incident_for(person: Person, pk: UUID) -> Incident:
    """Return the incident if any proposal of its line is this person's to read; those without one are for who sees all. Raises Http404,
    `Looking` of what they have open for a second look.
    """
    incident = get_object_or_404(Incident.objects.select_related("source__owner"), pk=pk)
    if sees_everything(person) or proposals_for(person).filter(incident=incident).exists():
        _check_not_looking(person, pk)
        return incident
    raise Http404


def _check_not_looking(person: Person, incident_id: UUID) -> None:
    if look := looks.looking_at(person, incident_id):
        raise Looking(look.pk)


def runs_for(person: Person) -> QuerySet[OversightSession]:
    """Return the agents' runs this person may read. One query for the roles at most."""
    return authority.runs_readable_by(person, roles_of(person))


def run_for(person: Person, pk: UUID) -> OversightSession:
    """Return the run with whose it is and who watches in one query, or raise Http404."""
    found: OversightSession = get_object_or_404(runs_for(person).select_related("source__owner", "role", "person"), pk=pk)
    return found
