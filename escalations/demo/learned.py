"""How the company's machine learns: half a year of labelled past to start warm, a week in which people decide and it notes what it would
have done, and a lane that is far enough for a manager to let it act alone. Its evidence is made as everybody's: by decisions.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from escalations import audit, clock
from escalations.feedback import history
from escalations.feedback.history import Case
from escalations.learn import asking, following, promoting, training
from escalations.models import ClassifierVersion, Lane, Person, Source
from escalations.policies import lanes
from escalations.states import Severity, VersionState

from .days import Days, Story
from .matters import MATTERS
from .vouchers import ACTION, BEFORE, IN_THE_WEEK, Voucher, vouchers

AGAIN = 6  # times that something like each of the week's matters came up in the half year before
NUMBERS = re.compile(r"\b(?:20|88|87)\d{3}\b")  # of orders and tickets
ALLOWED = 0.1  # small amounts: one in ten may be wrong
LOOKS = 4
FIRST, EVERY = 167.0, 2.1  # hours ago, and between two


def begin_warm(sources: dict[str, Source]) -> None:
    """Take in the half year before, and train on it. About a second; what it makes speaks beside the people from then on."""
    now = clock.now()
    cases = sorted([*past_vouchers(now), *past_matters(now)], key=lambda pair: pair[1].decided_at)
    for name, source in sources.items():
        history.take(source, [case for where, case in cases if where == name], actor=audit.SYSTEM, file="tickets-before.jsonl")
    asking.ask()
    if row := asking.claim():
        training.train(row.pk, row.token)


def past_vouchers(until: datetime) -> Iterator[tuple[str, Case]]:
    """Return vouchers of the half year that ends at `until`, labelled."""
    for number, one in enumerate(vouchers(BEFORE, 41, 18_000), start=1):
        at = until - timedelta(hours=12 * (BEFORE - number + 1))
        yield "billing", Case(one.key, one.asks, one.verdict, "", Severity.INFO, one.reason, at)


def past_matters(until: datetime) -> Iterator[tuple[str, Case]]:
    """Return what was like the ordinary matters of the week, labelled as people decide those."""
    chance = Random(7)
    for turn in range(AGAIN):
        for number, (_, where, asks, _, _, _, verdict, reason, _) in enumerate(MATTERS):
            text = NUMBERS.sub(lambda found: str(int(found.group()) - chance.randint(1, 9_000)), json.dumps(asks))
            at = until - timedelta(days=30 * turn + 1, hours=number % 24, minutes=number)
            yield where, Case(f"before-{turn}-{number}", json.loads(text), verdict, "", "", reason, at)


def begin(days: Days, people: dict[str, Person], source: Source, now: datetime) -> None:
    """Let the week's vouchers come among the days' other stories."""
    for number, one in enumerate(vouchers(IN_THE_WEEK, 52, 20_400)):
        ago = FIRST - EVERY * number
        days.begin(now - timedelta(hours=ago), voucher(days, people["rosa"], source, one, number))


def voucher(days: Days, person: Person, source: Source, one: Voucher, number: int) -> Story:
    """Post one; somebody reads and decides it, and the agent acts."""
    incident = days.post(source, one.key, one.asks)
    yield timedelta(minutes=6 + 5 * (number % 7))
    days.open(person, incident)
    yield timedelta(seconds=14 + 3 * (number % 11))
    days.sign(person, incident, one.verdict, one.reason)
    if not one.reason:
        yield timedelta(minutes=1)
        days.acknowledge(incident)


def show(people: dict[str, Person], source: Source) -> None:
    """Promote what was trained, and say how much may be wrong in the lane of vouchers; then let the evidence be counted.

    Nothing where it turned out no better than always saying the commonest.
    """
    ready = ClassifierVersion.objects.filter(state=VersionState.READY).defer("weights").order_by("-number").first()
    if ready is None or not promoting.better(ready, None)[0]:
        return
    promoting.promote(ready.pk, person=people["ada"], reason="Better than saying yes to all, on what came later.")
    if lane := Lane.objects.filter(source=source, by="action", subject=ACTION).first():
        lanes.set_target(lane.pk, alpha=ALLOWED, delta=lane.delta, person=people["milan"])
    memory = following.Memory()
    for _ in range(LOOKS):  # it sums up a few lanes at a look
        following.follow(5_000, memory)
