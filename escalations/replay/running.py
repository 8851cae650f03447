"""A replay is worked off: a slice a task, a page a transaction, behind a lease and a token.

Each page is written with the place behind it and the counts so far in one UPDATE that only the holder of the token can make: a worker
killed at any line loses the page it was at, which the next one reads again, and nothing is counted twice. Who cancels it, or takes it
over after the lease, ends it for whoever still works on it: their next UPDATE finds nothing.
"""

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Coalesce

from escalations import audit, clock, queue
from escalations.errors import CountersignError
from escalations.floors import cel
from escalations.floors.anew import OF_STRUCTURE, OF_TEXT, Anew, Ask
from escalations.floors.rulebook import Rulebook
from escalations.models import Person, Proposal, Replay, ReplayItem, RoutingRule, Source
from escalations.states import ReplayState, Verdict

from . import counting, reading
from .asking import OPEN, rule_of, trigger_of

logger = logging.getLogger(__name__)

SLICE_SECONDS = 5.0  # then the other kinds of work have their turn
LEASE = timedelta(seconds=60)  # renewed by every page, which takes a second
MAX_ATTEMPTS = 3  # claims without a page in between
MISTAKES_KEPT = 10_000
OTHERS_KEPT = 500  # about so many in all, spread over the sources

_KEY = 0x636F_7573_6967_6E07


class Lost(Exception):
    """Somebody else holds it now, or it was cancelled."""


@dataclass(slots=True)
class Place:
    """Where the next page begins: in the sources' order, below `at` and `id`."""

    source: int = 0
    at: datetime | None = None
    id: UUID | None = None

    @classmethod
    def of(cls, cursor: dict[str, Any] | None) -> "Place":
        if not cursor:
            return cls()
        at, identifier = cursor.get("at"), cursor.get("id")
        return cls(cursor["source"], datetime.fromisoformat(at) if at else None, UUID(identifier) if identifier else None)

    @property
    def after(self) -> tuple[datetime, UUID] | None:
        return (self.at, self.id) if self.at and self.id else None

    def json(self) -> dict[str, Any]:
        return {"source": self.source, "at": self.at.isoformat() if self.at else None, "id": str(self.id) if self.id else None}


def run_slice(seconds: float = SLICE_SECONDS) -> bool:
    """Work on the oldest replay that is due for so long; True when there is more to do now. Called outside a transaction.

    One runs at a time, whoever works: replays leave the other workers to the incidents.
    """
    row = _claim()
    if row is None:
        return False
    try:
        done = _work(row, time.monotonic() + seconds)
    except Lost:
        return False
    except CountersignError as refused:
        _end(row, ReplayState.FAILED, refused.detail)
        return _is_due()
    except Exception as error:
        logger.exception("a replay failed", extra={"replay": row.pk})
        _give_back(row, f"{type(error).__name__} at {queue.whence(error)}")
        return False
    if done:
        _end(row, ReplayState.DONE)
    else:
        _held(row).update(lease_until=None)
    return _is_due()


def _claim() -> Replay | None:
    """Lease the oldest due replay unless one runs somewhere. Four queries."""
    now = clock.now()
    row: Replay | None = queue.lease_one(queue.replays_due(now), _KEY, now + LEASE, started_at=Coalesce("started_at", now))
    if row is None:
        return None
    if row.attempts > MAX_ATTEMPTS:
        _end(row, ReplayState.FAILED, row.error or "Its worker never finished.")
        return None
    return row


