"""From facts to a judgement: floor, role, triggers, risk, and why, in words. Pure but for the rulebook it is handed.

Untrusted words only tighten (law 5): what comes from the incident, its author or a model can add a trigger, raise the severity or
lower the confidence. Only live rules whose condition reads nothing of it can let an item go alone, and only when nothing fired.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

from escalations.authority import claims_to_be_ours
from escalations.models import Classification, EscalationPolicy, Incident, Proposal, Role, RoutingRule
from escalations.states import TRIGGERS, Floor, Kind, Severity, strictest, worst

from . import cel, findings
from .facts import facts_of, texts_of
from .lanes import OWN_ENGINES
from .pattern import LEFT, NO_LANE, pattern_of
from .risk import risk_of
from .rulebook import LiveRule, Rulebook
from .triggers import asked_in, structural

CONFIDENT = 0.6  # low_confidence below this, unless its trigger's settings say otherwise under "below"
NOTHING_RUNS = frozenset({Kind.EXCEPTION, Kind.ALERT})
NEVER_ALONE = frozenset({Kind.QUESTION, Kind.HANDOFF})  # somebody asked for words; a rule has none


class Known(TypedDict, total=False):
    """What is known of an incident before it is judged; all of it only tightens."""

    held: str  # why a person must look whatever the rules say (law 12)
    fired_before: Iterable[dict[str, Any]]  # triggers that stay
    texts: Iterable[tuple[str, str]]  # further untrusted texts (context added later)
    granted: bool  # its lane may let some go: what it does not is said in the same words, whyever


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of an incident or a revision. `triggers` and `rules` are as `Proposal` stores them."""

    floor: str
    settles: RoutingRule | None  # the rule by which it is settled without a person, or is blocked
    role: Role
    role_why: str  # rule, trigger, category or nobody
    policy: EscalationPolicy
    severity: str
    category: str
    confidence: float | None
    triggers: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    risk: str
    escalate: str
    pattern: str
    title: str = ""  # who settles it, and why, where that is a lane that has earned it; else the rule speaks for itself
    said: str = ""
    lane: int | None = None
    grant: int | None = None
    by_lane: "Judgement | None" = None  # what it would be if its lane let it go; None where anything else keeps it, or lets it go

    @property
    def trigger_names(self) -> list[str]:
        return [trigger["name"] for trigger in self.triggers]


def judge(
    rulebook: Rulebook,
    incident: Incident,
    proposal: Proposal,
    words: Sequence[Classification],
    **known: Unpack[Known],
) -> Judgement:
    """Judge one proposal of one incident. At most two queries (whom `on_behalf_of` names); reads `incident.source.owner`."""
    held = known.get("held", "")
    facts = facts_for_rules(incident, proposal, words)
    category, severity = (facts["classification"][name] for name in ("category", "severity"))
    confidence = confidence_of(words, proposal)
    matched, errors = _matching(rulebook, facts)
    category = next((live.rule.category.name for live in matched if live.rule.category), category)
    severity = worst(severity, *(live.rule.severity for live in matched))

    fired = [*known.get("fired_before", ()), *_fired(rulebook, incident, proposal, words, facts, known.get("texts", ()))]
    fired += doubts_of(rulebook, words, confidence)
    if conflict := conflict_of(matched):
        fired.append(_trigger("policy_conflict", conflict, "rules"))
    autos = [live.rule for live in matched if live.rule.floor == Floor.AUTO]
    block = next((live.rule for live in matched if live.rule.floor == Floor.BLOCK), None)
    strictly = strictest(*(live.rule.floor for live in matched), *(Floor.REVIEW for _ in errors))

    def judged(alone: RoutingRule | None) -> Judgement:
        """Return the judgement where this rule, or none, lets it go."""
        unmet = [rule for rule in autos if rule.by == "threshold"] if autos and alone is None else []
        doubted = [_trigger("low_confidence", _too_low(unmet[0], confidence), "classification")] if unmet else []
        triggers = _merged(rulebook, [*fired, *doubted])
        floor = strictly
        if floor == Floor.AUTO and (alone is None or triggers or held or incident.kind in NEVER_ALONE):
            floor = Floor.REVIEW
        settles = block if floor == Floor.BLOCK else alone if floor == Floor.AUTO else None
        role, role_why = role_of(rulebook, matched, triggers, category)
        names = [trigger["name"] for trigger in triggers]
        shown = [_shown(rulebook, live, alone, granted=known.get("granted", False)) for live in matched]
        return Judgement(
            floor=floor,
            settles=settles,
            role=role,
            role_why=role_why,
            policy=policy_of(rulebook, matched, names),
            severity=severity,
            category=category,
            confidence=confidence,
            triggers=triggers,
            rules=shown + errors + ([{"name": "", "floor": "review", "why": held}] if held else []),
            risk=risk_of(triggers=names, floor=floor, category=category, severity=severity),
            escalate="none" if settles else "auto" if severity == Severity.CRITICAL else "human",
            pattern=pattern_of(incident.kind, triggers),
        )

    judgement = judged(next((rule for rule in autos if is_met(rule, incident.kind, words, proposal)), None))
    lane = next((rule for rule in autos if rule.by == "lane"), None)
    if lane is None or judgement.settles is not None:
        return judgement
    by_lane = judged(lane)
    return replace(judgement, by_lane=by_lane) if by_lane.settles is lane else judgement


