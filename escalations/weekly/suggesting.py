"""Rules that the data suggest: a readable condition that tells what people approved from what they did not. Never live by itself.

Searched for on the earlier part of what was decided, told on the later part, which had no say in the choice. What is told has to hold
there three times over: enough of it, a share agreed whose exact interval (Clopper and Pearson, 1934) begins above what the floor
demands, and apart from the rest by Fisher's exact test (R. A. Fisher, Statistical Methods for Research Workers, 1934, section 21.02),
one-sided, at LEVEL over the number of conditions told (Bonferroni). Where labels say nothing, something is suggested in at most LEVEL
of all reviews.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from math import comb

import numpy as np

from escalations import interval
from escalations.floors.cel import compile_condition
from escalations.models import Role, RoutingRule, Suggestion
from escalations.states import Floor, RuleState

from .cases import Case, cases_of
from .gathering import WEEK
from .terms import Mask, Term, is_plain, quoted, terms_of

LOOKED_BACK = 13 * WEEK
FOUND_ON = 0.6  # of the decided cases, the earlier ones
SUPPORT = 20  # cases that match, in the earlier part and again in the later
LEVEL = 0.05
BEAM = 12  # single terms that are combined with each other
EXAMPLES = 8
MOST = 5  # suggestions of one review
DISMISSED_FOR = 26 * WEEK  # what was dismissed is not suggested again so soon

# What share of what it matches has to have been decided as the rule would: the lower end of the interval.
DEMANDED = {Floor.AUTO: 0.95, Floor.BLOCK: 0.9}


@dataclass(frozen=True, slots=True)
class Suggested:
    """A condition and what the later part says of it."""

    condition: str
    floor: Floor
    why: str
    matched: int
    agreed: int
    low: float
    high: float
    examples: list[str]


@dataclass(frozen=True, slots=True)
class _Found:
    """A condition that did well on the earlier part."""

    condition: str
    floor: Floor
    matched: int


def suggested_for(role: Role, until: datetime) -> list[Suggested]:
    """Return what the last quarter's decisions of a team suggest, the most matched first. Three queries; up to some seconds."""
    known = set(RoutingRule.objects.exclude(state=RuleState.ARCHIVED).values_list("condition", "floor"))
    known |= set(Suggestion.objects.filter(dismissed_at__gt=until - DISMISSED_FOR, review__role=role).values_list("condition", "floor"))
    return [one for one in suggest(cases_of(role, until - LOOKED_BACK, until)) if (one.condition, one.floor) not in known]


def suggest(cases: Sequence[Case]) -> list[Suggested]:
    """Return what these cases, oldest first, suggest. No query; the same for the same cases."""
    cut = int(len(cases) * FOUND_ON)
    earlier, later = cases[:cut], cases[cut:]
    if len(later) < SUPPORT:
        return []
    found = [one for floor in DEMANDED for one in _search(earlier, floor)]
    told = [one for candidate in found if (one := _tell(candidate, later, LEVEL / len(found)))]
    return sorted(told, key=lambda one: (-one.matched, one.floor, one.condition))[:MOST]