def _work(row: Replay, until: float) -> bool:
    """Go through pages until the time is up; True when there are no more."""
    rulebook = Rulebook.load()
    rows = list(RoutingRule.objects.select_related("category", "role", "policy"))
    ask = _ask(row, rulebook, rows)
    sources = {source.pk: source for source in Source.objects.select_related("owner").order_by("pk")}
    place = Place.of(row.cursor)
    stamp = _stamp(rulebook, rows)
    if row.cursor is None:
        row.total = reading.total(sources, row.since, row.until)
        row.result = counting.nothing() | {"rules": stamp}
        place.source = min(sources, default=0)
        _keep(row, place, [])
    elif row.result.get("rules") != stamp:
        row.result["rules_changed"] = True
    added = bool(ask.trigger in OF_TEXT | OF_STRUCTURE)
    each = max(20, OTHERS_KEPT // max(len(sources), 1))
    while True:
        source = sources.get(place.source)
        page = reading.page(source, row.since, row.until, place.after, added=added) if source else reading.Page(0, [], None)
        if page.last is None:
            following = [pk for pk in sources if pk > place.source]
            if not following:
                return True
            place = Place(following[0])
            continue
        place = Place(place.source, *page.last)
        items = _count(row, ask, page, each, str(place.source))
        row.done += page.incidents
        _keep(row, place, items)
        if time.monotonic() >= until:
            return False


def _ask(row: Replay, rulebook: Rulebook, rows: list[RoutingRule]) -> Ask:
    """Return what is tried. Raises Invalid when it cannot be tried any more (its role is gone)."""
    if row.kind == "trigger":
        return Ask.of_trigger(rulebook, rows, trigger_of(row.wanted))
    rule, condition = rule_of(row.wanted)
    kind, _, pk = row.subject.partition(" ")
    saved = next((one.name for one in rows if kind == "RoutingRule" and str(one.pk) == pk), "")
    return Ask.of_rule(rulebook, rows, rule, condition or cel.Failed("archived"), replaces=saved)


def _count(row: Replay, ask: Ask, page: reading.Page, each: int, source: str) -> list[ReplayItem]:
    """Judge a page anew, add it to the counts, and return the unsaved items to keep. Three queries at most."""
    judged = [(past.proposal, ask.of(past)) for past in page.past]
    matter = [proposal for proposal, anew in judged if counting.newly_alone(anew) or counting.newly_refused(anew)]
    said = reading.said_of(matter)
    row.result["incidents"] += page.incidents
    counting.count(row.result, ((anew, said.get(proposal.pk, "")) for proposal, anew in judged))
    seconds, timed, untimed = reading.pace(
        proposal.pk for proposal, anew in judged if counting.newly_alone(anew) and said[proposal.pk] in set(Verdict)
    )
    row.result["seconds"] += seconds
    row.result["timed"] += timed
    row.result["untimed"] += untimed
    return [item for proposal, anew in judged if (item := _item(row, proposal, anew, said.get(proposal.pk, ""), each, source))]


def _item(row: Replay, proposal: Proposal, anew: Anew, said: str, each: int, source: str) -> ReplayItem | None:
    """Return what is kept for reading: every would-be mistake, and the newest of what else would have gone another way."""
    if not counting.differences(anew):
        return None
    result = row.result
    if mistake := counting.is_mistake(anew, said):
        if result["mistakes_kept"] >= MISTAKES_KEPT:
            return None
        result["mistakes_kept"] += 1
    else:
        kept = result["others_kept"].get(source, 0)
        if kept >= each:
            return None
        result["others_kept"][source] = kept + 1
    return ReplayItem(
        replay=row, proposal=proposal, was=_shown(anew.was), becomes=_shown(anew.becomes),
        said=said if said in set(Verdict) else "", mistake=mistake,
    )


def _shown(outcome: Any) -> dict[str, Any]:
    return {
        "floor": outcome.floor, "role": outcome.role, "triggers": list(outcome.triggers), "policy": outcome.policy,
        "severity": outcome.severity,
    }


def _keep(row: Replay, place: Place, items: list[ReplayItem]) -> None:
    """Write the counts, the place behind them and the items in one transaction, and hold on. Raises Lost."""
    with transaction.atomic():
        now = clock.now()
        kept = _held(row).update(
            done=row.done, total=row.total, result=row.result, cursor=place.json(), lease_until=now + LEASE, attempts=0, error="",
        )
        if not kept:
            raise Lost
        ReplayItem.objects.bulk_create(items, ignore_conflicts=True)


def _end(row: Replay, state: ReplayState, error: str = "") -> None:
    with transaction.atomic():
        ended = _held(row).update(
            state=state, finished_at=clock.now(), next_try_at=None, lease_until=None, error=error[:300],
        )
        if ended:
            figures = counting.figures(row.result)
            person = Person.objects.get(pk=row.asked_by_id)
            audit.record(
                "replay.finished", actor=audit.SYSTEM, subject=f"Replay {row.pk}", name=row.name, state=str(state), looked_at=row.done,
                matched=row.result.get("matched", 0), alone=figures.alone, otherwise=figures.otherwise, asked_by=person.username,
            )


def _give_back(row: Replay, error: str) -> None:
    _held(row).update(lease_until=None, error=error[:300], next_try_at=clock.now() + timedelta(seconds=5 * row.attempts))


def _held(row: Replay) -> Any:
    return Replay.objects.filter(pk=row.pk, token=row.token, state__in=OPEN, lease_until__isnull=False)


def _is_due() -> bool:
    return bool(queue.replays_due(clock.now()).exists())


def _stamp(rulebook: Rulebook, rows: list[RoutingRule]) -> str:
    """Return a digest of what is read of today's rules: when it moves while a replay runs, its counts are of two worlds, and say so."""
    told = [
        sorted([one.name, one.version] for one in rows),
        sorted([one.name, one.enabled, one.role_id, one.policy_id, one.settings] for one in rulebook.triggers.values()),
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
