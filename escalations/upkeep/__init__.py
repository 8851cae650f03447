"""Nothing configured may silently do nothing: what was set up and does not work is found, named, and kept where people look.

`look` is the timers' every ten minutes; pages and the command line ask `findings` themselves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from escalations import clock
from escalations.models import Heartbeat

from . import machine, people
from .caught import Caught, caught_by, caught_in
from .finding import Finding
from .world import World

CONFIGURATION = "configuration"  # the heartbeat's name
EVERY = 600.0  # seconds
KEPT = 100  # findings in the heartbeat; all of them stand on the page
STALE = timedelta(minutes=30)

CHECKS = (
    machine.stopped, people.the_last_resort, people.roles, people.policies, machine.rules, machine.lanes, machine.triggers, machine.sources,
    machine.calendars, people.telling, people.second_administrators,
)  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What was found when somebody last looked. `stale`: nobody has looked for half an hour, so it may be otherwise."""

    at: datetime | None
    findings: list[Finding]
    count: int
    grave: int
    stale: bool


def findings() -> list[Finding]:
    """Return what is wrong with the configuration now, the gravest first. Twenty queries, each bounded."""
    world = World.read()
    found = [one for check in CHECKS for one in check(world)]
    return sorted(found, key=lambda one: not one.grave)


def look() -> int:
    """Look once and keep what was found; return how many."""
    found = findings()
    detail: dict[str, Any] = {
        "clean": not found, "count": len(found), "grave": sum(one.grave for one in found),
        "findings": [one.as_json() for one in found[:KEPT]],
    }  # fmt: skip
    Heartbeat.objects.update_or_create(name=CONFIGURATION, defaults={"at": clock.now(), "detail": detail})
    return len(found)


def kept() -> Kept:
    """Return what was last found. One query."""
    beat = Heartbeat.objects.filter(name=CONFIGURATION).first()
    if beat is None:
        return Kept(None, [], 0, 0, stale=True)
    detail = beat.detail
    return Kept(
        beat.at, [Finding(**one) for one in detail.get("findings", [])], detail.get("count", 0), detail.get("grave", 0),
        stale=clock.now() - beat.at > STALE,
    )


__all__ = ["CONFIGURATION", "EVERY", "Caught", "Finding", "Kept", "caught_by", "caught_in", "findings", "kept", "look"]
