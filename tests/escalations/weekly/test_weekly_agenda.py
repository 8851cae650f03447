"""The agenda: what came, why, what timed out, what was overridden, what is new, which rules fired wrongly."""

from datetime import timedelta

import pytest
from teams_week import MONDAY, NEXT, SINCE, decide

from escalations import clock
from escalations.models import LaneGrant, OutcomeReport, StepRun, Trial, Work
from escalations.states import TrialMode
from escalations.weekly.agenda import agenda_of, has_anything
from escalations.weekly.gathering import week_of
from tests.expecting import expecting
from tests.factories import RuleFactory, role

pytestmark = pytest.mark.django_db


def agenda(name="finance"):
    with clock.frozen_at(NEXT):
        return agenda_of(week_of(role(name), MONDAY))


def marks(said, one):
    return next(item["marks"] for item in said["items"] if item["proposal"] == str(one.pk))


def test_counts_what_came_and_what_people_made_of_it(came):
    came()
    came(20, "reject")
    came(30, None)
    came(-30)  # the week before
    came(8 * 24)  # the week after
    came(12, incident_test=True)

    said = agenda()

    assert (said["came"], said["decided"], said["verdicts"]) == (3, 2, {"approve": 1, "reject": 1})
    assert len(said["items"]) == 3 and said["more"] == 0 and not said["capped"]


def test_what_came_on_sunday_and_ran_out_on_monday_stands_in_the_second_week(came, rosa):
    late = came(-2, None)
    decide(late, "reject", SINCE + timedelta(hours=10), rosa, by="clock")

    said = agenda()

    assert (said["came"], said["expired"]) == (0, 1)
    assert marks(said, late) == ["expired"]


def test_what_an_agent_says_of_itself_is_no_word_of_the_machine(came, version):
    """An agent that is sure of itself, a classifier that is not: who refuses agrees with the machine."""
    agreed = expecting(came(10, "reject", confidence=0.99), 0.003, version)
    against = expecting(came(11, "reject", confidence=0.01), 0.97, version)
    came(12, "reject", confidence=0.99)
    expecting(came(13, None, confidence=0.99), 0.003, version)

    said = agenda()

    assert said["overrides"] == {"judged": 2, "overridden": 1}
    assert (marks(said, agreed), marks(said, against)) == (["asked"], ["overridden"])


def test_what_was_expected_of_something_undecided_is_never_read(came, version):
    waits, done = expecting(came(10, None), 0.9, version), expecting(came(11), 0.9, version)

    told = {one.pk: one.expected for one in week_of(role("finance"), MONDAY).rows}

    assert told == {waits.pk: None, done.pk: 0.9}


def test_a_rule_that_lacked_something_is_no_word_of_the_machine(came, version):
    """What a lane has earned is a rule that matches nearly everything: where none has, people overrode nobody by refusing what is unsure."""
    lane = {"name": "What a lane has earned", "floor": "auto"}
    expecting(came(10, "reject", rules=[lane | {"unmet": "no lane has earned this"}]), 0.2, version)
    came(11, "reject", rules=[lane | {"unmet": "no lane has earned this"}])
    expecting(came(12, "reject", rules=[lane]), 0.2, version)

    assert agenda()["overrides"] == {"judged": 2, "overridden": 1}


def test_says_why_each_is_on_the_list_the_most_telling_first(came, version):
    plain, waits = expecting(came(), 0.9, version), came(11, None)
    overridden = expecting(came(12, "reject"), 0.9, version)
    climbed, raised, harmed = came(13), came(14), came(15)
    StepRun.objects.create(proposal=climbed, step=1, role=role("manager"), due_at=SINCE, fired_at=SINCE + timedelta(hours=17), why="clock")
    StepRun.objects.create(proposal=raised, step=1, role=role("manager"), due_at=SINCE, fired_at=SINCE + timedelta(hours=17), why="escalated")
    OutcomeReport.objects.create(
        incident=harmed.incident, outcome="wrong", how="complaint", by_kind="person", by_id="x", at=SINCE + timedelta(days=3)
    )

    said = agenda()

    order = [harmed, climbed, raised, overridden, waits, plain]
    assert [item["proposal"] for item in said["items"]] == [str(one.pk) for one in order]
    assert [marks(said, one)[0] for one in order] == ["harmed", "climbed", "raised", "overridden", "waiting", "asked"]
    assert said["overrides"] == {"judged": 2, "overridden": 1}


def test_what_was_reported_right_is_no_harm(came):
    one = came(confidence=0.9)
    OutcomeReport.objects.create(incident=one.incident, outcome="right", by_kind="person", by_id="x", at=SINCE + timedelta(days=1))

    assert marks(agenda(), one) == ["asked"]


def test_counts_why_it_came_with_how_much_went_as_proposed(came):
    high = [{"name": "high_stakes", "why": "much", "where": ""}]
    for verdict in ("approve", "approve", "reject", None):
        came(verdict=verdict, triggers=high, rules=[{"name": "big", "floor": "review", "why": "", "error": ""}])
    came()

    why = {(one["what"], one["name"]): one for one in agenda()["why"]}

    assert why["trigger", "high_stakes"] == {"what": "trigger", "name": "high_stakes", "came": 4, "decided": 3, "plain": 2}
    assert why["rule", "big"]["came"] == 4
    assert why["floor", "nothing said that the machine may"]["came"] == 1


