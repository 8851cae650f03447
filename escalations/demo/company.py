"""Marlow & Finch sell furniture online. Who works there, what runs there, and how its incidents come in."""

import secrets
from typing import Any, TypedDict

from django.db import transaction

from escalations import audit, canonical, ingest, policies
from escalations.api import fields, inputs
from escalations.models import ApiKey, Person, Role, Source
from escalations.models.people import MANAGER, QUEUE_MANAGER

from .billing import BILLING
from .desk import DESK

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


PEOPLE: tuple[tuple[str, str, tuple[str, ...], bool], ...] = (
    (
        "rosa", "Rosa Lindqvist",
        (QUEUE_MANAGER, "finance", "support", "supervisor", "operations", "process owner", "specialist", "security"), False,
    ),
    ("milan", "Milan Okafor", (MANAGER,), False),
    ("ada", "Ada Brandt", (), True),
)


def install() -> DemoCompany:
    """Make the company and post its incidents. For a new database only: a second time its names are taken (Invalid).

    The people and sources are one transaction; each incident is its own, as it would be over HTTP.
    """
    with transaction.atomic():
        people = [_person(*one) for one in PEOPLE]
        owner = Person.objects.get(username="ada")
        billing, billing_told = _source(
            "billing-agent", "Refunds, payments and account changes, as an AI agent proposes them.", owner,
            authoritative_paths=["payload.order.total"], known_irreversible=["close_account"],
        )
        desk, desk_told = _source(
            "support-desk", "Customers' messages, drafted answers, and the errors of the shop's own services.", owner, is_demo=True
        )
    for number, incident in enumerate(BILLING, start=1):
        _post(billing, f"demo-billing-{number}", incident)
    for number, incident in enumerate(DESK, start=1):
        _post(desk, f"demo-desk-{number}", incident)
    return DemoCompany(people=people, sources=[billing_told, desk_told], incidents=len(BILLING) + len(DESK))


def _person(username: str, name: str, roles: tuple[str, ...], administers: bool) -> DemoPerson:
    first, _, last = name.partition(" ")
    person = Person(
        username=username, first_name=first, last_name=last, email=f"{username}@marlow-finch.example", is_staff=administers,
        is_superuser=administers,
    )
    password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))
    policies.save_person(person, actor=audit.SYSTEM, roles=list(Role.objects.filter(name__in=roles)), password=password)
    shown = [*roles, "administrator"] if administers else list(roles)
    return DemoPerson(name=name, username=username, password=password, roles=shown)


def _source(name: str, description: str, owner: Person, **more: Any) -> tuple[Source, DemoSource]:
    source = Source(name=name, description=description, owner=owner, **more)
    secret = policies.save_source(source, actor=audit.SYSTEM)
    minted = policies.issue_key(source, env=ApiKey.LIVE, actor=audit.SYSTEM)
    return source, DemoSource(name=name, key=minted.text, signing_secret=secret)


def _post(source: Source, key: str, incident: dict[str, Any]) -> None:
    data = fields.read(inputs.IncidentIn, incident, source=source)
    ingest.receive(
        source=source, key_env=ApiKey.LIVE, data=data, key=key, raw=None, sanitised=False,
        body_digest=canonical.body_digest(incident),
    )
