"""What the URL of the inbox asks for."""

from dataclasses import dataclass, fields
from functools import cached_property
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from escalations.models import Person, Source
from escalations.states import TRIGGERS, Kind, Risk, Severity

from .order import ORDERS

HELD = ("me", "nobody")


@dataclass(frozen=True)
class Filters:
    """Unknown values are dropped, so that an old link still shows a list."""

    role: str = ""
    kind: str = ""
    severity: str = ""
    risk: str = ""
    trigger: str = ""
    source: str = ""
    held: str = ""
    q: str = ""
    order: str = ""  # empty: as the person prefers

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        known = {
            "kind": Kind.values,
            "severity": Severity.values,
            "risk": Risk.values,
            "trigger": TRIGGERS,
            "held": HELD,
            "order": ORDERS,
        }
        said = {one.name: query.get(one.name, "").replace("\0", "").strip()[:120] for one in fields(cls)}
        return cls(**{name: text for name, text in said.items() if name not in known or text in known[name]})

    @cached_property  # a list asks in each of its rows
    def query(self) -> str:
        """Return the filters as a query string without the question mark; empty when nothing is asked for."""
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})

    @property
    def asked(self) -> str:
        """Return what goes behind a path to ask for the same again: "?kind=alert", or nothing."""
        return f"?{self.query}" if self.query else ""

    @property
    def narrows(self) -> bool:
        """Say whether anything is left out."""
        return self != Filters(order=self.order)

    @property
    def folded(self) -> bool:
        """Say whether one of the filters that a page may fold away is set."""
        return any((self.kind, self.severity, self.risk, self.trigger, self.source))

    def condition(self, person: Person) -> Q:
        """Return what the filters leave. Not the role, which chooses the queue, nor the words, which the search looks for.

        One query for the source's number: where the planner knows the value it knows whether it is rare, and which index to take.
        """
        plain = {"kind": self.kind, "severity": self.severity, "risk": self.risk}
        wanted = Q(**{name: text for name, text in plain.items() if text})
        if self.source:
            wanted &= Q(source=Source.objects.filter(name=self.source).values_list("pk", flat=True).first() or 0)
        if self.trigger:
            wanted &= Q(triggers__contains=[{"name": self.trigger}])
        if self.held:
            wanted &= Q(claimed_by=person if self.held == "me" else None)
        return wanted
