"""What a judgement would have been with one rule, or one trigger, changed: all else stays as it was recorded then.

The other rules that matched, the triggers that fired, the engines' words and law 12 are taken from the record; of the rules' roles and
priorities, as they are now, by their names. Only what the change itself can move is asked anew: whether the rule matches, whether the
trigger fires, and which floor, role and policy follow. Where the record and the rows of today disagree about a matter that the
change does not touch, the record stands. Pure: no query, nothing is written.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from escalations.models import Incident, Proposal, RoutingRule, Trigger
from escalations.states import TRIGGERS, Floor, RuleState, strictest, worst

from . import cel, findings
from .facts import facts_of, texts_of
from .judge import (
    NEVER_ALONE,
    category_of,
    confidence_for_rules,
    confidence_of,
    conflict_of,
    doubts_of,
    is_met,
    policy_of,
    role_of,
)
from .rulebook import LiveRule, Rulebook
from .triggers import asked_in, structural

OF_TEXT = frozenset({"sensitive_data", "injection_suspected"})
OF_STRUCTURE = frozenset({"high_stakes", "irreversible", "user_request", "user_complaint", "agent_failed"})
STANDS = frozenset({"acknowledgement", "judgement", "on_behalf_of"})  # where a trigger came from that no setting takes away

# What `judge` says when a rule's threshold was not reached, and nobody gave another reason before it.
_UNMET = re.compile(r"(?:nobody said how sure|confidence -?\d+\.\d\d); the rule “.*” needs [\d.]+\Z", re.DOTALL)
_UNKNOWN = cel.Failed("as recorded")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a proposal went, or would have gone. `role` is "" when nobody was asked; `triggers` are names in their order."""

    floor: str
    alone: bool  # settled without a person: let go by a rule
    role: str
    policy: str
    severity: str
    triggers: tuple[str, ...]

    @property
    def refused(self) -> bool:
        return self.floor == Floor.BLOCK


