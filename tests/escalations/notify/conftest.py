"""A role nobody is told of but whom the test puts there."""

import pytest

from tests.factories import role


@pytest.fixture
def finance(db):
    finance = role("finance")
    finance.user_set.clear()
    finance.notify_email = ""
    finance.save()
    return finance
