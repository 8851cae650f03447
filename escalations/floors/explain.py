"""Why something comes to a person, or does not, in words: the same for what was judged and for what would be.

`explain` judges, and tells; `recorded` tells what a proposal kept of its judgement. Neither writes anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from escalations.models import Classification, Incident, Proposal, Role, RoutingRule
from escalations.models.people import QUEUE_MANAGER
from escalations.states import Fallback, Floor, Kind, RuleState, State

from . import cel
from .judge import NEVER_ALONE, Known, facts_for_rules, judge
from .pattern import OF_LANES
from .rulebook import LiveRule, Rulebook, marked_paths

MATCH, NO_MATCH, FAILED, UNREADABLE = "match", "no match", "error", "unreadable"
ENDS = {
    Fallback.REJECT: "it is rejected",
    Fallback.PARK: "it stays open and a manager is told",
    Fallback.APPROVE: "it is approved by policy, if no trigger fired",
}


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """What one rule says of one proposal."""

    name: str
    verdict: str  # match, no match, error, unreadable
    floor: str  # what it demands; for one that failed, what that leads to
    said: str = ""  # what went wrong, or what it still asks for
    why: str = ""
    pk: int | None = None
    version: int | None = None
    state: str = RuleState.LIVE
    priority: int | None = None


@dataclass(slots=True)
class Fired:
    """A trigger that fired. `where` and `anchor` lead to what set it off, where a page has that place."""

    name: str
    why: str
    where: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Floor, role, policy, triggers and rules, each with its reason. Whys and errors may quote untrusted text."""

    floor: str
    headline: str
    goes_alone: bool
    not_alone: list[str] = field(default_factory=list)  # why a person looks although machines may do much; one reason a line
    role: str = ""
    role_why: str = ""
    policy: str = ""
    policy_why: str = ""
    course: str = ""  # what the policy does when nobody answers
    held: str = ""  # why a person must look whatever the rules say
    triggers: list[Fired] = field(default_factory=list)
    rules: list[RuleSaid] = field(default_factory=list)  # those that matched or failed
    others: list[RuleSaid] = field(default_factory=list)  # the bench only: every other rule, drafts and shadows too
    severity: str = ""
    category: str = ""
    confidence: float | None = None

    @property
    def nearly(self) -> bool:
        """Say whether a rule would have let it go alone and something else asked for a person; that a lane lets it go is not near."""
        autos = [rule for rule in self.rules if rule.floor == Floor.AUTO and rule.verdict == MATCH]
        return not self.goes_alone and any(rule.said not in OF_LANES for rule in autos)


def explain(
    rulebook: Rulebook,
    incident: Incident,
    proposal: Proposal,
    words: Sequence[Classification],
    as_live: RoutingRule | None = None,
    **known: Unpack[Known],
) -> Explanation:
    """Judge as `route` would and say why, with every rule's own verdict. Four queries at most; nothing is written.

    `as_live` is a rule to be treated as if it were live, in the place of itself.
    """
    paths = marked_paths()
    if as_live is not None:
        rulebook = _with(rulebook, as_live, paths)
    judgement = judge(rulebook, incident, proposal, words, **known)
    facts = cel.bind(facts_for_rules(incident, proposal, words))
    live = {live.rule.pk for live in rulebook.rules}
    rest = RoutingRule.objects.exclude(state__in=[RuleState.ARCHIVED, RuleState.LIVE]).order_by("-priority", "name")
    kept = {entry.get("rule"): entry for entry in judgement.rules}
    told = [_verdict(one, facts, kept.get(one.rule.pk, {})) for one in rulebook.rules]
    told_others = [_verdict(LiveRule.read(rule, paths), facts, {}) for rule in rest if rule.pk not in live]
    policy = rulebook.frozen(judgement.policy)
    settles = judgement.settles is not None and judgement.floor != Floor.REVIEW
    return _told(
        judgement.floor, judgement.rules, judgement.triggers, kind=incident.kind, settles=settles, policy=policy,
        role="" if settles else judgement.role.name, role_why=judgement.role_why, category=judgement.category, severity=judgement.severity,
        confidence=judgement.confidence,
        rules=[one for one in told if one.verdict != NO_MATCH], others=[one for one in told if one.verdict == NO_MATCH] + told_others,
    )


