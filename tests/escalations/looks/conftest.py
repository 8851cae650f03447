"""Settled proposals to look at again."""

import pytest

from escalations import clock, lifecycle
from escalations.looks import drawing
from escalations.models import SecondLook
from tests.factories import ProposalFactory, role


@pytest.fixture
def decided(db):
    """Let this person decide a new proposal of finance's; returns it as it is then."""

    def make(person, type="approve", **facts):
        one = ProposalFactory(role=role("finance"), category=facts.pop("category", "refund"), **facts)
        more = {"args": {"order": 1182, "amount": 1}} if type == "edit" else {}
        lifecycle.decide(one.pk, person=person, type=type, digest=one.args_digest, version=one.version, reason="because", message="m", **more)
        one.refresh_from_db()
        return one

    return make


@pytest.fixture
def drawn(decided):
    """A second look at something that this person decided; more facts are the look's."""

    def make(person, type="approve", proposal=None, **facts):
        one = proposal or decided(person, type)
        now = clock.now()
        return SecondLook.objects.create(proposal=one, role=role("finance"), lapses_at=now + drawing.LASTS, **facts)

    return make