def _search(cases: Sequence[Case], floor: Floor) -> Iterator[_Found]:
    """Yield for each kind and action the condition that does what the floor demands for most cases, the shorter where two do."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for one in cases:
        groups.setdefault((one.kind, one.action), []).append(one)
    for (kind, action), group in sorted(groups.items()):
        if len(group) < SUPPORT or (action and not is_plain(action)):
            continue
        agreed = np.array([_agrees(one, floor) for one in group], dtype=bool)
        guard = [f"incident.kind == {quoted(kind)}", *([f"proposal.action == {quoted(action)}"] if action else [])]
        best: tuple[int, int, str] | None = None
        for length, parts, mask in _conditions(group, agreed, floor):
            matched = int(mask.sum())
            if matched < SUPPORT or (best and (matched, -length) <= (best[0], -best[1])):
                continue
            if interval.clopper_pearson(int((mask & agreed).sum()), matched)[0] >= DEMANDED[floor]:
                best = (matched, length, " && ".join([*guard, *parts]))
        if best:
            yield _Found(best[2], floor, best[0])


def _conditions(group: Sequence[Case], agreed: Mask, floor: Floor) -> Iterator[tuple[int, list[str], Mask]]:
    """Yield (terms, their text, where they hold): none, one, and two of those that tell best apart."""
    yield 0, [], np.ones(len(group), dtype=bool)
    terms = [one for one in terms_of(group, agreed) if one.alone or floor != Floor.AUTO]
    for one in terms:
        yield 1, list(one.parts), one.holds
    best = sorted(terms, key=lambda one: (-_gain(one, agreed), one.parts))[:BEAM]
    for first, second in combinations(best, 2):
        yield 2, _joined(first, second), first.holds & second.holds


def _gain(term: Term, agreed: Mask) -> float:
    """Return by how many agreed cases more than chance it holds: what it matches times how much its share is above the whole's."""
    return float((term.holds & agreed).sum() - term.holds.sum() * agreed.mean())


def _joined(first: Term, second: Term) -> list[str]:
    """Return both terms' parts, each once: two limits of one arg ask only once whether it is there."""
    return list(dict.fromkeys((*first.parts, *second.parts)))


def _agrees(case: Case, floor: Floor) -> bool:
    return case.approved if floor == Floor.AUTO else case.rejected


def _tell(found: _Found, later: Sequence[Case], level: float) -> Suggested | None:
    """Return what the later part says of a condition, asked as routing would ask it; None where it does not bear it out."""
    condition = compile_condition(found.condition, auto=found.floor == Floor.AUTO)
    holds = [condition.evaluate(one.facts) is True for one in later]
    agreed = [_agrees(one, found.floor) for one in later]
    matching = [one for one, held in zip(later, holds, strict=True) if held]
    hits = sum(_agrees(one, found.floor) for one in matching)
    if len(matching) < SUPPORT:
        return None
    low, high = interval.clopper_pearson(hits, len(matching))
    by_chance = _at_least(hits, len(matching), sum(agreed), len(later))
    if low < DEMANDED[found.floor] or by_chance > level:
        return None
    shown = [str(one.pk) for one in _telling(matching, found.floor)]
    why = _why(found.floor, matching, hits, len(later) - len(matching), sum(agreed) - hits, low)
    return Suggested(found.condition, found.floor, why, len(matching), hits, low, high, shown)


def _at_least(hits: int, drawn: int, right: int, of: int) -> float:
    """Return the chance of so many hits or more among `drawn` out of `of`, of which `right` are right: Fisher's exact test, one-sided."""
    ways = sum(comb(right, one) * comb(of - right, drawn - one) for one in range(hits, min(right, drawn) + 1))
    return ways / comb(of, drawn)


def _telling(matching: Iterable[Case], floor: Floor) -> list[Case]:
    """Return examples, those that people decided otherwise first, the newest of each."""
    return sorted(matching, key=lambda one: (_agrees(one, floor), -one.at.timestamp(), str(one.pk)))[:EXAMPLES]


def _why(floor: Floor, matching: Sequence[Case], hits: int, others: int, hits_of_others: int, low: float) -> str:
    """Return in words what was counted. Nothing of what a stranger wrote is in it."""
    did = "approved as proposed" if floor == Floor.AUTO else "rejected"
    since, until = matching[0].at, matching[-1].at
    rest = f"; of the {others} others of that time, {hits_of_others}" if others else ""
    return (
        f"Of {len(matching)} that it matches, decided from {since:%-d %b %Y} to {until:%-d %b %Y}, people {did} {hits}{rest}. "
        f"At least {int(low * 1000) / 10:g} % with 95 % confidence. It was found on what was decided before."
    )
