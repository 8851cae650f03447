"""New kinds of incident: what came this week and is like nothing that came before, put together and named by its commonest words.

Simple on purpose, and the same each time: two incidents are alike when they ask for the same of the same source and at least half of
the words of their titles are common (the Jaccard index, P. Jaccard, New Phytologist 11, 1912). The first of a kind leads it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from escalations.floors.sensitive import spans

from .gathering import Came

ALIKE = 0.5
MOST_KINDS = 12  # told
MOST_LEADERS = 400  # looked at, of one source and action
NAMED_BY = 4  # words
EXAMPLES = 5
_WORD = re.compile(r"[^\W\d_]{3,24}")
_COMMON = frozenset((
    "about", "after", "and", "are", "before", "can", "could", "for", "from", "has", "have", "into", "its", "not", "onto", "our", "over",
    "please", "that", "the", "this", "was", "will", "with", "would", "you", "your",
))

Key = tuple[str, str, str]


@dataclass(slots=True)
class Kind:
    """Incidents that are alike."""

    key: Key
    leader: frozenset[str]
    members: list[Came] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Return it as the agenda keeps it. The words are a stranger's: a page shows them as such."""
        counted = Counter(word for one in self.members for word in _ordered(one.title))
        first = _ordered(self.members[0].title)
        place = {word: number for number, word in enumerate(first)}
        commonest = sorted(counted, key=lambda word: (-counted[word], place.get(word, len(first)), word))[:NAMED_BY]
        names = sorted(commonest, key=lambda word: (place.get(word, len(first)), word))
        source, kind, action = self.key
        return {
            "words": names, "source": source, "kind": kind, "action": action, "count": len(self.members),
            "examples": [str(one.pk) for one in self.members[:EXAMPLES]],
        }


def new_kinds(came: Sequence[Came], before: Iterable[Came]) -> list[dict[str, Any]]:
    """Return the kinds among what came that nothing of what came `before` is like, the most frequent first. No query.

    Linear in both but for the leaders of one source and action, of which MOST_LEADERS are looked at.
    """
    known: dict[Key, list[Kind]] = {}
    for one in before:
        _place(known, one)
    kinds: dict[Key, list[Kind]] = {}
    for one in sorted(came, key=lambda row: (row.routed_at, str(row.pk))):
        words = words_of(one.title)
        if _find(known.get(key_of(one), []), words) is None:
            _place(kinds, one, words)
    found = [kind for several in kinds.values() for kind in several]
    return [kind.told() for kind in sorted(found, key=lambda kind: (-len(kind.members), kind.key, sorted(kind.leader)))[:MOST_KINDS]]


def key_of(one: Came) -> Key:
    """Return what has to be the same: the source, the kind, and the action, or the category where nothing runs."""
    return one.source, one.kind, one.category if one.acknowledges else one.action


def words_of(title: str) -> frozenset[str]:
    """Return the words of a title that tell one kind from another; numbers, names of one letter and what is sensitive are none."""
    return frozenset(_ordered(title))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Say whether at least half of all words are common; nothing is like nothing."""
    return len(one & other) >= ALIKE * len(one | other)


def _ordered(title: str) -> list[str]:
    """Return each telling word once, in order."""
    hidden = spans(title)
    found = (
        word.group().casefold() for word in _WORD.finditer(title)
        if not any(span.start < word.end() and word.start() < span.end for span in hidden)
    )
    return [word for word in dict.fromkeys(found) if word not in _COMMON]


def _find(kinds: list[Kind], words: frozenset[str]) -> Kind | None:
    return next((kind for kind in kinds if alike(kind.leader, words)), None)


def _place(kinds: dict[Key, list[Kind]], one: Came, words: frozenset[str] | None = None) -> None:
    words = words_of(one.title) if words is None else words
    several = kinds.setdefault(key_of(one), [])
    kind = _find(several, words)
    if kind is None:
        if len(several) >= MOST_LEADERS:
            return
        kind = Kind(key_of(one), words)
        several.append(kind)
    kind.members.append(one)
