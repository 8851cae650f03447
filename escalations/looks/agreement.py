"""How often two people who judge the same thing without knowing of each other say the same, and what that says of people's error.

Pairs are the decision that counted and one blind second look. Known answers are no pairs: there one of the two is right by definition.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet

from escalations.models import Lane, SecondLook
from escalations.proof import agreement as proof
from escalations.proof import noise
from escalations.states import LookState, Verdict

PAIRS = 20_000  # read at most, the newest
LEAST = 20  # pairs from which kappa and people's error are told; of fewer nothing is said (docs/guarantee.md has what that leaves)
ALL = ""  # the row over all categories


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people's words on one proposal. `seen_as` is the category the second gave, empty where they left it as it was."""

    look_id: int
    category: str
    first: str
    second: str
    seen_as: str = ""
    first_person: int = 0
    second_person: int = 0

    @property
    def same(self) -> bool:
        return self.first == self.second

    @property
    def as_proposed(self) -> tuple[bool, bool]:
        """Return whether each would have let it run as it was proposed."""
        return self.first == Verdict.APPROVE, self.second == Verdict.APPROVE


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one category, or of all ("")."""

    category: str
    n: int
    same: int
    kappa: float | None  # None of too few, and where chance alone would agree always: everybody always said the same
    low: float | None
    high: float | None
    error: tuple[float, float, float, int] | None  # one person's, as `people_error` has it

    @property
    def share(self) -> float:
        return self.same / self.n

    @property
    def too_few(self) -> bool:
        """Say whether there are too few pairs to tell more of them than how many there are."""
        return self.n < LEAST


def answered(since: datetime | None = None) -> QuerySet[SecondLook]:
    """Return the answered looks of which nobody knew the answer, whose proposals a person had decided."""
    looks = SecondLook.objects.filter(state=LookState.ANSWERED, expected="", proposal__decision__by_kind="person")
    return looks.filter(answered_at__gt=since) if since else looks


def pairs(looks: QuerySet[SecondLook]) -> list[Pair]:
    """Return the pairs of these looks, newest first, no more than PAIRS. One query."""
    rows = looks.order_by("-answered_at").values_list(
        "pk", "proposal__category", "proposal__decision__type", "verdict", "category", "proposal__decision__person_id", "person_id"
    )
    return [Pair(*row) for row in rows[:PAIRS]]


def by_category(found: Iterable[Pair]) -> list[Agreement]:
    """Return the agreement over all and in each category, the one with most pairs first. No query."""
    of: dict[str, list[Pair]] = defaultdict(list)
    for pair in found:
        of[ALL].append(pair)
        of[pair.category or "uncategorised"].append(pair)
    made = [_agreement(category, some) for category, some in of.items()]
    return sorted(made, key=lambda one: (one.category != ALL, -one.n, one.category))


def disagreements(since: datetime | None = None, limit: int = 30) -> list[SecondLook]:
    """Return the newest looks whose answer was another one than what was decided. One query."""
    looks = answered(since).exclude(verdict=F("proposal__decision__type"))
    related = looks.select_related("proposal__decision", "proposal__source", "proposal__incident", "person")
    return list(related.defer("proposal__incident__raw").order_by("-answered_at")[:limit])


def people_error(of: Lane | str, *, level: float = 0.95) -> tuple[float, float, float, int] | None:
    """Return (rate, low, high, n): how often one person's word on "as proposed, yes or no" is wrong; None of fewer than LEAST pairs.

    `of` is a lane or the name of a category. How a rate of disagreement becomes one of error, and under which assumption, stands in
    `proof.noise`. Errors that people share (both are taken in by the same text) are not in it. One query.
    """
    looks = answered()
    looks = looks.filter(proposal__trial__lane=of) if isinstance(of, Lane) else looks.filter(Q(proposal__category=of))
    return error_of(pairs(looks), level)


def error_of(found: list[Pair], level: float = 0.95) -> tuple[float, float, float, int] | None:
    """Return what `people_error` returns, of these pairs. No query."""
    if len(found) < LEAST:
        return None
    apart = sum(one != two for one, two in (pair.as_proposed for pair in found))
    return noise.people_error(apart, len(found), level)


def _agreement(category: str, some: list[Pair]) -> Agreement:
    same = sum(pair.same for pair in some)
    if len(some) < LEAST:  # the interval rests on many: of five pairs it holds the true value in 60 to 88 of 100, not in 95
        return Agreement(category, len(some), same, None, None, None, None)
    found = proof.cohen([(pair.first, pair.second) for pair in some])
    return Agreement(category, len(some), same, found.kappa, found.low, found.high, error_of(some))
