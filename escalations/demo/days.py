"""The company's last days, as they would have been: every step through the same verbs as ever, at the moment it is said to be of.

A story is a generator: it does something, yields how long nothing happens, and goes on. `Days` runs many at once in the order of
time, so that the record's entries are in order too.
"""

import heapq
import json
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps

from escalations import audit, canonical, classify, clock, ingest, lifecycle, route
from escalations.api import fields, inputs
from escalations.models import ApiKey, Decision, Incident, Person, Proposal, Source
from escalations.states import State

Story = Generator[timedelta, None, None]


class Days:
    """Runs stories side by side. Everything they do happens at `clock.now()`, which is held at the story's own moment."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Story]] = []
        self._told = 0

    def begin(self, at: datetime, story: Story) -> None:
        """Let a story begin at a moment."""
        self._told += 1
        heapq.heappush(self._waiting, (at, self._told, story))

    def run(self, until: datetime) -> None:
        """Run what happens before `until`; what would happen later never does."""
        while self._waiting and self._waiting[0][0] < until:
            at, _, story = heapq.heappop(self._waiting)
            with clock.frozen_at(at):
                pause = next(story, None)
            if pause is not None:
                self.begin(at + pause, story)

    # -- what sources do

    def post(self, source: Source, key: str, incident: dict[str, Any]) -> Incident:
        """Post an incident, let our own engines classify it, route it."""
        received = post(source, key, incident)
        self._triage()
        return received

    def revise(self, incident: Incident, content: dict[str, Any]) -> None:
        """Post another revision."""
        lifecycle.revise(incident.pk, content=content, actor=audit.Actor.source(incident.source))
        self._triage()

    def add(self, incident: Incident, context: dict[str, Any]) -> None:
        """Add context."""
        lifecycle.add_context(incident.pk, context=context, actor=audit.Actor.source(incident.source))

    def acknowledge(self, incident: Incident, detail: str = "") -> None:
        """Say that the agent has acted; `detail` says why it could not."""
        decision = Decision.objects.filter(proposal__incident=incident).order_by("-decided_at").first()
        lifecycle.acknowledge(
            incident.pk, result="failed" if detail else "done", args_digest=decision.args_digest if decision else None,
            detail=detail, actor=audit.Actor.source(incident.source),
        )
        if detail:
            self._triage()

    # -- what people do

    def open(self, person: Person, incident: Incident) -> Proposal:
        """Open the proposal's page: the room notes that, and how much there was to read."""
        proposal = open_one(incident)
        said = [incident.title, incident.body, proposal.content, proposal.description, json.dumps(incident.context)]
        glance = apps.get_model("reviews", "Glance")  # an upward name: the rows of the room that a past leaves behind
        glance.objects.create(proposal=proposal, person=person, version=proposal.version, length=sum(map(len, said)))
        return proposal

    def sign(self, person: Person, incident: Incident, type: str, reason: str = "", **more: Any) -> None:
        """Sign what is shown now; what may be taken back settles when that time is over."""
        proposal = open_one(incident)
        outcome = lifecycle.decide(
            proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version, reason=reason, **more
        )
        if outcome.held is not None:
            self.begin(outcome.held.settles_at, _settle())

    def _triage(self) -> None:
        """Classify by our own engines, whatever else is on (nobody paid a model to read the past), and route."""
        classify.run_own()
        route.run_batch()


def _settle() -> Story:
    lifecycle.settle_held()
    yield from ()


def post(source: Source, key: str, incident: dict[str, Any]) -> Incident:
    """Post an incident by the door everybody uses; the worker does the rest."""
    data = fields.read(inputs.IncidentIn, incident, source=source)
    received, _ = ingest.receive(
        source=source, key_env=ApiKey.LIVE, data=data, key=key, raw=None, sanitised=False,
        body_digest=canonical.body_digest(incident),
    )
    return received


def open_one(incident: Incident) -> Proposal:
    """Return the incident's pending proposal."""
    return Proposal.objects.get(incident=incident, state=State.PENDING)
