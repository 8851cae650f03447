"""What is judged anew comes out as the judge itself would have it."""

from datetime import timedelta

import pytest

from escalations import clock, replay
from escalations.floors.rulebook import Rulebook
from escalations.models import Replay, RoutingRule, Trigger
from tests.escalations.replay.world import AUTO, incident, judged_by, routed, rule
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


def tried(wanted, subject="", kind="rule"):
    """Run a replay to its end."""
    now = clock.now()
    row = replay.ask(kind, wanted, subject, now - timedelta(days=30), now, PersonFactory())
    while replay.run_slice():
        pass
    return Replay.objects.get(pk=row.pk)


def draft(condition=AUTO, floor="auto", **more):
    return RoutingRule(name="a draft", condition=condition, floor=floor, **more)


def assert_same(becomes, judgement):
    assert becomes["floor"] == judgement.floor
    assert becomes["triggers"] == judgement.trigger_names
    assert becomes["severity"] == judgement.severity
    assert becomes["role"] == (judgement.role.name if judgement.floor == "review" else "")
    assert becomes["policy"] == judgement.policy.name


CASES = {
    "goes alone": {},
    "goes alone when sure": {"by": "threshold", "threshold": 0.8},
    "is not sure enough": {"by": "threshold", "threshold": 0.95},
    "has no lane": {"by": "lane"},
    "is refused": {"floor": "block"},
    "goes to another role": {"floor": "review", "priority": 999},
    "is more severe": {"floor": "review", "severity": "critical"},
    "fails": {"condition": "proposal.args.absent > 3", "floor": "review"},
    "fails and is no match": {"condition": "proposal.args.absent > 3"},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("live", [None, {"floor": "auto"}, {"floor": "review", "priority": 7}])
def test_a_new_rule_does_what_the_judge_says_it_does(source, name, live):
    one = draft(**CASES[name])
    if "another role" in name:
        one.role = role("finance")
    if live:
        rule(**live)
    [proposal] = routed(incident(source))

    ran = tried(replay.wanted_of(one))

    kept = ran.items.first()
    judgement = judged_by(one, proposal)
    if kept is None:
        before = [proposal.floor, proposal.trigger_names, proposal.severity, proposal.policy["name"]]
        assert before == [judgement.floor, judgement.trigger_names, judgement.severity, judgement.policy.name]
        assert not proposal.asked or proposal.asked[0] == judgement.role.pk
    else:
        assert_same(kept.becomes, judgement)


def test_a_threshold_that_is_lowered_lets_go_what_only_it_kept(source):
    live = rule(by="threshold", threshold=0.95)
    [proposal] = routed(incident(source))
    assert proposal.trigger_names == ["low_confidence"]
    live.threshold = 0.5

    ran = tried(replay.wanted_of(live), f"RoutingRule {live.pk}")

    assert ran.items.get().becomes["floor"] == "auto"
    assert_same(ran.items.get().becomes, judged_by(live, proposal, replaces=live.name))


def test_a_threshold_does_not_take_away_a_doubt_that_has_another_reason(source):
    live = rule(by="threshold", threshold=0.95)
    routed(incident(source, words=(("rules", 0.5),)))  # below what low_confidence itself asks for
    live.threshold = 0.4

    ran = tried(replay.wanted_of(live), f"RoutingRule {live.pk}")

    assert ran.result["matched"] == 1
    assert not ran.items.exists()


def test_an_archived_rule_is_not_there(source):
    live = rule()
    [proposal] = routed(incident(source))
    assert proposal.state == "approved"
    live.state = "archived"

    ran = tried(replay.wanted_of(live), f"RoutingRule {live.pk}")

    assert (ran.items.get().was["floor"], ran.items.get().becomes["floor"]) == ("auto", "review")
    assert replay.figures(ran.result).asked == 1


def test_who_shopped_for_a_yes_is_still_held(source):
    first, second = routed(incident(source, args={"same": 1})), routed(incident(source, args={"same": 1}))
    assert second[0].rules[-1]["name"] == "", "a person was asked the same"

    ran = tried(replay.wanted_of(draft()))

    assert [item.proposal_id for item in ran.items.all()] == [first[0].pk]


@pytest.mark.parametrize(
    ("name", "settings", "args"),
    [
        ("high_stakes", {"money_limit": 10}, {"amount": 50}),
        ("high_stakes", {"money_limit": 1000}, {"amount": 500}),
        ("sensitive_data", {"phrases": {"a secret": ["purple elephant"]}}, {"text": "the purple elephant"}),
        ("user_complaint", {"phrases": ["you robbed me"]}, {"text": "nothing"}),
        ("irreversible", {"verbs": ["note"]}, {"n": 1}),
        ("low_confidence", {}, {"n": 1}),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_trigger_fires_as_the_judge_says_it_does(source, name, settings, args, enabled):
    rule()
    [proposal] = routed(incident(source, args=args, context={"request": "You robbed me!"}))
    trigger = Trigger.objects.get(pk=name)
    trigger.settings, trigger.enabled = settings, enabled

    ran = tried(replay.wanted_of_trigger(trigger), f"Trigger {name}", kind="trigger")

    judgement = judged_by(None, proposal, trigger=trigger)
    kept = ran.items.first()
    if kept is None:
        assert (proposal.floor, proposal.trigger_names) == (judgement.floor, judgement.trigger_names)
    else:
        assert_same(kept.becomes, judgement)


def test_a_trigger_that_an_engine_named_stays(source):
    rule()
    one = incident(source)
    one.incident.classifications.update(triggers=[{"name": "high_stakes", "why": "it looks dear"}])
    routed(one)
    trigger = Trigger.objects.get(pk="high_stakes")
    trigger.settings = {"money_limit": 10**9}

    ran = tried(replay.wanted_of_trigger(trigger), "Trigger high_stakes", kind="trigger")

    assert ran.result["matched"] == 1
    assert not ran.items.exists()


def test_the_rulebook_knows_the_rules_in_shadow():
    shadowed = rule("in shadow", state="shadow")
    rule("a draft", state="draft")

    book = Rulebook.load()

    assert [live.rule for live in book.shadow] == [shadowed]
    assert not {"in shadow", "a draft"} & {live.rule.name for live in book.rules}
