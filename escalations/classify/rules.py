"""The engine `rules`: deterministic, always on, readable. What an incident is, by tables of names, statuses and words.

It reads what anybody could know on arrival: never an id, a source, a label. The claimed severity can raise what it says and
never lower it. It is `sure` of a category where structure says so (the type of an exception, the name of an action, the
kind), and leaves it to others where only words do.
"""

import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from escalations.floors.customer import customer_texts
from escalations.floors.phrases import Phrases
from escalations.floors.text import folded, words_of
from escalations.floors.triggers import words_in_name
from escalations.states import Severity, worst

from .tables import ACTIONS, CRASHES, CUSTOMERS, GOOD_NEWS, LEVELS, MESSAGES, STATUS, TYPES, Row
from .word import Word

ENGINE = "rules"
VERSION = "1"

_LONGEST = 6000  # characters of one text that are read; what comes later does not change what it is
_GOOD_NEWS = re.compile(GOOD_NEWS)
_TITLED = re.compile(r"\s*\*?([A-Za-z_][\w.$:/-]*?(?:[A-Za-z0-9]))(?:\s*\(\w+\))?\s*:\s")
_STATUS_IN_TEXT = re.compile(
    r"(?:\bHTTP(?:/[\d.]+)?|\bstatus(?:[ _]?code)?|\bcode|\breturned|\bresponse)\D{0,4}\b([45]\d\d)\b", re.I
)
_STATUS_KEYS = ("status", "status_code", "statusCode", "http_status", "response_status", "response_code", "code")
_MESSAGE_KEYS = (
    "message", "msg", "error", "text", "description", "reason", "detail", "details", "summary", "log", "exception_type", "value",
    "alert",
)  # fmt: skip
_LEVEL_KEYS = ("level", "severity", "log_level", "loglevel", "priority", "levelname")
_MONEY = frozenset(("money", "payment", "funds", "balance", "amount"))
_RATE = re.compile(r"(?:error rate|failure rate|5xx|errors)\D{0,20}(\d{1,3}(?:\.\d+)?)\s?%", re.I)


class _Said(NamedTuple):
    """One thing a table said."""

    severity: str
    category: str
    confidence: float | None  # None: no table knows it, and nothing is said of how sure that is
    why: str
    sure: bool


def speak(facts: Mapping[str, Any]) -> Word:
    """Return what the tables say of one incident. Never raises; some tenths of a millisecond."""
    started = time.perf_counter()
    incident = _dict(facts.get("incident"))
    kind = str(incident.get("kind") or "")
    proposal = _dict(facts.get("proposal"))
    said = list(_all_that_is_said(kind, incident, proposal, facts))
    claimed = str(incident.get("severity") or "").lower()
    first = said[0]
    severity: str = worst(*(one.severity for one in said))
    if claimed in Severity.values:
        severity = worst(severity, claimed)
    confidence = first.confidence
    if confidence is not None and severity != first.severity and claimed != severity:
        confidence = min(confidence, 0.7)  # two tables see it differently
    return Word(
        engine=ENGINE,
        version=VERSION,
        severity=str(severity),
        category=first.category,
        confidence=None if confidence is None else round(confidence, 2),
        sure=first.sure,
        rationale=_sentence(said, severity, claimed),
        latency_ms=round((time.perf_counter() - started) * 1000),
    )


