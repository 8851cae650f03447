"""A past that teaches: many decided refunds at once, small ones approved and large ones refused, as people would have left them."""

from datetime import timedelta
from itertools import count
from typing import Any

from escalations import canonical, clock
from escalations.learned import Case, of
from escalations.learned.reading import read
from escalations.models import Decision, Incident, Person, Proposal, Signature, Source, Work
from escalations.states import STATE_OF, Status, Verdict
from tests.factories import STANDARD

_numbers = count(1)
REASONS = ("the parcel came late", "the parcel was broken", "it was the wrong size", "the customer changed their mind")


def posted(number: int, *, right: bool, kind: str = "action") -> dict[str, Any]:
    """Return a refund as its source would post it; what is not right is large and was asked for by nobody."""
    why = REASONS[number % len(REASONS)]
    request = f"Please refund order {number}, {why}." if right else "Where is my order?"
    return {
        "kind": kind, "title": f"Refund for order {number}", "context": {"request": request},
        "proposal": {"action": "refund", "args": {"order": number, "amount": 20 + number % 5 if right else 900 + number % 50}},
    }


def case(number: int, *, right: bool | None = True, category: str = "", severity: str = "", **more: Any) -> Case:
    """Return a case that needs no row, decided in the order of its number."""
    moment = clock.now() - timedelta(days=90) + timedelta(minutes=number)
    return Case(of(*read(posted(number, right=right is not False))), "action", right, category, severity, moment, **more)


def cases(many: int, *, every: int = 4) -> list[Case]:
    """Return so many cases, each `every`-th of them refused."""
    return [case(number, right=number % every != 0) for number in range(many)]


def taught(
    source: Source, person: Person, many: int, *, every: int = 4, test: bool = False, interactive: bool = True,
    ago: timedelta = timedelta(0), by: str = "person",
) -> list[Proposal]:
    """Write so many decided refunds, each `every`-th of them refused, the last one decided so long `ago`."""
    now = clock.now() - ago
    rows: dict[Any, list[Any]] = {Incident: [], Proposal: [], Work: [], Decision: [], Signature: []}
    for number in range(many):
        right, one, at = number % every != 0, next(_numbers), now - timedelta(seconds=many - number)
        said = posted(one, right=right)
        incident = Incident(
            source=source, body_digest=f"{one:064d}", kind="action", title=said["title"], context=said["context"], test=test,
            status=Status.SETTLED, settled_at=at, received_at=at,
        )
        args, verdict = said["proposal"]["args"], Verdict.APPROVE if right else Verdict.REJECT
        text = canonical.content_text("refund", args, None)
        proposal = Proposal(
            incident=incident, source=source, kind="action", title=incident.title, action="refund", args=args, content=text, test=test,
            args_digest=canonical.digest_of(text), policy=dict(STANDARD), routed_at=at, settled_at=at, state=STATE_OF[verdict], created_at=at,
        )
        rows[Incident].append(incident)
        rows[Proposal].append(proposal)
        rows[Work].append(Work(incident=incident, proposal=proposal, stage="done"))
        rows[Decision].append(Decision(
            proposal=proposal, type=verdict, by_kind=by, person=person if by == "person" else None, by_id=person.username, by_name=person.name,
            signed_digest=proposal.args_digest, args_digest=proposal.args_digest if right else None, decided_at=at,
            valid_until=at + timedelta(days=1),
        ))
        rows[Signature].append(Signature(
            proposal=proposal, person=person, type=verdict, digest=proposal.args_digest, version=1, method="page", at=at,
            interactive=interactive,
        ))
    for model, some in rows.items():
        model.objects.bulk_create(some)
    return rows[Proposal]
