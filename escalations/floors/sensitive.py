# ruff: noqa: E501 - one kind of number a line
"""Numbers and secrets that give themselves away: cards, bank accounts, national ids, keys. Checksums, not guesses.

An identifier with a strong checksum or shape counts wherever it stands; a weak one (nine or eleven bare digits) counts only
where a word before it says what it is. Patterns are RE2, so linear in the text.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import re2

from .text import CONFUSABLE, folded

_PLACEHOLDER = re.compile(r"[*x•.…<>{}\[\]$%_-]+|(?:none|null|true|false|undefined|required|incorrect|invalid|wrong|string|redacted|hidden)\W*", re.I)


class Kind(NamedTuple):
    """One kind of detail: its name in words, how it looks, and what makes sure: given what was found, the number itself, or no."""

    name: str
    pattern: str
    sure: Callable[[str], bool | str]


def find(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (what it is, its last characters, where) for every detail found in a folded text."""
    for start, _, name, ending in _found_in(text):
        yield name, ending, start


class Span(NamedTuple):
    """Where in a text a detail stands, what it is, and its last characters."""

    start: int
    end: int
    name: str
    ending: str


def spans(text: str) -> list[Span]:
    """Return where the details of a text stand, in order, none inside another. Reads disguised digits as `folded` does.

    Errs on the side of saying more: a run that holds a card number is one span. Linear in the text: 3 µs for a sentence, 0.2 ms for 50 kB.
    """
    plain = folded(text)
    if not _ALL.Match(plain):
        return []
    places: list[int] | None = None
    if plain != text:
        plain, places = _folded_with_places(text)
    found = sorted(_found_in(plain))
    out: list[Span] = []
    for first, last, name, ending in found:
        start, end = first, last
        if places is not None:
            start, end = places[start], places[end - 1] + 1
        if out and start < out[-1].end:
            out[-1] = out[-1]._replace(end=max(end, out[-1].end))
        else:
            out.append(Span(start, end, name, ending))
    return out


def _found_in(text: str) -> Iterator[tuple[int, int, str, str]]:
    closed = 0  # where the last key that was found ends: a thousand that begin before it end there too
    for index in sorted(_ALL.Match(text) or ()):
        kind, compiled = _COMPILED[index]
        for match in (_CARDS if kind.sure is card else compiled).finditer(text):
            value = match.group(1)
            number = kind.sure(value)
            if not number:
                continue
            start, end = match.span(1)
            if value.startswith("-----BEGIN"):  # the key itself is what follows
                if closed < end:
                    closed = text.find("-----END", end)
                    closed = len(text) if closed < 0 else closed
                end = closed
            elif isinstance(number, str) and kind.sure is not card:  # behind one card in a run there may stand another
                start, end = _part_of(value, number, start)
            elif kind.sure is _secret and (quote := _QUOTE.search(value)) and quote.start() >= 3:
                end = start + quote.start()  # "password":"x","next":… is one run of characters, and only x is the secret
            plain = number if isinstance(number, str) else re.sub(r"[^A-Za-z0-9]", "", value)
            yield start, end, kind.name, plain[-4:] if len(plain) >= 8 else ""


def _part_of(value: str, number: str, start: int) -> tuple[int, int]:
    """Return where in `value`, which has separators, the number without them stands."""
    kept = [index for index, one in enumerate(value) if one.isalnum()]
    first = "".join(value[index] for index in kept).upper().find(number.upper())
    return start + kept[first], start + kept[first + len(number) - 1] + 1


def _folded_with_places(text: str) -> tuple[str, list[int]]:
    """Return the text folded one character at a time, and for each character of it where it came from."""
    plain: list[str] = []
    places: list[int] = []
    for index, one in enumerate(text):
        for folded_one in one if one.isascii() and one.isprintable() else CONFUSABLE.get(one, folded(one)):
            plain.append(folded_one)
            places.append(index)
    return "".join(plain), places


def contacts(text: str) -> set[str]:
    """Return the distinct e-mail addresses and telephone numbers of a folded text."""
    found = emails(text)
    for match in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", match.group(1))
        if 9 <= len(digits) <= 15:
            found.add(digits)
    return found


