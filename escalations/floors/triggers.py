"""Triggers that follow from the structure of an incident: its arguments, its action, what the customer asks, what failed.

All of them only ever tighten. Nothing a caller writes takes a finding away; where something cannot be read, it fires.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import re2

from .customer import customer_pairs, customer_texts
from .finding import Finding
from .phrases import phrases
from .text import folded, words_of
from .wordlists import ASKS_FOR_A_PERSON, DEFAULT_SETTINGS

__all__ = ["DEFAULT_SETTINGS", "asked_in", "customer_texts", "effective_settings", "structural"]

MAX_NODES = 20_000  # leaves of args looked at; more is itself a reason to look
MAX_JSON_IN_TEXT = 200_000
_LONGEST = 50_000

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+|(?<=[A-Za-z])(?=\d)")
_PLAIN_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.\d{1,2})?\Z")
_READING = frozenset(
    (
        "get", "list", "read", "fetch", "search", "find", "show", "view", "describe", "count", "preview", "simulate",
        "check", "lookup", "look", "query", "validate", "verify", "estimate", "undelete", "restore", "undo", "draft",
        "is", "has", "explain",
    )
)  # fmt: skip
_LABELS = frozenset(
    (
        "id", "ids", "name", "type", "currency", "date", "at", "method", "url", "reason", "status", "mode", "code",
        "exponent", "scale", "decimals", "precision", "iban", "account",
    )
)  # fmt: skip
_TO_A_PERSON = frozenset(
    (
        "human", "humans", "person", "agent", "agents", "representative", "support", "supervisor", "operator",
        "staff", "specialist",
    )
)  # fmt: skip
_options = re2.Options()
_options.case_sensitive = False
_options.log_errors = False
_DESTRUCTIVE = re2.compile(
    r"\b(?:drop\s+(?:table|database|schema|index|view|user|column)|truncate\s+(?:table\s+)?[\w.\"`]+\s*(?:;|$|cascade)"
    r"|delete\s+from\s+[\w.\"`\[]+|rm\s+(?:-\w+\s+)*-\w*[rf]|mkfs(?:\.\w+)?\s|dd\s+if=\S+\s+of=/dev|git\s+push\s+(?:\S+\s+)*(?:-f\b|--force)"
    r"|git\s+reset\s+--hard|kubectl\s+delete|terraform\s+destroy|docker\s+(?:system|volume)\s+prune|shutil\.rmtree"
    r"|del\s+/[sq]|format\s+[a-z]:|Remove-Item\b.*-Recurse|drop_all\(|deleteMany\(|flushall\b|flushdb\b)",
    _options,
)
_EXHAUSTED = re2.compile(
    r"\b(?:max(?:imum)?(?: number of)? (?:retries|retry|attempts)(?: \w+)? (?:exceeded|reached|exhausted)|retries exhausted"
    r"|(?:retry|retries|attempts) (?:limit|count) (?:exceeded|reached|exceeds)|exhausted (?:all|its|the|\d+) ?(?:retries|attempts)"
    r"|giv(?:ing|en|e) up after|all (?:\d+ )?(?:retries|attempts) failed|out of retries|MaxRetryError|MaxRetriesExceeded"
    r"|RetryError|RetriesExhausted|MaxAttemptsExceeded)",
    _options,
)


def structural(facts: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Finding]:
    """Return a finding for every structural reason to look, at most one for each trigger and place. Never raises.

    `settings` are those of the Trigger rows by name; a key that is absent or of the wrong type falls back to DEFAULT_SETTINGS.
    """
    found: list[Finding] = []
    found += _high_stakes(facts, _settings("high_stakes", settings))
    found += _irreversible(facts, _settings("irreversible", settings))
    found += _asked(customer_texts(facts), settings)
    found += _agent_failed(facts, _settings("agent_failed", settings))
    return found


def asked_in(pairs: Iterable[tuple[str, str]], settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Finding]:
    """Return user_request and user_complaint in context that came later, as (where, text) of `facts.context_texts`."""
    return _asked(customer_pairs(pairs), settings)


def effective_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by which a trigger goes: those given, and the built-in ones where a key is absent or of no use."""
    return _settings(name, {name: given}) if name in DEFAULT_SETTINGS else dict(given)


