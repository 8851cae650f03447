"""What the URL of the inbox asks for."""

from dataclasses import dataclass, fields
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import QueryDict

from escalations.models import Person, Proposal
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

    @property
    def query(self) -> str:
        """Return the filters as a query string without the question mark; empty when nothing is asked for."""
        return urlencode({one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)})

    @property
    def narrows(self) -> bool:
        """Say whether anything is left out."""
        return self != Filters(order=self.order)

    @property
    def folded(self) -> bool:
        """Say whether one of the filters that a page may fold away is set."""
        return any((self.kind, self.severity, self.risk, self.trigger, self.source))

    def narrow(self, rows: QuerySet[Proposal], person: Person) -> QuerySet[Proposal]:
        """Return the rows the filters leave. Not the role, which chooses the queue, nor the words, which the search looks for."""
        plain = {"kind": self.kind, "severity": self.severity, "risk": self.risk, "source__name": self.source}
        rows = rows.filter(**{name: text for name, text in plain.items() if text})
        if self.trigger:
            rows = rows.filter(triggers__contains=[{"name": self.trigger}])
        if self.held == "me":
            rows = rows.filter(claimed_by=person)
        return rows.filter(claimed_by=None) if self.held == "nobody" else rows
