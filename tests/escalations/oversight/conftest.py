"""A run, its agent, and who watches."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from escalations import clock, oversight
from escalations.models import AuditEntry, OversightSession
from tests.factories import PersonFactory, SourceFactory


class Agent:
    """An agent with one run, spoken for as its client would speak."""

    def __init__(self, **data):
        self.source = data.pop("source", None) or SourceFactory(owner=data.pop("owner", None))
        self.session, _ = oversight.start(
            source=self.source, key_env="live", data={"agent": "researcher", **data}, key=None, body_digest="0" * 64
        )
        self.pk = self.session.pk

    def step(self, tool="search", args=None, seen=None, **more):
        """Take one step; return the directive."""
        return self.steps([{"tool": tool, "args": args, **more}], seen=seen).directive

    def steps(self, steps, seen=None):
        return oversight.take_steps(self.pk, source=self.source, steps=steps, seen=seen)

    def new_steps(self, count):
        """Take so many steps that are all different."""
        have = self.now.steps
        return self.steps([{"tool": "read", "args": {"page": have + n}, "result": f"text {have + n}"} for n in range(count)])

    def ask(self, seen=None):
        return oversight.directive(self.pk, source=self.source, seen=seen)

    def end(self, outcome="done", **more):
        return oversight.end(self.pk, source=self.source, outcome=outcome, **more)

    @property
    def now(self):
        return OversightSession.objects.get(pk=self.pk)

    @property
    def recorded(self):
        return list(
            AuditEntry.objects.filter(subject=f"OversightSession {self.pk}").order_by("pk").values_list("action", flat=True)
        )


@pytest.fixture
def agent(db):
    return Agent(goal="Find flights")


@pytest.fixture
def watchers(db):
    """Who has to do with a run: sits at its role's queue, manages, reads everything, none of these, owns an agent."""
    people = {
        "sue": PersonFactory(username="sue", first_name="Sue", last_name="Super", roles=["supervisor"]),
        "mona": PersonFactory(username="mona", first_name="Mona", last_name="Manager", roles=["manager"]),
        "audrey": PersonFactory(username="audrey", roles=["auditor"]),
        "fred": PersonFactory(username="fred", roles=["finance"]),
        "olaf": PersonFactory(username="olaf"),
        "opal": PersonFactory(username="opal", first_name="Opal", last_name="Ops", roles=["operations"]),
    }
    return SimpleNamespace(**people)


@pytest.fixture
def later():
    """Return a context in which it is so many seconds later than now."""
    return lambda seconds: clock.frozen_at(clock.now() + timedelta(seconds=seconds))
