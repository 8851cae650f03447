"""Harm of which the week learned: reported, failed at, complained of. Told of rules and lanes that let it go, and of what a team decided."""

from datetime import timedelta

import pytest
from teams_week import MONDAY, NEXT, SINCE

from escalations import clock
from escalations.models import Acknowledgement, Decision, OutcomeReport
from escalations.weekly.agenda import agenda_of
from escalations.weekly.gathering import week_of
from tests.factories import SourceFactory, role

pytestmark = pytest.mark.django_db

LATER = SINCE + timedelta(days=2)
COMPLAINS = [{"name": "user_complaint", "why": "", "where": ""}]


def agenda(name="finance"):
    with clock.frozen_at(NEXT):
        return agenda_of(week_of(role(name), MONDAY))


def let_go(name="manager"):
    """Return what let harm go as the managers read it: (by whom, how many)."""
    return [(one["rule"], one["harmed"]) for one in agenda(name)["wrong_rules"] if one["what"] == "harm"]


def fail(one, at=LATER, result="failed"):
    Acknowledgement.objects.create(decision=Decision.objects.get(proposal=one), result=result, at=at)


def complain(came, hours=60.0, **facts):
    """Let somebody complain in this week; the incident is received when it comes."""
    return came(hours, None, kind="handoff", triggers=COMPLAINS, incident_received_at=SINCE + timedelta(hours=hours), **facts)


def test_what_a_rule_or_a_lane_let_go_and_its_source_failed_at_is_told(came, manager):
    fail(came(by="policy", role=None))
    fail(came(by="policy", role=None), at=SINCE - timedelta(days=1))  # known the week before
    fail(came(by="policy", role=None), result="done")
    fail(came(by="policy", verdict="reject", role=None))  # a block: nothing ran

    assert let_go() == [("policy", 1)] and let_go("finance") == []


@pytest.mark.parametrize("same", [{"external_id": "order-7"}, {"session": "run-7"}, {"customer": {"id": "c-7"}}], ids=lambda same: next(iter(same)))
def test_what_went_alone_and_is_complained_of_in_the_same_matter_is_told(came, manager, same):
    facts = {f"incident_{name}": value for name, value in same.items()}
    came(by="policy", role=None, **facts)
    came(12, by="policy", role=None)  # of nobody who complains
    complain(came, **facts)

    assert let_go() == [("policy", 1)]


def test_a_complaint_of_another_source_or_a_month_later_is_about_something_else(came, manager):
    came(by="policy", role=None, incident_external_id="order-7")
    came(-31 * 24, by="policy", role=None, incident_external_id="order-8")
    complain(came, source=SourceFactory(), incident_external_id="order-7")
    complain(came, incident_external_id="order-8")

    assert let_go() == []


def test_what_a_team_approved_and_its_source_failed_at_is_on_its_list_as_harm(came):
    one, fine = came(), came(11)
    fail(one)
    fail(fine, result="done")

    marks = {item["proposal"]: item["marks"] for item in agenda()["items"]}
    assert marks[str(one.pk)][0] == "harmed" and "harmed" not in marks[str(fine.pk)]


def test_what_people_decided_is_no_harm_by_a_complaint_that_names_nothing(came):
    one = came(incident_external_id="order-7")
    complain(came, incident_external_id="order-7")
    named = came(12)
    OutcomeReport.objects.create(incident=named.incident, outcome="resolved", how="complaint", by_kind="source", by_id="x", at=LATER)

    marks = {item["proposal"]: item["marks"] for item in agenda()["items"]}
    assert "harmed" not in marks[str(one.pk)] and marks[str(named.pk)][0] == "harmed"
