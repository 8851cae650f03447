"""A clock in hand."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from escalations import clock


@pytest.fixture
def time():
    """A clock that stands still until the test moves it: `time(hours=2)`, or `time(moment)`. It answers with what it shows then."""
    with ExitStack() as stack:
        at = clock.read()
        stack.enter_context(clock.frozen_at(at))

        def forward(moment=None, **by):
            nonlocal at
            at = moment or at + timedelta(**by)
            stack.enter_context(clock.frozen_at(at))
            return at

        yield forward