def emails(text: str) -> set[str]:
    """Return the distinct e-mail addresses, lower case; of the first thousand."""
    found: set[str] = set()
    at = text.find("@")
    for _ in range(1000):
        if at < 0:
            break
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1, at + 200)
        if local and domain:
            found.add(f"{local[0]}@{domain[0]}".lower())
        at = text.find("@", at + 1)
    return found


def ibans(text: str) -> set[str]:
    """Return everything that looks like an IBAN, without spaces, upper case, whether or not its checksum holds."""
    return {re.sub(r"[\s-]", "", match.group(1)).upper() for match in _IBAN.finditer(text)}


# -- checksums


def luhn(digits: str) -> bool:
    """Return whether a string of digits passes the Luhn check."""
    return bool(digits) and (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


_DOUBLED = str.maketrans("0123456789", "0246813579")


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value)


_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"6(?:011|5|4[4-9]|22)"), (16, 17, 18, 19)),  # Discover, UnionPay on it
    (re.compile(r"35(?:2[89]|[3-8])"), (16, 17, 18, 19)),  # JCB
    (re.compile(r"3(?:0[0-5]|[68])"), (14,)),  # Diners
    (re.compile(r"62|81"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"50|5[6-9]|6[37]"), (16, 18, 19)),  # Maestro, at its usual lengths
)
_FIRST = frozenset("234568")  # what one of these begins with: looked at before the digits are added up


def card(value: str) -> str:
    """Return the first card number in a run of digits in groups ("4111 1111 1111 1111 12 27"), else ""."""
    groups = re.split(r"[ .-]", value)[:60]
    dotted = "." in value
    for first in range(len(groups)):
        number = ""
        for group in groups[first : first + 7]:
            number += group
            if len(number) > 19:
                break
            if dotted and len(group) != 4:
                break
            if len(number) >= 13 and _is_card(number, grouped=number != group):
                return number
    return ""


def _is_card(number: str, *, grouped: bool) -> bool:
    if number[0] not in _FIRST or len(set(number)) == 1:
        return False
    if len(number) in (13, 14) and not grouped:
        return False  # as often a moment in milliseconds or a barcode
    return luhn(number) and any(prefix.match(number) and len(number) in lengths for prefix, lengths in _ISSUERS)


_IBAN_LENGTH = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31,
    "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def iban(value: str) -> str:
    """Return the IBAN, where ISO 7064 mod 97 holds, else "". The country's own length decides where it ends."""
    plain = re.sub(r"[\s-]", "", value).upper()
    plain = plain[: _IBAN_LENGTH.get(plain[:2], 0)]
    if not plain or len(plain) < _IBAN_LENGTH[plain[:2]]:
        return ""
    return plain if int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1 else ""


def _ssn(value: str) -> bool:
    digits = _digits(value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    known = digits in ("123456789", "078051120")  # printed in advertisements and examples
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and not known


def _nino(value: str) -> bool:
    plain = re.sub(r"\s", "", value).upper()
    return plain[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") and plain[0] not in "DFIQUV" and plain[1] not in "DFIOQUV"


def _dni(value: str) -> bool:
    plain = re.sub(r"[\s-]", "", value).upper()
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def _nir(value: str) -> bool:
    plain = re.sub(r"\s", "", value).upper().replace("2A", "19").replace("2B", "18")
    return len(plain) == 15 and plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


_FISCAL_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip


def _codice_fiscale(value: str) -> bool:
    plain = value.upper()
    total = sum(_FISCAL_ODD[one] if place % 2 == 0 else int(one, 36) % 36 - (10 if one.isalpha() else 0) for place, one in enumerate(plain[:15]))
    return chr(65 + total % 26) == plain[15]


def _cpf(value: str) -> bool:
    digits = [int(one) for one in _digits(value)]
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        rest = sum(digit * (length + 1 - place) for place, digit in enumerate(digits[:length])) * 10 % 11 % 10
        if rest != digits[length]:
            return False
    return True


def _pesel(value: str) -> bool:
    digits = [int(one) for one in value]
    month, day = int(value[2:4]) % 20, int(value[4:6])
    total = sum(digit * weight for digit, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=True))
    return 1 <= month <= 12 and 1 <= day <= 31 and total % 10 == 0


def _personnummer(value: str) -> bool:
    digits = _digits(value)[-10:]
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) % 60 <= 31 and luhn(digits)


