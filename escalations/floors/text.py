"""What an eye cannot see in a text, made visible; and a text folded so that disguises fall off before words are looked for.

Emoji sequences and right-to-left languages are left as they are; overrides and isolates, which reorder what a reviewer
reads, always show.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import re2

# Letters of one script that look like letters of another. Folded to Latin for matching, shown when mixed inside one word.
_CYRILLIC = dict(zip("аеорсухіјѕһԁԛԝвкмнтгпьєАВЕКМНОРСТУХІЈЅҺԌԚԜ", "aeopcyxijshdqwbkmhtrnbeABEKMHOPCTYXIJSHGQW", strict=True))
_GREEK = dict(zip("αβεικνορτυχωγηΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abeikvoptuxwynABEZHIKMNOPTYX", strict=True))
_OTHER = dict(zip("ɑɡıℓⅼⅽⅾⅿ‐‑‒–—―‘’‚‛“”„‟′″⁄∕։׃∶։", "agilicdm------''''\"\"\"\"'\"//::::", strict=True))
CONFUSABLE: dict[str, str] = {**_CYRILLIC, **_GREEK, **_OTHER}
_FOLD = str.maketrans(CONFUSABLE)
_UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i"}
)

# Always shown: C0/C1 controls but tab, newline and return; soft hyphen; bidi; invisible operators; line and paragraph
# separators; fillers; spaces that are not a space; specials; private use; noncharacters; tags; selectors supplement.
_SHOWN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180e\u2000-\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u205f\u2800\u3000\u3164\ufeff\uffa0\ufff9-\ufffb\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff\ud800-\udfff"
)
# Shown unless what stands before gives them a meaning: joiners and variation selectors.
_JOINERS = "\u200c\u200d\ufe00-\ufe0f"
_HIDDEN = re.compile(f"[{_SHOWN}{_JOINERS}]")
_HIDDEN_RUN = re.compile(f"[{_SHOWN}{_JOINERS}]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
# Two neighbouring letters of alphabets that share shapes; every disguised word has such a pair, nearly no honest text does.
_BORROWED = "\u0370-\u03ff\u1f00-\u1fff\u0400-\u052f\u0530-\u058f\u13a0-\u13ff"
_LATIN = "A-Za-z\u00c0-\u024f"
_BORDER = re.compile(
    f"[{_LATIN}][{_BORROWED}]|[{_BORROWED}][{_LATIN}]|[\u0370-\u03ff][\u0400-\u052f]|[\u0400-\u052f][\u0370-\u03ff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# For folding: what carries no meaning of its own, removed so that "ig\u200bnore" is read as it would be by a model.
_NOTHING = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef\ud800-\udfff]"
)
_SMUGGLED = re.compile("[\U000e0020-\U000e007e\U000e0100-\U000e01ef]+")
_MAX_NAMED = 12  # tokens spelled out in one run; a longer run is counted


def tokens(text: str) -> list[tuple[str, str]]:
    """Split a text into ("text", readable) and ("hidden", "⟦U+202E RIGHT-TO-LEFT OVERRIDE⟧") pieces, in order.

    Joining all pieces shows everything that is in the text. Linear in its length.
    """
    if text.isascii() and not _CONTROL.search(text):
        return [("text", text)] if text else []
    pieces: list[tuple[str, str]] = []
    at = 0
    for start, end, shown in _marks(text):
        if start > at:
            pieces.append(("text", text[at:start]))
        pieces.append(("hidden", shown))
        at = end
    if at < len(text):
        pieces.append(("text", text[at:]))
    return pieces


def has_hidden(text: str) -> bool:
    """Return whether `tokens` would show anything that an eye would miss."""
    if text.isascii():
        return bool(_CONTROL.search(text))
    return next(_marks(text), None) is not None


def hidden_message(text: str) -> str:
    """Return what is written in tag characters or variation selectors (text smuggled past the eye), else ""."""
    return "".join(
        chr(point - 0xE0000 if point <= 0xE007E else min(point - 0xE0100 + 16, 126))
        for run in _SMUGGLED.findall(text)
        for point in map(ord, run)
    )


def folded(text: str) -> str:
    """Return the text as a model would read it: compatibility forms folded, invisible characters gone, look-alikes Latin."""
    if text.isascii():
        return _CONTROL.sub("", text)
    plain = _NOTHING.sub("", unicodedata.normalize("NFKC", text))
    if plain.isascii():
        return plain
    if mixes_alphabets(plain):
        plain = _WORD.sub(_unmixed, plain)
    return plain.translate(_PUNCTUATION) if _ODD_PUNCTUATION.search(plain) else plain


def mixes_alphabets(text: str) -> bool:
    """Return whether letters of two alphabets that share shapes stand side by side. Cheap, for text without lone surrogates."""
    return bool(_BORDERS.search(text))


_PUNCTUATION = str.maketrans({key: value for key, value in _OTHER.items() if not key.isalpha()})
_ODD_PUNCTUATION = re2.compile(f"[{''.join(map(chr, _PUNCTUATION))}]")
_BORDERS = re2.compile(_BORDER.pattern)
_NOT_DECOMPOSED = re2.compile(f"[{''.join(map(chr, _UNDECOMPOSED))}]")
_BETWEEN = re.compile(r"[^\w.!?;:¿¡。！？…|]+|_+")
_STOPS = re.compile("[!?;:¿¡。！？…|]")
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")
_ASCII_WORDS = bytes(
    code if chr(code).isalnum() and code < 128 else ord(".") if chr(code) in ".!?;:|" else ord(" ") for code in range(256)
).lower()
_STOP = re.compile(r" ?\.[ .]*")  # on text whose spaces are single, so that no run of them is looked at twice
_APOSTROPHES = re.compile("['`´ʼ]")
_MARKS = re.compile(r"[\u0300-\u036f]+")


def words_of(text: str) -> str:
    """Return " i dont want this . let me speak to a person ": lower case, no accents, one space between words, " . " between

    sentences and paragraphs, a space at both ends. What phrases are matched against. Takes text that was `folded`."""
    if "\n" in text:
        text = _PARAGRAPH.sub(" . ", text)
    if text.isascii():
        plain = text.encode("ascii").translate(_ASCII_WORDS, b"'`").decode("ascii")
        return _sentences(plain)
    plain = _MARKS.sub("", unicodedata.normalize("NFD", text.casefold()))
    plain = unicodedata.normalize("NFC", plain)
    if _NOT_DECOMPOSED.search(plain):
        plain = plain.translate(_UNDECOMPOSED)
    plain = _APOSTROPHES.sub("", plain)
    return _sentences(_STOPS.sub(".", _BETWEEN.sub(" ", plain)))


def _sentences(plain: str) -> str:
    joined = _STOP.sub(" . ", " ".join(plain.split())).strip(" ")
    return f" {joined} "


def _marks(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, token) of everything to show, in order; words that mix scripts as a token after the word."""
    mixed = [(found.end(), found) for found in _WORD.finditer(text) if _mixes(found[0])] if _BORDER.search(text) else []
    ahead = 0
    for run in _HIDDEN_RUN.finditer(text):
        while ahead < len(mixed) and mixed[ahead][0] <= run.start():
            yield mixed[ahead][0], mixed[ahead][0], _look_alike(mixed[ahead][1][0])
            ahead += 1
        yield from _shown(text, run.start(), run.end())
    for end, found in mixed[ahead:]:
        yield end, end, _look_alike(found[0])


