"""What an item's page says of its clock: by whose hours it goes, and that nobody was there."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from escalations import clock, lifecycle
from escalations.models import Proposal
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db
VIENNA = ZoneInfo("Europe/Vienna")
OFFICE = {
    "name": "Office", "version": 1, "time_zone": "Europe/Vienna", "hours": {"mon": [["09:00", "18:00"]]}, "holidays": [],
}  # fmt: skip


@pytest.fixture
def mona():
    return PersonFactory(roles=["manager"])


def test_it_says_who_was_passed_and_that_nobody_was_there(signed_in, mona):
    one = ProposalFactory(role=role("finance"), policy={**STANDARD, "steps": [
        {"role": role("support").pk, "name": "support", "after": 3600}, {"role": role("manager").pk, "name": "manager", "after": 3600},
    ]})  # fmt: skip
    lifecycle.climb()

    page = signed_in(mona).get(f"/proposals/{one.pk}/").content.decode()

    assert "at once: nobody of finance, support was there" in page
    story = signed_in(mona).get(f"/incidents/{one.incident_id}/").content.decode()
    assert "Escalated at once" in story and "Nobody of finance is there" in story


def test_a_manager_is_told_that_nobody_of_the_role_is_there_now(signed_in, mona):
    there = ProposalFactory(role=role("finance"))
    browser = signed_in(mona)
    assert "nobody of it is there now" in browser.get(f"/proposals/{there.pk}/").content.decode()

    PersonFactory(roles=["finance"])
    assert "nobody of it is there now" not in browser.get(f"/proposals/{there.pk}/").content.decode()


def test_off_shift_it_says_until_when_the_clock_stands_still(signed_in, mona):
    saturday = datetime(2026, 11, 21, 12, tzinfo=VIENNA)
    with clock.frozen_at(saturday):
        one = ProposalFactory(role=role("manager"), policy={**STANDARD, "calendar": OFFICE})
        page = signed_in(mona).get(f"/proposals/{one.pk}/").content.decode()
    assert "goes by Office; it stands still until" in page

    Proposal.objects.filter(pk=one.pk).update(policy={**STANDARD, "calendar": None, "calendar_failed": "It never opens."})
    assert "runs without a calendar:</strong> It never opens." in signed_in(mona).get(f"/proposals/{one.pk}/").content.decode()
