"""Why an edit would let the machine do more, or look at less: then one administrator is not enough.

What cannot be shown to be tighter counts as looser. Said in words, for the administrator who is asked to confirm it.
"""

import math
from collections.abc import Collection, Iterable
from typing import Any

from escalations.errors import Invalid
from escalations.floors.cel import Failed, compile_condition
from escalations.floors.triggers import effective_settings, words_in_name
from escalations.models import EscalationPolicy, RoutingRule, Source, Trigger
from escalations.states import Floor, RuleState, strictest

from . import asked_less
from .conflicts import disagree

Lowerable = RoutingRule | Trigger | Source | EscalationPolicy

BY = dict(RoutingRule.BY)
MOST_NAMED = 5  # words or rules named in one sentence

# Numbers whose rise makes a trigger fire less, and one whose fall does.
HIGHER_IS_LOOSER = frozenset({"money_limit", "count_limit", "max_attempts", "contacts", "above"})
LOWER_IS_LOOSER = frozenset({"below"})
WORDS = frozenset({"vague_words", "verbs", "phrases"})  # more of them only ever fire more


def lowers(old: Lowerable | None, new: Lowerable) -> list[str]:
    """Return in words why this edit needs a second administrator; empty when it does not. At most six queries.

    `old` is the row as it is stored, None for one that is new.
    """
    if isinstance(new, RoutingRule):
        return _of_rule(old if isinstance(old, RoutingRule) else None, new)
    if isinstance(new, Trigger):
        return _of_trigger(old, new) + asked_less.of_trigger(old, new) if isinstance(old, Trigger) else []
    if isinstance(new, EscalationPolicy):
        return asked_less.of_policy(old if isinstance(old, EscalationPolicy) else None, new)
    return _of_source(old if isinstance(old, Source) else None, new)


# -- rules


def _of_rule(old: RoutingRule | None, new: RoutingRule) -> list[str]:
    was = old if old is not None and old.state == RuleState.LIVE else None
    now = new if new.state == RuleState.LIVE else None
    said = []
    if now is not None and now.floor == Floor.AUTO:
        said += _auto(was, now)
    if was is not None and was.floor != Floor.AUTO:
        said += _strict(was, now)
    if was is not None and was.floor == Floor.AUTO:
        said += _conflicts_ended(was, now)
    if was is not None and now is not None and not said:
        said += _conflicts_avoided(was, now)
    return said + asked_less.of_rule(was, now)


def _auto(was: RoutingRule | None, now: RoutingRule) -> list[str]:
    if was is None:
        return ["It would let what it matches go without a person."]
    if was.floor != Floor.AUTO:
        return [f"It asks for {was.floor} now, and would let what it matches go without a person."]
    said = []
    if not same_text(was.condition, now.condition):
        said.append("Its condition changes: more may go without a person.")
    if was.by not in ("rule", now.by):
        said.append(f"It asks for {BY[was.by]} now, and would ask for {BY[now.by]}.")
    elif was.by == now.by == "threshold":
        if (now.threshold or 0) < (was.threshold or 0):
            said.append(f"Its threshold would fall from {was.threshold:g} to {now.threshold or 0:g}.")
        if now.model_counts and not was.model_counts:
            said.append("The language model's confidence would count.")
    return said


def _strict(was: RoutingRule, now: RoutingRule | None) -> list[str]:
    """A live rule that asks for a person, or blocks: it may not apply to less."""
    if now is None:
        return [f"It asks for {was.floor} now, and would no longer apply."]
    said = []
    if now.floor != Floor.AUTO and strictest(was.floor, now.floor) != now.floor:
        said.append(f"Its floor would fall from {was.floor} to {now.floor}.")
    if not same_text(was.condition, now.condition):
        said.append(f"Its condition changes: it may ask for {was.floor} less often.")
    return said


