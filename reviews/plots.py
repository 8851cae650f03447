"""Where the marks of a plot stand. Drawn by templates as inline SVG with classes; every plot has its numbers in a table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 160  # of the drawing, in its own units
BOTTOM, LEFT = 20, 34  # room for the labels
TOP = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as attributes of an SVG rect; texts, so that no locale puts separators into them."""

    x: str
    y: str
    width: str
    height: str
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What came and what was decided in one hour, side by side."""

    came: Bar
    decided: Bar


@dataclass(frozen=True, slots=True)
class Columns:
    """Pairs of columns over time."""

    pairs: list[Pair]
    across: list[Tick]  # labels below, at x
    up: list[Tick]  # lines and labels, at y

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    bar: Bar
    said: str
    text_y: str
    said_x: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Bars one below the other."""

    rows: list[Row]
    width: int
    height: int


def nice(most: int) -> int:
    """Return the round number a scale ends at: 1, 2 or 5 times a power of ten, not below `most`, and never below 5."""
    step = 1
    while True:
        for times in (1, 2, 5):
            if times * step >= max(most, 5):
                return times * step
        step *= 10


def columns(counts: Sequence[tuple[int, int]], labels: Sequence[str], limit: int) -> Columns:
    """Return pairs of columns; those that reached `limit` stop there and are marked. A label that is empty leaves no tick."""
    top = nice(max([min(one, limit) for pair in counts for one in pair], default=0))
    floor = HEIGHT - BOTTOM
    slot = (WIDTH - LEFT) / max(len(counts), 1)
    thick = slot * 0.36

    def bar(x: float, number: int) -> Bar:
        high = (floor - TOP) * min(number, limit) / top
        return Bar(f"{x:.1f}", f"{floor - high:.1f}", f"{thick:.1f}", f"{high:.1f}", number > limit)

    pairs = [
        Pair(bar(LEFT + slot * index + slot * 0.12, came), bar(LEFT + slot * index + slot * 0.52, decided))
        for index, (came, decided) in enumerate(counts)
    ]
    across = [Tick(f"{LEFT + slot * (index + 0.5):.1f}", text) for index, text in enumerate(labels) if text]
    up = [Tick(f"{floor - (floor - TOP) * part / 2:.1f}", str(top * part // 2)) for part in (0, 1, 2) if top % 2 == 0 or part != 1]
    return Columns(pairs, across, up)


ROW, LABEL, SAID = 24, 84, 60


def rows(counts: Sequence[tuple[str, int, bool]], width: int = 420) -> Rows:
    """Return one bar per (label, number, whether the count stopped there)."""
    most = max([number for _, number, _ in counts], default=0) or 1
    drawn = []
    for index, (label, number, capped) in enumerate(counts):
        long = (width - LABEL - SAID) * number / most
        drawn.append(
            Row(
                label,
                Bar(str(LABEL), str(index * ROW + 4), f"{long:.1f}", str(ROW - 9), capped),
                f"{number}+" if capped else str(number),
                str(index * ROW + ROW - 8),
                f"{LABEL + long + 6:.1f}",
            )
        )
    return Rows(drawn, width, ROW * len(drawn))
