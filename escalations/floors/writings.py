"""What a value is (an address, an account, a number, a date), and the ways it may be written in a text."""

import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from urllib.parse import urlsplit

from .spotting import Form, form_of

_MONEY = re.compile(
    r"(?:[$€£¥₹]|[A-Za-z]{3}(?=[\s\d]))?\s?([+-]?\d{1,3}(?:[, ']\d{3})+(?:\.\d+)?|[+-]?\d+(?:\.\d+)?)"
    r"\s?(?:[$€£¥₹%]|[A-Z]{3}|dollars|euros|pounds)?"
)
_DATE = re.compile(r"(?<![\d.])(\d{4})-(\d{2})-(\d{2})(?!\d)")
_ANY_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}")
_TIME = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(?![\d:])")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_EMAIL = re.compile(r"[^\s@<>()\"',;:]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_WEB = re.compile(r"(?:\b[a-z][a-z0-9+-]{1,10}://|\bwww\.)[^\s<>\"'()\[\]{}]{3,300}", re.I)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_LONG = re.compile(r"(?<![\w.-])(?:0x[0-9a-fA-F]{16,80}|\+?\d[\d ()/-]{6,24}\d)(?![\w-])")
_SUM = re.compile(
    r"(?:[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|JPY|INR|CAD|AUD)) ?\d[\d,.']{0,20}\d|(?:[$€£¥₹]|\b(?:USD|EUR|GBP|CHF) )\d\b"
    r"|(?<![\w.])\d[\d,.']{0,20} ?(?:[$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY|INR|CAD|AUD|dollars|euros|pounds)\b)"
)
_HOST = re.compile(r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?::\d{1,5})?(?:/\S*)?")

EMAIL, WEB, ACCOUNT, NUMBER, TEXT = "e-mail address", "web address", "account", "number", "text"


class Piece(NamedTuple):
    """A telling part of a longer text: what it is, as it stands there, and where."""

    shape: str
    text: str
    start: int


def shape_of(value: object) -> str:
    """Return what a leaf is by its looks alone."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return NUMBER
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if len(text) > 400:
        return TEXT
    if _EMAIL.fullmatch(text):
        return EMAIL
    if _WEB.fullmatch(text):
        return WEB
    if _IBAN.fullmatch(text) or (_LONG.fullmatch(text) and not _ANY_DATE.match(text)):
        return ACCOUNT
    return NUMBER if as_number(text) is not None else TEXT


def is_host(text: str) -> bool:
    """Say whether a text may be a web address without its scheme; a file's name looks the same, so ask only where one is expected."""
    return bool(_HOST.fullmatch(text.strip()))


def pieces_in(text: str, most: int = 40) -> list[Piece]:
    """Return the addresses, accounts and sums of money that stand in a text, in order, none inside another. Linear."""
    found: list[Piece] = []
    for shape, pattern in ((EMAIL, _EMAIL), (WEB, _WEB), (ACCOUNT, _IBAN), (NUMBER, _SUM), (ACCOUNT, _LONG)):
        for match in pattern.finditer(text):
            said = match[0].rstrip(".,;:!?)") if shape == WEB else match[0]
            if shape == NUMBER and as_number(said) is None:
                continue
            if shape == ACCOUNT and (_ANY_DATE.match(said) or sum(map(str.isdigit, said)) < 8):
                continue
            if not any(one.start <= match.start() < one.start + len(one.text) for one in found[:most]):
                found.append(Piece(shape, said, match.start()))
    return sorted(found, key=lambda one: one.start)[:most]


def forms_of(value: object, shape: str, *, cents: bool = False) -> list[Form]:
    """Return the sequences of words a value of this shape may be written as."""
    if shape == NUMBER:
        return of_number(value, cents=cents)
    text = str(value)
    if shape == WEB:
        return of_address(text)
    if shape == ACCOUNT:
        return of_identifier(text)
    return [form_of(text)]


def of_number(value: object, *, cents: bool = False) -> list[Form]:
    """Return 1234.5 as 1234.5, 1234.50 and 1,234.50 are cut; an amount in cents as units as well."""
    number = as_number(value)
    if number is None:
        return []
    out = _number_forms(abs(number))
    return out + _number_forms(abs(number) / 100) if cents else out


def _number_forms(number: Decimal) -> list[Form]:
    whole, _, fraction = f"{number:f}".partition(".")
    fraction = fraction.rstrip("0")
    heads = {(whole,), tuple(f"{int(whole):,}".split(","))}
    tails: list[Form] = [()] if not fraction else [(fraction,)]
    tails += [("0",), ("00",)] if not fraction else [(fraction + "0",)] if len(fraction) == 1 else []
    return [head + tail for head in sorted(heads) for tail in tails]


def as_number(value: object) -> Decimal | None:
    """Return a number, or a text that is nothing but one ("$1,234.50"), exactly; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = repr(value) if not isinstance(value, str) else value.strip()
    if len(text) > 40:
        return None
    if isinstance(value, str):
        match = _MONEY.fullmatch(text)
        if match is None:
            return None
        text = re.sub("[, ']", "", match[1])
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**18 else None


def dates_in(text: str) -> list[tuple[str, list[Form], list[Form]]]:
    """Return each ISO date of a text as (itself, the ways to write it, the ways to write its day without the year)."""
    out = []
    for match in _DATE.finditer(text):
        year, month, day = match[1], int(match[2]), int(match[3])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            continue
        short = _day_forms(month, day)
        pairs = ((match[2], match[3]), (match[3], match[2]), (str(month), str(day)), (str(day), str(month)))
        full = [(year, match[2], match[3]), *((*form, year) for form in short), *((*pair, year) for pair in pairs)]
        out.append((match[0], full, short))
    return out


def _day_forms(month: int, day: int) -> list[Form]:
    suffix = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    days = (str(day), f"{day:02d}", f"{day}{suffix}")
    names = (_MONTHS[month - 1], _MONTHS[month - 1][:3])
    return [form for one in days for name in names for form in ((one, name), (name, one), (one, "of", name), (name, "the", one))]


def times_in(text: str) -> list[tuple[str, list[Form]]]:
    """Return each time of day of a text with the ways to write it: 14:00, 2 pm, 2pm, 2:00 pm."""
    out: list[tuple[str, list[Form]]] = []
    for match in _TIME.finditer(text.replace("T", " ")):
        hour, minute = int(match[1]), match[2]
        if hour > 23:
            continue
        half, twelve = ("am" if hour < 12 else "pm"), str(hour % 12 or 12)
        forms: list[Form] = [(f"{hour:02d}", minute), (str(hour), minute), (twelve, minute, half), (twelve, minute + half)]
        if minute == "00":
            forms += [(twelve, half), (f"{twelve}{half}",), (str(hour), "o", "clock")]
        out.append((match[0], forms))
    return out


def of_address(text: str) -> list[Form]:
    """Return the forms of a web address: with and without its scheme and www."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip(), flags=re.I)
    rest = form_of(re.sub(r"^www\.", "", bare, flags=re.I))
    return [rest, ("www", *rest)] if rest else []


def host_of(text: str) -> str:
    """Return the host of a web address written with or without its scheme; empty when there is none."""
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def of_identifier(text: str) -> list[Form]:
    """Return the forms of an account or telephone number: as it is, in one piece, in groups of four."""
    cut = form_of(text)
    joined = "".join(cut)
    return [cut, (joined,), tuple(joined[at : at + 4] for at in range(0, len(joined), 4))]