def _conflicts_ended(was: RoutingRule, now: RoutingRule | None) -> list[str]:
    """Two auto rules of equal priority that name different roles send what both match to a person. One query, if it names one."""
    if was.role_id is None:
        return []
    auto = now is not None and now.floor == Floor.AUTO
    if now is not None and not auto and same_text(was.condition, now.condition):
        return []  # it asks for a person itself from now on
    others = RoutingRule.objects.filter(
        state=RuleState.LIVE, floor=Floor.AUTO, priority=was.priority, role__isnull=False
    ).exclude(pk=was.pk).exclude(role_id=was.role_id)
    freed = [
        other.name for other in others
        if not (auto and now and now.priority == was.priority and now.role_id and now.role_id != other.role_id)
    ]
    if not freed:
        return []
    return [f"It is in conflict with {_named(freed)}, which sends what both match to a person; that would end."]


def _conflicts_avoided(was: RoutingRule, now: RoutingRule) -> list[str]:
    """A conflict is a trigger: it keeps silence from being a yes, and makes what a chat may not decide. At most two queries.

    Where no policy knows either, a person looks all the same, and an edit that ends a conflict takes nothing away.
    """
    if (was.priority, was.floor, was.role_id) == (now.priority, now.floor, now.role_id) or not asked_less.triggers_matter():
        return []
    others = RoutingRule.objects.filter(state=RuleState.LIVE, priority=was.priority).exclude(pk=was.pk)
    freed = [one.name for one in others if disagree(was, one) and not (now.priority == one.priority and disagree(now, one))]
    return [f"policy_conflict would no longer fire for what {_named(freed)} matches too."] if freed else []


def same_text(one: str, other: str) -> bool:
    """Return whether two conditions are the same but for line ends and what surrounds them."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


# -- triggers


def _of_trigger(old: Trigger, new: Trigger) -> list[str]:
    said = []
    if old.enabled and not new.enabled:
        said.append(f"{new.name} would no longer fire.")
    if old.settings == new.settings:
        return said
    before, after = effective_settings(old.name, old.settings), effective_settings(new.name, new.settings)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            said += _setting(key, before, after)
    return said


def _setting(key: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return why one setting's change is not provably tighter."""
    old, new = before.get(key), after.get(key)
    if key in HIGHER_IS_LOOSER or key in LOWER_IS_LOOSER:
        one, other = _figure(key, old), _figure(key, new)
        looser = other > one if key in HIGHER_IS_LOOSER else other < one
        return [f"{key} would go from {one:g} to {other:g}."] if looser else []
    if key == "look_inside":
        return [] if new else ["It would no longer look inside the arguments."]
    if key in WORDS:
        return _gone(key, old, new)
    if key == "cents_words":  # what is read in hundredths has a limit a hundred times as high
        added = _words(new) - _words(old)
        return [f"{key}: {_named(added)} would be read in hundredths, so the limit for it is a hundred times as high."] if added else []
    if key in ("money_words", "count_words"):
        return _gone(key, old, new) + _other_limit(key, _words(new) - _words(old), after)
    if key == "limits":
        return _limits(old, new, before, after)
    return [f"{key} would change."]


def _figure(key: str, value: Any) -> float:
    """Return the number that counts, as the trigger reads it."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return math.inf if key in HIGHER_IS_LOOSER else -math.inf
    return 3.0 if key == "max_attempts" and value < 1 else float(value)


def _words(value: Any) -> set[str]:
    if isinstance(value, dict):  # phrases by what they speak of
        return {f"{what}: {one}" for what, some in value.items() for one in _words(some)}
    return {str(one).strip().lower() for one in value if str(one).strip()} if isinstance(value, list | tuple) else set()


def _gone(key: str, old: Any, new: Any) -> list[str]:
    gone = _words(old) - _words(new)
    return [f"{key}: {_named(gone)} would no longer count."] if gone else []


def _other_limit(key: str, added: Collection[str], after: dict[str, Any]) -> list[str]:
    """A name that was a count becomes money, or the other way round: its limit may be the higher one then."""
    own, other = ("money_limit", "count_limit") if key == "money_words" else ("count_limit", "money_limit")
    if not added or _figure(own, after.get(own)) <= _figure(other, after.get(other)):
        return []
    return [f"{key}: {_named(added)} would come under {own}, which is higher than {other}."]


def _limits(old: Any, new: Any, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Limits of single names: compared with what would hold, or held, for the name without its own."""
    old, new = old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}
    said = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        was = _own(old, name) if _own(old, name) is not None else _least(name, old, before)
        now = _own(new, name) if _own(new, name) is not None else _most(name, new, after)
        if was is None or now is None or not now <= was:
            said.append(f"limits: {name} would go from {_shown(old.get(name), was)} to {_shown(new.get(name), now)}.")
    return said


