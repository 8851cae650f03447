"""Who has signed a proposal that needs several people's yes, and whose signatures count no more."""

from dataclasses import dataclass, field

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery

from escalations.lifecycle import quorum
from escalations.models import Person, Proposal, Signature
from escalations.states import State, Verdict

# The yeses to each proposal as it stands, of people who are still here; nothing where there is none.
COUNTED = Subquery(
    Signature.objects.filter(proposal=OuterRef("pk"), version=OuterRef("version"), type=Verdict.APPROVE, person__is_active=True)
    .values("proposal").annotate(count=Count("pk")).values("count")
)


@dataclass
class Signers:
    """`given` are the yeses that count, `void` those to what it was before or of who may not sign any more."""

    needed: int
    given: list[Signature] = field(default_factory=list)
    void: list[Signature] = field(default_factory=list)
    mine: bool = False  # the reader's own yes to this version stands

    @property
    def left(self) -> int:
        return self.needed - len(self.given)


def signers_of(proposal: Proposal, reader: Person) -> Signers | None:
    """Return who signed a pending proposal; None where one yes is enough. Else two queries, and two for each that counts."""
    needed = quorum.needed(proposal)
    if needed == 1 or proposal.state != State.PENDING:
        return None
    given = quorum.given(proposal)
    counted = {one.pk for one in given}
    signed = Signature.objects.filter(proposal=proposal, type=Verdict.APPROVE).select_related("person").order_by("at", "pk")
    yeses = list(signed)
    mine = any(one.person_id == reader.pk and one.version == proposal.version for one in yeses)
    return Signers(needed, given, [one for one in yeses if one.pk not in counted], mine)


def unsigned_by(rows: QuerySet[Proposal], person: Person) -> QuerySet[Proposal]:
    """Leave out what this person has said yes to as it stands: it waits for others."""
    own = Signature.objects.filter(proposal=OuterRef("pk"), version=OuterRef("version"), person=person)
    return rows.exclude(Exists(own))


def count_on(row: Proposal) -> None:
    """Put on a row how many of how many have signed it, as the lists do. One query, none where one yes is enough."""
    row.people, row.yeses = quorum.needed(row), None
    if row.people > 1:
        row.yeses = Proposal.objects.filter(pk=row.pk).annotate(yeses=COUNTED).values_list("yeses", flat=True).first()
