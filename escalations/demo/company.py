"""Marlow & Finch sell furniture online. Who works there, what runs there, what happened, and what waits."""

import secrets
from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.db import transaction

from escalations import audit, clock, policies, queue
from escalations.models import ApiKey, AuditEntry, EscalationPolicy, Incident, Person, Role, RoutingRule, Source
from escalations.models.people import MANAGER, QUEUE_MANAGER

from . import learned, runs, showcase
from .billing import BILLING
from .days import Days, post
from .desk import DESK
from .past import Room, tell

# Easy to read aloud and to type: no letters that look like others. 16 of them are about 78 bits.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class DemoPerson(TypedDict):
    name: str
    username: str
    password: str
    roles: list[str]


class DemoSource(TypedDict):
    name: str
    key: str
    signing_secret: str | None


class DemoCompany(TypedDict):
    """Everything that is shown once: who signs in how, and with which key a source posts. JSON throughout."""

    people: list[DemoPerson]
    sources: list[DemoSource]
    incidents: int


OWNER, SECOND = "administrator", "second administrator"  # who may do anything, and who confirms what needs two
PEOPLE: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "rosa", "Rosa Lindqvist",
        (QUEUE_MANAGER, "finance", "support", "supervisor", "operations", "process owner", "specialist", "security"), "",
    ),
    ("ines", "Ines Duarte", ("support", "supervisor"), ""),
    ("tomas", "Tomas Keller", ("finance", "operations"), ""),
    ("milan", "Milan Okafor", (MANAGER,), ""),
    ("ada", "Ada Brandt", (), OWNER),
    ("noor", "Noor Haddad", (), SECOND),
)


def install() -> DemoCompany:
    """Make the company, live through its last week, and post what waits today. For a new database only: a second time its names
    are taken (Invalid).

    The week is lived only where the record has not begun after it (`begins`): its entries stand in the order of time.
    """
    opened = begins()
    with_past = not AuditEntry.objects.filter(at__gt=opened).exists()
    moment = opened if with_past else clock.now()
    with clock.frozen_at(moment), transaction.atomic():
        people = [_person(*one) for one in PEOPLE]
        owner = Person.objects.get(username="ada")
        billing, billing_told = _source(
            "billing-agent", "Refunds, payments and account changes, as an AI agent proposes them.", owner,
            authoritative_paths=["payload.order.total"], known_irreversible=["close_account"],
        )
        desk, desk_told = _source(
            "support-desk", "Customers' messages, drafted answers, and the errors of the shop's own services.", owner, is_demo=True
        )
        _replies_can_be_taken_back()
    sources = {"billing": billing, "desk": desk}
    if with_past:
        with clock.frozen_at(moment):
            learned.begin_warm(sources)
    runs.lived(billing, Person.objects.get(username="ines"), moment if with_past else None)
    today = [
        *(("billing", f"demo-billing-{number}", one) for number, one in enumerate([*BILLING, *showcase.BILLING], start=1)),
        *(("desk", f"demo-desk-{number}", one) for number, one in enumerate([*DESK, *showcase.DESK], start=1)),
    ]
    if with_past:
        # What came a moment ago is left to the worker, so that there is something to watch.
        just_now = [one for one in today if one[2]["kind"] in ("alert", "handoff")]
        everybody = {one.username: one for one in Person.objects.all()}
        tell(Room(Days(), everybody, sources), clock.now(), [one for one in today if one not in just_now])
        learned.show(everybody, billing)
        queue.forget_wake_ups()  # a week's worth of them, for what is long done
        today = just_now
    for where, key, incident in today:
        post(sources[where], key, incident)
    runs.circling(billing)
    return DemoCompany(people=people, sources=[billing_told, desk_told], incidents=Incident.objects.count())


def begins() -> datetime:
    """Return when the company's record begins: before the week that it lives through."""
    return clock.now() - timedelta(days=8)


def _replies_can_be_taken_back() -> None:
    """Whoever signs a draft has a moment to think again: nothing is sent for twenty seconds."""
    standard = EscalationPolicy.objects.get(is_default=True)
    replies = EscalationPolicy(
        name="replies", description="For messages to customers: a signature can be taken back for twenty seconds.", undo_seconds=20,
        expires_after=standard.expires_after, fallback=standard.fallback, valid_for=standard.valid_for,
    )
    steps = [policies.Step(step.role, step.after, step.repeat) for step in standard.steps.select_related("role")]
    policies.save_policy(replies, steps=steps, actor=audit.SYSTEM)
    rule = RoutingRule(
        name="Messages to customers", priority=150, condition='incident.kind == "draft"', policy=replies,
        why="What is sent cannot be called back, so its signature can be for a moment.",
    )
    policies.save_rule(rule, actor=audit.SYSTEM)


def _person(username: str, name: str, roles: tuple[str, ...], administers: str) -> DemoPerson:
    first, _, last = name.partition(" ")
    person = Person(
        username=username, first_name=first, last_name=last, email=f"{username}@marlow-finch.example", is_staff=bool(administers),
        is_superuser=administers == OWNER,
    )
    password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))
    policies.save_person(person, actor=audit.SYSTEM, roles=list(Role.objects.filter(name__in=roles)), password=password)
    shown = [*roles, administers] if administers else list(roles)
    return DemoPerson(name=name, username=username, password=password, roles=shown)


def _source(name: str, description: str, owner: Person, **more: Any) -> tuple[Source, DemoSource]:
    source = Source(name=name, description=description, owner=owner, **more)
    secret = policies.save_source(source, actor=audit.SYSTEM)
    minted = policies.issue_key(source, env=ApiKey.LIVE, actor=audit.SYSTEM)
    return source, DemoSource(name=name, key=minted.text, signing_secret=secret)
