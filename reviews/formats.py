"""How a value reads beside the raw one: grouped, with its currency, in the reader's own time. What is signed is always the raw value."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from escalations.floors.writings import ACCOUNT, EMAIL, NUMBER, WEB, as_number, host_of, shape_of

CURRENCIES = frozenset(
    (
        "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KRW", "MXN", "NOK",
        "NZD", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "UAH", "USD", "ZAR",
    )
)  # fmt: skip
SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
WHOLE = frozenset({"JPY", "KRW", "HUF", "IDR"})  # currencies written without hundredths
_MONEY_NAMES = frozenset(
    (
        "amount", "amt", "total", "price", "sum", "value", "payment", "refund", "charge", "cost", "credit", "transfer", "payout",
        "deposit", "fee", "balance", "limit", "paid", "due",
    )
)  # fmt: skip
_CENTS = frozenset(("cents", "cent", "pence", "minor", "subunits"))
_TIME_NAMES = frozenset(
    (
        "at", "time", "timestamp", "ts", "date", "epoch", "expires", "created", "updated", "due", "since", "until", "start", "end",
    )
)  # fmt: skip
_NAMES_SOMETHING = frozenset(
    (
        "id", "ids", "order", "number", "no", "nr", "ref", "reference", "invoice", "ticket", "case", "customer", "account", "user", "code",
        "zip", "postcode", "year", "port", "version", "phone", "row", "line", "key", "sku", "item", "booking", "reservation",
    )
)  # fmt: skip
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_HEX = re.compile(r"(?:sha(?:256|1|512):)?[0-9a-f]{32,128}", re.I)


class Reading(NamedTuple):
    """One way a value reads. `when` is a moment to be said in the reader's time zone; `odd` deserves a second look."""

    said: str
    when: datetime | None = None
    odd: bool = False


def readings(path: str, value: Any, beside: dict[str, Any] | None = None) -> list[Reading]:
    """Return how a leaf reads, most telling first; nothing where the raw value says it all. `beside` are the args next to it."""
    names = [word.lower() for word in _SPLIT.split(path.rsplit(".", 1)[-1]) if word]
    if isinstance(value, bool):
        return [Reading("yes" if value else "no")]
    if isinstance(value, int | float):
        number = as_number(value)  # None for what no sum of anything is: not a number, endless, of thirty digits
        return _number(number, names, beside or {}) if number is not None else []
    if not isinstance(value, str):
        return []
    shape = shape_of(value)
    if shape == NUMBER and (number := as_number(value)) is not None:
        return [*_number(number, names, beside or {}, value), Reading("sent as text")]
    text = value.strip()
    out = _moment(text) or _address(text, shape) or _identifier(text, shape)
    if value.strip("\r\n") != text:
        out = [*out, Reading("begins or ends with spaces", odd=True)]
    if not text:
        return [Reading("empty text" if not value else "nothing but spaces", odd=bool(value))]
    if len(text) > 200:
        count = len(text.split())
        out = [*out, Reading(f"{len(value):,} characters, {count:,} word{'s' if count != 1 else ''}")]
    return out


def _number(number: Decimal, names: list[str], beside: dict[str, Any], raw: str = "") -> list[Reading]:
    if moment := _epoch(number, names):
        return [Reading("seconds since 1970" if number < 10**11 else "milliseconds since 1970", moment)]
    currency = _currency(names, beside, raw)
    cents = bool(set(names) & _CENTS)
    if currency or cents:
        amount = number / 100 if cents else number
        figure = f"{amount:,.0f}" if currency in WHOLE and amount == amount.to_integral_value() else f"{amount:,.2f}"
        exact = amount == round(amount, 2)
        return [Reading(f"{currency} {figure}".strip() + ("" if exact else " (rounded)"))]
    counts = not set(names) & _NAMES_SOMETHING  # order 20391 is a name, and nobody reads it as twenty thousand
    return [Reading(f"{number:,}")] if counts and abs(number) >= 1000 else []


def _currency(names: list[str], beside: dict[str, Any], raw: str) -> str:
    """Return the currency the name says, else the one that stands beside an amount, else the sign in the value itself."""
    for name in names:
        if name.upper() in CURRENCIES:
            return name.upper()
    if raw:
        sign = next((code for sign, code in SYMBOLS.items() if sign in raw), "")
        written = next((word.upper() for word in _SPLIT.split(raw) if word.upper() in CURRENCIES), "")
        if sign or written:
            return written or sign
    if set(names) & (_MONEY_NAMES | _CENTS):
        for name, said in beside.items():
            if "currency" in str(name).lower() and isinstance(said, str) and said.strip().upper() in CURRENCIES:
                return said.strip().upper()
    return ""


def _epoch(number: Decimal, names: list[str]) -> datetime | None:
    if number != number.to_integral_value() or not set(names) & _TIME_NAMES:
        return None
    seconds = number if 10**9 <= number < 10**10 else number / 1000 if 10**12 <= number < 10**13 else None
    return datetime.fromtimestamp(float(seconds), UTC) if seconds is not None else None


def _moment(text: str) -> list[Reading]:
    if not _DATE.match(text):
        return []
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return [Reading(f"{day:%A}, {day.day} {day:%B %Y}")]
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo:
                return [Reading("", moment)]
            return [Reading(f"{moment:%A}, {moment.day} {moment:%B %Y, %H:%M}; no time zone is given")]
    except ValueError:
        return [Reading("there is no such date", odd=True)]
    return []


def _address(text: str, shape: str) -> list[Reading]:
    if shape == EMAIL:
        return [Reading(f"at {text.rpartition('@')[2].lower()}", odd=_odd_host(text.rpartition("@")[2]))]
    if shape != WEB:
        return []
    host = host_of(text)
    out = [Reading(f"leads to {host}" if host else "leads nowhere readable", odd=_odd_host(host))]
    if "@" in text.split("/")[2 if "://" in text else 0]:
        out.append(Reading("what stands before the @ is no part of where it leads", odd=True))
    return out


def _odd_host(host: str) -> bool:
    """Say whether a host is written so that it may be taken for another: punycode, bare numbers, letters of no Latin alphabet."""
    return "xn--" in host.lower() or not host.isascii() or bool(re.fullmatch(r"[\d.]+|\[.*\]|0x[0-9a-f]+", host))


def _identifier(text: str, shape: str) -> list[Reading]:
    if shape == ACCOUNT and re.match(r"[A-Z]{2}\d{2}", text):
        joined = text.replace(" ", "")
        fours = " ".join(joined[at : at + 4] for at in range(0, len(joined), 4))
        right = _iban_is_right(joined)
        out = [Reading(fours)] if fours != text else []
        return [*out, Reading(f"IBAN of {joined[:2]}, its check digits are right" if right else "not a valid IBAN", odd=not right)]
    return [Reading("UUID")] if _UUID.fullmatch(text) else []


def _iban_is_right(joined: str) -> bool:
    turned = joined[4:] + joined[:4]
    digits = "".join(str(int(one, 36)) for one in turned if one.isalnum() and one.isascii())
    return 15 <= len(joined) <= 34 and int(digits or "0") % 97 == 1


def is_code(text: Any) -> bool:
    """Say whether a value reads best in letters of one width: ids, hashes, accounts."""
    return isinstance(text, str) and (bool(_HEX.fullmatch(text) or _UUID.fullmatch(text)) or shape_of(text) == ACCOUNT)
