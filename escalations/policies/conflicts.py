"""Live rules of equal priority that matched the same past incidents and disagree: `policy_conflict` would fire on their like."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from escalations import clock
from escalations.errors import Invalid
from escalations.floors import cel
from escalations.floors.judge import facts_for_rules
from escalations.floors.rulebook import marked_paths
from escalations.models import Classification, Proposal, RoutingRule
from escalations.states import Floor, RuleState

LOOKED_BACK = timedelta(days=30)
MOST = 5_000  # proposals looked at
LONGEST = 1.0  # seconds: whoever saves a rule waits for this
BATCH = 500
EXAMPLES = 5


@dataclass(slots=True)
class Conflict:
    """Another live rule that wants something else of the same incidents: how many of the `looked` at, and the newest of them."""

    other: RoutingRule
    count: int = 0
    examples: list[UUID] = field(default_factory=list)  # incidents
    looked: int = 0


def conflicts(rule: RoutingRule) -> list[Conflict]:
    """Return the live rules of equal priority that matched what this one matches too, with another floor or role; most first.

    Looks at the newest 5,000 proposals of the last 30 days, for one second at most (`looked` says how many it came to). One query
    where no live rule of equal priority disagrees, else two for each 500 proposals.
    """
    others = RoutingRule.objects.filter(state=RuleState.LIVE, priority=rule.priority).exclude(pk=rule.pk).select_related("role")
    rivals = [other for other in others if disagree(rule, other)]
    if not rivals:
        return []
    paths = marked_paths()
    own = _compiled(rule, paths)
    found = [(Conflict(other), _compiled(other, paths)) for other in rivals]
    if own is None:
        return []
    looked, ends = 0, time.monotonic() + LONGEST
    for proposal, words in _past():
        if time.monotonic() > ends:
            break
        looked += 1
        facts = cel.bind(facts_for_rules(proposal.incident, proposal, words))
        if own.evaluate(facts) is not True:
            continue
        for conflict, condition in found:
            if condition is not None and condition.evaluate(facts) is True:
                conflict.count += 1
                if len(conflict.examples) < EXAMPLES:
                    conflict.examples.append(proposal.incident_id)
    for conflict, _ in found:
        conflict.looked = looked
    return sorted((conflict for conflict, _ in found if conflict.count), key=lambda one: -one.count)


def disagree(one: RoutingRule, other: RoutingRule) -> bool:
    """Return whether two rules want something else of what both match, as `judge` sees it."""
    return one.floor != other.floor or bool(one.role_id and other.role_id and one.role_id != other.role_id)


def _compiled(rule: RoutingRule, paths: frozenset[str]) -> cel.Condition | None:
    try:
        return cel.compile_condition(rule.condition, auto=rule.floor == Floor.AUTO, authoritative=paths)
    except Invalid:
        return None


def _past() -> Iterator[tuple[Proposal, list[Classification]]]:
    """Yield routed proposals with what the engines said of them, newest first, in batches along the primary key."""
    since, last = clock.now() - LOOKED_BACK, None
    for _ in range(MOST // BATCH):
        page = Proposal.objects.filter(routed_at__isnull=False, test=False, created_at__gte=since)
        if last is not None:
            page = page.filter(pk__lt=last)
        batch = list(page.select_related("incident__source__owner").order_by("-pk")[:BATCH])
        words: dict[tuple[UUID, UUID | None], list[Classification]] = {}
        said = Classification.objects.filter(incident__in=[proposal.incident_id for proposal in batch]).select_related("work")
        for word in said.order_by("pk"):
            words.setdefault((word.incident_id, word.work.proposal_id), []).append(word)
        for proposal in batch:
            said = words.get((proposal.incident_id, proposal.pk))
            if not said and proposal.is_acknowledgement:  # what came without a proposal was classified itself
                said = words.get((proposal.incident_id, None))
            yield proposal, said or []
        if len(batch) < BATCH:
            return
        last = batch[-1].pk