def _all_that_is_said(
    kind: str, incident: Mapping[str, Any], proposal: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[_Said]:
    """Yield everything the tables say, what decides the category first. At least one."""
    if kind == "action":
        yield from _of_action(proposal)
    elif kind == "draft":
        yield from _of_draft(proposal, facts)
    elif kind in ("question", "handoff"):
        yield from _of_customer(kind, incident, facts)
    else:
        yield from _of_failure(kind, incident)


def _of_action(proposal: Mapping[str, Any]) -> Iterator[_Said]:
    action = str(proposal.get("action") or "")
    words = words_in_name(folded(action))[:16]
    known = {*words, "".join(words)}
    found = False
    for severity, category, confidence, says, names in ACTIONS:
        for name in names:
            if all(part in known for part in name.split()):
                # a later row only speaks for the severity: "delete and refund" is a refund that also deletes
                yield _Said(severity, category, confidence if not found else 0.7, f"the action {action[:80]} is {says}", not found)
                found = True
                break
        if category == "handoff" and found and not known & _MONEY:
            return  # "transfer" to a person is no payment
    if not found:
        # Nothing known is no doubt: a doubt would keep an action with a name of one's own from every rule and lane for good.
        yield _Said(Severity.WARNING, "other", None, f"the action {action[:80] or 'without a name'} is in no table", False)


def _of_draft(proposal: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[_Said]:
    draft = _dict(proposal.get("draft"))
    text = f"{_text(draft.get('subject'))}. {_text(draft.get('body'))[:_LONGEST]}"
    yield _Said(Severity.INFO, "reply_draft", 0.9, "a draft waits to be sent", True)
    for row in _matching(_customers(), CUSTOMERS, words_of(folded(text))):
        if row.category in ("legal_statement", "security", "complaint", "data_request"):
            yield _Said(Severity.WARNING, row.category, row.confidence, f"the draft speaks of {row.says}", False)


def _of_customer(kind: str, incident: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[_Said]:
    text = ". ".join(text[:_LONGEST] for _, text in customer_texts(facts)) or _text(incident.get("title"))
    rows = list(_matching(_customers(), CUSTOMERS, words_of(folded(text[: 2 * _LONGEST]))))
    if kind == "handoff":
        yield _Said(Severity.WARNING, "handoff", 0.93, "an agent hands over to a person", True)
    elif not rows:
        yield _Said(Severity.INFO, "customer_question", 0.55, "a customer asks something", False)
    for row in rows:
        yield _Said(row.severity, row.category, row.confidence, f"the customer's words speak of {row.says}", False)


def _of_failure(kind: str, incident: Mapping[str, Any]) -> Iterator[_Said]:
    payload = _dict(incident.get("payload"))
    names, text = _what_failed(incident, payload)
    words = words_of(folded(text))
    words = _GOOD_NEWS.sub("", words)
    found: list[_Said] = []
    for row in _matching(_crashes(), CRASHES, words):
        found.append(_Said(row.severity, row.category, row.confidence, f"it reads like {row.says}", True))
    for name in names:
        if said := _of_type(name):
            found.append(said)
            break
    if status := _status(payload, text):
        severity, category, says = STATUS.get(status) or STATUS.get(status // 100 * 100, STATUS[500])
        found.append(_Said(severity, category, 0.85, f"HTTP {status} is {says}", True))
    for row in _matching(_messages(), MESSAGES, words):
        confidence = row.confidence if not found else 0.7
        found.append(_Said(row.severity, row.category, confidence, f"its words speak of {row.says}", False))
    if (rate := _RATE.search(text)) and float(rate[1]) >= 20:
        found.append(_Said(Severity.CRITICAL, "outage", 0.85, f"{rate[0].strip()[:60]} is more than a few", False))
    yield from _levelled(kind, found, _level(payload))


def _levelled(kind: str, found: list[_Said], level: str) -> Iterator[_Said]:
    """The level a logger wrote raises the severity; where words and level disagree, nobody is confident."""
    said = LEVELS.get(level)
    if not found:
        if said:
            confidence = 0.85 if said != Severity.WARNING else 0.7
            yield _Said(said, "other", confidence, f"its level is {level}", False)
        elif kind == "exception":
            yield _Said(Severity.WARNING, "bug", 0.5, "an exception of a kind that is in no table", False)
        else:
            yield _Said(Severity.INFO, "other", 0.6, "nothing in it sounds like trouble", False)
        return
    if said == Severity.INFO and not found[0].sure:
        found = [found[0]._replace(confidence=min(found[0].confidence or 0.0, 0.6)), *found[1:]]
    yield from found
    if said:
        yield _Said(said, found[0].category, 0.85, f"its level is {level}", False)


@lru_cache(maxsize=4096)
def _of_type(name: str) -> _Said | None:
    """Look an exception's name up: java.net.SocketTimeoutException, ECONNREFUSED, *os.PathError, Django's NoReverseMatch."""
    last = re.split(r"[.:/\\$]+", name.strip().strip("*").rstrip(":"))[-1]
    plain = re.sub(r"[^a-z0-9]", "", last.lower())
    if not plain:
        return None
    best: tuple[int, _Said] | None = None
    for severity, category, confidence, says, parts in TYPES:
        for part in parts:
            if part in plain and (best is None or len(part) > best[0]):
                best = (len(part), _Said(severity, category, confidence, f"{last[:80]} is {says}", True))
    return best[1] if best and (best[0] > 3 or len(plain) <= 12) else None


def _what_failed(incident: Mapping[str, Any], payload: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return names an exception may have, likeliest first, and the words it came with; never stack frames, they hold code."""
    exception = _dict(incident.get("exception")) or _dict(payload.get("exception"))
    event = _dict(payload.get("event"))
    chain = _dict(event.get("exception")).get("values") or _dict(payload.get("exception")).get("values")
    last = _dict(chain[-1]) if isinstance(chain, list) and chain else {}
    error = _dict(payload.get("error"))
    names = [
        _text(one)
        for one in (
            exception.get("type"), last.get("type"), payload.get("exception_type"), payload.get("exc_type"),
            payload.get("error_type"), error.get("type"), error.get("name"), error.get("code"), payload.get("error_code"),
            payload.get("code"),
        )
    ]  # fmt: skip
    title, body = _text(incident.get("title")), _text(incident.get("body"))
    if titled := _TITLED.match(title):
        names.append(titled[1])
    names.append(title if " " not in title.strip() else "")
    said = [title, body, *names[:6]]
    said += [_text(one.get("message")) for one in (exception, error, event)] + [_text(last.get("value"))]
    said += [_text(payload.get(key)) for key in _MESSAGE_KEYS]
    said += [_text(event.get(key)) for key in ("title", "culprit")]
    return [name for name in names if name], "\n\n".join(dict.fromkeys(one[:_LONGEST] for one in said if one))


def _status(payload: Mapping[str, Any], text: str) -> int:
    for place in (payload, _dict(payload.get("response")), _dict(payload.get("http")), _dict(payload.get("error"))):
        for key in _STATUS_KEYS:
            value = place.get(key)
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
                return value
    found = _STATUS_IN_TEXT.search(text)
    return int(found[1]) if found else 0


def _level(payload: Mapping[str, Any]) -> str:
    for place in (payload, _dict(payload.get("event")), _dict(payload.get("labels"))):
        for key in _LEVEL_KEYS:
            level = _text(place.get(key)).strip().lower()
            if level in LEVELS:
                return level
    return ""


def _matching(table: Phrases, rows: tuple[Row, ...], words: str) -> Iterator[Row]:
    for label in table.labels(words):
        yield rows[int(label)]


@lru_cache(maxsize=1)
def _crashes() -> Phrases:
    return _table(CRASHES)


@lru_cache(maxsize=1)
def _messages() -> Phrases:
    return _table(MESSAGES)


@lru_cache(maxsize=1)
def _customers() -> Phrases:
    return _table(CUSTOMERS)


def _table(rows: tuple[Row, ...]) -> Phrases:
    return Phrases({str(index): row.phrases for index, row in enumerate(rows)})


def _sentence(said: list[_Said], severity: str, claimed: str) -> str:
    """Return why, in one sentence: what named the category, and what made it worse if something else did."""
    why = said[0].why
    worse = next((one.why for one in said[1:] if one.severity == severity and one.severity != said[0].severity), "")
    if worse:
        why = f"{why}; {worse}"
    elif severity != said[0].severity:
        why = f"{why}; the source says {claimed}"
    return f"{why[:1].upper()}{why[1:]}: {severity}."


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else ""
