"""Rules that fired wrongly: they asked where people nearly always approved as proposed, or let go what did harm."""

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Q

from escalations import interval
from escalations.harm import complained_of, complaints
from escalations.models import RoutingRule
from escalations.states import Floor, RuleState

from .gathering import MOST, WEEK, Came, Week, harm, let_go, of_team, rows_of

LOOKED_BACK = 4 * WEEK  # a week alone seldom says enough of a rule
NEARLY_ALWAYS = 0.9  # the lower end of the exact interval of the share approved as proposed
MOST_COMPLAINTS = 1_000  # of a week, the newest
EXAMPLES = 5


def wrong_rules(week: Week) -> list[dict[str, Any]]:
    """Return the rules that fired wrongly, as the agenda keeps them. Three queries; a few more for a managers' team.

    Asked for nothing: of what it brought to this team in the four weeks up to the end of this one, people approved so much as
    proposed that the exact 95 % interval begins at NEARLY_ALWAYS. Let harm: a rule, or a lane, settled it alone, and in this week it was
    learned that it was wrong; told to the team that decides everything, for nobody else was asked.
    """
    live = dict(RoutingRule.objects.filter(state=RuleState.LIVE).values_list("name", "floor"))
    looked = rows_of(of_team(week.role, week.until - LOOKED_BACK, week.until), MOST)
    found = asked_for_nothing((one for one in looked if one.decided), live)
    if week.role.decides_everything:
        found += let_harm(week)
    return found


def asked_for_nothing(decided: Iterable[Came], live: dict[str, str]) -> list[dict[str, Any]]:
    """Return the live rules of floor review whose asking people nearly always answered with a plain yes, surest first. No query.

    Only what one rule alone brought counts for it: a trigger, or a second rule, would have brought it all the same.
    """
    fired: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for one in decided:
        asking = [rule["name"] for rule in one.rules if rule.get("floor") == Floor.REVIEW and not rule.get("error")]
        if len(asking) != 1 or one.triggers or live.get(asking[0]) != Floor.REVIEW:
            continue
        name = asking[0]
        fired[name] += 1
        plain[name] += one.as_proposed
        if one.as_proposed and len(examples.setdefault(name, [])) < EXAMPLES:
            examples[name].append(str(one.pk))
    found = []
    for name, number in fired.items():
        low, high = interval.clopper_pearson(plain[name], number)
        if low >= NEARLY_ALWAYS:
            found.append({
                "rule": name, "what": "asked", "fired": number, "plain": plain[name], "low": low, "high": high, "examples": examples[name],
            })
    return sorted(found, key=lambda one: (-one["low"], one["rule"]))


def let_harm(week: Week) -> list[dict[str, Any]]:
    """Return the rules and lanes that let go alone what was learned in this week to have been wrong, worst first.

    Learned is what was reported, what its source failed at, and that somebody complains in the same matter, as lanes hear it. Four
    queries, one more for each source with complaints.
    """
    alone = let_go(week.since - 13 * WEEK, week.until)
    complaining = [one.incident for one in complaints(week.since, week.until).order_by("-routed_at", "pk")[:MOST_COMPLAINTS]]
    about = complained_of(complaining, alone, MOST, incident="incident", source="source_id", at="settled_at")
    learned = Q(incident__in=list(harm(week.since, week.until))) | Q(pk__in=list(about))
    gone = alone.filter(learned).values_list("pk", "by")
    by_rule: dict[str, list[UUID]] = {}
    for pk, name in gone.order_by("-settled_at")[:MOST]:
        by_rule.setdefault(name, []).append(pk)
    return [
        {"rule": name, "what": "harm", "harmed": len(pks), "examples": [str(pk) for pk in pks[:EXAMPLES]]}
        for name, pks in sorted(by_rule.items(), key=lambda one: (-len(one[1]), one[0]))
    ]
