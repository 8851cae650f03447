"""In which order the inbox stands, why a row stands where it does, and where a page of it begins.

By due time, or by what it would cost to be late or wrong: then each proposal counts as due that much sooner as being wrong about it
weighs more and as it is less sure. The database sorts by the same weights (`countersign_urgency`, along its own index).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Expression, F

from escalations.models import Person, Proposal
from escalations.models.proposals import Urgency
from escalations.states import Risk

DUE, URGENT = "due", "urgent"
ORDERS = (DUE, URGENT)
PLACE: dict[str, Expression | F] = {DUE: F("due_at"), URGENT: Urgency()}

RISK_WEIGHS = {
    Risk.CRITICAL: timedelta(hours=8),
    Risk.HIGH: timedelta(hours=4),
    Risk.MEDIUM: timedelta(hours=1),
    Risk.LOW: timedelta(0),
}
DOUBT_WEIGHS = timedelta(hours=4)  # when nothing is sure
UNKNOWN = 0.5  # the confidence of what nobody has put a number to


def order_of(person: Person, asked: str) -> str:
    """Return the order that was asked for, else the one this person prefers. One query at most, once a request."""
    if asked in ORDERS:
        return asked
    preferences = getattr(person, "preferences", None)
    return preferences.order if preferences else DUE


def for_risk(risk: str) -> timedelta:
    """Return how much sooner a risk makes a proposal count as due."""
    return RISK_WEIGHS.get(Risk(risk), timedelta(0))


def for_doubt(confidence: float | None) -> timedelta:
    """Return how much sooner doubt makes a proposal count as due."""
    return DOUBT_WEIGHS * (1 - (UNKNOWN if confidence is None else confidence))


def counts_as(due_at: datetime, risk: str, confidence: float | None) -> datetime:
    """Return when a proposal counts as due in the order by urgency."""
    return due_at - for_risk(risk) - for_doubt(confidence)


def why_here(proposal: Proposal, order: str) -> str:
    """Return why a row stands where it does, in words; nothing where the time left says it all."""
    if proposal.due_at is None:
        return "parked: without a deadline it stands last"
    if order != URGENT:
        return ""
    risk, doubt = for_risk(proposal.risk), for_doubt(proposal.confidence)
    if not risk and not doubt:
        return f"stands at its due time: {proposal.risk} risk and no doubt"
    sure = "confidence unknown" if proposal.confidence is None else f"{proposal.confidence:.0%} sure".replace("%", " %")
    parts = [f"{proposal.risk} risk {length(risk)}"] * bool(risk) + [f"{sure} {length(doubt)}"] * bool(doubt)
    return f"stands {length(risk + doubt)} ahead of its due time: {', '.join(parts)}"


def rule_of(order: str) -> str:
    """Return the order's rule in one sentence, weights included."""
    if order != URGENT:
        return "What is due soonest stands first."
    risks = ", ".join(f"{risk} risk {length(weight)}" for risk, weight in RISK_WEIGHS.items() if weight)
    return (
        f"Each counts as due sooner by what being wrong would cost ({risks}) and by doubt (up to {length(DOUBT_WEIGHS)} when nothing "
        f"is sure, {length(DOUBT_WEIGHS * UNKNOWN)} when nobody knows); what is due soonest then stands first."
    )


def length(span: timedelta) -> str:
    """Return "4 h", "1 h 12 min" or "48 min"."""
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes or not hours))


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: after the row with this place in the order and this id. Parked rows have no place and stand last."""

    due_at: datetime | None
    id: UUID

    def __str__(self) -> str:
        return f"{self.due_at.isoformat() if self.due_at else ''}_{self.id}"

    @classmethod
    def of(cls, proposal: Proposal, order: str) -> "Cursor":
        """Return where a proposal stands, as the object says; to a microsecond what the database sorts by."""
        due = proposal.due_at
        return cls(counts_as(due, proposal.risk, proposal.confidence) if due and order == URGENT else due, proposal.pk)

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Return the cursor of a URL; None, which is the first page, for anything that is none."""
        due, _, identifier = text.rpartition("_")
        try:
            moment = datetime.fromisoformat(due) if due else None
            return cls(moment, UUID(identifier)) if moment is None or moment.tzinfo else None
        except ValueError:
            return None
