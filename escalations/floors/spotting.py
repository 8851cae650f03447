"""Finding a value again in other texts, however it is written there: 98.70 for 98.7, 1 March for 2024-03-01, quotes, case, spaces.

Texts are cut into words once; a value becomes the few sequences of words it may be written as. So everything is linear in the
texts, and what is found can be pointed at: places are offsets into the text as it was sent.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_ASCII_WORD = re.compile(r"\\[nrt]|[A-Za-z0-9]+")  # a line end that is written out, as in JSON, is no part of a word
_UNSEEN = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_EAST = "\u2e80-\u9fff\uac00-\ud7af"  # written without spaces: every character is a word
_WORD = re.compile(rf"\\[nrt]|[^\W_{_EAST}]+(?:[{_UNSEEN}]+[^\W_{_EAST}]+)*|[{_EAST}]")
_HIDDEN = re.compile(f"[{_UNSEEN}]+")
_MOST_LOOKS = 400  # places of its rarest word at which a form is tried; a flood of one word costs no more than this
_NAME_GOES_ON = re.compile(r"[-._@/+]")
_NUMBER_GOES_ON = re.compile(r"[.,:/'-]")

Form = tuple[str, ...]


class Hit(NamedTuple):
    """Where a value stands: in which text, from where to where."""

    text: int
    start: int
    end: int


def words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (word in lower case, start, end); what joins words (punctuation, quotes, line ends) is left out."""
    if text.isascii():
        for found in _ASCII_WORD.finditer(text):
            if found[0][0] != "\\":
                yield found[0].lower(), found.start(), found.end()
        return
    for found in _WORD.finditer(text):
        word = found[0]
        if word[0] == "\\":
            continue
        if not word.isascii():
            word = unicodedata.normalize("NFKC", _HIDDEN.sub("", word)).casefold()
        yield word.lower(), found.start(), found.end()


def form_of(text: str) -> Form:
    """Return a text as the words it is found by."""
    return tuple(word for word, _, _ in words(text))


class Texts:
    """Several texts, looked through once for a known set of words. Linear in them; memory only for the words wanted."""

    def __init__(self, texts: Iterable[str], wanted: Iterable[str]) -> None:
        self.texts = list(texts)
        keep = frozenset(wanted)
        self._words: list[dict[int, tuple[str, int, int]]] = []  # of each text the wanted words, by their number in it
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, text in enumerate(self.texts):
            kept = {at: found for at, found in enumerate(words(text)) if found[0] in keep}
            self._words.append(kept)
            for at, found in kept.items():
                self._places.setdefault(found[0], []).append((number, at))

    def find(self, forms: Iterable[Form], *, number: bool = False) -> list[Hit]:
        """Return the first place in each text at which one of the forms stands by itself, not inside a longer name or number."""
        found: dict[int, Hit] = {}
        for form in forms:
            if not form:
                continue
            rarest = min(range(len(form)), key=lambda at: len(self._places.get(form[at], ())))
            seen: set[int] = set()  # places are in order: where this form stands first in a text, it need not be looked for again
            for text, at in self._places.get(form[rarest], ())[:_MOST_LOOKS]:
                hit = None if text in seen else self._at(form, text, at - rarest, number)
                if hit:
                    seen.add(text)
                    found[text] = hit if text not in found or hit.start < found[text].start else found[text]
        return [found[text] for text in sorted(found)]

    def _at(self, form: Form, text: int, at: int, number: bool) -> Hit | None:
        cut = self._words[text]
        if any((at + ahead) not in cut or cut[at + ahead][0] != word for ahead, word in enumerate(form)):
            return None
        start, end = cut[at][1], cut[at + len(form) - 1][2]
        return None if _goes_on(self.texts[text], start, end, number) else Hit(text, start, end)


def _goes_on(text: str, start: int, end: int, number: bool) -> bool:
    """Say whether what stands there is only a part: bank.example in no-bank.example or bank.example.net, 10 in 10:30."""
    joins = _NUMBER_GOES_ON if number else _NAME_GOES_ON
    same = str.isdigit if number else str.isalnum
    before = start > 1 and joins.match(text[start - 1]) and same(text[start - 2])
    after = end + 1 < len(text) and joins.match(text[end]) and same(text[end + 1]) and (number or text[end] != "/")
    if after and text[end] == "." and text[end + 1 : end + 3].istitle():
        after = False  # a sentence that begins without a space
    return bool(before or after)