def facts_for_rules(incident: Incident, proposal: Proposal, words: Sequence[Classification]) -> dict[str, Any]:
    """Return the facts as conditions read them: with what all engines together say of it. No query but the source's owner."""
    facts = facts_of(incident, proposal, words)
    facts["classification"] = {
        "severity": worst(incident.claimed_severity, *(word.severity for word in words)),
        "category": category_of(words),
        "confidence": confidence_for_rules(words, proposal),
        "triggers": [trigger["name"] for word in words for trigger in word.triggers],
    }
    return facts


def tightened(judgement: Judgement, rulebook: Rulebook, triggers: Iterable[dict[str, Any]]) -> Judgement:
    """Return the judgement with more triggers: never alone any more, and a risk that fits."""
    merged = _merged(rulebook, [*judgement.triggers, *triggers])
    floor = strictest(judgement.floor, Floor.REVIEW) if merged else judgement.floor
    names = [trigger["name"] for trigger in merged]
    risk = risk_of(triggers=names, floor=floor, category=judgement.category, severity=judgement.severity)
    return replace(
        judgement, triggers=merged, floor=floor, risk=risk, settles=judgement.settles if floor != Floor.REVIEW else None,
        by_lane=None if merged else judgement.by_lane,
    )


def held_back(judgement: Judgement, why: str) -> Judgement:
    """Return the judgement of what would have gone alone, for a person after all; `why` is shown beside the rules."""
    return replace(
        judgement, floor=Floor.REVIEW, settles=None, escalate="auto" if judgement.severity == Severity.CRITICAL else "human",
        rules=[*judgement.rules, {"name": "", "floor": "review", "why": why}],
        risk=risk_of(
            triggers=judgement.trigger_names, floor=Floor.REVIEW, category=judgement.category, severity=judgement.severity
        ),
    )


def new_findings(rulebook: Rulebook, texts: Iterable[tuple[str, str]], known: Iterable[str]) -> list[dict[str, Any]]:
    """Return the triggers that further texts fire and that are not among the `known` names."""
    texts, settings = list(texts), rulebook.settings()
    found = [*findings.in_texts(texts, settings), *asked_in(texts, settings)]
    fired = [_trigger(one.trigger, one.why, one.where) for one in found]
    known = set(known)
    return [trigger for trigger in _merged(rulebook, fired) if trigger["name"] not in known]


def _matching(rulebook: Rulebook, facts: dict[str, Any]) -> tuple[list[LiveRule], list[dict[str, Any]]]:
    """Return the rules that match, and what to show of those that could not be answered (which ask for review)."""
    bound = cel.bind(facts)
    matched, errors = [], []
    for live in rulebook.rules:
        result = live.condition if isinstance(live.condition, cel.Failed) else live.condition.evaluate(bound)
        if isinstance(result, cel.Failed):
            if live.rule.floor != Floor.AUTO:
                errors.append({
                    "name": live.rule.name, "floor": Floor.REVIEW, "why": live.rule.why, "error": result.why, "rule": live.rule.pk,
                    "version": live.rule.version,
                })
        elif result:
            matched.append(live)
    return matched, errors


