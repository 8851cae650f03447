"""Where the agent's prose says one thing and its arguments another: $20 and 2000, Alice and Bob, order 1182 and 9999."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .finding import Finding
from .sensitive import emails, ibans
from .text import folded

_LONGEST = 20_000
_MOST_LEAVES = 2_000

_FIGURE = r"\d{1,3}(?:[,. ' ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_CURRENCY = r"(?:[$€£¥₹]|usd|eur|gbp|chf|jpy|inr|cad|aud|dollars?|euros?|pounds?|francs?|yen)"
_MONEY = re.compile(
    rf"(?:{_CURRENCY}\s?({_FIGURE})(?![\d%])|(?<![\w.])({_FIGURE})\s?{_CURRENCY}(?![a-z]))\s?(k|m|thousand|million)?\b", re.I
)
_ONLY_MONEY = re.compile(rf"\s*{_CURRENCY}?\s?({_FIGURE})\s?{_CURRENCY}?\s*", re.I)
_THINGS = (
    "rows?|records?|users?|items?|customers?|e?mails?|files?|seats?|tickets?|units?|copies|people|guests?|accounts?|entries|orders?|"
    "messages?|invoices?|documents?|passengers?|bags?|nights?|rooms?"
)
_COUNT = re.compile(rf"(?<![\w.,$€£#-])(\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}})\s+(?:\w+\s)?({_THINGS})\b", re.I)
_NAMED = re.compile(
    r"\b(order|invoice|account|ticket|customer|user|reservation|case|booking|transaction|contract|policy|employee|payment|subscription)"
    r"(?:\s+(?:id|no|nr|number))?\s*[:#.]*\s*((?:[A-Z]{0,6}[-_]?)\d[A-Za-z0-9_-]{0,40})",
    re.I,
)
_TO_NAME = re.compile(r"\b(?:to|for|towards)\s+((?:[A-Z][\w'-]+)(?:\s+[A-Z][\w'-]+){0,2})")
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_AMOUNT = frozenset(
    (
        "amount", "amt", "total", "price", "sum", "value", "payment", "refund", "charge", "cost", "credit",
        "transfer", "payout", "deposit", "cents",
    )
)  # fmt: skip
_CENTS = frozenset(("cents", "cent", "pence", "minor", "subunits"))
_HOW_MANY = frozenset(
    (
        "count", "rows", "quantity", "qty", "records", "affected", "number", "limit", "units", "copies", "num",
        "total",
    )
)  # fmt: skip
_RECIPIENT = frozenset(
    (
        "to", "recipient", "recipients", "email", "emails", "cc", "bcc", "receiver", "payee", "beneficiary",
        "address", "destination", "iban", "account",
    )
)  # fmt: skip
_NOT_NAMES = frozenset(
    (
        "the", "a", "an", "this", "that", "our", "my", "your", "his", "her", "their", "all", "each", "every",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    )
)  # fmt: skip


def contradictions(description: str, args: Any) -> list[Finding]:
    """Return an injection_suspected finding for each thing that prose and args both name, and name differently.

    Silent where only one of them speaks of it. Never raises; linear in both.
    """
    if not isinstance(description, str) or not description.strip() or not args:
        return []
    prose = folded(description[:_LONGEST])
    leaves = list(_leaves(args))
    found = [one for look in (_amounts, _counts, _addresses, _numbers, _people) for one in look(prose, leaves)]
    return found[:10]


def _amounts(prose: str, leaves: list[tuple[str, set[str], Any]]) -> Iterator[Finding]:
    said = [amount for match in _MONEY.finditer(prose) if (amount := _figure(match[1] or match[2], match[3])) is not None]
    if not said:
        return
    pairs = [(a, b) for a in said[:10] for b in said[:10]]
    sayable = {*said, sum(said), *(a + b for a, b in pairs), *(abs(a - b) for a, b in pairs if a != b)}
    added: dict[str, list[float]] = {}
    odd: dict[str, tuple[str, float]] = {}
    for path, names, value in leaves:
        if not names & _AMOUNT or {"id", "date", "type", "currency"} & names:
            continue
        number = _as_number(value)
        if number is None or number == 0:
            continue
        number = abs(number) / (100 if names & _CENTS else 1)
        general = re.sub(r"\[\d+\]", "[]", path)
        added.setdefault(general, []).append(number)
        if not _among(number, sayable):
            odd.setdefault(general, (path, number))
    for general, (path, number) in odd.items():
        if len(added[general]) > 1 and _among(sum(added[general]), sayable):
            continue
        yield _finding(f"The description says {_listed(f'{one:,.2f}' for one in said)}, the argument is {number:,.2f}.", path)


def _counts(prose: str, leaves: list[tuple[str, set[str], Any]]) -> Iterator[Finding]:
    said = {float(match[1].replace(",", "")) for match in _COUNT.finditer(prose)}
    if not said:
        return
    for path, names, value in leaves:
        if not names & _HOW_MANY or names & (_AMOUNT - {"total"}) or "id" in names:
            continue
        number = float(len(value)) if isinstance(value, list) else _as_number(value)
        if number is not None and not _among(number, said):
            yield _finding(f"The description says {_listed(f'{one:,.0f}' for one in said)}, the argument is {number:,.0f}.", path)


def _addresses(prose: str, leaves: list[tuple[str, set[str], Any]]) -> Iterator[Finding]:
    for find, what in ((emails, "address"), (ibans, "account")):
        said = find(prose)
        if not said:
            continue
        for path, names, value in leaves:
            if not names & _RECIPIENT:
                continue
            for text in _texts(value):
                meant = find(text if find is emails else text.upper())
                if meant and not meant & said:
                    yield _finding(f"The description names the {what} {_listed(said)}, the argument is {_listed(meant)}.", path)


def _numbers(prose: str, leaves: list[tuple[str, set[str], Any]]) -> Iterator[Finding]:
    said: dict[str, set[str]] = {}
    for match in _NAMED.finditer(prose):
        said.setdefault(match[1].lower(), set()).add(_bare(match[2]))
    for path, names, value in leaves:
        if names & _AMOUNT or names & _HOW_MANY or not isinstance(value, str | int) or isinstance(value, bool):
            continue
        own = _bare(str(value))
        if not re.fullmatch(r"[a-z]{0,6}\d[a-z0-9]{0,40}", own):
            continue
        for noun in names & said.keys():
            if own not in said[noun] and not any(own.endswith(one) or one.endswith(own) for one in said[noun]):
                yield _finding(f"The description speaks of {noun} {_listed(said[noun])}, the argument is {value}.", path)


def _people(prose: str, leaves: list[tuple[str, set[str], Any]]) -> Iterator[Finding]:
    said = [match[1] for match in _TO_NAME.finditer(prose) if match[1].split()[0].lower() not in _NOT_NAMES]
    if not said:
        return
    lower = prose.lower()
    for path, names, value in leaves:
        if not names & (_RECIPIENT | {"name"}) or not names & {"recipient", "recipients", "to", "payee", "beneficiary", "receiver"}:
            continue
        for text in _texts(value):
            if not re.fullmatch(r"[A-Za-zÀ-ɏ][\w' .-]{1,60}", text):
                continue
            parts = [part.lower() for part in re.split(r"[\s.]+", text) if len(part) > 1]
            if parts and not any(part in lower for part in parts):
                yield _finding(f"The description names {_listed(said)}, the argument is {text}.", path)


def _leaves(args: Any) -> Iterator[tuple[str, set[str], Any]]:
    """Yield (path, the words of its name, value); a list also as itself, so that its length can be asked."""
    waiting: list[tuple[str, str, Any]] = [("", "", args)]
    seen = 0
    while waiting and seen < _MOST_LEAVES:
        path, key, value = waiting.pop()
        seen += 1
        if isinstance(value, Mapping):
            waiting.extend((f"{path}.{name}" if path else str(name), str(name), inner) for name, inner in value.items())
            continue
        if isinstance(value, list | tuple):
            yield path, _words(key), list(value)
            nested = [(index, inner) for index, inner in enumerate(value) if isinstance(inner, Mapping | list)]
            waiting.extend((f"{path}[{index}]", key, inner) for index, inner in nested)
        else:
            yield path, _words(key), value


def _words(key: str) -> set[str]:
    return {word.lower() for word in _SPLIT.split(key) if word}


def _texts(value: Any) -> list[str]:
    return [folded(one[:_LONGEST]) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value) if value == value else None
        except OverflowError:
            return float("inf")
    if isinstance(value, str) and len(value) < 40 and (match := _ONLY_MONEY.fullmatch(value)):
        return _figure(match[1], None)
    return None


def _figure(text: str, scale: str | None) -> float | None:
    """Read 1,000.50 and 1.000,50 and 1 000: the last separator before one or two digits is the decimal one."""
    plain = text.replace(" ", "").replace("\u00a0", "").replace("'", "")
    decimal = re.search(r"[.,](\d{1,2})\Z", plain)
    whole = re.sub(r"[.,]", "", plain[: decimal.start()] if decimal else plain)
    if not whole.isdigit():
        return None
    number = float(f"{whole}.{decimal[1]}" if decimal else whole)
    return number * {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}.get((scale or "").lower(), 1)


def _among(number: float, said: Iterable[float]) -> bool:
    return any(abs(number - one) < 0.006 for one in said)


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _listed(said: Iterable[str]) -> str:
    return " and ".join(sorted(set(said))[:3])


def _finding(why: str, path: str) -> Finding:
    return Finding("injection_suspected", why, f"proposal.args.{path}")