def recorded(proposal: Proposal, names: Mapping[int, str] | None = None) -> Explanation:
    """Return why a proposal came where it came, from what was kept when it was routed. One query when it was sent on since (none
    where `names` of roles by id are given), else none.

    What was routed before rules said whom they named is told without that.
    """
    asked = proposal.asked[0] if proposal.asked else proposal.role_id
    if asked and asked != proposal.role_id:
        role = (names or dict(Role.objects.filter(pk=asked).values_list("pk", "name"))).get(asked, "")
    else:
        role = proposal.role.name if proposal.role else ""
    settled_alone = proposal.floor != Floor.REVIEW and proposal.state != State.PENDING and not proposal.asked
    return _told(
        proposal.floor, proposal.rules, proposal.triggers, kind=proposal.kind, settles=settled_alone, policy=proposal.policy,
        role="" if settled_alone else role, role_why=_role_why(proposal, role), category=proposal.category, severity=proposal.severity,
        confidence=proposal.confidence, rules=[_kept(entry) for entry in proposal.rules if entry.get("name")],
    )


def length(seconds: float) -> str:
    """Return 5400 as "1 h 30 min"."""
    minutes = round(seconds / 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{rest} min" if rest else ""]
    return " ".join(part for part in parts if part) or "no time"


def course_of(policy: dict[str, Any], first: str) -> str:
    """Return what happens when nobody answers: "finance; after 4 h manager; after 12 h in all it is rejected"."""
    said = [first] if first else []
    for number, step in enumerate(policy.get("steps") or []):
        said.append(f"after {length(step['after'])}{' more' if number else ''} {step['name']}")
    if policy.get("expires_after"):
        said.append(f"after {length(policy['expires_after'])} in all {ENDS.get(policy.get('fallback', 'reject'), 'it is rejected')}")
    calendar = policy.get("calendar")
    return "; ".join(said) + (", counting working hours only" if calendar and said else "")


# -- words


def _told(
    floor: str, entries: list[dict[str, Any]], triggers: list[dict[str, Any]], *, kind: str, settles: bool, policy: dict[str, Any],
    role: str, role_why: str, category: str, **more: Any,
) -> Explanation:
    held = next((str(entry.get("why", "")) for entry in entries if not entry.get("name")), "")
    fired = [Fired(str(one.get("name", "")), str(one.get("why", "")), str(one.get("where") or "")) for one in triggers]
    asks = next((entry["name"] for entry in entries if entry.get("role")), "")
    why = {
        "rule": f"the rule “{asks}” names it" if asks else "a rule names it",
        "trigger": f"the trigger “{_plain(fired[0].name)}” names it" if fired else "a trigger names it",
        "category": f"what is of the category “{_plain(category)}” goes there",
        "nobody": "neither a rule nor a trigger nor its category names a role",
    }.get(role_why, "")
    return Explanation(
        floor=floor,
        headline=_headline(floor, entries, fired, settles, held),
        goes_alone=settles and floor == Floor.AUTO,
        not_alone=[] if settles and floor == Floor.AUTO else _not_alone(entries, fired, kind, held),
        role=role,
        role_why=why if role else "",
        policy=str(policy.get("name", "")),
        policy_why=_policy_why(entries, triggers) if policy.get("name") else "",
        course=course_of(policy, role) if role else "",
        held=held,
        triggers=fired,
        category=category,
        **more,
    )


def _headline(floor: str, entries: list[dict[str, Any]], fired: list[Fired], settles: bool, held: str) -> str:
    named = [entry for entry in entries if entry.get("name")]
    if floor == Floor.BLOCK:
        rule = next((entry["name"] for entry in named if entry.get("floor") == Floor.BLOCK), "")
        return f"It is refused without asking anybody: the rule “{rule}” blocks it." if rule else "A rule blocks this."
    if floor == Floor.AUTO:
        rule = next((entry["name"] for entry in named if entry.get("floor") == Floor.AUTO and "unmet" not in entry), "")
        if settles:
            return f"Nobody is asked: the rule “{rule}” lets it go alone, and nothing held it." if rule else "A rule lets it go alone."
        return "The rules would let this go alone, but something else held it."
    if not fired and all(entry.get("unmet") in OF_LANES for entry in entries):
        return "No rule speaks of this, so a person decides."
    asks = [entry["name"] for entry in named if entry.get("floor") == Floor.REVIEW and not entry.get("error")]
    failed = [entry["name"] for entry in named if entry.get("error")]
    reasons = []
    if asks:
        reasons.append(f"{_several('the rule', asks)} {'asks' if len(asks) == 1 else 'ask'} for one")
    if fired:
        reasons.append(f"{_several('the trigger', [_plain(one.name) for one in fired])} fired")
    if failed:
        reasons.append(f"{_several('the rule', failed)} could not be answered")
    if held:
        reasons.append(f"{held[:1].lower()}{held[1:].rstrip('.')}")
    if not reasons:
        reasons = ["what a rule asks for before it lets this go alone is not there"]
    return f"A person decides: {'; '.join(reasons)}."


def _several(what: str, names: Sequence[str], most: int = 3) -> str:
    quoted = [f"“{name}”" for name in names[:most]]
    rest = len(names) - most
    said = f"{', '.join(quoted)} and {rest} more" if rest > 0 else f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted[1:] else quoted[0]
    return f"{what}{'s' if len(names) > 1 else ''} {said}"


def _not_alone(entries: list[dict[str, Any]], fired: list[Fired], kind: str, held: str) -> list[str]:
    """Return every reason for which the machine may not act alone."""
    named = [entry for entry in entries if entry.get("name")]
    autos = [entry for entry in named if entry.get("floor") == Floor.AUTO]
    reasons = [] if autos else ["No live rule lets it go alone."]
    reasons += [f"The rule “{one['name']}” would let it go, but {_unmet(one['unmet'])}." for one in autos if one.get("unmet")]
    if kind in {Kind(one).value for one in NEVER_ALONE}:
        reasons.append("Somebody asked for words, and a rule has none.")
    if strict := [one["name"] for one in named if one.get("floor") in (Floor.REVIEW, Floor.BLOCK) and not one.get("error")]:
        reasons.append(f"{_several('The rule', strict)} {'is' if len(strict) == 1 else 'are'} stricter.")
    if failed := [one["name"] for one in named if one.get("error")]:
        reasons.append(f"{_several('The rule', failed)} could not be answered, which counts as asking for a person.")
    if fired:
        reasons.append(f"{_several('The trigger', [_plain(one.name) for one in fired])} fired.")
    return [*reasons, held] if held else reasons


def _unmet(said: str) -> str:
    return f"it {said}" if said.startswith("needs") else said


def _policy_why(entries: list[dict[str, Any]], triggers: list[dict[str, Any]]) -> str:
    if any("rule" not in entry for entry in entries if entry.get("name")):
        return ""  # from before rules said what they named
    if rule := next((entry["name"] for entry in entries if entry.get("policy")), ""):
        return f"the rule “{rule}” names it"
    if trigger := next((one["name"] for one in triggers if one.get("policy")), ""):
        return f"the trigger “{_plain(trigger)}” names it"
    return "it is the default"


def _role_why(proposal: Proposal, role: str) -> str:
    """Return what named the role: rule, trigger, category or nobody; "" for what does not say."""
    named = [entry for entry in proposal.rules if entry.get("name")]
    if any("rule" not in entry for entry in named):
        return ""
    if any(entry.get("role") for entry in named):
        return "rule" if any(entry.get("role") == role for entry in named) else ""  # sent on by hand, or routed again since
    if proposal.triggers:
        return "trigger"
    return "nobody" if role == QUEUE_MANAGER else "category"


def _kept(entry: dict[str, Any]) -> RuleSaid:
    error = str(entry.get("error") or "")
    return RuleSaid(
        str(entry["name"]), FAILED if error else MATCH, str(entry.get("floor", "")), error or str(entry.get("unmet") or ""),
        str(entry.get("why") or ""), entry.get("rule"), entry.get("version"),
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


# -- rules one by one


def _verdict(live: LiveRule, facts: cel.Bound, kept: dict[str, Any]) -> RuleSaid:
    rule = live.rule
    told = RuleSaid(rule.name, NO_MATCH, rule.floor, "", rule.why, rule.pk, rule.version, rule.state, rule.priority)
    result = live.condition if isinstance(live.condition, cel.Failed) else live.condition.evaluate(facts)
    if isinstance(result, cel.Failed):
        told = replace(told, verdict=UNREADABLE if result is live.condition else FAILED, said=result.why)
        return told if rule.floor == Floor.AUTO else replace(told, floor=Floor.REVIEW)
    return replace(told, verdict=MATCH, said=str(kept.get("unmet") or "")) if result else told


def _with(rulebook: Rulebook, rule: RoutingRule, paths: frozenset[str]) -> Rulebook:
    """Return the rulebook with this rule live, whatever it is."""
    rules = [live for live in rulebook.rules if live.rule.pk != rule.pk or rule.pk is None] + [LiveRule.read(rule, paths)]
    return replace(rulebook, rules=sorted(rules, key=lambda live: (-live.rule.priority, live.rule.name)))
