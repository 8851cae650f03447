"""Decided proposals as cases to learn a readable rule from: what a condition may read of each, and what a person said."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from escalations.models import Proposal, Role, Signature, acknowledges
from escalations.states import Verdict

MOST = 4_000  # newest decided


@dataclass(frozen=True, slots=True)
class Case:
    """One decision by a person who was there. `facts` are laid out as conditions read them; what is not in them reads as left out."""

    pk: UUID
    at: datetime
    verdict: str
    facts: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.facts["incident"]["kind"])

    @property
    def action(self) -> str:
        return str(self.facts["proposal"]["action"])

    @property
    def approved(self) -> bool:
        return self.verdict == Verdict.APPROVE

    @property
    def rejected(self) -> bool:
        return self.verdict == Verdict.REJECT


def cases_of(role: Role, since: datetime, until: datetime) -> list[Case]:
    """Return the newest MOST decided cases this role was asked about, oldest first. One query.

    Only decisions by people with a signature given by somebody who was there; nothing of test keys; not what a reviewer's own edit
    became, for the agent did not ask for that; not what one click settled with others, for those are not so many decisions.
    Contexts and payloads are not read.
    """
    there = Signature.objects.filter(proposal=OuterRef("pk"), interactive=True, person=OuterRef("decision__person")).exclude(method="group")
    found = Proposal.objects.filter(
        Exists(there), test=False, asked__contains=[role.pk], settled_at__gte=since, settled_at__lt=until, decision__by_kind="person",
    ).exclude(author="person").annotate(ours=acknowledges()).order_by("-settled_at", "-pk")
    fields = (
        "pk", "settled_at", "decision__type", "kind", "action", "args", "ours", "source__name", "incident__environment",
        "incident__customer",
    )
    return [_case(*row) for row in reversed(found.values_list(*fields)[:MOST])]


def _case(
    pk: UUID, at: datetime, verdict: str, kind: str, action: str, args: Any, ours: bool, source: str, environment: str, customer: Any
) -> Case:
    # "acknowledge" and its args are our own words: when rules are asked, nothing was proposed.
    tier = customer.get("tier") if isinstance(customer, dict) else ""
    facts = {
        "incident": {"kind": kind, "environment": environment},
        "proposal": {"action": "" if ours else action, "args": args if isinstance(args, dict) and not ours else {}},
        "source": {"name": source},
        "customer": {"tier": tier if isinstance(tier, str) else ""},
    }
    return Case(pk, at, verdict, facts)


def leaves(args: Any) -> Iterable[tuple[tuple[str, ...], Any]]:
    """Yield (path, value) of the args a condition can name in plain words, at most two levels deep."""
    if not isinstance(args, dict):
        return
    for name, value in args.items():
        yield (name,), value
        if isinstance(value, dict):
            yield from (((name, inner), one) for inner, one in value.items())
