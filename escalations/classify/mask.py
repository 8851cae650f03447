"""Hiding secrets and personal data before a text leaves the machine, and putting them back into what returns.

It errs on the side of hiding: a number masked for nothing costs the model a little, a card number that leaves costs everything.
The map from placeholder to value lives in one `Mask`, in this process's memory, and goes nowhere.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

LONGEST = 50_000  # characters of one text that are read; what lies behind is not sent
EDGE = 256  # characters dropped where a text was cut, so that no half of a secret stays at the edge
SWEPT = 6  # characters a known value must have to be looked for once more everywhere
DEEPEST = 12  # levels of a JSON value that are sent
SHORT = 64  # characters of a text that is remembered to hide nothing
REMEMBERED = 20_000  # such texts, two or three megabytes

PLACEHOLDER = re.compile(r"<([A-Z]{2,10})_(\d{1,6})>")

# Names whose value is a secret, whatever it looks like: in JSON keys, `name=value`, `name: value`, headers.
_SECRET_NAME = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|api[_-]?key|apikey|access[_-]?key|private[_-]?key|signing[_-]?key|"
    r"encryption[_-]?key|account[_-]?key|auth|authorization|proxy-authorization|cookie|set-cookie|credentials?|"
    r"(?:access|refresh|id|auth|bearer|session|csrf|api|bot|device|security)?[_-]?token|session[_-]?id|sessionid|"
    r"client[_-]?secret|connection[_-]?string|dsn|pin|cvv|cvc|otp|security[_-]?code"
)
# Those that are one even at the end of a longer word.
_STRONG_NAME = r"password|passwd|passphrase|secret|api[_-]?key|token"
# Names whose value is personal: kept apart only so that the placeholder tells the model what was there.
_PERSONAL_NAME = (
    r"ssn|social[_\- ]?security(?:[_\- ]?(?:number|no))?|national[_\- ]?(?:id|insurance)(?:[_\- ]?(?:number|no))?|"
    r"passport(?:[_\- ]?(?:number|no))?|"
    r"tax[_\- ]?(?:id|number|no)|steuer[_\- ]?id|bsn|nif|nie|dni|cpf|pesel|personnummer|aadhaar|"
    r"driver'?s?[_\- ]?licen[cs]e(?:[_\- ]?(?:number|no))?|date[_\- ]?of[_\- ]?birth|dob|birth[_\- ]?date"
)
_SECRET_KEY = re.compile(rf"(?:.*[_\-. ])?(?:{_SECRET_NAME})(?:[_-]?(?:value|hash|text|header))?", re.I)
_PERSONAL_KEY = re.compile(rf"(?:.*[_\-. ])?(?:{_PERSONAL_NAME})", re.I)


# How long a bank account number is, by country: a mistyped one is hidden too, so the checksum does not matter here.
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FO FI GL NL FK SD", 19: "MK SI", 20: "AT BA EE KZ XK LT LU MN", 21: "HR LV LI CH",
    22: "BH BG CR GE IE ME RS GB DE VA", 23: "TL GI IQ IL AE SO OM", 24: "AD CZ MD PK RO SA SK ES SE TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "BI DJ FR GR IT MR MC SM", 28: "AL AZ BY CY DO SV GT HU LB PL NI", 29: "BR EG PS QA UA", 30: "JO KW MU YE",
    31: "MT SC", 32: "LC", 33: "RU",
}
_IBANS = "|".join(
    rf"(?:{'|'.join(countries.split())})\d\d(?:[ \-]?[A-Z0-9]){{{length - 4}}}" for length, countries in _IBAN_LENGTHS.items()
)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if index % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _iban(text: str) -> str:
    return "IBAN" if sum(one.isdigit() for one in text) >= 8 else ""


def _number(text: str) -> str:
    """Name a long run of digits: a card by its checksum, else just a number; "" for what is a moment in ISO form."""
    digits = re.sub(r"\D", "", text)
    if 13 <= len(digits) <= 19 and _luhn(digits):
        return "CARD"
    return "NUMBER"


def _address(text: str) -> str:
    try:
        ip_address(text.strip("[]").split("%")[0])
    except ValueError:
        return ""
    return "IP"


def _looks_random(text: str) -> str:
    """Name a long run of letters and digits that nobody speaks: a key of a maker not listed here, a digest."""
    longest = max(re.split(r"[_\-]", text), key=len)
    kinds = sum(bool(re.search(kind, longest)) for kind in (r"[a-z]", r"[A-Z]", r"\d.*\d.*\d"))
    is_hex = len(longest) >= 32 and re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", longest)
    return "TOKEN" if is_hex or (len(longest) >= 20 and kinds == 3) else ""


_DAY = re.compile(r"(?:19|20)\d\d[-. /](?:0?[1-9]|1[0-2])[-. /]\d{1,2}|[0-3]?\d[-. /][0-3]?\d[-. /](?:19|20)\d\d$")


def _phone(text: str) -> str:
    digits = re.sub(r"\D", "", text)
    return "PHONE" if 7 <= len(digits) <= 15 and not _DAY.match(text.strip()) else ""


Namer = Callable[[str], str]

# (pattern, what it is or how to tell); the group `v` is what is hidden, else the whole match. In order: the sure before the loose.
_PATTERNS: list[tuple[re.Pattern[str], str | Namer]] = [
    (re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}(?:PRIVATE KEY|CERTIFICATE|MESSAGE)[A-Z ]{0,12}-----.*?(?:-----END [^-]{0,60}-----|\Z)", re.S,
    ), "KEY"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"), "JWT"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://(?P<v>[^\s/@:'\"<>]{0,200}:[^\s/@'\"<>]{1,500})@", re.I), "LOGIN"),
    (re.compile(r"\b(?:Bearer|Basic|Digest|Token|ApiKey)\s+(?P<v>[A-Za-z0-9+/=._~-]{8,})", re.I), "TOKEN"),
    (re.compile(
        r"\b(?:sk|pk|rk|ak)[-_](?:live|test|proj|ant|or|svcacct)?[-_]?[A-Za-z0-9_-]{12,}"
        r"|\bcs_(?:live|test|person)_[A-Za-z0-9]+_[A-Za-z0-9]+|\bwhsec_[A-Za-z0-9+/=]{8,}"
        r"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"
        r"|\bglpat-[A-Za-z0-9_-]{12,}|\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}|\bAIza[A-Za-z0-9_-]{20,}"
        r"|\bya29\.[A-Za-z0-9_-]{10,}|\bSG\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|\bnpm_[A-Za-z0-9]{16,}|\bpypi-[A-Za-z0-9_-]{16,}"
        r"|\bhf_[A-Za-z0-9]{16,}|\bshp(?:at|ca|pa|ss)_[A-Za-z0-9]{16,}|\bdop_v1_[a-f0-9]{16,}|\bEAA[A-Za-z0-9]{20,}"
        r"|\bkey-[a-f0-9]{16,}|\bsq0[a-z]{3}-[A-Za-z0-9_-]{16,}|\bhv[sb]\.[A-Za-z0-9_-]{16,}|\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"
    ), "APIKEY"),
    (re.compile(
        rf"(?=[paskewtcridbo_])(?:(?:{_STRONG_NAME})|(?:\b|_)(?:{_SECRET_NAME}))[\"']?\s*(?:=>|:=|[=:])\s*"
        r"(?:(?P<q>\\?[\"'`])(?P<v1>.{1,1000}?)(?<!\\)(?P=q)|(?P<v2>[^\s,;&\"'`)}\]]{1,1000}))", re.I | re.S,
    ), "SECRET"),
    (re.compile(rf"\b(?:{_SECRET_NAME})\s+(?:is|was)\s*:?\s+[\"'`]?(?P<v>[^\s\"'`]{{4,200}})", re.I), "SECRET"),
    (re.compile(
        rf"\b(?:{_PERSONAL_NAME})[\"']?\s*(?:number|no\.?|nr\.?)?\s*(?:is|[=:#]|=>)?\s*[\"']?"
        r"(?P<v>[A-Z0-9](?:[A-Z0-9 ./-]{3,22}[A-Z0-9])?)",
        re.I,
    ), lambda text: "ID" if re.search(r"\d", text) else ""),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}(?:@|＠|%40)(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"), "EMAIL"),
    (re.compile(rf"\b(?=[A-Z]{{2}}\d\d)(?:{_IBANS})(?![A-Z0-9])", re.I), _iban),
    (re.compile(
        r"(?<![\w.])\[?(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?:%\w+)?\]?(?![\w:])", re.I,
    ), _address),
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"), _address),
    (re.compile(r"\b(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}\b"), "ID"),  # United States
    (re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", re.I), "ID"),  # United Kingdom
    (re.compile(r"\b(?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z]\b", re.I), "ID"),  # Spain
    (re.compile(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", re.I), "ID"),  # Italy
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), "ID"),  # Brazil
    (re.compile(r"\b(?:19|20)?\d{6}[-+]\d{4}\b"), "ID"),  # Sweden, Denmark
    (re.compile(r"\b[A-Z]{5}\d{4}[A-Z]\b"), "ID"),  # India
    (re.compile(r"[A-Za-z0-9_-]{24,}"), _looks_random),
    (re.compile(r"(?<![\w.])\d(?:[ \-]?\d){11,22}(?!\w)"), _number),
    (re.compile(r"(?<!\w)(?<!\d[.\-:])\d{9}(?:\d{2})?(?![\w.:]?\d|\w)"), "NUMBER"),  # nine and eleven digits: many national ids
    (re.compile(r"(?<![\w+])(?:\+|00)[1-9](?:[\s().\-/]{0,2}\d){6,14}(?!\w)"), _phone),
    (re.compile(r"(?<![\w.\-])\(?0?\d{2,4}\)?[\s.\-/]\d{2,4}[\s.\-/]\d{2,5}(?:[\s.\-/]\d{2,5})?(?![\w\-]|\.\d)"), _phone),
    (re.compile(r"(?<!\w)\(\d{2,5}\)[\s.\-]?\d{3,4}[\s.\-]?\d{2,5}(?!\w)"), _phone),
    (re.compile(
        r"\b(?:phone|tel(?:ephone)?|mobile|cell|call|fax|whatsapp)\b[^\d\n]{0,16}(?P<v>\d[\d\s().\-/]{5,18}\d)", re.I,
    ), _phone),
]


SECRETS = tuple(pattern for pattern, kind in _PATTERNS if kind in ("KEY", "JWT", "LOGIN", "TOKEN", "APIKEY", "SECRET"))


def names_a_secret(name: str) -> bool:
    """Say whether what stands under this name is a secret, whatever it looks like."""
    return _SECRET_KEY.fullmatch(name) is not None


# Short texts in which nothing is hidden: names of keys, words of ours. They come again and again, and what they are does not depend on
# whose placeholders are given out.
_clean: set[str] = set()


class Mask:
    """One conversation's placeholders. The same value is the same placeholder everywhere in it, so that the model can follow it."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # value -> placeholder
        self._values: dict[str, str] = {}  # placeholder -> value
        self._counts: dict[str, int] = {}

    def text(self, text: str) -> str:
        """Return the text with what must not leave replaced, cut at 50,000 characters."""
        if text in _clean:
            return text
        cut = len(text) > LONGEST
        asked, text = text, text[:LONGEST]
        # What looks like a placeholder already is hidden first: nobody may write <EMAIL_1> and get an address for it.
        text = PLACEHOLDER.sub(lambda match: self._hide("LITERAL", match.group()), text)
        for pattern, kind in _PATTERNS:
            text = pattern.sub(partial(self._replaced, kind), text)
        if len(asked) <= SHORT and text == asked:
            if len(_clean) >= REMEMBERED:
                _clean.clear()
            _clean.add(asked)
        return text[:-EDGE] if cut else text

    def value(self, value: Any, deep: int = DEEPEST) -> Any:
        """Return a JSON value with every text in it masked, keys too, and what stands under a secret's name hidden whole."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            written = str(value)
            masked = self.text(written) if len(written) >= 8 else written
            return value if masked == written else masked
        if deep == 0:
            return "…"
        if isinstance(value, list | tuple):
            return [self.value(one, deep - 1) for one in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self._under(str(key), one, deep - 1) for key, one in value.items()}
        return self.text(str(value))

    def sweep(self, written: str) -> str:
        """Hide in a finished text (JSON or not) every value this mask already knows, where it runs into its neighbours."""
        for value in sorted(self._names, key=len, reverse=True):
            if len(value) >= SWEPT:
                for form in {value, json.dumps(value, ensure_ascii=False)[1:-1]}:
                    written = written.replace(form, self._names[value])
        return written

    def unmask(self, text: str) -> str:
        """Return the text with every placeholder of this mask turned back into its value. Others stay."""
        return PLACEHOLDER.sub(lambda match: self._values.get(match.group(), match.group()), text)

    def placeholders(self) -> frozenset[str]:
        """Every placeholder given out so far."""
        return frozenset(self._values)

    def _under(self, key: str, value: Any, deep: int) -> Any:
        if value in (None, "", True, False) or isinstance(value, dict | list):
            return self.value(value, deep)
        if _SECRET_KEY.fullmatch(key):
            return self._hide("SECRET", str(value))
        if _PERSONAL_KEY.fullmatch(key):
            return self._hide("ID", str(value))
        return self.value(value, deep)

    def _replaced(self, kind: str | Namer, match: re.Match[str]) -> str:
        groups = match.groupdict()
        name = next((one for one in ("v", "v1", "v2") if groups.get(one) is not None), None)
        whole = match.group()
        found = whole if name is None else match.group(name)
        label = kind if isinstance(kind, str) else kind(found)
        if not label or PLACEHOLDER.fullmatch(found):
            return whole
        hidden = self._hide(label, found)
        if name is None:
            return hidden
        start, end = match.start(name) - match.start(), match.end(name) - match.start()
        return whole[:start] + hidden + whole[end:]

    def _hide(self, label: str, value: str) -> str:
        value = self.unmask(value)  # a login inside a secret: the map holds what really stood there
        if value not in self._names:
            self._counts[label] = self._counts.get(label, 0) + 1
            self._names[value] = placeholder = f"<{label}_{self._counts[label]}>"
            self._values[placeholder] = value
        return self._names[value]
