"""A fortnight of proposals in which nobody answers: each step fires once, at the moment a slow and obvious reckoning finds.

Four calendars in three zones, a country's holidays, the days on which Europe and America change their clocks, people who are away
and timers that stood still for hours. The reckoning knows nothing of `worktime` or of `lifecycle`: it looks at the clock on the wall every
half hour and counts.
"""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from escalations import audit, clock, lifecycle, policies, worktime
from escalations.floors.rulebook import Rulebook
from escalations.lifecycle.stepping import run_of
from escalations.models import (
    Absence,
    Calendar,
    Decision,
    EscalationPolicy,
    Incident,
    Proposal,
    Role,
    StepRun,
    roles_with_somebody,
)
from tests.factories import PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

HALF = timedelta(minutes=30)
BEGIN = datetime(2026, 10, 20, tzinfo=UTC)  # Europe changes on 25 October, America on 1 November
END = BEGIN + timedelta(days=14)
STOPPED = (datetime(2026, 10, 27, 9, 30, tzinfo=UTC), datetime(2026, 10, 27, 15, 30, tzinfo=UTC))
ROLES = ("finance", "support", "security", "manager")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def week(*stretches, days=DAYS[:5], **others):
    return {**dict.fromkeys(days, list(stretches)), **others}


CALENDARS = {
    "Vienna": ("Europe/Vienna", week(["09:00", "12:30"], ["13:30", "18:00"]), "AT"),
    "Vienna's nights": ("Europe/Vienna", week(["22:00", "24:00"], days=DAYS, sat=[["00:00", "06:00"]], sun=[["00:00", "04:30"]]), ""),
    "New York": ("America/New_York", week(["08:00", "17:00"], sun=[["00:30", "05:00"]]), "US"),
    "Kolkata": ("Asia/Kolkata", week(["09:30", "18:30"], sat=[["10:00", "13:00"]]), "IN"),
    "none": None,
}
POLICIES = {  # calendar, (role, half hours, repeats)…, expiry in half hours
    "Vienna, quick": ("Vienna", [("support", 3, 0), ("manager", 3, 1)], 20),
    "Vienna, slow": ("Vienna", [("manager", 15, 0)], 60),
    "At night": ("Vienna's nights", [("security", 3, 1), ("manager", 5, 0)], 30),
    "New York": ("New York", [("support", 4, 0), ("security", 4, 0), ("manager", 4, 0)], 32),
    "Kolkata": ("Kolkata", [("manager", 8, 1)], 24),
    "Round the clock": ("none", [("support", 8, 0), ("manager", 8, 0)], 24),
}


# -- the company


def company():
    """Make calendars, policies, people and their absences; return who is away when, per role."""
    for name, given in CALENDARS.items():
        if given:
            zone, hours, country = given
            with clock.frozen_at(BEGIN):
                policies.save_calendar(Calendar(name=name, time_zone=zone, hours=hours, country=country), days=[], actor=audit.SYSTEM)
    for name, (calendar, steps, expires) in POLICIES.items():
        policy = EscalationPolicy(
            name=name, expires_after=expires * HALF, calendar=Calendar.objects.filter(name=calendar).first(),
        )
        written = [policies.Step(role(asked), after * HALF, repeat) for asked, after, repeat in steps]
        with clock.frozen_at(BEGIN):
            policies.save_policy(policy, steps=written, actor=audit.SYSTEM)
    absences = defaultdict(list)
    chance = random.Random(1)
    for name in ROLES:
        person = PersonFactory(roles=[name])
        since = BEGIN
        for _ in range(4):
            since += HALF * chance.randrange(20, 150)
            until = since + HALF * chance.randrange(4, 60)
            Absence.objects.create(person=person, since=since, until=until)
            absences[name].append((since, until))
            since = until
    return absences


# -- the slow and obvious reckoning


@cache
def is_open(calendar, moment):
    if CALENDARS[calendar] is None:
        return True
    zone, hours, _ = CALENDARS[calendar]
    wall = moment.astimezone(ZoneInfo(zone))
    if wall.date().isoformat() in HOLIDAYS[calendar]:
        return False
    return any(opens <= f"{wall:%H:%M}" < closes for opens, closes in hours.get(DAYS[wall.weekday()], []))


@cache
def turns(moment):
    """Say whether the timers turn at this moment."""
    return not STOPPED[0] <= moment < STOPPED[1]


@cache
def later(calendar, since, left):
    """Return when so many half hours of working time have passed since a moment."""
    moment = since
    while left:
        left -= is_open(calendar, moment)
        moment += HALF
    return moment


