"""The plot of a lane: how large the errors may be, against how much would go alone. Drawn by a template as inline SVG with classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .plots import Tick

WIDTH, HEIGHT = 720, 300  # of the drawing, in its own units
LEFT, BOTTOM, TOP, RIGHT = 58, 34, 14, 26  # room for the labels
LADDER = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # where the scale of the errors may end


class Rung(Protocol):
    """One threshold with its evidence, as `proof.ladder` gives it."""

    @property
    def threshold(self) -> float: ...
    @property
    def share(self) -> float: ...
    @property
    def selected(self) -> int: ...
    @property
    def wrong(self) -> int: ...
    @property
    def bound(self) -> float: ...
    @property
    def passed(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Mark:
    """One threshold in the drawing; texts, so that no locale puts separators into them."""

    x: str
    y: str
    over: bool  # its bound is higher than the scale reaches
    passed: bool
    chosen: bool
    seen_y: str  # where the errors stand that were really seen; "" where that is over the scale


@dataclass(frozen=True, slots=True)
class Row:
    """The same in words, for the table beside."""

    rung: Rung
    chosen: bool

    @property
    def seen(self) -> float | None:
        """Return the share of errors that was seen; None where nothing was decided."""
        return self.rung.wrong / self.rung.selected if self.rung.selected else None


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything the template draws. `line` joins the bounds from the strictest threshold to the laxest."""

    marks: list[Mark]
    line: str
    allowed_y: str
    up: list[Tick]
    across: list[Tick]
    rows: list[Row]
    chosen: Mark | None

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def scale(bounds: Sequence[float], alpha: float) -> float:
    """Return where the axis of the errors ends: with room for what is allowed twice over, and for the lowest bound there is."""
    wanted = max(2.5 * alpha, 1.3 * min(bounds, default=1.0))
    return next((step for step in LADDER if step >= wanted), 1.0)


def plot_of(rungs: Sequence[Rung], alpha: float, chosen: float | None = None) -> Plot | None:
    """Return the drawing of a lane's rungs; None where nothing was decided yet. `chosen` is the threshold that is granted or could be."""
    if not any(rung.selected for rung in rungs):
        return None
    ordered = sorted(rungs, key=lambda rung: (rung.share, -rung.threshold))
    top = scale([rung.bound for rung in ordered if rung.selected], alpha)
    floor, ceiling, wide = HEIGHT - BOTTOM, TOP, WIDTH - LEFT - RIGHT

    def across(share: float) -> str:
        return f"{LEFT + wide * min(max(share, 0.0), 1.0):.1f}"

    def up(error: float) -> str:
        return f"{floor - (floor - ceiling) * min(error, top) / top:.1f}"

    marks = [
        Mark(
            across(rung.share), up(rung.bound), rung.bound > top, rung.passed, is_chosen(rung, chosen),
            up(rung.wrong / rung.selected) if rung.wrong / rung.selected <= top else "",
        )
        for rung in ordered if rung.selected  # of one that nothing reached there is nothing to draw; the table has it
    ]
    at = next((mark for mark in marks if mark.chosen), None)
    return Plot(
        marks=marks,
        line=" ".join(f"{mark.x},{mark.y}" for mark in marks),
        allowed_y=up(alpha),
        up=[Tick(up(top * part / 4), percent(top * part / 4)) for part in (0, 2, 4)],
        across=[Tick(across(part / 4), f"{25 * part} %") for part in range(5)],
        rows=[Row(rung, is_chosen(rung, chosen)) for rung in ordered],
        chosen=at,
    )


def is_chosen(rung: Rung, chosen: float | None) -> bool:
    """Say whether this is the threshold that was chosen; both come from the same list, through JSON at most."""
    return chosen is not None and abs(rung.threshold - chosen) < 1e-9


def percent(share: float | None) -> str:
    """Return 0.0213 as "2.1 %": two figures that count below ten, none behind the point above."""
    if share is None:
        return "–"
    value = 100 * min(share, 1.0)  # an estimate of few may be more than all
    if value == 0 or value >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %".replace(".0 %", " %") if value >= 0.095 else f"{value:.2f} %"


def score(value: float | None) -> str:
    """Return 0.9312 as "0.931", and what is close to 1 with all that tells it from its neighbours: 0.999535."""
    return "–" if value is None else f"{value:.3f}" if value < 0.99 else f"{value:.6f}"
