"""How one person decides, as that person sees it: what they said, how long they read, who saw it alike, what was known."""

from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

from django.db import connection

from escalations import clock, looks
from escalations.looks import known, reading
from escalations.looks.vigilance import OPENED
from escalations.models import Person, SecondLook, VigilanceAlarm
from escalations.states import LookState

from .measures import Tally

SINCE = timedelta(days=30)
MOST = 2_000  # decisions, the newest
LENGTHS = ((1_000, "up to a screenful (1,000 characters)"), (4_000, "up to a few (4,000)"), (None, "longer"))

_OWN = f"""
SELECT decision.type, proposal.risk, extract(epoch FROM coalesce(signature.at, decision.decided_at) - opened.at)::float8,
       coalesce(opened.length, 0)
FROM (
    SELECT * FROM escalations_decision WHERE person_id = %s AND decided_at > %s ORDER BY decided_at DESC LIMIT %s
) AS decision
JOIN escalations_proposal AS proposal ON proposal.id = decision.proposal_id AND NOT proposal.test
{OPENED}"""


@dataclass(slots=True)
class OfLength:
    """Those that were opened on a page and were so long. Seconds are from opening to signing."""

    said: str
    seconds: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    too_fast: int = 0

    @property
    def number(self) -> int:
        return len(self.seconds)

    @property
    def median_seconds(self) -> float | None:
        return median(self.seconds) if self.seconds else None

    @property
    def ordinary(self) -> float | None:
        """Return how long reading the median length takes an average reader."""
        return reading.ordinary_seconds(round(median(self.lengths))) if self.lengths else None


@dataclass
class Figures:
    """What a person is shown of how they decide, over the last SINCE."""

    tally: Tally
    lengths: list[OfLength]
    seen_again: int = 0  # of one's own decisions
    seen_alike: int = 0
    looked: int = 0  # second looks one took
    looked_alike: int = 0
    known: int = 0
    known_found: int = 0
    alarms: list[VigilanceAlarm] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.tally.decided or self.looked or self.known or self.alarms)


def figures_of(person: Person) -> Figures:
    """Return one's own figures. Three queries."""
    since = clock.now() - SINCE
    made = Figures(Tally(), [OfLength(said) for _, said in LENGTHS], alarms=list(looks.alarms_of(person)))
    with connection.cursor() as cursor:
        cursor.execute(_OWN, [person.pk, since, MOST])
        rows = cursor.fetchall()
    for type_, risk, seconds, length in rows:
        made.tally.decided += 1
        setattr(made.tally, type_, getattr(made.tally, type_) + 1)
        if seconds is not None:
            one = next(of for of, (most, _) in zip(made.lengths, LENGTHS, strict=True) if most is None or length <= most)
            one.seconds.append(seconds)
            one.lengths.append(length)
            one.too_fast += seconds < reading.reading_seconds(length, risk)
    answered = SecondLook.objects.filter(state=LookState.ANSWERED, answered_at__gt=since)
    concerned = answered.filter(person=person) | answered.filter(proposal__decision__person=person, expected="")
    newest = concerned.order_by("-answered_at").values_list("person_id", "verdict", "expected", "proposal__decision__type")[:MOST]
    for by, verdict, expected, decided in newest:
        if by == person.pk and expected:
            made.known += 1
            made.known_found += known.found(expected, verdict)
        elif by == person.pk:
            made.looked += 1
            made.looked_alike += verdict == decided
        else:
            made.seen_again += 1
            made.seen_alike += verdict == decided
    return made