def words_in_name(name: str) -> list[str]:
    """Split sendMoney, send_money, Send-Money or HTTPDelete2 into lower-case words."""
    return [word.lower() for word in _CAMEL.split(name) if word]


# -- money and numbers


def _high_stakes(facts: Mapping[str, Any], settings: dict[str, Any]) -> list[Finding]:
    proposal = _dict(facts.get("proposal"))
    args, action = proposal.get("args"), _text(proposal.get("action"))
    if not args:
        return []
    names = _Names(settings)
    found: dict[str, Finding] = {}
    sums: dict[str, tuple[float, int, str]] = {}
    looked = 0
    for path, key, above, value in _leaves(args):
        looked += 1
        if looked > MAX_NODES:
            found["*"] = Finding("high_stakes", "There are more arguments than can be looked through.", "proposal.args")
            break
        kind = names.kind(key)
        if not kind and isinstance(value, list) and not any(isinstance(one, float) for one in value[:3]):
            kind = "count" if key else ""
        if not kind and _number(value) is not None and not names.says_what_it_is(key) and names.kind(above) == "money":
            kind, key = "money", above  # {"amount": {"major": 250, "currency": "EUR"}}
        if not kind:
            continue
        where = f"proposal.args.{path}"
        if isinstance(value, list) and (kind == "count" or value and isinstance(value[0], Mapping)):
            kind, key, value = "count", f"{key} count", len(value)  # rows: [...] are as many as it has
        limit = names.limit(kind, key, action)
        number = _number(value)
        if number is None:
            if kind != "vague" or _unreadable_figure(value):
                found.setdefault(where, Finding("high_stakes", f"{key} cannot be read as a number: {_short(value)}", where))
            continue
        if not abs(number) <= limit:
            found.setdefault(where, Finding("high_stakes", f"{key} is {_shown(number)}, the limit is {_shown(limit)}", where))
        general = re.sub(r"\[\d+\]", "[]", path)
        if general != path and math.isfinite(number):
            total, times, _ = sums.get(general, (0.0, 0, ""))
            sums[general] = (total + abs(number), times + 1, key)
    for general, (total, times, key) in sums.items():
        limit = names.limit(names.kind(key) or "money", key, action)
        told = any(re.sub(r"\[\d+\]", "[]", one) == f"proposal.args.{general}" for one in found)
        if total > limit and times > 1 and not told:
            why = f"{times} times {key} makes {_shown(total)}, the limit is {_shown(limit)}"
            found[general] = Finding("high_stakes", why, f"proposal.args.{general}")
    return list(found.values())[:20]


