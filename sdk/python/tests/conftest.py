"""A reporter of which the tests see every post."""

import pytest
from hosting import reporting_to


@pytest.fixture
def posts():
    return []


@pytest.fixture
def reporter(posts):
    with reporting_to(posts) as made:
        yield made