def test_what_no_rule_says_is_told_in_its_own_words(came):
    came(rules=[{"name": "", "floor": "review", "why": "A person was asked about this line before."}])

    assert [(one["what"], one["name"]) for one in agenda()["why"]] == [("floor", "A person was asked about this line before")]


def test_new_kinds_are_put_together_and_named_by_their_commonest_words(came):
    for number in range(3):
        came(-24 * 7 - number, title=f"Refund order {number} for a broken lamp")
    for number in range(4):
        came(10 + number, title=f"Refund order {number} for a broken lamp")
        came(10 + number, title=f"Export all customer addresses to partner {number}", action="export")
    came(15, title="Export all customer addresses to partner seven", action="export")

    kinds = agenda()["new_kinds"]

    assert [(one["count"], one["action"], one["words"]) for one in kinds] == [(5, "export", ["export", "all", "customer", "addresses"])]
    assert len(kinds[0]["examples"]) == 5


def test_a_sensitive_value_names_no_kind(came):
    came(title="Pay to IBAN GB33BUKB20201555555555 now hurry", action="pay")

    said = str(agenda()["new_kinds"])

    assert "BUKB" not in said.upper() and "hurry" in said


def fired(name, number, approved, came, **more):
    for index in range(number):
        came(hours=index % 100, verdict="approve" if index < approved else "reject", rules=[{"name": name, "floor": "review", "why": "", "error": ""}], **more)


def test_a_rule_that_asks_what_is_always_approved_fired_wrongly(came):
    RuleFactory(name="asks for nothing", condition="true", floor="review")
    RuleFactory(name="asks well", condition="true", floor="review")
    fired("asks for nothing", 60, 60, came)
    fired("asks well", 60, 50, came)

    assert [(one["rule"], one["what"], one["fired"], one["plain"]) for one in agenda()["wrong_rules"]] == [("asks for nothing", "asked", 60, 60)]


def test_a_trigger_beside_it_or_too_few_say_nothing_of_a_rule(came):
    RuleFactory(name="asks", condition="true", floor="review")
    fired("asks", 60, 60, came, triggers=[{"name": "irreversible", "why": "", "where": ""}])
    fired("asks", 20, 20, came)

    assert agenda()["wrong_rules"] == []


def test_a_rule_that_let_harm_go_is_told_to_the_managers_alone(came, manager, billing):
    one = came(by="policy", role=None)
    OutcomeReport.objects.create(incident=one.incident, outcome="wrong", by_kind="person", by_id="x", at=SINCE + timedelta(days=1))

    assert [(rule["rule"], rule["what"], rule["harmed"]) for rule in agenda("manager")["wrong_rules"]] == [("policy", "harm", 1)]
    assert agenda("finance")["wrong_rules"] == []


def test_lanes_gained_and_lost_are_told_to_the_team_that_was_asked(came, manager, billing, lane_of, version):
    came()
    lane = lane_of(billing, "refund")
    other = lane_of(billing, "close_account")
    for one in (lane, other):
        LaneGrant.objects.create(
            lane=one, version=version, alpha=0.02, delta=0.05, threshold=0.9, audit_share=0.05, evidence={}, terms_digest="x",
            granted_by=manager, reason="enough", granted_at=SINCE + timedelta(days=1), expires_at=SINCE + timedelta(days=30),
            ended_at=SINCE + timedelta(days=2), end="high_risk",
        )

    assert [(one["subject"], one["what"]) for one in agenda()["lanes"]] == [("refund", "gained"), ("refund", "lost")]
    assert len(agenda("manager")["lanes"]) == 4


def test_tells_how_long_it_waited_and_how_often_nobody_was_there(came):
    came(10, minutes=10)
    came(34, minutes=30)
    one = came(36, None)
    StepRun.objects.create(proposal=one, step=1, role=role("manager"), due_at=SINCE, fired_at=SINCE + timedelta(hours=36), why="nobody")

    staffing = agenda()["staffing"]

    assert (staffing["median"], staffing["nobody"], staffing["deciding"]) == (1200.0, 1, 1)
    assert [day["came"] for day in staffing["days"]] == [1, 2, 0, 0, 0, 0, 0]


def test_the_mode_of_an_undecided_trial_is_nowhere_in_it(came, lane_of, billing):
    waiting = came(10, None)
    work = Work.objects.create(incident=waiting.incident)
    Trial.objects.create(proposal=waiting, lane=lane_of(billing, "refund"), work=work, score=0.987654, mode=TrialMode.AUDIT)

    said = str(agenda())

    assert "audit" not in said and "0.98" not in said


def test_costs_the_same_queries_whatever_came(came, django_assert_max_num_queries):
    for number in range(12):
        came(number)

    with django_assert_max_num_queries(12):
        agenda()


def test_an_empty_week_has_nothing(db):
    assert not has_anything(agenda())
