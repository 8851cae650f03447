"""How the room is doing, as arithmetic: pace, forecast, who decides what. Pure functions over rows that `desk` reads.

Whose figures these are matters: they are about work, kept by managers of people. So each says what it counts, and out of how many. How
long a person read, and whether that was enough, is in none of them: that is told to whom it is about first (`escalations.looks`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from escalations import leaning
from escalations.states import Verdict

# -- pace

PACE_WITHIN = timedelta(hours=8)  # a shift: what was decided before says nothing about now
PACE_OF = 20  # decisions
PACE_FROM = 3  # fewer make no pace


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision by a person, with what it is measured by."""

    type: str
    person_id: int
    person: str
    role_id: int | None
    source: str
    kind: str
    waited: float  # seconds from being routed to being decided
    decided_at: datetime
    expected: float | None = None  # the classifier's chance of a yes when it came in
    suspected: bool = False  # the trigger injection_suspected fired
    let_go: bool = False  # a live rule would have let it go (`leaning.let_go`); something else brought it to a person


def machine_word(one: Decided) -> Verdict | None:
    """Return what the machine would have said had nobody been asked, as `leaning` has it."""
    return leaning.word(one.kind, suspected=one.suspected, let_go=one.let_go, expected=one.expected)


def overrides(one: Decided) -> bool | None:
    """Say whether the person decided otherwise than the machine would have; None where it had no word."""
    return leaning.overridden(machine_word(one), one.type)


def share(part: int, whole: int) -> float | None:
    """Return part of whole as 0 to 1; None of nothing."""
    return part / whole if whole else None


def middle(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return median(values) if values else None


@dataclass(slots=True)
class Tally:
    """Counts of decisions by what was decided."""

    decided: int = 0
    approve: int = 0
    edit: int = 0
    reject: int = 0
    respond: int = 0

    def add(self, one: Decided) -> None:
        self.decided += 1
        setattr(self, one.type, getattr(self, one.type) + 1)

    @property
    def approve_share(self) -> float | None:
        return share(self.approve, self.decided)

    @property
    def edit_share(self) -> float | None:
        return share(self.edit, self.decided)

    @property
    def reject_share(self) -> float | None:
        return share(self.reject, self.decided)


@dataclass(slots=True)
class OfPerson(Tally):
    """One person's decisions, counted; no time is in it."""

    person_id: int = 0
    name: str = ""
    overridden: int = 0
    judged: int = 0

    @property
    def override_share(self) -> float | None:
        return share(self.overridden, self.judged)


@dataclass(slots=True)
class OfSource(Tally):
    """What one source asks, is told, and how fast."""

    name: str = ""
    asked: int = 0
    waits: list[float] = field(default_factory=list)

    @property
    def median_wait(self) -> float | None:
        return middle(self.waits)


def by_person(decisions: Iterable[Decided]) -> list[OfPerson]:
    """Return each person's figures, who decided most first."""
    found: dict[int, OfPerson] = {}
    for one in decisions:
        of = found.setdefault(one.person_id, OfPerson(person_id=one.person_id, name=one.person))
        of.add(one)
        override = overrides(one)
        of.judged += override is not None
        of.overridden += override is True
    return sorted(found.values(), key=lambda of: (-of.decided, of.name))


def by_source(decisions: Iterable[Decided], asked: dict[str, int]) -> list[OfSource]:
    """Return each source's figures, who asks most first. `asked` counts what came to people, by the source's name."""
    found = {name: OfSource(name=name, asked=number) for name, number in asked.items()}
    for one in decisions:
        of = found.setdefault(one.source, OfSource(name=one.source))
        of.add(one)
        of.waits.append(max(0.0, one.waited))
    return sorted(found.values(), key=lambda of: (-of.asked, -of.decided, of.name))


def paces(decisions: Iterable[Decided], now: datetime) -> dict[int, float]:
    """Return the seconds between two decisions of each role that has a pace.

    The time since the oldest of the last PACE_OF decisions of the running shift, the quiet since the newest included, over their
    number. Not the median gap of what callers are told (`waits.estimates`): twelve twins signed at once would make that zero, and
    an hour in which nobody came would not count. Decisions come newest first or in any order.
    """
    recent: dict[int, list[datetime]] = {}
    for one in decisions:
        if one.role_id is not None and one.decided_at > now - PACE_WITHIN:
            recent.setdefault(one.role_id, []).append(one.decided_at)
    found = {}
    for role_id, moments in recent.items():
        last = sorted(moments, reverse=True)[:PACE_OF]
        if len(last) >= PACE_FROM:
            found[role_id] = max((now - last[-1]).total_seconds() / len(last), 1.0)
    return found


@dataclass(frozen=True, slots=True)
class Breach:
    """The first proposal that will be late, the `place`-th in the queue, and when it is due."""

    due_at: datetime
    place: int


def first_breach(due: Iterable[datetime], pace: float, now: datetime) -> Breach | None:
    """Return the first that is late when a queue is worked off in due order, one every `pace` seconds from now; None when none is.

    The n-th is decided n paces from now. What arrives later is taken to be due later; who works on what, and how hard each one is,
    is not known. `desk` asks the database the same question in one statement; this says what it means.
    """
    for place, moment in enumerate(sorted(due), start=1):
        if moment < now + timedelta(seconds=place * pace):
            return Breach(moment, place)
    return None