def _ahv(value: str) -> bool:
    digits = _digits(value)
    return sum(int(one) * (3 if place % 2 else 1) for place, one in enumerate(digits)) % 10 == 0


def _resident_id(value: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    if not ("1900" <= value[6:10] <= "2030" and 1 <= int(value[10:12]) <= 12 and 1 <= int(value[12:14]) <= 31):
        return False
    return "10X98765432"[sum(int(one) * weight for one, weight in zip(value, weights, strict=False)) % 11] == value[17].upper()


_VERHOEFF = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4))


def _aadhaar(value: str) -> bool:
    product = [list(range(10))] + [[0] * 10 for _ in range(9)]
    product = [[(b + a) % 5 if a < 5 and b < 5 else (b - a) % 5 if a >= 5 and b >= 5 else 0 for b in range(10)] for a in range(10)]
    for a in range(10):
        for b in range(10):
            if a < 5:
                product[a][b] = (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
            else:
                product[a][b] = 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5
    permutation = [list(_VERHOEFF[0]), list(_VERHOEFF[1])]
    for _ in range(6):
        permutation.append([_VERHOEFF[1][one] for one in permutation[-1]])
    check = 0
    for place, one in enumerate(reversed(_digits(value))):
        check = product[check][permutation[place % 8][int(one)]]
    return check == 0 and _digits(value)[0] not in "01"


def _bsn(value: str) -> bool:
    digits = [int(one) for one in _digits(value).zfill(9)]
    return sum(d * w for d, w in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=False)) % 11 == 0


def _steuer_id(value: str) -> bool:
    digits = _digits(value)
    rest = 10
    for one in digits[:10]:
        total = (int(one) + rest) % 10 or 10
        rest = total * 2 % 11
    return len(digits) == 11 and digits[0] != "0" and (11 - rest) % 10 == int(digits[10])


def _routing(value: str) -> bool:
    return sum(int(one) * weight for one, weight in zip(value, (3, 7, 1, 3, 7, 1, 3, 7, 1), strict=True)) % 10 == 0


def _secret(value: str) -> bool:
    """A password was written down: neither a placeholder nor a sentence about passwords."""
    plain = value.strip("\"'`,;.")
    if len(plain) < 5 or _PLACEHOLDER.fullmatch(plain):
        return False
    return any(one.isdigit() or not one.isalnum() for one in plain)


def _always(value: str) -> bool:
    return True