@dataclass(frozen=True, slots=True)
class Anew:
    """One proposal judged anew: what was, what would be, and whether the rule matched (the trigger: fires) or failed."""

    was: Outcome
    becomes: Outcome
    matched: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """One proposal as it was judged: with its engines' words (anything with a Classification's fields), and context that came later."""

    incident: Incident
    proposal: Proposal
    words: Sequence[Any]
    added: Sequence[tuple[str, str]] = ()

    def facts(self) -> dict[str, Any]:
        """Return what a condition would have read then. What Countersign itself proposes is judged before the rules have spoken of it."""
        facts = facts_of(self.incident, self.proposal, self.words)
        facts["classification"] = {
            "severity": self.severity, "category": self.category, "confidence": confidence_for_rules(self.words, self.proposal),
            "triggers": [trigger["name"] for word in self.words for trigger in word.triggers],
        }
        facts["now"] = self.proposal.routed_at
        if self.proposal.revision == 1 and self.proposal.is_acknowledgement:
            facts["proposal"]["args"] = {"severity": str(self.severity), "category": "other"}
        return facts

    @property
    def severity(self) -> str:
        return worst(self.incident.claimed_severity, *(word.severity for word in self.words))

    @property
    def category(self) -> str:
        return category_of(self.words)

    @property
    def named(self) -> set[str]:
        """The triggers that the engines named: no setting of ours takes them away."""
        return {trigger["name"] for word in self.words for trigger in word.triggers}

    def recorded(self, rulebook: Rulebook) -> Outcome:
        """Return where it went. `asked` begins with the role that was asked first; nobody was when it is empty."""
        proposal = self.proposal
        first = rulebook.roles.get(proposal.asked[0]) if proposal.asked else None
        return Outcome(
            floor=str(proposal.floor), alone=proposal.floor == Floor.AUTO, role=first.name if first else "",
            policy=proposal.policy.get("name", ""), severity=str(proposal.severity), triggers=tuple(proposal.trigger_names),
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """What is tried: a rule as it would be (`rule`, live), or a trigger (`trigger`). `replaces` is the rule's name as it is saved."""

    before: Rulebook
    after: Rulebook
    rows: Mapping[str, RoutingRule]  # every rule there is, by name
    rule: LiveRule | None = None
    replaces: str = ""
    trigger: str = ""

    @classmethod
    def of_rule(cls, rulebook: Rulebook, rows: Iterable[RoutingRule], rule: RoutingRule, condition: Any, *, replaces: str = "") -> "Ask":
        """Return what tries a rule as if it were live (an archived one: as if it were not there). `condition` is compiled."""
        return cls(rulebook, rulebook, {one.name: one for one in rows}, LiveRule(rule, condition), replaces)

    @classmethod
    def of_trigger(cls, rulebook: Rulebook, rows: Iterable[RoutingRule], trigger: Trigger) -> "Ask":
        """Return what tries a trigger with other settings, another role or policy, on or off."""
        after = replace(rulebook, triggers={**rulebook.triggers, trigger.name: trigger})
        return cls(rulebook, after, {one.name: one for one in rows}, trigger=trigger.name)

    def of(self, past: Past) -> Anew:
        """Judge one proposal anew."""
        return self._with_rule(past) if self.rule is not None else self._with_trigger(past)

    def _with_rule(self, past: Past) -> Anew:
        live = self.rule
        assert live is not None  # for the type checker
        was = past.recorded(self.before)
        result: bool | cel.Failed = False
        if live.rule.state != RuleState.ARCHIVED:
            result = live.condition if isinstance(live.condition, cel.Failed) else live.condition.evaluate(past.facts())
        error = result.why if isinstance(result, cel.Failed) else ""
        matched = not error and bool(result)
        entries = past.proposal.rules
        own = [entry for entry in entries if entry["name"] == self.replaces] if self.replaces else []
        if not matched and not own and (not error or live.rule.floor == Floor.AUTO):
            return Anew(was, was, False, error)  # it has nothing to say of this one, and had not
        others = [entry for entry in entries if entry not in own]
        before = _matched(entries, self.rows)
        after = _matched(others, self.rows)
        if matched:
            after.append(_Matched(live, None))
        after.sort(key=_by_priority)
        broken = [entry for entry in others if entry.get("error")]
        failed = len(broken) + (1 if error and live.rule.floor != Floor.AUTO else 0)
        became = _settled(self.after, past, after, failed, self._triggers(past, before, after))
        held = _settled(self.before, past, before, sum(1 for entry in entries if entry.get("error")), _names(past.proposal))
        return Anew(was, _moved(was, held, became), matched, error)

    def _triggers(self, past: Past, before: list["_Matched"], after: list["_Matched"]) -> list[str]:
        """Return the recorded triggers, without what only this rule's old form caused, with what its new form would."""
        names = dict.fromkeys(_names(past.proposal))
        entries = {trigger["name"]: trigger for trigger in past.proposal.triggers}
        disagree, disagreed = conflict_of(_rules(after)), conflict_of(_rules(before))
        if disagree and self.after.enabled("policy_conflict"):
            names["policy_conflict"] = None
        elif disagreed and not disagree and _only(entries.get("policy_conflict"), "rules", past.named):
            names.pop("policy_conflict", None)
        unmet = _unmet(after, past)
        if unmet and self.after.enabled("low_confidence"):
            names["low_confidence"] = None
        elif not unmet and _unmet(before, past) and _only(entries.get("low_confidence"), "classification", past.named, _UNMET):
            names.pop("low_confidence", None)
        return _in_order(names)

    def _with_trigger(self, past: Past) -> Anew:
        was = past.recorded(self.before)
        rows = _matched(past.proposal.rules, self.rows)
        recorded = _names(past.proposal)
        entry = next((one for one in past.proposal.triggers if one["name"] == self.trigger), None)
        fires = self.after.enabled(self.trigger) and (
            self.trigger in past.named or (entry is not None and entry.get("where") in STANDS)
            or _fires(self.trigger, self.after, past, rows, entry)
        )
        if fires == (entry is not None) and self._same_place():
            return Anew(was, was, fires)
        names = dict.fromkeys(name for name in recorded if name != self.trigger)
        if fires:
            names[self.trigger] = None
        errors = sum(1 for one in past.proposal.rules if one.get("error"))
        became = _settled(self.after, past, rows, errors, _in_order(names))
        held = _settled(self.before, past, rows, errors, recorded)
        return Anew(was, _moved(was, held, became), fires)

    def _same_place(self) -> bool:
        """Whether the trigger would go on pointing where it points."""
        old, new = self.before.triggers.get(self.trigger), self.after.triggers[self.trigger]
        return old is not None and (old.role_id, old.policy_id) == (new.role_id, new.policy_id)


@dataclass(frozen=True, slots=True)
class _Matched:
    """A rule that matched: `met` says whether what it demands besides was there, None where that has to be asked."""

    live: LiveRule
    met: bool | None


def _matched(entries: Iterable[dict[str, Any]], rows: Mapping[str, RoutingRule]) -> list[_Matched]:
    """Return the recorded rules that matched, with the floor they had then."""
    found = []
    for entry in entries:
        if not entry["name"] or entry.get("error"):
            continue
        row = rows.get(entry["name"]) or RoutingRule(name=entry["name"], priority=-(2**31))  # renamed since: it names nobody
        if row.floor != entry["floor"]:
            row = copy(row)
            row.floor = entry["floor"]
        alone = row.floor == Floor.AUTO and "unmet" not in entry
        found.append(_Matched(LiveRule(row, _UNKNOWN), True if alone else None))
    return sorted(found, key=_by_priority)


def _by_priority(one: _Matched) -> tuple[int, str]:
    return (-one.live.rule.priority, one.live.rule.name)


def _rules(matched: Iterable[_Matched]) -> list[LiveRule]:
    return [one.live for one in matched]


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=TRIGGERS.index)


