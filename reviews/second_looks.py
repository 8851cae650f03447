"""Second looks in the room: what waits for whom, and all a person reads of it, which is what the first saw and nothing that came after."""

from datetime import timedelta
from functools import cached_property

from django import forms
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404

from escalations import authority, looks
from escalations.models import Classification, ContextItem, KnownAnswer, Person, Proposal, Question, SecondLook
from escalations.states import LookState, Verdict

from .access import roles_of, sees_everything
from .dossier import Dossier
from .forms import Text
from .models import Glance
from .precedents import Precedent, nearest
from .sentences import is_acknowledgement

SHOWN = 20  # of those that were answered
WAITING = 50

OPTIONS = {
    Verdict.APPROVE: ("Approve", "a", "I would let it run as it stands."),
    Verdict.EDIT: ("Change it", "e", "I would change something first. Say below what."),
    Verdict.REJECT: ("Reject", "r", "I would not let it run. Say below why."),
    Verdict.RESPOND: ("Answer", "d", "I would answer in words instead. Say below what."),
}
ACKNOWLEDGED = {
    Verdict.APPROVE: ("Acknowledge", "a", "I would leave it as it was classified."),
    Verdict.EDIT: ("Correct", "e", "I would correct how bad it is, or what kind of thing. Say below how."),
}


class LookForm(forms.Form):
    """What one would have decided. It signs nothing."""

    type = forms.CharField(error_messages={"required": "Choose what you would have decided."})
    category = Text(max_length=80)
    reason = Text(max_length=5_000)

    def clean(self) -> dict[str, object]:
        said = super().clean() or {}
        if said.get("type") and said["type"] != Verdict.APPROVE and not said.get("reason", "").strip() and "reason" not in self.errors:
            self.add_error("reason", "Say why: whoever decided it reads it.")
        return said


class Blind(Dossier):
    """What there was to read when it was decided: nothing of what came after, of who decided, or of what anybody said about it."""

    @cached_property
    def _added(self) -> list[ContextItem]:
        settled = self.proposal.settled_at
        return list(ContextItem.objects.filter(incident=self.incident, received_at__lt=settled)[:100])

    @cached_property
    def classifications(self) -> list[Classification]:
        """Return what each engine had said last by then. One query."""
        words = Classification.objects.filter(incident=self.incident, created_at__lt=self.proposal.settled_at)
        return list({word.engine: word for word in words}.values())

    @cached_property
    def questions(self) -> list[Question]:
        return list(Question.objects.filter(incident=self.incident, asked_at__lt=self.proposal.settled_at))

    @cached_property
    def similar(self) -> list[Precedent]:
        """Return the precedents there were when it came: what was decided since may have been decided because of it, or with it."""
        return nearest(self.proposal, self.person, before=self.proposal.routed_at or self.proposal.created_at)

    @property
    def choices(self) -> list[tuple[str, str, str, str]]:
        """Return what can be said, as (verdict, label, key, what it would mean), in the order of the item's page."""
        said = OPTIONS | ACKNOWLEDGED if is_acknowledgement(self.proposal) else OPTIONS
        allowed = {*self.proposal.allowed_decisions, Verdict.REJECT}
        return [(verdict, *said[verdict]) for verdict in OPTIONS if verdict in allowed]


def waiting_for(person: Person) -> QuerySet[SecondLook]:
    """Return the looks that wait for this person: those they may take, of what they have never opened. No query when the roles are known."""
    read = Glance.objects.filter(person=person, proposal__incident=OuterRef("proposal__incident"))
    return looks.open_for(person, roles_of(person)).filter(~Exists(read))


def listed(person: Person) -> list[SecondLook]:
    """Return them as a list, without what was asked on this person's own behalf. One query."""
    return [one for one in waiting_for(person)[:WAITING] if not authority.is_own_request(person, one.proposal)]


def look_for(person: Person, pk: int) -> SecondLook:
    """Return the look if this person may take it; an answered one for who answered, who had decided, and who sees everything. Else 404.

    Two queries.
    """
    look = _with_all(SecondLook.objects.filter(pk=pk)).first()
    if look is None:
        raise Http404
    if look.state == LookState.ANSWERED:
        decision = getattr(look.proposal, "decision", None)
        concerned = {look.person_id, decision.person_id if decision and not look.expected else None}
        if person.pk in concerned or sees_everything(person):
            return look
    elif look.state == LookState.OPEN and not authority.is_own_request(person, look.proposal) and waiting_for(person).filter(pk=pk).exists():
        return look
    raise Http404


def give_back(look: SecondLook, person: Person) -> None:
    """Leave it to a colleague, for good: from now on this person is shown what was decided, and could not look at it blind again.

    Raises NotFound where they have not opened it. Four queries.
    """
    with transaction.atomic():
        looks.leave(look.pk, person=person)
        Glance.objects.create(proposal=look.proposal, person=person, version=look.proposal.version, length=0)


def known_of(look: SecondLook) -> KnownAnswer | None:
    """Return why its answer is known, once it is answered. One query for those, none for others."""
    if not look.expected or look.state != LookState.ANSWERED:
        return None
    return KnownAnswer.objects.filter(proposal=look.proposal_id).first()


def answered_by(person: Person) -> list[SecondLook]:
    """Return what this person looked at last. One query."""
    return list(_with_all(SecondLook.objects.filter(person=person, state=LookState.ANSWERED)).order_by("-answered_at")[:SHOWN])


def seen_again(person: Person) -> list[SecondLook]:
    """Return how others saw what this person decided, the newest first. One query."""
    of_theirs = SecondLook.objects.filter(proposal__decision__person=person, state=LookState.ANSWERED, expected="")
    return list(_with_all(of_theirs).order_by("-answered_at")[:SHOWN])


def proposals_of(some: list[SecondLook]) -> list[Proposal]:
    return [one.proposal for one in some]


def _with_all(rows: QuerySet[SecondLook]) -> QuerySet[SecondLook]:
    return rows.select_related(
        "proposal__incident__source__owner", "proposal__source", "proposal__role", "proposal__decision", "person", "role"
    ).defer("proposal__incident__raw")


QUARTER = timedelta(days=90)  # what agreement is counted over