_ID = "a national identity number"
KINDS: tuple[Kind, ...] = (
    Kind("a payment card number", r"(?:^|[^\d.+])(\d(?:[ .-]?\d){12,80})(?:\D|$)", card),
    Kind("a bank account number (IBAN)", r"(?:^|[^A-Za-z0-9])((?i:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}))(?:[^A-Za-z0-9]|$)", iban),
    Kind("a bank routing number", r"(?i:routing|aba)(?i:\s+(?:number|no|code))?\W{0,4}(\d{9})(?:\D|$)", _routing),
    Kind("a social security number", r"(?:^|[^\d.-])(\d{3}-\d{2}-\d{4})(?:[^\d-]|$)", _ssn),
    Kind("a social security number", r"(?i:ssn|social security)(?i:\s+(?:number|no))?(?i:\s+is)?\W{0,4}(\d{3}[ -]?\d{2}[ -]?\d{4})(?:\D|$)", _ssn),
    Kind("a national insurance number", r"(?:^|[^A-Za-z0-9])([A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D])(?:[^A-Za-z0-9]|$)", _nino),
    Kind(_ID, r"(?:^|[^A-Za-z0-9-])((?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z])(?:[^A-Za-z0-9-]|$)", _dni),
    Kind(_ID, r"(?:^|\D)([12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2})(?:\D|$)", _nir),
    Kind(_ID, r"(?:^|[^A-Za-z0-9])((?i:[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]))(?:[^A-Za-z0-9]|$)", _codice_fiscale),
    Kind(_ID, r"(?:^|\D)(\d{3}\.\d{3}\.\d{3}-\d{2})(?:\D|$)", _cpf),
    Kind(_ID, r"(?i:cpf)\W{1,4}(\d{11})(?:\D|$)", _cpf),
    Kind(_ID, r"(?i:pesel)(?i:\s+(?:nr|number|numer))?\W{1,4}(\d{11})(?:\D|$)", _pesel),
    Kind(_ID, r"(?:^|[^\d-])((?:19|20)?\d{6}[-+]\d{4})(?:[^\d-]|$)", _personnummer),
    Kind(_ID, r"(?:^|\D)(756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2})(?:\D|$)", _ahv),
    Kind(_ID, r"(?:^|\D)([1-9]\d{16}[\dXx])(?:[^\dA-Za-z]|$)", _resident_id),
    Kind(_ID, r"(?i:aadhaar|aadhar|uidai)(?i:\s+(?:number|no|card))?(?i:\s+is)?\W{1,4}(\d{4}[ -]?\d{4}[ -]?\d{4})(?:\D|$)", _aadhaar),
    Kind(_ID, r"(?i:bsn|burgerservicenummer|sofinummer)\W{1,4}(\d{8,9})(?:\D|$)", _bsn),
    Kind(_ID, r"(?i:steuer(?:liche)?[- ]?id(?:entifikationsnummer)?(?:nr|nummer)?|steuernummer|idnr)\W{1,4}(\d{2} ?\d{3} ?\d{3} ?\d{3})(?:\D|$)", _steuer_id),
    Kind(_ID, r"(?i:social insurance(?: number| no)?|\bsin)(?i:\s+is)?\W{1,4}(\d{3}[ -]?\d{3}[ -]?\d{3})(?:\D|$)", lambda value: luhn(_digits(value))),
    Kind("a passport number", r"(?i:passport|reisepass|pasaporte|passeport)(?i:\s+(?:number|no|nr|nummer))?(?i:\s+is)?\W{1,4}([A-Z]{0,3}\d[A-Z0-9]{6,9})(?:[^A-Za-z0-9]|$)", _always),
    Kind("a secret key", r"(-----BEGIN (?:[A-Z]+ )*PRIVATE KEY)", _always),
    Kind("a secret key", r"(?:^|[^A-Za-z0-9])((?:AKIA|ASIA)[0-9A-Z]{16})(?:[^A-Za-z0-9]|$)", _always),
    Kind("a secret key", r"(?:^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}"
         r"|sk-(?:proj-|ant-)?[\w-]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{16,}|npm_[A-Za-z0-9]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}"
         r"|cs_(?:live|test|person)_[A-Za-z0-9]+_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{40,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})", _always),
    Kind("a secret key", r"(?i:api[_ -]?key|secret[_ -]?key|access[_ -]?token|auth[_ -]?token|client[_ -]?secret|private[_ -]?key)(?i:\s+is)?[\"']?\s*[:= ]\s*[\"']?([A-Za-z0-9+/_=.-]{16,})", _secret),
    Kind("a password", r"(?i:\b(?:password|passwd|pwd|passphrase|passcode|kennwort|passwort|mot de passe|contraseña|contrasena|wachtwoord|senha))[\"']?\s*(?:[:=]|(?i:\sis:?\s|\sist\s|\sest\s|\ses\s))\s*[\"']?(\S{5,64})", _secret),
    Kind("a password", r"(?i:[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,64}:([^\s/:@]{3,64})@)", lambda value: not _PLACEHOLDER.fullmatch(value)),
)  # fmt: skip


def _built() -> tuple["re2.Set", list[tuple[Kind, "re2._Regexp"]]]:
    options = re2.Options()
    options.max_mem = 64 << 20
    options.log_errors = False
    every = re2.Set.SearchSet(options)
    compiled = []
    for kind in KINDS:
        every.Add(kind.pattern)
        compiled.append((kind, re2.compile(kind.pattern, options)))
    every.Compile()
    return every, compiled


_ALL, _COMPILED = _built()
_QUOTE = re.compile(r"(?<!\\)[\"'`]")
_CARDS = re.compile(r"(?<![\d.+])(\d(?:[ .-]?\d){12,80})(?!\d)")  # of cards there are many candidates, and re is quicker at each
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,5}[A-Za-z]{2,24}")
_PHONE = re2.compile(r"(?:^|[^\w.+-])(\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}|\(\d{3}\) ?\d{3}[ -]\d{4}|\d{3}-\d{3}-\d{4}|0\d{2,4}[ /-]\d{5,8})(?:[^\w-]|$)")
_IBAN = re2.compile(r"(?:^|[^A-Za-z0-9])([A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30})(?:[^A-Za-z0-9]|$)")