def _names(proposal: Proposal) -> list[str]:
    return [str(trigger["name"]) for trigger in proposal.triggers]


def _only(entry: dict[str, Any] | None, where: str, named: set[str], said: re.Pattern[str] | None = None) -> bool:
    """Return whether a recorded trigger has no reason but that one."""
    if entry is None or entry.get("where") != where or entry["name"] in named:
        return False
    return said is None or bool(said.match(entry.get("why", "")))


def _is_met(one: _Matched, past: Past) -> bool:
    return one.met if one.met is not None else is_met(one.live.rule, past.incident.kind, past.words, past.proposal)


def _unmet(matched: Sequence[_Matched], past: Past) -> bool:
    """Return whether a rule would let it go but for the confidence, and no other rule does."""
    autos = [one for one in matched if one.live.rule.floor == Floor.AUTO]
    if not autos or any(_is_met(one, past) for one in autos):
        return False
    return any(one.live.rule.by == "threshold" for one in autos)


def _settled(rulebook: Rulebook, past: Past, matched: Sequence[_Matched], errors: int, triggers: Sequence[str]) -> Outcome:
    """Return what follows from what matched, as `judge` has it."""
    rules = _rules(matched)
    fired = [{"name": name} for name in triggers]
    category = next((live.rule.category.name for live in rules if live.rule.category), past.category)
    held = any(not entry["name"] for entry in past.proposal.rules)
    floor = strictest(*(live.rule.floor for live in rules), *(Floor.REVIEW for _ in range(errors)))
    alone = any(one.live.rule.floor == Floor.AUTO and _is_met(one, past) for one in matched)
    if floor == Floor.AUTO and (not alone or triggers or held or past.incident.kind in NEVER_ALONE):
        floor = Floor.REVIEW
    asked = floor == Floor.REVIEW
    return Outcome(
        floor=str(floor), alone=floor == Floor.AUTO, role=role_of(rulebook, rules, fired, category)[0].name if asked else "",
        policy=policy_of(rulebook, rules, list(triggers)).name,
        severity=str(worst(past.severity, *(live.rule.severity for live in rules))), triggers=tuple(triggers),
    )


def _moved(was: Outcome, held: Outcome, became: Outcome) -> Outcome:
    """Return what was, with only that changed which the change itself moves: `held` is the same arithmetic without it."""
    floor = became.floor if became.floor != held.floor else was.floor
    return Outcome(
        floor=floor,
        alone=floor == Floor.AUTO,
        role=(became.role if (became.role, became.floor) != (held.role, held.floor) else was.role) if floor == Floor.REVIEW else "",
        policy=became.policy if became.policy != held.policy else was.policy,
        severity=became.severity if became.severity != held.severity else was.severity,
        triggers=became.triggers,
    )


def _fires(name: str, rulebook: Rulebook, past: Past, matched: Sequence[_Matched], entry: dict[str, Any] | None) -> bool:
    """Return whether a trigger fires with the settings as they would be, whoever else named it."""
    settings: dict[str, Mapping[str, Any]] = {name: rulebook.triggers[name].settings}
    look: Callable[[], bool] | None = {
        "policy_conflict": lambda: bool(conflict_of(_rules(matched))),
        "low_confidence": lambda: _unmet(matched, past) or _doubted(name, rulebook, past),
        "classifier_failed": lambda: _doubted(name, rulebook, past),
    }.get(name)
    if look is not None:
        return look()
    if name in OF_STRUCTURE:
        found = [*structural(past.facts(), settings), *asked_in(past.added, settings)]
        return any(one.trigger == name for one in found)
    if name in OF_TEXT:
        found = findings.in_texts([*texts_of(past.incident, past.proposal), *past.added], settings)
        found += findings.contradictions(past.proposal.description, past.proposal.args or {})
        return any(one.trigger == name for one in found)
    return entry is not None  # no setting moves it


def _doubted(name: str, rulebook: Rulebook, past: Past) -> bool:
    return any(one["name"] == name for one in doubts_of(rulebook, past.words, confidence_of(past.words, past.proposal)))