class _Names:
    """What the name of an argument says of it. Kept by name: agents use few names many times."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._strong = {
            **dict.fromkeys(_words(settings["vague_words"]), "vague"),
            **dict.fromkeys(_words(settings["count_words"]), "count"),
            **dict.fromkeys(_words(settings["money_words"]), "money"),
        }
        self._cents = set(_words(settings["cents_words"]))

    def kind(self, key: str) -> str:
        """Return "money", "count", "vague" or ""."""
        words = words_in_name(key)
        if not words or words[-1] in _LABELS:
            return ""
        kinds = {self._strong[word] for word in words if word in self._strong}
        return next((kind for kind in ("money", "count", "vague") if kind in kinds), "")

    @staticmethod
    def says_what_it_is(key: str) -> bool:
        """Return whether the name says that this is a label and no amount: currency_id, exponent."""
        return words_in_name(key)[-1:] == [] or words_in_name(key)[-1] in _LABELS

    def limit(self, kind: str, key: str, action: str) -> float:
        limits = self._settings["limits"]
        for name in (f"{action}.{key}", key):
            if name in limits and (own := _number(limits[name])) is not None and own >= 0:
                return own
        base = _number(self._settings["count_limit" if kind == "count" else "money_limit"])
        limit = 100.0 if base is None else base
        return limit * 100 if kind == "money" and self._cents & set(words_in_name(key)) else limit


def _leaves(args: Any) -> Iterator[tuple[str, str, str, Any]]:
    """Yield (path, name, name above, value) of everything below args; a text that is itself JSON is opened."""
    waiting: list[tuple[str, str, str, Any, int]] = [("", "", "", args, 0)]
    while waiting:
        path, key, above, value, opened = waiting.pop()
        if isinstance(value, str) and opened < 3 and value.lstrip()[:1] in ("{", "[") and len(value) <= MAX_JSON_IN_TEXT:
            inside = _opened(value)
            if inside is not None:
                yield path, "", "", value  # the text itself too: whoever reads it may not read JSON
                waiting.append((path, key, above, inside, opened + 1))
                continue
        if isinstance(value, Mapping):
            if key and not any(isinstance(inner, int | float | Mapping | list) for inner in value.values()):
                yield path, key, above, dict(value)  # an amount that is an object without a number in it
            base = f"{path}." if path else ""
            waiting.extend((f"{base}{name}", str(name), key or above, inner, opened) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            yield path, key, above, list(value)
            waiting.extend((f"{path}[{index}]", "", key, inner, opened) for index, inner in enumerate(value))
        else:
            yield path, key, above, value


def _opened(value: str) -> Any:
    try:
        opened = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return opened if isinstance(opened, dict | list) else None


def _number(value: Any) -> float | None:
    """Return the number, or None where two readers could read two numbers: "1.000", "250.00 USD", true, null."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return math.inf
        return None if math.isnan(number) else number
    if isinstance(value, str) and _PLAIN_NUMBER.match(plain := value.strip()):
        return float(plain)  # what strip() takes for white space, float() may not
    return None


