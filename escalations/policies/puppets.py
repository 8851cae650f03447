"""Two administrators who are one: whoever makes an account, or sets its password, can sign in as it.

So two people of whom one has lately made the other an administrator, or set the other's password or mail address, do not count as
two. `createsuperuser` on the machine, and what the demo company brings, is no person's doing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from escalations import clock
from escalations.models import AuditEntry, Person

LATELY = timedelta(days=7)  # time for the other one to notice, and for colleagues to
OPENS = frozenset({"username", "email", "is_staff", "is_superuser", "is_active", "password"})
FARTHEST = 5  # made by somebody who was made by somebody


@dataclass(frozen=True, slots=True)
class Account:
    """Who has lately opened somebody's account, and which names that somebody had meanwhile."""

    makers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


def why_not_two(one: Person, other: Person) -> str:
    """Return why these two do not count as two people, in words; "" when they do. One query, more where one was made lately."""
    accounts = _accounts([one, other])
    for maker, made in ((one, other), (other, one)):
        if accounts[maker.pk].names & _makers(accounts[made.pk]):
            return (
                f"{maker.name} made {made.name} an administrator, or set how {made.name} signs in, within the last {LATELY.days} days. "
                "Until then the two do not count as two: ask somebody else."
            )
    return ""


def without(people: Iterable[Person], one: Person) -> list[Person]:
    """Return those of these people who count as somebody else than `one`. One query, more where somebody was made lately."""
    people = list(people)
    accounts = _accounts([one, *people])
    mine, makers = accounts[one.pk].names, _makers(accounts[one.pk])
    return [other for other in people if not (accounts[other.pk].names & makers or mine & _makers(accounts[other.pk]))]


def _makers(account: Account) -> set[str]:
    """Return the user names of who made this account, and of who made those. No query where nobody did."""
    found: set[str] = set()
    fresh = account.makers
    for _ in range(FARTHEST):
        fresh = fresh - found
        if not fresh:
            break
        found |= fresh
        fresh = set().union(*(one.makers for one in _accounts(list(Person.objects.filter(username__in=fresh))).values()))
    return found


def _accounts(people: list[Person]) -> dict[int, Account]:
    """Return what was lately done to these people's accounts. One query, along an index."""
    found = {person.pk: Account(names={person.username}) for person in people}
    entries = AuditEntry.objects.filter(
        subject__in=[f"Person {pk}" for pk in found], action="person.saved", at__gte=clock.now() - LATELY
    ).values_list("subject", "actor_kind", "actor", "body")
    opened = []
    for subject, kind, actor, body in entries:
        changed = json.loads(body)["facts"]["changed"]
        account = found[int(subject.removeprefix("Person "))]
        if before := changed.get("username", {}).get("old"):
            account.names.add(before)
        if kind == "person" and OPENS & set(changed):
            opened.append((account, actor))
    for account, actor in opened:
        if actor not in account.names:
            account.makers.add(actor)
    return found
