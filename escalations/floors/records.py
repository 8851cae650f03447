"""Which places of a tool's result are fields of a record, and which are running text that anybody may have written.

A mail's `sender` is filled in by the mail system; what its body says is not. Only what is a record from end to end counts as one:
JSON, or lines of `key: value` and `- value` as YAML writers put them, where quoted and block texts are running text again.
"""

import json
import re
from collections.abc import Callable

_LINE = re.compile(r"[ ]*(?:- )*(?:(?:[\w .@/-]{1,60}|'[^'\n]{1,60}'|\"[^\"\n]{1,60}\"):(?: |$))?(.*)")
_MARKED = re.compile(r"[ ]*(?:- |-$|(?:[\w .@/-]{1,60}|'[^'\n]{1,60}'|\"[^\"\n]{1,60}\"):(?: |$))")
_RECORD_WORDS = 12  # a "field" with more words than this is prose, whoever wrote the key before it
_JSON_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,\[\]{}:"]+')

Span = tuple[int, int]


def fields_of(text: str) -> Callable[[int, int], bool]:
    """Return a question: is what stands from `start` to `end` a field's whole value? Linear in the text, asked in constant time."""
    spans = _json(text) if text.lstrip()[:1] in ("{", "[") else _lines(text)
    starts = dict(spans)  # what stands there may begin after a scheme or www, and end before a slash
    return lambda start, end: any(starts.get(start - back, -1) in (end, end + 1, end + 2) for back in range(12))


def _json(text: str) -> list[Span]:
    """Return the scalars of a JSON text without their quotes; nothing for a text that is none."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = [(match.start(), match.end(), match[0][:1] == '"') for match in _JSON_VALUE.finditer(text)]
    return [(start + quoted, end - quoted) for start, end, quoted in found if len(text[start:end].split()) <= _RECORD_WORDS]


def _lines(text: str) -> list[Span]:
    """Return the one-line scalars of a text that is `key: value` and `- value` all through; nothing for one that is not."""
    spans: list[Span] = []
    at, quote, block, last = 0, "", -1, 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        bare = line.rstrip()
        indent = len(bare) - len(bare.lstrip(" "))
        if not bare:
            continue
        if quote:
            quote = "" if _closes(bare, quote) else quote
            continue
        if block >= 0 and indent > block:
            continue
        block = -1
        if not _MARKED.match(bare):
            if spans and indent > last:  # a long value goes on below its key: running text
                spans.pop()
                continue
            return []
        last = indent
        match = _LINE.fullmatch(bare)
        said = match[1] if match else ""
        if said[:1] in ("|", ">"):
            block = indent
        elif said[:1] in ("'", '"'):
            if len(said) > 1 and _closes(said[1:], said[0]):
                spans.append((start + len(bare) - len(said) + 1, start + len(bare) - 1))
            else:
                quote = said[0]
        elif said and len(said.split()) <= _RECORD_WORDS:
            spans.append((start + len(bare) - len(said), start + len(bare)))
    return spans


def _closes(line: str, quote: str) -> bool:
    """Say whether a quoted text ends with this line: a doubled ' and an escaped \\" do not end it."""
    if not line.endswith(quote):
        return False
    if quote == "'":
        return (len(line) - len(line.rstrip("'"))) % 2 == 1
    body = line[:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 0
