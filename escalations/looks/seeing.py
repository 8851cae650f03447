"""Who may take a second look: a member of the role who does not know what was decided."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from escalations import clock
from escalations.models import Comment, Person, Role, SecondLook, Signature
from escalations.states import LookState

KEPT_FOR = timedelta(hours=1)  # by who opened it; then others may


def open_for(person: Person, roles: Iterable[Role] | None = None) -> QuerySet[SecondLook]:
    """Return the looks this person may take, oldest first: of their own roles, and nothing of what they had a hand in.

    Nor what somebody else has open just now. One query for the roles, none when they were just read. What the room knows besides
    (who opened the page meanwhile) is for the room to leave out.
    """
    if not person.is_active:
        return SecondLook.objects.none()
    now = clock.now()
    ids = [role.pk for role in (person.roles() if roles is None else roles)]
    same = OuterRef("proposal__incident")
    return (
        SecondLook.objects.filter(state=LookState.OPEN, lapses_at__gt=now, role__in=ids)
        .filter(Q(opened_by=None) | Q(opened_by=person) | Q(opened_at__lte=now - KEPT_FOR))
        .exclude(proposal__incident__source__owner=person)
        .exclude(proposal__author_person=person)
        .exclude(proposal__decision__person=person)
        .filter(
            ~Exists(Signature.objects.filter(proposal__incident=same, person=person)),
            ~Exists(Comment.objects.filter(proposal__incident=same, person=person)),
            ~Exists(SecondLook.objects.filter(proposal=OuterRef("proposal"), person=person)),
        )
        .select_related("proposal__incident__source", "proposal__source", "role")
        .defer("proposal__incident__raw")
        .order_by("drawn_at", "pk")
    )


def looking_at(person: Person, incident_id: UUID) -> SecondLook | None:
    """Return the look of this incident that this person has opened and not answered: until then they are shown nothing else of it.

    One query.
    """
    return opened_by(person).filter(proposal__incident=incident_id).first()


def opened_by(person: Person) -> QuerySet[SecondLook]:
    """Return the looks this person has opened and neither answered nor left. For `exclude` in lists of what was settled."""
    return SecondLook.objects.filter(state=LookState.OPEN, opened_by=person, lapses_at__gt=clock.now())
