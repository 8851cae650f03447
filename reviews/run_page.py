"""What stands beside a run's steps: what it was told and how soon it knew, its alarms, what it asked people, and what one may do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db.models import Q

from escalations import authority, clock
from escalations.errors import CountersignError
from escalations.models import Incident, OversightSession, Person, Proposal, SessionAlarm, SessionOrder
from escalations.states import Order, RunState, State
from escalations.waits import Wait, estimates

from . import access
from .runs import Bar, Stands, bars_of, is_alive, is_run, limits_said, state_said

ORDERS = 50  # newest orders that are shown
SHORT = 4  # of them at once, the others folded
ASKED = 50  # newest incidents of a run
COLLEAGUES = 200
NAMES = {Order.PAUSE: "Pause", Order.RESUME: "Resume", Order.STOP: "Stop", Order.NOTE: "Note"}
ALARMS = {
    "loop": "The same again and again",
    "cycle": "Going round in a circle",
    "same_error": "The same error again and again",
    "no_progress": "No progress",
    "budget": "Near the end of its budget",
    "went_on": "Went on after it was told to stop",
    "silent": "Silent",
}
# Which states an order is for: what is offered, not what is allowed, which oversight says.
FITS = {
    Order.PAUSE: {RunState.RUNNING},
    Order.RESUME: {RunState.PAUSING, RunState.PAUSED},
    Order.STOP: {RunState.RUNNING, RunState.PAUSING, RunState.PAUSED},
    Order.NOTE: {RunState.RUNNING, RunState.PAUSING, RunState.PAUSED},
    authority.HAND_OVER: {RunState.RUNNING, RunState.PAUSING, RunState.PAUSED, RunState.STOPPING},
}


@dataclass(frozen=True)
class Told:
    """One order, and how long it took until the agent had it and until it said so, in milliseconds; None while it has not."""

    order: SessionOrder

    @property
    def name(self) -> str:
        return NAMES[Order(self.order.order)]

    @property
    def told_after(self) -> int | None:
        return millis(self.order.asked_at, self.order.told_at)

    @property
    def confirmed_after(self) -> int | None:
        return millis(self.order.asked_at, self.order.confirmed_at)


@dataclass
class Asked:
    """An incident of this run, with the newest of its proposals that its reader may read."""

    incident: Incident
    proposal: Proposal | None = None
    wait: Wait | None = None  # how long it may still take, as the agent is told

    @property
    def open(self) -> bool:
        return self.proposal is not None and self.proposal.state == State.PENDING


@dataclass
class Alarm:
    row: SessionAlarm
    asked: Asked | None

    @property
    def name(self) -> str:
        return ALARMS.get(self.row.name, self.row.name)


@dataclass
class Page(Stands):
    """How a run stands, for one reader. What costs a query is asked when it is first drawn."""

    run: OversightSession
    person: Person
    now: datetime = field(default_factory=clock.now)

    @property
    def bars(self) -> list[Bar]:
        return bars_of(self.run, self.now)

    @property
    def limits(self) -> dict[str, str]:
        return limits_said(self.run)

    @cached_property
    def told(self) -> list[Told]:
        """Return what it was told, the newest first. One query."""
        rows = SessionOrder.objects.filter(session=self.run).select_related("person").order_by("-number")[:ORDERS]
        return [Told(row) for row in rows]

    @property
    def told_newest(self) -> list[Told]:
        return self.told[:SHORT]

    @property
    def told_before(self) -> list[Told]:
        return self.told[SHORT:]

    @cached_property
    def pending(self) -> Told | None:
        """Return the last order that the agent has not confirmed, other than a note."""
        if not self.alive:
            return None
        return next((one for one in self.told if one.order.order != Order.NOTE and one.order.confirmed_at is None), None)

    @cached_property
    def asked(self) -> list[Asked]:
        """Return what it asked people, the newest first, alarms among it. Two queries, four where something waits."""
        incidents = list(
            Incident.objects.filter(source=self.run.source_id, session=str(self.run.pk))
            .defer("raw", "payload", "context", "body").order_by("-received_at", "-id")[:ASKED]
        )  # fmt: skip
        found = {one.pk: Asked(one) for one in incidents}
        if found:
            readable = access.unspoiled(access.proposals_for(self.person), self.person)
            rows = readable.filter(incident__in=found).select_related("incident", "source", "decision")
            for row in rows.defer("content", "description", "incident__raw").order_by("revision"):
                found[row.incident_id].proposal = row
        waiting = {one.proposal.pk: one for one in found.values() if one.proposal is not None and one.open}
        for pk, wait in estimates(one.proposal for one in waiting.values() if one.proposal is not None).items():
            waiting[pk].wait = wait
        return list(found.values())

    @cached_property
    def alarms(self) -> list[Alarm]:
        """Return its alarms, the newest first. One query besides those of `asked`."""
        asked = {one.incident.pk: one for one in self.asked}
        rows = SessionAlarm.objects.filter(session=self.run).order_by("-at", "-pk")[:ORDERS]
        return [Alarm(row, asked.get(row.incident_id) if row.incident_id else None) for row in rows]

    @property
    def approvals(self) -> list[Asked]:
        """Return what it asked people besides its alarms."""
        alarms = {one.row.incident_id for one in self.alarms}
        return [one for one in self.asked if one.incident.pk not in alarms]

    def may(self, order: str) -> bool:
        """Say whether to offer an order: its state is one for it, and this person may give it. No query when the roles are known."""
        return self.run.state in FITS[Order(order) if order in Order.values else order] and self.why_not(order) is None

    def why_not(self, order: str) -> CountersignError | None:
        return authority.why_not_run(self.person, self.run, order, roles=access.roles_of(self.person))

    @property
    def acts(self) -> list[str]:
        """Return the orders to offer."""
        return [str(one) for one in FITS if self.may(one)]

    @property
    def only_reads(self) -> str:
        """Return why this person may do nothing here; empty when they may do something, or there is nothing left to do."""
        if not self.alive or self.acts:
            return ""
        why = self.why_not(Order.STOP)
        return why.detail if why else ""

    @cached_property
    def colleagues(self) -> list[Person]:
        """Return to whom it can be given: who sits at the role that watches, or decides everywhere. One query."""
        people = Person.objects.filter(Q(groups=self.run.role_id) | Q(groups__role__decides_everything=True), is_active=True)
        others = people.exclude(pk__in=[one for one in (self.run.person_id, self.run.source.owner_id) if one])
        return list(others.distinct().order_by("first_name", "last_name", "username")[:COLLEAGUES])

    def texts(self) -> list[str]:
        """Return what its agent and people said beside the steps: what a veil has to know."""
        said = [one.order.text for one in self.told] + [one.row.why for one in self.alarms] + [self.run.detail]
        return [*said, *(one.incident.title for one in self.asked)]


@dataclass(frozen=True)
class Run:
    """The run an incident came from, and whether it is an alarm about it."""

    session: OversightSession
    alarm: SessionAlarm | None

    @property
    def alive(self) -> bool:
        return is_alive(self.session)

    @property
    def state(self) -> str:
        return state_said(self.session)


def run_of(incident: Incident, person: Person) -> Run | None:
    """Return the run an incident came from, if it is this source's and its reader's to read. Two queries, none where its session is no
    run's id."""
    pk = is_run(incident.session)
    if pk is None:
        return None
    session = access.runs_for(person).filter(pk=pk, source=incident.source_id).defer("recent").first()
    return Run(session, SessionAlarm.objects.filter(session=session, incident=incident).first()) if session else None


def millis(since: datetime, until: datetime | None) -> int | None:
    """Return the milliseconds between; None while the second is not there."""
    return None if until is None else max(0, round((until - since).total_seconds() * 1000))


def stoppable(person: Person, runs: Iterable[OversightSession]) -> tuple[list[OversightSession], int]:
    """Return those of the runs that this person may stop now, and how many others there are. No query when the roles are known."""
    runs = list(runs)
    found = [run for run in runs if Page(run, person).may(Order.STOP)]
    return found, len(runs) - len(found)
