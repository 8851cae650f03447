"""Two administrators."""

import pytest

from tests.factories import PersonFactory


@pytest.fixture
def ada(db):
    return PersonFactory(username="ada", is_staff=True)


@pytest.fixture
def bob(db):
    return PersonFactory(username="bob", is_staff=True)
