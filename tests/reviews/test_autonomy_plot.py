"""The drawing of a lane: what is where, and that nothing of it leaves the frame."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import autonomy_plot


@dataclass
class Rung:
    threshold: float = 0.9
    share: float = 0.5
    selected: int = 100
    wrong: int = 0
    bound: float = 0.03
    passed: bool = False


def test_a_lane_without_rungs_has_no_plot():
    assert autonomy_plot.plot_of([], 0.02) is None
    assert autonomy_plot.plot_of([Rung(selected=0, bound=1.0)], 0.02) is None  # nothing was decided yet


def test_what_is_certain_enough_stands_below_the_line_of_what_is_allowed():
    strict, lax = Rung(0.99, 0.2, 200, 0, 0.018, True), Rung(0.8, 0.7, 700, 40, 0.08)

    plot = autonomy_plot.plot_of([lax, strict], 0.02, 0.99)

    assert [mark.passed for mark in plot.marks] == [True, False]  # from little alone to much
    assert float(plot.marks[0].y) > float(plot.allowed_y) > float(plot.marks[1].y)  # y grows downwards
    assert plot.chosen == plot.marks[0]
    assert [row.seen for row in plot.rows] == [0, pytest.approx(40 / 700)]


def test_a_bound_that_says_nothing_is_marked_and_stays_inside():
    plot = autonomy_plot.plot_of([Rung(bound=1.0, selected=1, wrong=1), Rung(0.8, 0.8, 80, 0, 0.05), Rung(0.99, 0, 0)], 0.02)

    assert [mark.over for mark in plot.marks] == [True, False] and len(plot.rows) == 3
    assert plot.marks[0].y == plot.up[-1].at and plot.marks[0].seen_y == ""


numbers = st.floats(0, 1)
rungs = st.builds(
    lambda threshold, share, selected, part, bound, passed: Rung(threshold, share, selected, int(selected * part), bound, passed),
    numbers, numbers, st.integers(0, 100_000), numbers, numbers, st.booleans(),
)


@given(st.lists(rungs, min_size=1, max_size=25), st.sampled_from([0.005, 0.01, 0.02, 0.05, 0.2]))
def test_nothing_leaves_the_frame(some, alpha):
    plot = autonomy_plot.plot_of(some, alpha, some[0].threshold)
    if plot is None:
        assert not any(rung.selected for rung in some)
        return

    for mark in plot.marks:
        assert plot.left <= float(mark.x) <= plot.right
        assert all(autonomy_plot.TOP <= float(y) <= plot.floor for y in (mark.y, mark.seen_y) if y)
    assert autonomy_plot.TOP <= float(plot.allowed_y) <= plot.floor
    assert len(plot.rows) == len(some) and len(plot.marks) == sum(1 for rung in some if rung.selected)


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (0.0004, "0.04 %"), (0.0213, "2.1 %"), (0.02, "2 %"), (0.0996, "10 %"), (0.614, "61 %"), (1, "100 %"), (None, "–")],
)
def test_shares_are_said_as_people_say_them(share, said):
    assert autonomy_plot.percent(share) == said
