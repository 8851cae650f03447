"""Two people of finance, and a refund whose signature can be taken back."""

import pytest

from tests.escalations.lifecycle.holding import UNDO
from tests.factories import PersonFactory, ProposalFactory, role


@pytest.fixture
def rosa():
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"])


@pytest.fixture
def carl():
    return PersonFactory(username="carl", first_name="Carl", last_name="Colleague", roles=["finance"])


@pytest.fixture
def refund():
    return ProposalFactory(role=role("finance"), policy=UNDO)