def _own(limits: dict[str, Any], name: str) -> float | None:
    value = limits.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _without(name: str, limits: dict[str, Any], settings: dict[str, Any]) -> list[float]:
    """Return every limit that may hold for a name that has none of its own: those of its last parts, and the general ones."""
    parts = name.split(".")
    tails = [".".join(parts[index:]) for index in range(1, len(parts))]
    found = [limit for tail in tails if (limit := _own(limits, tail)) is not None]
    money, count = _figure("money_limit", settings.get("money_limit")), _figure("count_limit", settings.get("count_limit"))
    cents = _words(settings.get("cents_words")) & set(words_in_name(parts[-1]))
    return [*found, money * 100 if cents else money, count]


def _least(name: str, limits: dict[str, Any], settings: dict[str, Any]) -> float | None:
    return min(_without(name, limits, settings), default=None)


def _most(name: str, limits: dict[str, Any], settings: dict[str, Any]) -> float | None:
    return max(_without(name, limits, settings), default=None)


def _shown(given: Any, effective: float | None) -> str:
    if given is not None:
        return str(given)[:60]
    return "no limit of its own" if effective is None else f"no limit of its own ({effective:g})"


# -- sources


def _of_source(old: Source | None, new: Source) -> list[str]:
    said = []
    grown = set(new.authoritative_paths) - set(old.authoritative_paths if old else ())
    facts = [
        name for name, before, after in (
            ("source.demo", old.is_demo if old else False, new.is_demo),
            ("source.owner", old.owner_id if old else None, new.owner_id),
        ) if before != after
    ]
    if grown or facts:
        live = list(RoutingRule.objects.filter(state=RuleState.LIVE))
        for path in sorted(grown):
            if readers := [rule.name for rule in live if rule.floor == Floor.AUTO and reads_path(rule, path)]:
                said.append(f"{path} would count as true: {_named(readers)} could let more go without a person.")
        for name in facts:
            if readers := [rule.name for rule in live if _mentions(rule, name)]:
                said.append(f"{name} would change, and {_named(readers)} goes by it.")
    if old is not None and (gone := {one.strip().lower() for one in old.known_irreversible} - {
        one.strip().lower() for one in new.known_irreversible
    }):
        said.append(f"{_named(gone)} would no longer count as irreversible.")
    if new.may_chat and not (old is not None and old.may_chat) and (open_to := _decided_in_chats()):
        said.append(f"What it asks could be decided by a button in a chat, where {_named(open_to)} holds.")
    return said


def _decided_in_chats() -> list[str]:
    """Return the policies that let a chat decide. One query."""
    return list(EscalationPolicy.objects.filter(archived_at=None).exclude(chat_up_to="").values_list("name", flat=True))


def reads_path(rule: RoutingRule, path: str) -> bool:
    """Return whether an auto rule reads something of this authoritative path: whether its condition needs it to compile.

    Some ms the first time, for a rule that has the name of the path's root in it; the compiler knows better than a search.
    """
    if path.split(".", 1)[0] not in rule.condition:
        return False
    every = _every_path() | {path}
    without = frozenset(one for one in every if not _related(one, path))
    return isinstance(_compiled(rule, without), Failed) and not isinstance(_compiled(rule, every), Failed)


def _every_path() -> frozenset[str]:
    marked = Source.objects.exclude(authoritative_paths=[]).values_list("authoritative_paths", flat=True)
    return frozenset(path for several in marked for path in several)


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _compiled(rule: RoutingRule, paths: frozenset[str]) -> Any:
    try:
        return compile_condition(rule.condition, auto=True, authoritative=paths)
    except Invalid as error:
        return Failed(error.detail)


def _mentions(rule: RoutingRule, name: str) -> bool:
    """Return whether a condition can read a fixed name: it cannot be written without its parts."""
    return all(part in rule.condition for part in name.split("."))


def _named(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(f"“{name}”" for name in found[:MOST_NAMED]) + more
