"""A rule in shadow is asked about real traffic, and nothing comes of it but what is written down beside it."""

from datetime import timedelta

import pytest

from escalations import clock, replay
from escalations.floors import anew
from escalations.models import Decision, Delivery, Proposal, RoutingRule, ShadowVerdict
from tests.escalations.replay.world import AUTO, incident, routed, rule, says
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

EVERYTHING = [
    {"floor": "auto"}, {"floor": "block"}, {"floor": "review", "priority": 10_000, "severity": "critical"},
    {"floor": "auto", "by": "threshold", "threshold": 0.1}, {"floor": "review", "condition": "proposal.args.absent == 1"},
    {"floor": "auto", "condition": "no longer (valid"},
]


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


def as_routed(proposal):
    row = Proposal.objects.select_related("role").get(pk=proposal.pk)
    shown = {name: getattr(row, name) for name in ("state", "floor", "severity", "risk", "triggers", "rules", "policy", "asked", "version", "due_at")}
    return shown | {"role": row.role.name}


@pytest.mark.parametrize("live", [None, {"floor": "auto"}, {"floor": "block"}])
def test_whatever_stands_in_shadow_nothing_goes_another_way(source, live):
    if live:
        rule("the live one", **live)
    now = clock.now()
    with clock.frozen_at(now):
        [before] = routed(incident(source, args={"n": "one"}))
        without = as_routed(before)
    for number, fields in enumerate(EVERYTHING):
        rule(f"in shadow {number}", state="shadow", role=role("security") if fields["floor"] == "review" else None, **{"condition": AUTO, **fields})
    with clock.frozen_at(now):
        [after] = routed(incident(source, args={"n": "two"}))

    assert as_routed(after) == without
    assert Decision.objects.filter(proposal=after).count() == Decision.objects.filter(proposal=before).count()
    assert Delivery.objects.filter(proposal=after).count() == Delivery.objects.filter(proposal=before).count()
    assert ShadowVerdict.objects.filter(proposal=after).count() == 5, "every one that matched, or could not be answered"
    assert not ShadowVerdict.objects.filter(proposal=before).exists()


def test_what_a_test_key_posts_is_no_evidence_for_a_rule_in_shadow(source):
    """Else whoever holds one could agree with a rule as often as it takes."""
    shadowed = rule(state="shadow")
    real, _ = routed(incident(source), incident(source, test=True))
    assert [one.proposal_id for one in ShadowVerdict.objects.filter(rule=shadowed)] == [real.pk]


def test_an_auto_rule_in_shadow_executes_nothing_however_hard_it_tries(source):
    """It matches everything, with the highest priority, and asks for nothing else."""
    shadowed = rule("let everything go", "true", state="shadow", priority=2**31 - 1)

    proposals = routed(*[incident(source, words=(("rules", 1.0), ("llm", 1.0)), claims={"confidence": 1.0}) for _ in range(5)])

    assert {one.state for one in proposals} == {"pending"}
    assert not Decision.objects.exists()
    assert not Delivery.objects.exists()
    verdicts = ShadowVerdict.objects.filter(rule=shadowed)
    assert [(one.floor, one.was, one.would_settle) for one in verdicts] == [("auto", "review", True)] * 5


@pytest.mark.parametrize("broken", ["of", "of_rule"])
def test_a_failure_in_shadow_never_touches_routing(source, monkeypatch, broken):
    rule("in shadow", state="shadow")
    monkeypatch.setattr(anew.Ask, broken, lambda *_, **__: 1 / 0)

    [proposal] = routed(incident(source))

    assert (proposal.state, proposal.floor) == ("pending", "review")
    assert proposal.trigger_names == []
    assert not ShadowVerdict.objects.exists()


def test_verdicts_that_cannot_be_written_take_no_routing_along(source, monkeypatch):
    rule("in shadow", state="shadow")
    monkeypatch.setattr(ShadowVerdict.objects, "bulk_create", lambda *_, **__: 1 / 0)

    [proposal] = routed(incident(source))

    assert proposal.routed_at is not None


def test_its_page_grows_with_what_people_say(source):
    shadowed = rule("in shadow", state="shadow")
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(4)])
    assert replay.agreement(shadowed).figures.decided == 0
    says(person, proposals[0], "approve")
    says(person, proposals[1], "approve")
    says(person, proposals[2], "reject")

    told = replay.agreement(shadowed)

    assert (told.verdicts, told.figures.alone, told.figures.decided, told.agreed, told.figures.otherwise) == (4, 4, 3, 2, 1)
    assert round(told.figures.low, 4) == 0.0084
    assert round(told.figures.high, 4) == 0.9057
    assert [one.proposal_id for one in told.otherwise] == [proposals[2].pk]


def test_an_edited_rule_begins_anew(source):
    shadowed = rule("in shadow", state="shadow")
    routed(incident(source))
    RoutingRule.objects.filter(pk=shadowed.pk).update(version=2)
    shadowed.refresh_from_db()

    assert replay.agreement(shadowed).verdicts == 0


@pytest.mark.parametrize("size", [1, 8])
def test_agreement_costs_the_same_whatever_was_said(source, size, django_assert_num_queries):
    shadowed = rule("in shadow", state="shadow")
    person = PersonFactory(roles=["manager"])
    for one in routed(*[incident(source) for _ in range(size)]):
        says(person, one, "reject")

    with django_assert_num_queries(5):  # verdicts, proposals, decisions, signatures, those that are listed
        assert replay.agreement(shadowed).figures.otherwise == size


def test_a_rule_says_within_an_hour_when_it_last_matched(source):
    live, shadowed, other = rule(floor="review"), rule("in shadow", state="shadow"), rule("other", 'proposal.action == "x"', "review")
    now = clock.now()

    def matched(moment):
        with clock.frozen_at(moment):
            routed(incident(source))
        return [RoutingRule.objects.get(pk=one.pk).matched_at for one in (live, shadowed, other)]

    assert matched(now) == [now, now, None]
    assert matched(now + timedelta(minutes=50)) == [now, now, None], "no write for every batch"
    assert matched(now + timedelta(minutes=61)) == [now + timedelta(minutes=61)] * 2 + [None]
