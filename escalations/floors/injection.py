"""Text that speaks to the classifier, the reviewer or an agent instead of describing something; and disguises of it.

Looked for in the text as it reads, and in what hides in it: tag characters, base64, escapes, markup, digits for letters,
letters one by one, rot13. Every step is linear in the text.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote

import re2

from .injectionwords import STRONG, WEAK
from .phrases import Phrases
from .text import folded, hidden_message, words_of

WEAK_NEEDED = 3  # families of weak phrases that together count
_MOST_BLOBS = 40

_quiet = re2.Options()
_quiet.log_errors = False
_quiet.case_sensitive = False
# Marks that only a prompt carries.
_MARKER = (
    r"<\|?/?(?:im_start|im_end|im_sep|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\|?>"
    r"|\[/?INST\]|<</?SYS>>|</?(?:system_prompt|system-prompt|instructions?|information|untrusted|admin|developer|override)>"
    r"|^\s*#{2,4}\s*(?:system|instruction|new instruction|response)s?\b\s*:?\s*$"
    r"|(?:begin|end|start)[ _]+(?:of[ _]+)?system[ _]+prompt"
    r"|(?:^|\n)\s*(?:system|developer)\s*(?:prompt|message|note)?\s*:\s*"
    r"(?:you|ignore|new|the user|from now|act|approve|mark|override|disregard)"
    r"|[\"'}\]]\s*,?\s*[{]?\s*[\"']role[\"']\s*:\s*[\"'](?:system|developer)[\"']"
    r"|\{\{\s*(?:system|instructions?|prompt)\s*\}\}"
)
# The classifier's own answer, written into the question.
_ANSWERED = (
    r"[\"']?(severity|confidence|triggers|escalate|needs_human|requires_review|human_review|floor|decision|approved|risk|verdict)[\"']\s*:\s*"
    r"(?:[\"'](?:info|none|low|safe|auto|approve|approved|benign)[\"']|\[\s*\]|0(?:\.0+)?\b|1(?:\.0+)?\b|0\.9\d*|false|true|null)"
)
_STYLED = (
    r"<[a-z][^>]{0,300}style\s*=[^>]{0,200}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?:[;\"'\s]|\.0)"
    r"|color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b)"
)
_COMMENTED = (
    r"<!--[^>]{0,600}\b(?:ignore|approve|approved|instruction|instructions|reviewer|classifier|assistant|ai|llm|prompt|classify|severity|confidence|system"
    r"|do not escalate)\b"
)
# What each disguise cannot be without, for one pass over everything: most texts have none of it.
_SUSPECTS = (
    ("marker", _MARKER),
    ("answer", _ANSWERED),
    ("unseen", _STYLED),
    ("comment", _COMMENTED),
    ("percent", r"%[0-9a-f]{2}"),
    ("reference", r"&#x?[0-9a-f]{2,6}"),
    ("markup", r"[a-z](?:<[!/a-z]|\*\*?[a-z]|~~|`[a-z]|\^[a-z])|[a-z]\*"),
    ("digits", r"[a-z][013457@$][a-z]"),
    ("spelled", r"\b[a-z](?:[ ._*-]{1,2}[a-z]){8}\b"),
    ("blob", r"[a-z0-9+/_-]{20}"),
    ("hexadecimal", r"(?:[0-9a-f]{2}[ :]?){16}|(?:\\x[0-9a-f]{2}){8}"),
)


def _set() -> "re2.Set":
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 64 << 20
    built = re2.Set.SearchSet(options)
    for _, pattern in _SUSPECTS:
        built.Add(pattern)
    built.Compile()
    return built


_MAYBE = _set()
_MARKERS, _ANSWER, _UNSEEN, _COMMENT = (re2.compile(one, _quiet) for one in (_MARKER, _ANSWERED, _STYLED, _COMMENTED))
_MARKUP = re.compile(r"<[^<>]{0,300}>|<!--|-->|[*~`\\^]+")
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){16,}|(?:\\x[0-9a-fA-F]{2}){8,}")
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\n|\\r|\\t|\\\n")
_SPELLED = re.compile(r"(?:(?<=\s)|^)(?:[A-Za-z][ ._*-]{1,2}){8,}[A-Za-z](?=\W|$)")
_LEET = re.compile(r"[a-z][013457@$][a-z]")
_LETTERS = str.maketrans("013457@$", "oieastas")
# Invisible characters that honest text does not carry inside it: overrides, isolates, tags, zero width inside a word.
_OVERRIDE = re.compile("[\u202a\u202b\u202d\u202e\u2066-\u2069]")
_TAGS = re.compile("[\U000e0001-\U000e007f\U000e0100-\U000e01ef]{2,}")
_INSIDE = re.compile(r"(?<=[A-Za-z])[\u200b\u200c\u200d\u2060\u2061-\u2064\ufeff\u00ad\u034f\u180e\u3164](?=[A-Za-z])")
_MANY = re.compile("[\u200b\u2060-\u2064\ufeff\u180e\u3164\uffa0\u2800]{3,}")
_MIXED = re2.compile(
    "[A-Za-z\u00c0-\u024f][\u0391-\u03a9\u03b1\u03b5\u03b9\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0400-\u052f\u13a0-\u13ff]"
    "|[\u0391-\u03a9\u03b1\u03b5\u03b9\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0400-\u052f\u13a0-\u13ff][A-Za-z\u00c0-\u024f]"
)


@lru_cache(maxsize=1)
def _tables() -> tuple[Phrases, Phrases, Phrases]:
    turned = [codecs.encode(one, "rot13") for one in STRONG["tells the reader to ignore its instructions"][:4]]
    return Phrases(STRONG), Phrases(WEAK), Phrases({"is turned by thirteen letters": turned})


def in_words(words: str) -> Iterator[tuple[str, str, int]]:
    """Yield (what it does, its words, where in `words`) of every strong phrase."""
    yield from _tables()[0].find(words)
    yield from _tables()[2].find(words)


def weak_families(words: str) -> list[str]:
    """Return the families of weak phrases found."""
    return _tables()[1].labels(words)


def suspects(text: str) -> frozenset[str]:
    """Return which disguises and marks a folded text may hold at all, in one pass; for most texts none."""
    return frozenset(_SUSPECTS[index][0] for index in _MAYBE.Match(text) or ())


def hidden(text: str) -> Iterator[str]:
    """Yield what an eye cannot see in a text as it came, and honest text does not carry."""
    if text.isascii():
        return
    if _OVERRIDE.search(text):
        yield "a character that reorders what is read"
    if _TAGS.search(text) and len(hidden_message(text)) > 6:
        yield "text written in invisible characters"
    elif _INSIDE.search(text) or _MANY.search(text):
        yield "an invisible character inside a word"
    if _MIXED.search(text.encode("utf-8", "ignore").decode()):
        yield "a look-alike letter of another alphabet inside a word"


def marks(text: str, maybe: frozenset[str]) -> Iterator[str]:
    """Yield what only a prompt carries, and answers written for the classifier, in a folded text."""
    if "marker" in maybe and (match := _MARKERS.search(text)):
        yield f"a mark that only a prompt carries: {match.group(0).strip()[:40]}"
    if "unseen" in maybe and _UNSEEN.search(text):
        yield "markup that hides text from the eye"
    if "comment" in maybe and _COMMENT.search(text):
        yield "a comment in markup that speaks to a reader"
    if "answer" in maybe and len({match.group(1).lower() for match in islice(_ANSWER.finditer(text), 200)}) > 1:
        yield "an answer in the form the classifier gives"


def disguised(text: str, maybe: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (how it was hidden, the words that hid) of every other reading of a folded text; usually none."""
    if "\\" in text:
        yield "escapes", words_of(folded(_ESCAPE.sub(_unescaped, text)))
    if "percent" in maybe and (plain := unquote(text)) != text:
        yield "URL escapes", words_of(folded(plain))
    if "reference" in maybe and (plain := html.unescape(text)) != text:
        yield "character references", words_of(folded(plain))
    if "markup" in maybe and _MARKUP.search(text):
        yield "markup", words_of(folded(_MARKUP.sub("", text)))
    if "digits" in maybe and _LEET.search(lower := text.lower()):
        yield "digits for letters", words_of(lower.translate(_LETTERS))
    if "spelled" in maybe:
        for spelled in _SPELLED.findall(text)[:20]:
            yield "letters one by one", f" {re.sub(r'[^a-z]', '', spelled.lower())} "
    if "blob" in maybe:
        for blob in _BLOB.findall(text)[:_MOST_BLOBS]:
            if plain := _decoded(blob):
                yield "base64", words_of(folded(plain))
    if "hexadecimal" in maybe:
        for run in _HEX.findall(text)[:_MOST_BLOBS]:
            if plain := _readable(_bytes(re.sub(r"\\x|[ :]", "", run))):
                yield "hexadecimal", words_of(folded(plain))


def _unescaped(found: re.Match[str]) -> str:
    if found[0][1] == "u":
        return chr(int(found[0][2:], 16))
    return " "


def _decoded(blob: str) -> str:
    body = blob.rstrip("=").replace("-", "+").replace("_", "/")
    if body.isdigit() or body.islower() or len(body) % 4 == 1:
        return ""
    try:
        return _readable(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _bytes(run: str) -> bytes:
    try:
        return bytes.fromhex(run[: len(run) // 2 * 2])
    except ValueError:
        return b""


def _readable(raw: bytes) -> str:
    """Return the text, if it is one: what is decoded from something else than text is noise."""
    try:
        plain = raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(one.isalpha() or one.isspace() for one in plain)
    return plain if plain and letters > 0.7 * len(plain) else ""