def _unreadable_figure(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 60 and any(character.isdigit() for character in value) and _figure_first(value)


def _figure_first(value: str) -> bool:
    """Return whether it reads as a figure: "250.00 USD", "$ 1,000" are figures; "item-7", "2026-11-20" and "v2.1.0" are not."""
    return bool(re.match(r"\s*[^\w\s-]{0,2}\s*(?:[A-Za-z]{3}\s*)?[-+]?\d[\d.,' ]*\s*(?:[A-Za-z]{1,8}|[^\w\s])?\s*\Z", value))


# -- what cannot be undone


def _irreversible(facts: Mapping[str, Any], settings: dict[str, Any]) -> list[Finding]:
    proposal = _dict(facts.get("proposal"))
    action = _text(proposal.get("action"))
    found = []
    if proposal.get("reversible") is False:
        found.append(Finding("irreversible", "The source says that this cannot be undone.", "proposal.reversible"))
    known = _dict(facts.get("source")).get("irreversible")
    listed = {str(one).strip().lower() for one in known} if isinstance(known, list | tuple | set | frozenset) else set()
    if action and action.strip().lower() in listed:
        found.append(Finding("irreversible", f"{action} is registered as irreversible for this source.", "proposal.action"))
    elif verb := _irreversible_verb(action, settings["verbs"]):
        found.append(Finding("irreversible", f"The action's name says {verb}.", "proposal.action"))
    if settings["look_inside"] is not False:
        found += _destructive_args(proposal.get("args"))
    return found[:5]


def _irreversible_verb(action: str, verbs: Any) -> str:
    words = words_in_name(folded(action))[:12]
    if not words or (words[0] in _READING and not {"and", "then", "or"} & set(words)):
        return ""
    if words[0] in ("transfer", "handoff", "escalate") and _TO_A_PERSON & set(words):
        return ""  # a conversation handed to a person, not money
    if words[:2] == ["drop", "off"]:
        return ""
    for verb in verbs:
        parts = str(verb).lower().split()
        if parts and all(part in words for part in parts):
            return str(verb)
    return ""


def _destructive_args(args: Any) -> list[Finding]:
    found = []
    for looked, (path, key, _, value) in enumerate(_leaves(args) if args else ()):
        if looked > MAX_NODES:
            break
        if not isinstance(value, str):
            continue
        if words_in_name(key)[-1:] == ["method"] and value.strip().upper() == "DELETE":
            found.append(Finding("irreversible", "An HTTP DELETE.", f"proposal.args.{path}"))
        elif len(value) >= 5 and (match := _DESTRUCTIVE.search(folded(value[:_LONGEST]))):
            found.append(Finding("irreversible", f"A command that destroys: {_short(match.group(0))}", f"proposal.args.{path}"))
    return found


# -- what the customer asks


def _asked(pairs: Iterable[tuple[str, str]], settings: Mapping[str, Mapping[str, Any]] | None) -> list[Finding]:
    asked = _settings("user_request", settings)
    complains = _settings("user_complaint", settings)
    table = phrases({"user_request": [*ASKS_FOR_A_PERSON, *asked["phrases"]], "user_complaint": complains["phrases"]})
    said = {"user_request": "The customer asks for a person", "user_complaint": "The customer disputes what was done"}
    found: dict[str, Finding] = {}
    for where, text in pairs:
        for trigger, words, _ in table.find(words_of(folded(text))):
            found.setdefault(trigger, Finding(trigger, f"{said[trigger]}: “{_short(words)}”", where))
        if len(found) == len(said):
            break
    return list(found.values())


# -- what failed


def _agent_failed(facts: Mapping[str, Any], settings: dict[str, Any]) -> list[Finding]:
    incident = _dict(facts.get("incident"))
    exception = _dict(incident.get("exception"))
    most = _number(settings["max_attempts"])
    most = 3.0 if most is None or most < 1 else most
    found = []
    if exception.get("retryable") is False:
        found.append(Finding("agent_failed", "The exception is marked as not retryable.", "payload.exception.retryable"))
    tried = _number(exception.get("attempts"))
    if tried is None and isinstance(exception.get("attempts"), list):
        tried = float(len(exception["attempts"]))
    if tried is not None and tried >= most:
        found.append(Finding("agent_failed", f"It was tried {_shown(tried)} times.", "payload.exception.attempts"))
    message = " ".join(_text(exception.get(name))[:2000] for name in ("type", "message"))
    if incident.get("kind") in ("exception", "alert", "handoff"):
        message = f"{message} {_text(incident.get('title'))[:500]} {_text(incident.get('body'))[:2000]}"
    if match := _EXHAUSTED.search(folded(message)):
        found.append(Finding("agent_failed", f"Retries are exhausted: {_short(match.group(0))}", "payload.exception.message"))
    attempts = incident.get("attempts")
    failed = 0
    for attempt in reversed(attempts if isinstance(attempts, list | tuple) else ()):
        if not isinstance(attempt, Mapping) or not attempt.get("error"):
            break
        failed += 1
    if failed >= most:
        found.append(Finding("agent_failed", f"The last {failed} attempts all failed.", "context.attempts"))
    return found[:2]


# -- reading what may be anything


def _settings(name: str, settings: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    """Return the settings of one trigger, defaults where a key is absent or not of the default's shape."""
    given = _dict((settings or {}).get(name))
    return {key: given[key] if _alike(given.get(key), value) else value for key, value in DEFAULT_SETTINGS[name].items()}


def _alike(given: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(given, bool):
        return isinstance(given, bool) and isinstance(default, bool)
    if isinstance(default, int | float):
        return isinstance(given, int | float) and math.isfinite(given) and given >= 0
    return given is not None and isinstance(given, type(default))


def _words(value: Any) -> list[str]:
    return [str(one).strip().lower() for one in value if str(one).strip()]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else ""



def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _shown(number: float) -> str:
    if math.isinf(number):
        return "beyond any number"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.2f}"