def reckon(policy, asked, posted, here):
    """Return [(step, role, due, fired, why)…] and (when it runs out, when it was noticed): each half hour, look."""
    calendar, steps, expires = POLICIES[policy]
    chain = [(name, after) for name, after, repeat in steps for _ in range(repeat + 1)]
    runs_out = later(calendar, posted, expires)
    fired, step, since = [], 0, posted

    def past_nobody(moment):
        """Nobody of the role is there: go up to the first who is, the managers at last; stay where nobody is anywhere."""
        nonlocal step, asked, since
        if here(asked, moment) or not is_open(calendar, moment):
            return
        above = [*(name for name, _ in chain[step:]), *([] if (chain[step:] or [(asked, 0)])[-1][0] == "manager" else ["manager"])]
        if not any(here(name, moment) for name in above):
            return
        while not here(asked, moment):
            asked = above.pop(0)
            step += 1
            fired.append((step, asked, moment, moment, "nobody"))
        since = moment

    past_nobody(posted)
    moment = posted
    while True:
        if turns(moment):
            while True:
                due = later(calendar, since, chain[step][1]) if step < len(chain) else runs_out
                if runs_out <= moment:
                    return fired, (runs_out, moment)
                if due > moment:
                    break
                step, asked, since = step + 1, chain[step][0], due
                fired.append((step, asked, due, moment, "clock"))
                past_nobody(moment)
            past_nobody(moment)
        moment += HALF


HOLIDAYS: dict[str, set[str]] = {}


# -- the fortnight


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.chaos)])  # ten thousand take minutes
def test_each_step_of_a_fortnight_fires_once_at_the_moment_the_slow_one_reckons(many):
    absences = company()
    HOLIDAYS.update({
        one.name: {day.isoformat() for day in one.holidays.values_list("day", flat=True)} for one in Calendar.objects.all()
    })
    HOLIDAYS.setdefault("none", set())
    assert "2026-10-26" in HOLIDAYS["Vienna"] and HOLIDAYS["Kolkata"]
    posted = post(many)
    with clock.frozen_at(BEGIN):
        rulebook = Rulebook.load()

    moment = BEGIN
    while moment < END or Proposal.objects.filter(state="pending").exists():
        with clock.frozen_at(moment):
            put(posted.get(moment, []), replace(rulebook, present=roles_with_somebody(moment)), moment)
            if turns(moment):
                while lifecycle.run_out(limit=1_000):
                    pass
                while lifecycle.climb(limit=1_000):
                    pass
        moment += HALF

    names = dict(Role.objects.values_list("pk", "name"))
    found = defaultdict(list)
    for run in StepRun.objects.order_by("proposal_id", "step").values_list("proposal_id", "step", "role_id", "due_at", "fired_at", "why"):
        found[run[0]].append((run[1], names[run[2]], *run[3:]))
    decided = dict(Decision.objects.values_list("proposal_id", "decided_at"))
    ends = dict(Proposal.objects.values_list("pk", "expires_at"))

    def here(name, moment):
        return not any(since <= moment < until for since, until in absences[name])

    reckoned, checked, climbed = {}, 0, 0
    for when, several in posted.items():
        for one, policy, asked in several:
            if (policy, asked, when) not in reckoned:
                reckoned[policy, asked, when] = reckon(policy, asked, when, here)
            steps, (expires, ended) = reckoned[policy, asked, when]
            assert found[one.pk] == steps, (policy, asked, when)
            assert (ends[one.pk], decided[one.pk]) == (expires, ended), (policy, asked, when)
            checked += 1
            climbed += any(step[4] == "nobody" for step in steps)
    assert checked == many == Decision.objects.filter(type="reject", by_kind="clock").count()
    assert climbed > many / 20 and any(step[3] - step[2] > HALF for steps, _ in reckoned.values() for step in steps)


def post(many):
    """Return what is asked when: {moment: [(proposal, policy, role)…]}, saved and not yet placed."""
    chance, when = random.Random(2), defaultdict(list)
    source = SourceFactory()
    incidents = Incident.objects.bulk_create(
        Incident(source=source, key=f"f-{number}", body_digest="0" * 64, kind="action", title="t", status="waiting", received_at=BEGIN)
        for number in range(many)
    )
    kinds = list(POLICIES)
    for incident in incidents:
        moment = BEGIN + HALF * chance.randrange(int((END - BEGIN) / HALF))
        one = ProposalFactory.build(incident=incident, source=source, test=False, kind="action", title="t", role=None)
        when[moment].append((one, chance.choice(kinds), chance.choice(ROLES)))
    return when


def put(several, rulebook, moment):
    """Put them into their queues as placing does, with one INSERT."""
    ids = {role.name: pk for pk, role in rulebook.roles.items()}
    by_name = {policy.name: policy for policy in rulebook.policies.values()}
    runs = []
    for one, policy, asked in several:
        frozen = rulebook.frozen(by_name[policy])
        expires_at = worktime.add(frozen["calendar"], moment, frozen["expires_after"])
        begun = lifecycle.start(frozen, ids[asked], moment, expires_at=expires_at, rulebook=rulebook)
        one.policy, one.role_id, one.asked, one.step = frozen, begun.role_id, begun.asked, begun.step
        one.routed_at, one.due_at, one.expires_at = moment, begun.due_at, expires_at
        runs += [run_of(one, rung, moment) for rung in begun.rungs]
    Proposal.objects.bulk_create([one for one, _, _ in several])
    StepRun.objects.bulk_create(runs)
