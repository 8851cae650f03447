"""A refund whose signature can be taken back."""

import pytest

from tests.escalations.lifecycle.holding import UNDO
from tests.factories import ProposalFactory, role


@pytest.fixture
def refund():
    return ProposalFactory(role=role("finance"), policy=UNDO)
