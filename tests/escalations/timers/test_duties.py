"""The timers' duties share one thread: one that looks long and finds nothing leaves the others their time."""

import pytest

from escalations.timers import loop
from escalations.timers.loop import Duty, Timers


class Time:
    """A clock that only what is done moves on."""

    def __init__(self):
        self.now = 1_000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr(loop, "time", time)
    return time


def turns_until_again(time, *, takes, finds, rest):
    """Return the seconds between the end of a duty and its next turn."""
    done = []

    def run():
        time.now += takes
        done.append(time.now)
        return finds

    timers = Timers()
    timers.duties = [Duty("looked", 1, run, rest=rest)]
    while len(done) < 2:
        timers.turn()
        time.now += 0.5
    return done[1] - takes - done[0]


def test_a_look_that_found_nothing_is_followed_by_a_rest_of_many_times_its_length(time):
    assert turns_until_again(time, takes=2.0, finds=0, rest=20) >= 38


@pytest.mark.parametrize(("takes", "finds"), [(0.01, 0), (2.0, 7)])
def test_a_quick_look_and_one_that_found_something_come_again_as_ever(time, takes, finds):
    assert turns_until_again(time, takes=takes, finds=finds, rest=20) <= 1
