"""Clocks that stand still off shift, and roles in which nobody is."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from escalations import clock, lifecycle
from escalations.floors.rulebook import Rulebook
from escalations.models import Calendar, Notice, Proposal, Role, StepRun
from tests.escalations.lifecycle.working import (
    FRIDAY,
    HOUR,
    MONDAY,
    OFFICE,
    SATURDAY,
    VIENNA,
    WEEK,
    away,
    entries,
    goes_by_the_office,
    posted,
    steps,
)
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db

# -- calendars


def test_a_friday_evening_goes_on_on_monday_morning():
    PersonFactory(roles=["queue manager"])
    goes_by_the_office()

    with clock.frozen_at(FRIDAY):
        one = posted()

    assert one.policy["calendar"]["hours"] == WEEK
    assert one.due_at == datetime(2026, 11, 23, 12, 30, tzinfo=VIENNA)  # half an hour on Friday, three and a half on Monday
    assert one.expires_at == datetime(2026, 11, 24, 11, 30, tzinfo=VIENNA)


def test_a_step_counts_working_time_from_the_moment_the_last_was_due():
    one = ProposalFactory(
        role=role("finance"), due_at=FRIDAY, expires_at=MONDAY + 72 * HOUR,
        policy={**STANDARD, "calendar": OFFICE, "steps": steps("manager", "manager", after=4)},
    )

    with clock.frozen_at(FRIDAY):
        lifecycle.run_out()

    assert Proposal.objects.get(pk=one.pk).due_at == MONDAY + 3.5 * HOUR


def test_a_callers_wish_is_wall_time_and_may_run_out_at_night():
    PersonFactory(roles=["queue manager"])
    goes_by_the_office()

    with clock.frozen_at(FRIDAY):
        one = posted(timeout_seconds=3 * 3600)

    assert one.expires_at == one.due_at == FRIDAY + 3 * HOUR


def test_more_time_is_wall_time():
    rosa = PersonFactory(roles=["finance"])
    one = ProposalFactory(role=role("finance"), policy={**STANDARD, "calendar": OFFICE}, due_at=FRIDAY, expires_at=FRIDAY)

    with clock.frozen_at(FRIDAY - HOUR):
        lifecycle.extend(one.pk, person=rosa, by=2 * HOUR)

    assert Proposal.objects.get(pk=one.pk).due_at == FRIDAY + 2 * HOUR


def test_a_calendar_edited_today_moves_no_clock_that_runs():
    PersonFactory(roles=["queue manager"])
    office = goes_by_the_office()
    with clock.frozen_at(FRIDAY):
        one = posted()
    Calendar.objects.filter(pk=office.pk).update(hours={"sat": [["00:00", "24:00"]]})

    with clock.frozen_at(one.due_at):
        lifecycle.run_out()

    assert Proposal.objects.get(pk=one.pk).due_at == datetime(2026, 11, 23, 16, 30, tzinfo=VIENNA)


@pytest.mark.parametrize("broken", [{}, {"mon": [["18:00", "09:00"]]}, {"mon": 7}, [1, 2]])
def test_a_calendar_that_broke_stops_no_clock_and_is_named(broken):
    PersonFactory(roles=["queue manager"])
    office = goes_by_the_office()
    Calendar.objects.filter(pk=office.pk).update(hours=broken)

    with clock.frozen_at(SATURDAY):
        one = posted()

    assert one.due_at == SATURDAY + 4 * HOUR
    assert one.policy["calendar"] is None and one.policy["calendar_failed"]
    assert entries("proposal.routed")[0]["facts"]["calendar_failed"]


def test_what_was_routed_before_there_were_calendars_goes_on_as_it_was(defaults):
    one = ProposalFactory(policy={**STANDARD, "steps": steps("manager", "manager", after=4)})
    due = one.due_at

    with clock.frozen_at(due):
        lifecycle.run_out()

    assert Proposal.objects.get(pk=one.pk).due_at == due + 4 * HOUR


# -- nobody there


def test_what_is_asked_of_a_role_without_anybody_is_with_the_managers_at_once():
    mona = PersonFactory(roles=["manager"])

    one = posted()

    assert (one.role.name, one.step) == ("manager", 1)
    assert one.asked == [role("queue manager").pk, role("manager").pk]
    run = StepRun.objects.get(proposal=one)
    assert (run.why, run.step, run.due_at) == ("nobody", 1, run.fired_at)
    assert one.due_at == run.due_at + 4 * HOUR
    said = entries("proposal.stepped")[0]["facts"]
    assert (said["why"], said["was"], said["to"]) == ("Nobody of queue manager is there", "queue manager", "manager")
    assert Proposal.objects.get() in list(Proposal.objects.filter(role__in=mona.groups.all()))


def test_everybody_away_is_nobody_there():
    rosa, _ = PersonFactory(roles=["queue manager"]), PersonFactory(roles=["manager"])
    away(rosa, clock.now() - HOUR, clock.now() + HOUR)

    assert posted().role.name == "manager"


def test_somebody_deactivated_is_nobody_there():
    PersonFactory(roles=["queue manager"], is_active=False)
    PersonFactory(roles=["manager"])

    assert posted().role.name == "manager"


def test_where_nobody_is_anywhere_it_stays_and_its_clock_goes_on():
    one = posted()

    assert (one.role.name, one.step) == ("queue manager", 0)
    assert [lifecycle.climb() for _ in range(3)] == [0, 0, 0]
    with clock.frozen_at(one.due_at):
        lifecycle.run_out()
    assert Proposal.objects.get(pk=one.pk).role.name == "manager"


def test_off_shift_nobody_is_expected_and_it_climbs_when_the_shift_begins():
    rosa, _ = PersonFactory(roles=["queue manager"]), PersonFactory(roles=["manager"])
    goes_by_the_office()
    away(rosa, SATURDAY - HOUR, MONDAY + HOUR)

    with clock.frozen_at(SATURDAY):
        one = posted()
        assert (one.role.name, one.step) == ("queue manager", 0)
        assert lifecycle.climb() == 0
    with clock.frozen_at(MONDAY - timedelta(seconds=1)):
        assert lifecycle.climb() == 0
    with clock.frozen_at(MONDAY):
        assert [lifecycle.climb(), lifecycle.climb()] == [1, 0]

    now = Proposal.objects.get(pk=one.pk)
    assert (now.role.name, now.due_at) == ("manager", MONDAY + 4 * HOUR)


def test_whoever_comes_back_before_the_shift_begins_is_asked():
    rosa, _ = PersonFactory(roles=["queue manager"]), PersonFactory(roles=["manager"])
    goes_by_the_office()
    away(rosa, SATURDAY - HOUR, MONDAY - HOUR)
    with clock.frozen_at(SATURDAY):
        one = posted()

    with clock.frozen_at(MONDAY):
        assert lifecycle.climb() == 0

    assert Proposal.objects.get(pk=one.pk).role.name == "queue manager"


def test_a_step_passes_the_roles_in_between_in_which_nobody_is():
    PersonFactory(roles=["manager"])
    one = ProposalFactory(policy={**STANDARD, "steps": steps("support", "security", "manager")})
    due = one.due_at

    with clock.frozen_at(due):
        assert lifecycle.run_out() == 1

    now = Proposal.objects.get(pk=one.pk)
    assert (now.step, now.role.name, now.version) == (3, "manager", 2)
    assert list(StepRun.objects.values_list("step", "role__name", "why")) == [
        (1, "support", "clock"), (2, "security", "nobody"), (3, "manager", "nobody"),
    ]  # fmt: skip
    assert set(now.asked) == {role(name).pk for name in ("queue manager", "support", "security", "manager")}
    assert set(Notice.objects.values_list("role__name", flat=True)) == {"manager"}


def test_when_the_last_of_a_role_goes_what_stands_there_climbs():
    rosa, _ = PersonFactory(roles=["finance"]), PersonFactory(roles=["support"])
    one = ProposalFactory(role=role("finance"), policy={**STANDARD, "steps": steps("security", "support")})
    assert lifecycle.climb() == 0

    rosa.groups.clear()

    assert [lifecycle.climb(), lifecycle.climb()] == [1, 0]
    now = Proposal.objects.get(pk=one.pk)
    assert (now.role.name, now.step) == ("support", 2)
    assert Notice.objects.get(kind="escalated").facts == {"nobody_in": "security"}


def test_without_any_step_left_the_managers_are_the_last_resort():
    PersonFactory(roles=["manager"])
    one = ProposalFactory(role=role("finance"))

    assert [lifecycle.climb(), lifecycle.climb()] == [1, 0]

    now = Proposal.objects.get(pk=one.pk)
    assert (now.role.name, now.due_at) == ("manager", now.expires_at)


def test_what_a_manager_holds_of_a_role_without_anybody_is_theirs():
    mona = PersonFactory(roles=["manager"])
    one = ProposalFactory(role=role("finance"))
    lifecycle.claim(one.pk, person=mona)

    assert lifecycle.climb() == 0
    away(mona, clock.now() - HOUR, clock.now() + HOUR)
    PersonFactory(roles=["manager"])
    assert lifecycle.climb() == 1


def test_skipped_steps_say_no_yes_by_silence():
    """A yes without anybody needs every step waited out; a step nobody was there for was not."""
    PersonFactory(roles=["manager"])
    one = ProposalFactory(
        role=role("finance"), policy={**STANDARD, "fallback": "approve", "steps": steps("support", "manager")}, risk="low"
    )
    lifecycle.climb()

    with clock.frozen_at(one.expires_at):
        while lifecycle.run_out():
            pass

    assert Proposal.objects.get(pk=one.pk).decision.type == "reject"


def test_looking_for_empty_roles_costs_two_queries_while_there_are_none(django_assert_num_queries):
    for name in Role.objects.values_list("name", flat=True):
        PersonFactory(roles=[name])
    ProposalFactory.create_batch(3)

    with django_assert_num_queries(4):  # roles with somebody, roles; savepoint and its release
        assert lifecycle.climb() == 0


def test_climbing_costs_the_same_however_many():
    PersonFactory(roles=["manager"])
    costs = []
    for many in (1, 20):
        for _ in range(many):
            ProposalFactory(role=role("finance"))
        with clock.frozen_at(clock.now()), CaptureQueriesContext(connection) as captured:
            assert lifecycle.climb() == many
        costs.append(len(captured))

    assert costs[1] <= costs[0] <= 20, costs


def test_a_rulebook_reads_calendars_and_who_is_there_in_three_queries_more(django_assert_max_num_queries):
    goes_by_the_office()
    rosa = PersonFactory(roles=["finance"])
    with django_assert_max_num_queries(11):
        rulebook = Rulebook.load()
        frozen = rulebook.frozen(rulebook.default_policy)
    assert frozen["calendar"]["name"] == "Office" and rulebook.present == {role("finance").pk}
    assert rosa.is_active