def _fired(
    rulebook: Rulebook, incident: Incident, proposal: Proposal, words: Sequence[Classification], facts: dict[str, Any],
    texts: Iterable[tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return what fires from structure, text and the engines' words."""
    texts, settings = list(texts), rulebook.settings()
    found = [*structural(facts, settings), *asked_in(texts, settings)]
    found += findings.in_texts([*texts_of(incident, proposal), *texts], settings)
    fired = [_trigger(one.trigger, one.why, one.where) for one in found]
    fired += [
        _trigger(one.trigger, one.why, one.where)
        for one in findings.contradictions(proposal.description, proposal.args or {})
    ]
    fired += [
        _trigger(one["name"], one.get("why", ""), one.get("where", "") or word.engine) for word in words for one in word.triggers
    ]
    if claims_to_be_ours(incident):
        fired.append(_trigger("injection_suspected", "claims to act for one of our people whom nobody here knows", "on_behalf_of"))
    return fired


def doubts_of(rulebook: Rulebook, words: Sequence[Classification], confidence: float | None) -> list[dict[str, Any]]:
    """Return low_confidence and classifier_failed where they hold. Where an engine failed, only one of our own is sure enough for it."""
    below = float(rulebook.settings().get("low_confidence", {}).get("below", CONFIDENT))
    spoke = [word for word in words if not word.error]
    doubts = []
    failed = [word for word in words if word.error]
    if not spoke or (failed and not any((word.confidence or 0) >= below for word in spoke if word.engine in OWN_ENGINES)):
        why = "; ".join(f"{word.engine}: {word.error}" for word in failed) or "no engine answered"
        doubts.append(_trigger("classifier_failed", why[:300], "classification"))
    if confidence is not None and confidence < below:
        doubts.append(_trigger("low_confidence", f"confidence {confidence:.2f} is below {below:.2f}", "classification"))
    if len({word.severity for word in spoke if word.severity} & {Severity.INFO, Severity.CRITICAL}) == 2:
        doubts.append(_trigger("low_confidence", "one engine says info, another critical", "classification"))
    sure = {word.category for word in spoke if word.sure and word.category}
    if len(sure) > 1:
        doubts.append(_trigger("low_confidence", f"engines disagree: {', '.join(sorted(sure))}", "classification"))
    return doubts


def confidence_of(words: Sequence[Classification], proposal: Proposal) -> float | None:
    """Return the lowest confidence of all that spoke, the source's own claim among them; None when nobody did."""
    said = [word.confidence for word in words if not word.error and word.confidence is not None]
    claim = proposal.claims.get("confidence")
    return min([*said, *([float(claim)] if claim is not None else [])], default=None)


def confidence_for_rules(words: Sequence[Classification], proposal: Proposal) -> float | None:
    """Return that confidence as conditions read it: None, which is 0 to them, where neither `rules` nor `learned` said how sure. Else a
    model, or its source's claim, would supply what it may only take away, and be past every rule about what nobody is sure of."""
    own = any(word.engine in OWN_ENGINES and not word.error and word.confidence is not None for word in words)
    return confidence_of(words, proposal) if own else None


def category_of(words: Sequence[Classification]) -> str:
    """Return what `rules` or `learned` are sure of, else what the model says, else the best guess."""
    spoke = [word for word in words if not word.error and word.category]
    for wanted in (
        lambda word: word.engine in OWN_ENGINES and word.sure,
        lambda word: word.engine not in OWN_ENGINES,
        lambda word: True,
    ):
        if found := next((word.category for word in spoke if wanted(word)), ""):
            return found
    return "other"


def is_met(rule: RoutingRule, kind: str, words: Sequence[Classification], proposal: Proposal) -> bool:
    """Return whether what an auto rule demands besides its condition holds."""
    if rule.by == "rule":
        return True
    if rule.by == "lane" or rule.threshold is None:
        return False  # what a lane has earned is asked where it is routed, once (`Judgement.by_lane`)
    nothing_runs = kind in NOTHING_RUNS and proposal.is_acknowledgement  # an alert may bring an action of its own
    counts = OWN_ENGINES | ({"llm"} if rule.model_counts and nothing_runs else set())
    spoke = [word for word in words if not word.error and word.confidence is not None]
    reached = any(word.engine in counts and word.confidence >= rule.threshold for word in spoke)
    # Whoever may not supply confidence may still take it away.
    others = [word.confidence for word in spoke if word.engine not in counts]
    claim = proposal.claims.get("confidence")
    return reached and all(said >= rule.threshold for said in [*others, *([claim] if claim is not None else [])])


def _too_low(rule: RoutingRule, confidence: float | None) -> str:
    said = "nobody said how sure" if confidence is None else f"confidence {confidence:.2f}"
    return f"{said}; the rule “{rule.name}” needs {rule.threshold}"


def conflict_of(matched: Sequence[LiveRule]) -> str:
    """Return which two live rules of equal priority disagree on floor or role, in words; "" when none do."""
    for index, first in enumerate(matched):
        for second in matched[index + 1 :]:
            one, other = first.rule, second.rule
            if one.priority != other.priority:
                break  # they stand by falling priority
            if one.floor != other.floor or (one.role_id and other.role_id and one.role_id != other.role_id):
                return f"“{one.name}” and “{other.name}” have equal priority and disagree"
    return ""


def role_of(
    rulebook: Rulebook, matched: Sequence[LiveRule], triggers: Sequence[dict[str, Any]], category: str
) -> tuple[Role, str]:
    for live in matched:
        if live.rule.role_id:
            return rulebook.roles[live.rule.role_id], "rule"
    if triggers:
        return rulebook.role_of_trigger(triggers[0]["name"]), "trigger"
    if role := rulebook.category_roles.get(category):
        return rulebook.roles[role], "category"
    return rulebook.queue_manager, "nobody"


def policy_of(rulebook: Rulebook, matched: Sequence[LiveRule], triggers: Sequence[str]) -> EscalationPolicy:
    for live in matched:
        if live.rule.policy_id:
            return rulebook.policies[live.rule.policy_id]
    for name in triggers:
        row = rulebook.triggers.get(name)
        if row and row.policy_id:
            return rulebook.policies[row.policy_id]
    return rulebook.default_policy


def _merged(rulebook: Rulebook, fired: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per enabled trigger, in the table's order, each with the first reasons that set it off."""
    by_name: dict[str, dict[str, Any]] = {}
    for trigger in fired:
        name = trigger["name"]
        if name not in TRIGGERS or not rulebook.enabled(name):
            continue
        known = by_name.setdefault(name, dict(trigger))
        if (row := rulebook.triggers.get(name)) and row.policy_id:
            known["policy"] = rulebook.policies[row.policy_id].name
        if trigger["why"] and trigger["why"] not in known["why"] and len(known["why"]) < 400:
            joint = " " if known["why"].endswith(".") else "; "
            known["why"] = f"{known['why']}{joint}{trigger['why']}" if known["why"] else trigger["why"]
    return sorted(by_name.values(), key=lambda trigger: TRIGGERS.index(trigger["name"]))


def _shown(rulebook: Rulebook, live: LiveRule, alone: RoutingRule | None, *, granted: bool = False) -> dict[str, Any]:
    """Return a rule that matched as a proposal keeps it: what it was then, and whom and which policy it named ("" for none)."""
    rule = live.rule
    shown = {
        "name": rule.name, "floor": rule.floor, "why": rule.why, "rule": rule.pk, "version": rule.version,
        "role": rulebook.roles[rule.role_id].name if rule.role_id else "",
        "policy": rulebook.policies[rule.policy_id].name if rule.policy_id else "",
    }
    if rule.floor == Floor.AUTO and rule is not alone:
        shown["unmet"] = f"needs confidence {rule.threshold}" if rule.by != "lane" else LEFT if granted else NO_LANE
    return shown


def _trigger(name: str, why: str, where: str) -> dict[str, Any]:
    return {"name": name, "why": why, "where": where}
