"""People who are away, and what would run out while everybody is."""

import pytest

from escalations import clock, lifecycle
from escalations.errors import AlreadyClaimed
from escalations.models import Calendar, Notice, Proposal
from tests.escalations.lifecycle.working import FRIDAY, HOUR, MONDAY, OFFICE, SATURDAY, WEEK, away, entries
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db


# -- away


def test_claims_pass_to_the_deputy_when_an_absence_begins():
    rosa, carl = PersonFactory(roles=["finance"], first_name="Rosa"), PersonFactory(roles=["finance"])
    one = ProposalFactory(role=role("finance"))
    lifecycle.claim(one.pk, person=rosa)
    now = clock.now()
    absence = away(rosa, now + HOUR / 12, now + 24 * HOUR, deputy=carl)
    assert lifecycle.pass_on() == 0

    with clock.frozen_at(absence.since):
        assert [lifecycle.pass_on(), lifecycle.pass_on()] == [1, 0]

    held = Proposal.objects.get(pk=one.pk)
    assert held.claimed_by == carl and held.claim_until > absence.since and held.version == one.version
    assert entries("proposal.passed_on")[0]["facts"] == {"of": rosa.username, "to": carl.username}
    assert entries("absence.began")[0]["facts"]["passed_on"] == 1
    assert Notice.objects.get(kind="passed_on").person == carl


@pytest.mark.parametrize("why", ["no deputy", "of another role", "their own request", "away too", "deactivated"])
def test_claims_are_given_back_where_no_deputy_may_decide(why):
    rosa, carl = PersonFactory(roles=["finance"]), PersonFactory(roles=["support" if why == "of another role" else "finance"])
    incident = IncidentFactory(on_behalf_of=carl.username if why == "their own request" else "")
    one = ProposalFactory(role=role("finance"), incident=incident)
    lifecycle.claim(one.pk, person=rosa)
    now = clock.now()
    if why == "away too":
        away(carl, now, now + HOUR)
    if why == "deactivated":
        carl.is_active = False
        carl.save()
    away(rosa, now, now + HOUR, deputy=None if why == "no deputy" else carl)

    assert lifecycle.pass_on() == (2 if why == "away too" else 1)

    assert Proposal.objects.get(pk=one.pk).claimed_by is None
    assert entries("proposal.released")[0]["facts"]["of"] == rosa.username
    assert not Notice.objects.filter(kind="passed_on").exists()


def test_what_somebody_away_claims_keeps_nobody_waiting():
    rosa, carl = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"])
    one = ProposalFactory(role=role("finance"))
    lifecycle.claim(one.pk, person=rosa)
    with pytest.raises(AlreadyClaimed):
        lifecycle.claim(one.pk, person=carl)

    away(rosa, clock.now() - HOUR, clock.now() + HOUR)

    assert lifecycle.claim(one.pk, person=carl).claimed_by == carl


def test_who_stands_in_hears_of_a_comment_that_names_who_is_away():
    rosa, carl, writer = (PersonFactory(roles=["finance"]) for _ in range(3))
    stranger, mona = PersonFactory(roles=["support"]), PersonFactory(roles=["manager"])
    one = ProposalFactory(role=role("finance"))
    now = clock.now()
    away(rosa, now - HOUR, now + HOUR, deputy=carl)
    away(mona, now - HOUR, now + HOUR, deputy=stranger)

    lifecycle.comment(one.pk, person=writer, text=f"@{rosa.username} @{mona.username} please look")

    told = {notice.person: notice.facts.get("instead_of") for notice in Notice.objects.filter(kind="mentioned")}
    assert told == {rosa: None, mona: None, carl: rosa.name}, "a stranger may not read it and hears nothing"


# -- before everybody goes home


def closing_soon(**more):
    return ProposalFactory(role=role("finance"), **{"due_at": SATURDAY, "expires_at": MONDAY + HOUR, **more})


def warned():
    return [(notice.proposal_id, notice.role.name) for notice in Notice.objects.filter(kind="breaching").order_by("created_at")]


def test_before_the_weekend_the_role_and_the_managers_hear_of_what_climbs_meanwhile_once():
    for name in ("finance", "manager"):
        PersonFactory(roles=[name])
    Calendar.objects.create(name="Office", time_zone="Europe/Vienna", hours=WEEK)
    climbs = closing_soon()
    closing_soon(due_at=MONDAY + HOUR, expires_at=MONDAY + 2 * HOUR)  # somebody is there by then
    closing_soon(due_at=FRIDAY + HOUR / 4, expires_at=MONDAY + HOUR)  # somebody is still there then

    with clock.frozen_at(FRIDAY - 2 * HOUR):
        assert lifecycle.warn_before_closing() == 0, "not yet"
    with clock.frozen_at(FRIDAY - HOUR):
        assert [lifecycle.warn_before_closing(), lifecycle.warn_before_closing()] == [1, 0]

    assert sorted(warned()) == sorted([(climbs.pk, "finance"), (climbs.pk, "manager")])
    facts = Notice.objects.filter(kind="breaching").first().facts
    assert facts["why"] == "Nobody is on shift from Friday 18:00 until Monday, 23 November, 09:00 (Europe/Vienna)."
    assert facts["runs_out"] is False


def test_what_runs_out_at_the_weekend_by_its_callers_wish_is_told_whatever_its_policys_calendar():
    Calendar.objects.create(name="Office", time_zone="Europe/Vienna", hours=WEEK)
    closing_soon(expires_at=SATURDAY, policy={**STANDARD, "calendar": OFFICE})

    with clock.frozen_at(FRIDAY):
        assert lifecycle.warn_before_closing() == 1
    assert Notice.objects.filter(kind="breaching").first().facts["runs_out"] is True


def test_nothing_is_told_at_night_during_the_weekend_or_where_nobody_says_when_people_work():
    closing_soon()
    with clock.frozen_at(FRIDAY):
        assert lifecycle.warn_before_closing() == 0, "no calendar"
    Calendar.objects.create(name="Office", time_zone="Europe/Vienna", hours=WEEK)
    closing_soon(due_at=FRIDAY - 20 * HOUR, expires_at=FRIDAY - 18 * HOUR)
    with clock.frozen_at(FRIDAY - 24 * HOUR):
        assert lifecycle.warn_before_closing() == 0, "a night is no long closing"
    with clock.frozen_at(SATURDAY - HOUR):
        assert lifecycle.warn_before_closing() == 0, "nobody is there to hear it"


def test_somebody_on_shift_elsewhere_is_somebody_on_shift():
    """Without a calendar of its own it is whoever works by any of them."""
    Calendar.objects.create(name="Vienna", time_zone="Europe/Vienna", hours=WEEK)
    Calendar.objects.create(name="Weekend crew", time_zone="Europe/Vienna", hours={"sat": [["00:00", "24:00"]], "sun": [["00:00", "24:00"]]})
    closing_soon()
    closing_soon(policy={**STANDARD, "calendar": {**OFFICE, "name": "Vienna"}})

    with clock.frozen_at(FRIDAY):
        assert lifecycle.warn_before_closing() == 1
