"""A suggestion becomes a draft with its replay, or is dismissed with a reason; it never goes live by itself."""

import pytest
from teams_week import MONDAY, NEXT, many

from escalations import clock, weekly
from escalations.errors import Invalid, NotAllowed
from escalations.models import AuditEntry, Change, Replay, RoutingRule, Suggestion
from escalations.states import RuleState
from escalations.weekly import suggesting
from tests.factories import PersonFactory, role

pytestmark = pytest.mark.django_db
CONDITION = 'incident.kind == "action" && proposal.action == "refund" && has(proposal.args.amount) && proposal.args.amount <= 100'


@pytest.fixture
def review(came):
    came()
    with clock.frozen_at(NEXT):
        return weekly.make(role("finance").pk, MONDAY)


@pytest.fixture
def suggestion(review):
    return Suggestion.objects.create(
        review=review, condition=CONDITION, floor="auto", why="Of 84, people approved 84.", matched=84, agreed=84, low=0.957, high=1.0
    )


def test_a_manager_drafts_it_and_its_replay_is_asked_for_and_nothing_goes_live(suggestion, manager):
    row = weekly.draft(suggestion.pk, person=manager)

    assert (row.rule.state, row.rule.condition, row.rule.floor, row.rule.by) == (RuleState.DRAFT, CONDITION, "auto", "rule")
    assert row.replay.state == "waiting" and row.replay.wanted["state"] == "live" and row.replay.subject == f"RoutingRule {row.rule.pk}"
    assert not RoutingRule.objects.filter(condition=CONDITION, state=RuleState.LIVE).exists() and not Change.objects.exists()
    assert list(AuditEntry.objects.filter(action__in=["rule.saved", "replay.asked", "suggestion.drafted"]).values_list("actor", flat=True)) == ["milan"] * 3


def test_it_is_answered_once(suggestion, manager, rosa):
    weekly.draft(suggestion.pk, person=manager)
    with pytest.raises(weekly.Done):
        weekly.draft(suggestion.pk, person=manager)
    with pytest.raises(weekly.Done):
        weekly.dismiss(suggestion.pk, why="no", person=rosa)
    with pytest.raises(weekly.Done):
        weekly.replay_again(suggestion.pk, person=manager)
    Replay.objects.update(state="done")
    assert weekly.replay_again(suggestion.pk, person=manager).replay.state == "waiting"
    assert Replay.objects.count() == 2


def test_a_member_dismisses_it_with_a_reason_and_makes_no_rules(suggestion, rosa):
    with pytest.raises(NotAllowed):
        weekly.draft(suggestion.pk, person=rosa)
    with pytest.raises(Invalid):
        weekly.dismiss(suggestion.pk, why="  ", person=rosa)

    row = weekly.dismiss(suggestion.pk, why="Refunds stay with us.", person=rosa)

    assert row.dismissed_by == rosa and not RoutingRule.objects.filter(condition=CONDITION).exists()
    assert AuditEntry.objects.filter(action="suggestion.dismissed", actor="rosa").count() == 1


def test_strangers_answer_nothing(suggestion):
    stranger = PersonFactory(roles=["security"])
    for verb in (weekly.draft, weekly.replay_again):
        with pytest.raises(NotAllowed):
            verb(suggestion.pk, person=stranger)
    with pytest.raises(NotAllowed):
        weekly.dismiss(suggestion.pk, why="x", person=stranger)


# Small refunds are always approved, large ones never; enough of both.
SURE = [({"order": n, "amount": 20 + n % 70}, "approve") if n % 2 else ({"order": n, "amount": 200 + n}, "reject") for n in range(400)]


def test_a_week_that_bears_it_out_suggests_it_with_examples(billing, rosa):
    many(billing, role("finance"), rosa, SURE)
    with clock.frozen_at(NEXT):
        made = weekly.make(role("finance").pk, MONDAY)

    found = {one.floor: one for one in made.suggestions.all()}
    assert found["auto"].condition.startswith('incident.kind == "action" && proposal.action == "refund" && has(proposal.args.amount)')
    assert (found["auto"].matched, found["auto"].agreed) == (80, 80) and found["auto"].low >= 0.95
    assert found["block"].low >= 0.9 and len(found["block"].examples) == 8


def test_neither_what_is_a_rule_already_nor_what_was_dismissed_is_suggested_again(billing, rosa):
    many(billing, role("finance"), rosa, SURE)
    until = NEXT.replace(hour=0)
    first = suggesting.suggested_for(role("finance"), until)
    assert len(first) == 2
    RoutingRule.objects.create(name="is one", condition=first[0].condition, floor=first[0].floor, state=RuleState.DRAFT)
    with clock.frozen_at(NEXT):
        made = weekly.make(role("finance").pk, MONDAY)
        weekly.dismiss(made.suggestions.get(condition=first[1].condition).pk, why="no", person=rosa)

        assert suggesting.suggested_for(role("finance"), until) == []


@pytest.mark.parametrize("told", [{"interactive": False}, {"test": True}, {"by": "clock"}, {"method": "group"}], ids=["token", "test", "clock", "group"])
def test_what_a_token_a_test_key_the_clock_or_one_click_brought_teaches_nothing(billing, rosa, told):
    many(billing, role("finance"), rosa, SURE, **told)

    assert suggesting.suggested_for(role("finance"), NEXT) == []