def _shown(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield tokens of one run of characters that may be invisible."""
    named = [at for at in range(start, end) if not _harmless(text, at)]
    if len(named) > _MAX_NAMED:
        said = hidden_message(text[start:end])
        reading = f' reading "{said[:200]}"' if said.strip() else ""
        yield start, end, f"⟦{len(named)} hidden characters, first U+{ord(text[named[0]]):04X} {_name(text[named[0]])}{reading}⟧"
        return
    for at in named:
        yield at, at + 1, f"⟦U+{ord(text[at]):04X} {_name(text[at])}⟧"


def _harmless(text: str, at: int) -> bool:
    """A joiner or selector that belongs to the character before it: an emoji's, or a script's that is written with joiners."""
    character = text[at]
    before = text[at - 1] if at else ""
    if character == "\u200d":
        after = text[at + 1] if at + 1 < len(text) else ""
        return (_pictorial(before) or before == "\ufe0f") and _pictorial(after) or (_joining(before) and _joining(after))
    if character == "\u200c":
        return _joining(before)
    if character == "\u3000":
        return before >= "\u2e80"  # the ordinary space of Chinese and Japanese
    if character in "\ufe0e\ufe0f":
        return _pictorial(before) or before in "0123456789#*" and before != ""
    if "\U000e0020" <= character <= "\U000e007f":
        return _flag(text, at)
    return False


def _flag(text: str, at: int) -> bool:
    """England, Scotland and Wales are a black flag followed by a few tags; anything longer is a hidden message."""
    start = at
    while start and "\U000e0020" <= text[start - 1] <= "\U000e007e" and at - start < 8:
        start -= 1
    end = at
    while end < len(text) and "\U000e0020" <= text[end] <= "\U000e007e" and end - start < 8:
        end += 1
    return start > 0 and text[start - 1] == "\U0001f3f4" and end - start <= 6 and text[end : end + 1] == "\U000e007f"


def _pictorial(character: str) -> bool:
    if not character:
        return False
    point = ord(character)
    return (
        0x1F000 <= point <= 0x1FAFF or 0x2190 <= point <= 0x2BFF or 0x3030 <= point <= 0x303D
        or point in (0xA9, 0xAE, 0x203C, 0x2049, 0x2122, 0x2139, 0x3297, 0x3299)
    )  # fmt: skip


def _joining(character: str) -> bool:
    """Arabic, Syriac, Mongolian and the Indic scripts are spelled with joiners."""
    if not character:
        return False
    point = ord(character)
    return 0x0600 <= point <= 0x08FF or 0x0900 <= point <= 0x0DFF or 0x0F00 <= point <= 0x18AF or 0xFB50 <= point <= 0xFEFE


@lru_cache(maxsize=1024)
def _script(character: str) -> str:
    point = ord(character)
    if point < 0x250 or 0x1E00 <= point <= 0x1EFF:
        return "Latin"
    if 0x370 <= point <= 0x3FF or 0x1F00 <= point <= 0x1FFF:
        return "Greek"
    if 0x400 <= point <= 0x52F:
        return "Cyrillic"
    if 0x530 <= point <= 0x58F:
        return "Armenian"
    if 0x13A0 <= point <= 0x13FF:
        return "Cherokee"
    return ""


def _scripts(word: str) -> set[str]:
    return {script for character in word if (script := _script(character))}


def _mixes(word: str) -> bool:
    """A word of letters from two alphabets that share shapes. "µm", "Ωm" and a lone symbol are science, not disguise."""
    if word.isascii():
        return False
    scripts = _scripts(word)
    if len(scripts) < 2:
        return False
    return any(character in CONFUSABLE for character in word) or len(scripts) > 2


def _unmixed(found: re.Match[str]) -> str:
    """Fold look-alikes to Latin where a word is disguised: where it mixes alphabets. Honest Cyrillic and Greek stay."""
    word = found[0]
    return word.translate(_FOLD) if _mixes(word) else word


def _look_alike(word: str) -> str:
    scripts = "/".join(sorted(_scripts(word)))
    odd = [character for character in word if _script(character) not in ("Latin", "")][:4]
    return f"⟦{scripts} letters mixed: {' '.join(f'U+{ord(one):04X}' for one in odd)}⟧"


@lru_cache(maxsize=4096)
def _name(character: str) -> str:
    name = unicodedata.name(character, "")
    if name:
        return name
    point = ord(character)
    if point in _CONTROL_NAMES:
        return _CONTROL_NAMES[point]
    kind = unicodedata.category(character)
    return {"Cc": "CONTROL", "Co": "PRIVATE USE", "Cs": "LONE SURROGATE", "Cn": "UNASSIGNED", "Cf": "FORMAT"}.get(kind, "HIDDEN")


_CONTROL_NAMES = {
    0x00: "NULL", 0x07: "BELL", 0x08: "BACKSPACE", 0x0B: "LINE TABULATION", 0x0C: "FORM FEED", 0x1B: "ESCAPE",
    0x7F: "DELETE", 0x85: "NEXT LINE",
}  # fmt: skip
