"""One factory per model, valid by default, minimal: a test states only what it is about."""

from datetime import timedelta
from typing import Any

from factory import LazyAttribute, LazyFunction, Sequence, SubFactory, post_generation
from factory.django import DjangoModelFactory

from escalations import canonical, clock, search
from escalations.models import (
    ApiKey,
    EscalationPolicy,
    Incident,
    OversightSession,
    Person,
    PersonToken,
    Proposal,
    Role,
    RoutingRule,
    SessionAlarm,
    SessionOrder,
    SessionStep,
    Source,
    Work,
)
from escalations.states import DEFAULT_DECISIONS, Kind, Order, Status

STANDARD = {
    "name": "standard", "version": 1, "steps": [], "expires_after": 43_200, "fallback": "reject", "valid_for": 86_400,
}


def role(name: str = "queue manager") -> Role:
    """Return a role by name, one of the defaults or a new one."""
    found, _ = Role.objects.get_or_create(name=name)
    return found


class PersonFactory(DjangoModelFactory):
    class Meta:
        model = Person
        skip_postgeneration_save = True

    username = Sequence(lambda n: f"person{n}")
    email = LazyAttribute(lambda person: f"{person.username}@countersign.example")
    first_name = Sequence(lambda n: f"Robin{n}")
    last_name = "Reviewer"

    @post_generation
    def roles(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        """`PersonFactory(roles=["finance"])`."""
        if create and extracted:
            self.groups.set([role(name) for name in extracted])

    @post_generation
    def password(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        """`PersonFactory(password="…")`; unusable without."""
        self.set_password(extracted)
        if create:
            self.save()


class SourceFactory(DjangoModelFactory):
    class Meta:
        model = Source

    name = Sequence(lambda n: f"agent-{n}")


class ApiKeyFactory(DjangoModelFactory):
    class Meta:
        model = ApiKey

    source = SubFactory(SourceFactory)
    key_id = Sequence(lambda n: f"key{n}")
    secret_hash = "0" * 64


class PersonTokenFactory(DjangoModelFactory):
    class Meta:
        model = PersonToken

    person = SubFactory(PersonFactory)
    key_id = Sequence(lambda n: f"token{n}")
    secret_hash = "0" * 64
    minted_by = "test"
    expires_at = LazyFunction(lambda: clock.now() + timedelta(days=1))


class IncidentFactory(DjangoModelFactory):
    class Meta:
        model = Incident

    source = SubFactory(SourceFactory)
    key = Sequence(lambda n: f"key-{n}")
    body_digest = "0" * 64
    kind = Kind.ACTION
    title = "Refund $250 for order 1182"
    status = Status.WAITING


class ProposalFactory(DjangoModelFactory):
    """A routed, pending proposal in the queue manager's queue, due in four hours, unless the test says otherwise."""

    class Meta:
        model = Proposal
        skip_postgeneration_save = True

    incident = SubFactory(IncidentFactory)
    source = LazyAttribute(lambda proposal: proposal.incident.source)
    test = LazyAttribute(lambda proposal: proposal.incident.test)
    kind = LazyAttribute(lambda proposal: proposal.incident.kind)
    title = LazyAttribute(lambda proposal: proposal.incident.title)
    action = "refund"
    args = LazyFunction(lambda: {"order": 1182, "amount": 250})
    draft = None
    content = LazyAttribute(
        lambda proposal: canonical.content_text(proposal.action or None, proposal.args, proposal.draft)
    )
    args_digest = LazyAttribute(lambda proposal: canonical.digest_of(proposal.content))
    allowed_decisions = LazyAttribute(lambda proposal: [str(one) for one in DEFAULT_DECISIONS[Kind(proposal.kind)]])
    policy = LazyFunction(lambda: dict(STANDARD))
    role = LazyFunction(role)
    asked = LazyAttribute(lambda proposal: [proposal.role.pk] if proposal.role else [])
    routed_at = LazyFunction(clock.now)
    due_at = LazyFunction(lambda: clock.now() + timedelta(hours=4))
    expires_at = LazyFunction(lambda: clock.now() + timedelta(hours=12))

    @post_generation
    def findable(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        """Routing writes the words a proposal is found by; `findable=False` for one that was routed before there were any."""
        if create and self.routed_at and extracted is not False:
            search.remember(self)


class WorkFactory(DjangoModelFactory):
    class Meta:
        model = Work

    incident = SubFactory(IncidentFactory)


class PolicyFactory(DjangoModelFactory):
    class Meta:
        model = EscalationPolicy

    name = Sequence(lambda n: f"policy {n}")


class RuleFactory(DjangoModelFactory):
    class Meta:
        model = RoutingRule

    name = Sequence(lambda n: f"rule {n}")
    condition = "true"


class OversightSessionFactory(DjangoModelFactory):
    """A run that has just begun, watched by the supervisors, without limits."""

    class Meta:
        model = OversightSession

    source = SubFactory(SourceFactory)
    body_digest = "0" * 64
    agent = "researcher"
    goal = "Find the cheapest flight to Oslo"
    role = LazyFunction(lambda: role("supervisor"))


class SessionStepFactory(DjangoModelFactory):
    """A step of a run; what the run says of its steps is for the test to say."""

    class Meta:
        model = SessionStep

    session = SubFactory(OversightSessionFactory)
    number = Sequence(lambda n: n + 1)
    tool = "search"
    args = LazyFunction(lambda: {"query": "flights to Oslo"})
    result = LazyFunction(lambda: {"found": 3})


class SessionOrderFactory(DjangoModelFactory):
    class Meta:
        model = SessionOrder

    session = SubFactory(OversightSessionFactory)
    number = 1
    order = Order.PAUSE
    person = SubFactory(PersonFactory)


class SessionAlarmFactory(DjangoModelFactory):
    class Meta:
        model = SessionAlarm

    session = SubFactory(OversightSessionFactory)
    name = "loop"
    why = "search was called 5 times with the same args"
