"""The agenda of a weekly review: counted once, when it is made, and kept. Its shape is told in docs/weekly.md."""

from collections import Counter
from datetime import timedelta
from statistics import quantiles
from typing import Any

from escalations.lifecycle.stepping import NOBODY
from escalations.models import Absence, Person
from escalations.states import State

from .firing import wrong_rules
from .gathering import MOST, WEEK, Came, Week, grants_of, of_team, rows_of
from .kinds import new_kinds

VERSION = 1
LISTED = 200  # escalations to judge; of a week with more the telling ones come first
WHYS = 20
SEEN_BEFORE = 13 * WEEK  # what came in the quarter before is not new

# Why something is on the list, the most telling first; a page says them in words.
MARKS = ("harmed", "expired", "climbed", "raised", "overridden", "waiting", "asked")


def agenda_of(week: Week) -> dict[str, Any]:
    """Return the agenda of a team's week. About eleven queries, whatever came."""
    came, over = week.came, week.over
    decided = [one for one in over if one.decided]
    _mark(week)
    listed = sorted(week.rows, key=lambda one: (min(map(MARKS.index, one.marks)), -one.routed_at.timestamp(), str(one.pk)))
    judged = [one for one in decided if one.overridden is not None]
    before = rows_of(of_team(week.role, week.since - SEEN_BEFORE, week.since), MOST)
    return {
        "v": VERSION, "since": week.since.isoformat(), "until": week.until.isoformat(), "capped": week.capped,
        "came": len(came), "decided": len(decided), "verdicts": dict(sorted(Counter(str(one.verdict) for one in decided).items())),
        "why": _why(came), "expired": sum("expired" in one.marks for one in week.rows),
        "climbed": sum("climbed" in one.marks for one in week.rows), "raised": sum("raised" in one.marks for one in week.rows),
        "overrides": {"judged": len(judged), "overridden": sum(one.overridden is True for one in judged)},
        "new_kinds": new_kinds(came, before), "lanes": _lanes(week), "wrong_rules": wrong_rules(week), "staffing": _staffing(week, decided),
        "items": [{"proposal": str(one.pk), "marks": one.marks} for one in listed[:LISTED]], "more": max(0, len(listed) - LISTED),
    }


def has_anything(agenda: dict[str, Any]) -> bool:
    """Say whether there is anything to talk about."""
    return bool(agenda["items"] or agenda["lanes"] or agenda["wrong_rules"])


def _mark(week: Week) -> None:
    """Say of each row why it is on the list."""
    for one in week.rows:
        steps = week.steps.get(one.pk, [])
        in_week = one.settled_at is not None and week.since <= one.settled_at < week.until
        marks = {
            "harmed": one.incident_id in week.harmed, "expired": in_week and one.by == "clock",
            "climbed": any(step.why in ("clock", NOBODY) for step in steps), "raised": any(step.why not in ("clock", NOBODY) for step in steps),
            "overridden": in_week and one.overridden is True, "waiting": one.state == State.PENDING,
        }
        one.marks = [name for name in MARKS if marks.get(name)] or ["asked"]


def _why(came: list[Came]) -> list[dict[str, Any]]:
    """Return why it came to people: each trigger and each rule that asked, with how much of what was decided went as proposed."""
    counts: dict[tuple[str, str], list[int]] = {}
    for one in came:
        asked = [("trigger", name) for name in dict.fromkeys(one.trigger_names)]
        strict = [rule for rule in one.rules if rule.get("floor") != "auto"]
        # What no rule of anybody's says, the past or a lane for instance, has no name: its own words stand for it.
        asked += dict.fromkeys(("rule", rule["name"]) if rule["name"] else ("floor", rule["why"].rstrip(".")) for rule in strict)
        for key in asked or [("floor", "nothing said that the machine may")]:
            count = counts.setdefault(key, [0, 0, 0])
            count[0] += 1
            count[1] += one.decided
            count[2] += one.as_proposed
    found = sorted(counts.items(), key=lambda one: (-one[1][0], one[0]))[:WHYS]
    return [{"what": what, "name": name, "came": all_, "decided": decided, "plain": plain} for (what, name), (all_, decided, plain) in found]


def _lanes(week: Week) -> list[dict[str, Any]]:
    return [
        {
            "lane": grant.lane_id, "source": grant.lane.source.name, "subject": grant.lane.subject, "what": what,
            "at": (grant.granted_at if what == "gained" else grant.ended_at).isoformat(),
            "by": grant.granted_by.name if what == "gained" else grant.ended_by.name if grant.ended_by else "",
            "why": grant.reason if what == "gained" else grant.get_end_display(), "alpha": grant.alpha,
        }
        for grant, what in grants_of(week)
    ]


def _staffing(week: Week, decided: list[Came]) -> dict[str, Any]:
    """Return how long it waited, how often nobody was there, and how arrivals lay against decisions over the days. Two queries."""
    waits = sorted((one.settled_at - one.routed_at).total_seconds() for one in decided if one.settled_at)
    members = Person.objects.filter(groups=week.role.pk, is_active=True)
    away = Absence.objects.filter(person__in=members, since__lt=week.until, until__gt=week.since).values("person").distinct()
    days = [week.since + timedelta(days=number) for number in range(7)]
    return {
        "members": members.count(), "away": away.count(), "deciding": len({one.person_id for one in decided}),
        "median": _quantile(waits, 50), "slow": _quantile(waits, 90),
        "nobody": sum(any(step.why == NOBODY for step in steps) for steps in week.steps.values()),
        "days": [
            {
                "day": day.date().isoformat(), "came": sum(day <= one.routed_at < day + timedelta(days=1) for one in week.came),
                "decided": sum(day <= one.settled_at < day + timedelta(days=1) for one in decided if one.settled_at),
            }
            for day in days
        ],
    }


def _quantile(ordered: list[float], percent: int) -> float | None:
    """Return a quantile of sorted seconds; the only one of one, None of none."""
    if not ordered:
        return None
    return ordered[0] if len(ordered) == 1 else quantiles(ordered, n=100, method="inclusive")[percent - 1]
