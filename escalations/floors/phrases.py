"""Phrases that an administrator can read and write, matched in one linear pass over any text (RE2).

A phrase is words as people write them; case, accents and punctuation do not matter. `…` stands for up to four other words,
`(a|b)` for either, `word*` for every word that begins so, `?` after a word or group makes it optional. A phrase stays
inside one sentence, unless a lone `:` says where it ends. Chinese, Japanese and Korean match without spaces around them.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import re2

from .text import folded, words_of

_ATOM = re.compile(r"\(([^()]*)\)(\??)|(…|\.\.\.)|([^\s()…]+)")
_UNSPACED = re.compile("[\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_GAP = "(?:[^ .]+ ){0,4}?"
_MEMORY = 96 << 20


class Phrases:
    """A table of labelled phrases. Compiled once; safe to share between threads."""

    __slots__ = ("_labels", "_patterns", "_set")

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        """`table`: label -> phrases. What cannot be read as a phrase is left out: a typing error must not stop the line."""
        self._labels: list[str] = []
        self._patterns: list[str] = []
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        for label, phrases in table.items():
            for phrase in phrases:
                pattern = pattern_of(phrase) if isinstance(phrase, str) else None
                if pattern is None:
                    continue
                try:
                    self._set.Add(pattern)
                except re2.error:
                    continue
                self._labels.append(label)
                self._patterns.append(pattern)
        self._set.Compile()

    def labels(self, words: str) -> list[str]:
        """Return the labels of every phrase found, each once, in the table's order. `words` as `words_of` returns them."""
        if not self._patterns:
            return []
        return list(dict.fromkeys(self._labels[index] for index in sorted(self._set.Match(words) or ())))

    def find(self, words: str) -> list[tuple[str, str, int]]:
        """Return (label, the words that matched, where in `words`) of each phrase found; the first place of each."""
        if not self._patterns:
            return []
        found = []
        for index in sorted(self._set.Match(words) or ()):
            match = _single(self._patterns[index]).search(words)
            if match:
                found.append((self._labels[index], match.group(0).strip(), match.start()))
        return found


def pattern_of(phrase: str) -> str | None:
    """Return the RE2 pattern of a phrase, or None where there is nothing in it to look for."""
    parts = []
    solid = False
    for found in _ATOM.finditer(phrase):
        group, optional, gap, word = found.groups()
        if gap:
            parts.append(_GAP)
            continue
        if word:
            optional = "?" if word.endswith("?") and len(word) > 1 else ""
            word = word.removesuffix("?")
        choices = [choice for choice in ((group or "").split("|") if group is not None else [word]) if choice.strip()]
        spelled = [_word(choice) for choice in choices]
        spelled = [one for one in spelled if one]
        if not spelled:
            continue
        solid = solid or not optional
        joined = "|".join(spelled)
        parts.append(f"(?:{joined})?" if optional else (joined if len(spelled) == 1 else f"(?:{joined})"))
    if not solid:
        return None
    pattern = "".join(parts)
    return pattern if _UNSPACED.search(phrase) else f" {pattern}"


@lru_cache(maxsize=64)
def _table(key: tuple[tuple[str, tuple[str, ...]], ...]) -> Phrases:
    return Phrases(dict(key))


def phrases(table: Mapping[str, Any]) -> Phrases:
    """Return the compiled table, from a cache: settings come as JSON each time. What is no list is left out."""
    return _table(
        tuple((label, tuple(str(one) for one in listed)) for label, listed in table.items() if isinstance(listed, list | tuple))
    )


def _word(word: str) -> str:
    if word.strip() in (":", "."):
        return ". "  # where one sentence, or what stands before a colon, ends
    prefix = word.rstrip().endswith("*")
    plain = words_of(folded(word.replace("*", ""))).replace(" . ", " ").strip()
    if not plain:
        return ""
    spelled = re.escape(plain).replace("\\ ", " ")
    if _UNSPACED.search(plain):
        return f"{spelled} ?"
    return f"{spelled}[^ .]* " if prefix else f"{spelled} "


@lru_cache(maxsize=4096)
def _single(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
