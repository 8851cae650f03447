"""What was changed in a text, word by word. The same way of counting as static/js/diff.js, so that both show the same."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WORDS = re.compile(r"\s+|\w+|[^\w\s]")
FARTHEST = 400  # differing words up to which the shortest change is looked for; a text rewritten beyond that is shown as rewritten


class Piece(NamedTuple):
    """A run of text that is the "same", or was taken out ("del"), or put in ("ins")."""

    kind: str
    text: str


def diff(before: str, after: str) -> list[Piece]:
    """Return the pieces in order. Linear in the texts and in the square of what differs, which is bounded."""
    old, new = WORDS.findall(before), WORDS.findall(after)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _shortest(old[head : len(old) - tail], new[head : len(new) - tail])
    ends = old[len(old) - tail :]
    return list(_joined([*(Piece("same", one) for one in old[:head]), *middle, *(Piece("same", one) for one in ends)]))


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[Piece]:
    """Return the shortest way from one to the other (Myers 1986); all of both when it is longer than FARTHEST."""
    far = {1: 0}
    trail: list[dict[int, int]] = []
    for steps in range(min(len(old) + len(new), FARTHEST) + 1):
        trail.append(dict(far))
        for line in range(-steps, steps + 1, 2):
            down = line == -steps or (line != steps and far[line - 1] < far[line + 1])
            at = far[line + 1] if down else far[line - 1] + 1
            while at < len(old) and at - line < len(new) and old[at] == new[at - line]:
                at += 1
            far[line] = at
            if at >= len(old) and at - line >= len(new):
                return _walked_back(old, new, trail)
    return [*(Piece("del", one) for one in old), *(Piece("ins", one) for one in new)]


def _walked_back(old: Sequence[str], new: Sequence[str], trail: list[dict[int, int]]) -> list[Piece]:
    pieces: list[Piece] = []
    x, y = len(old), len(new)
    for steps in range(len(trail) - 1, -1, -1):
        far, line = trail[steps], x - y
        down = line == -steps or (line != steps and far[line - 1] < far[line + 1])
        before = line + 1 if down else line - 1
        while x > far[before] and y > far[before] - before:
            x, y = x - 1, y - 1
            pieces.append(Piece("same", old[x]))
        if steps and down:
            y -= 1
            pieces.append(Piece("ins", new[y]))
        elif steps:
            x -= 1
            pieces.append(Piece("del", old[x]))
    return pieces[::-1]


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield neighbours of one kind as one; between two that stay, what was taken out comes before what was put in."""
    runs: dict[str, list[str]] = {"same": [], "del": [], "ins": []}
    for piece in [*pieces, None]:
        ends = piece is None or (piece.kind == "same" and (runs["del"] or runs["ins"])) or (piece.kind != "same" and runs["same"])
        if ends:
            yield from (Piece(kind, "".join(texts)) for kind, texts in runs.items() if texts)
            runs = {kind: [] for kind in runs}
        if piece is not None:
            runs[piece.kind].append(piece.text)
