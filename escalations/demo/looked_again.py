"""Second looks of the last days: what colleagues said who did not know what was decided, one answer that is known, and what waits."""

from datetime import datetime, timedelta

from escalations import clock, looks
from escalations.looks import drawing
from escalations.models import Decision, Person, SecondLook

from .days import Days, Story

# hours ago it was drawn | which of MATTERS | who looked, nobody yet | minutes later | what they said | why
LOOKED: tuple[tuple[float, int, str, float, str, str], ...] = (
    (120.0, 2, "rosa", 95, "approve", ""),
    (117.0, 3, "rosa", 140, "approve", "The carrier's word is with it."),
    (116.0, 5, "tomas", 60, "approve", ""),
    (100.0, 7, "tomas", 33, "approve", "The window is open; I would not have kept anything."),
    (97.0, 9, "rosa", 80, "approve", ""),
    (97.0, 10, "rosa", 84, "reject", "These are the photographs of the one before. I would ask for others."),
    (75.0, 14, "rosa", 41, "approve", ""),
    (74.0, 15, "tomas", 120, "approve", ""),
    (72.0, 16, "rosa", 52, "edit", "Five per cent is what we give."),
    (51.0, 18, "rosa", 47, "approve", ""),
    (46.0, 20, "rosa", 75, "approve", ""),
    (30.0, 24, "tomas", 18, "approve", ""),
    (26.0, 21, "tomas", 0, "", ""),
    (24.5, 22, "rosa", 0, "", ""),
    (24.0, 26, "ines", 0, "", ""),
)
KNOWN = 11  # of MATTERS; beyond doubt since the depot looked again
WHY_KNOWN = "The depot searched twice and never had the parcel; the customer has admitted it since."
TRIED = (48.0, "tomas", 26, "approve", "")


def begin(days: Days, people: dict[str, Person], now: datetime) -> None:
    """Let all of it happen among the days' other stories."""
    for ago, number, who, later, said, why in LOOKED:
        days.begin(now - timedelta(hours=ago), looked(people[who], number, later, said, why))
    days.begin(now - timedelta(hours=TRIED[0]), tried(people["ada"], people[TRIED[1]], *TRIED[2:]))


def looked(person: Person, number: int, later: float, said: str, why: str, expected: str = "") -> Story:
    """One is drawn, and somebody looks at it; or it waits still, where nothing is said."""
    look = draw(number, expected)
    yield timedelta(minutes=later)
    if said:
        looks.open_look(look.pk, person=person)
        looks.answer(look.pk, person=person, verdict=said, reason=why)


def tried(administrator: Person, person: Person, later: float, said: str, why: str) -> Story:
    """An answer is known, and somebody misses it."""
    decided = decision_of(KNOWN)
    looks.mark(decided.proposal_id, person=administrator, verdict="reject", why=WHY_KNOWN)
    yield timedelta(minutes=5)
    yield from looked(person, KNOWN, later, said, why, "reject")


def draw(number: int, expected: str = "") -> SecondLook:
    """Draw that one of MATTERS, as chance might have, and return the look."""
    decided, now = decision_of(number), clock.now()
    look = SecondLook(
        proposal=decided.proposal, role=decided.proposal.role, expected=expected, share=0.05, drawn_at=now, lapses_at=now + drawing.LASTS
    )
    drawing.put([look])
    return SecondLook.objects.get(proposal=decided.proposal, state=look.state)


def decision_of(number: int) -> Decision:
    """Return how that one of MATTERS was decided."""
    found: Decision = Decision.objects.select_related("proposal__role").get(proposal__incident__key=f"past-{number}")
    return found
