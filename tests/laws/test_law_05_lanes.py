"""Laws 5 and 6, where a machine may act alone: with an engine that always says yes, what anything else keeps stays with a person.

Every lane is granted, every estimate is 1.0, nothing is ever new to it, no audit is drawn: the most generous machine there can be. What
a lane may let go at all, and how it loses that, is tried in tests/escalations/learn.
"""

from datetime import timedelta

import pytest

from escalations import clock, route
from escalations.floors import lanes as floor_lanes
from escalations.models import (
    ClassifierVersion,
    Decision,
    Estimate,
    Incident,
    Lane,
    LaneGrant,
    Person,
    Proposal,
    RoutingRule,
    Source,
    Trial,
    Work,
)
from escalations.policies import stop as switch
from escalations.states import LaneState, Stage, TrialMode
from tests.escalations.api.speaking import Speaker, key_for
from tests.factories import PersonFactory, RuleFactory, SourceFactory

from .conftest import newest
from .test_law_05 import EVERY, RISKY, poisoned, settled_without_a_person, texts, yes_man  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
HARMLESS = {"action": "refund", "args": {"order": 1182, "amount": 20}}


def grant(source, subject, *, by="action", version=None, **other):
    """Grant a lane, whatever its evidence: what stands above it is what is tried."""
    # Without weights of its own, and not live: what it says is said by `always_yes`, and its silence holds nothing up.
    version = version or ClassifierVersion.objects.first() or ClassifierVersion.objects.create(number=1, state="retired")
    manager = Person.objects.filter(groups__name="manager").first() or PersonFactory(roles=["manager"])
    lane, _ = Lane.objects.get_or_create(source=source, by=by, subject=subject)
    Lane.objects.filter(pk=lane.pk).update(state=LaneState.GRANTED, checked_at=clock.now())
    return LaneGrant.objects.create(**{
        "lane": lane, "version": version, "alpha": 0.02, "delta": 0.05, "threshold": 0.9, "audit_share": 0.05, "evidence": {},
        "terms_digest": "x", "granted_by": manager, "reason": "r", "expires_at": clock.now() + timedelta(days=30), **other,
    })


@pytest.fixture
def always_yes(monkeypatch):
    """Before anything is routed every version has said: surely yes, and like everything before."""
    run_batch = route.run_batch

    def said_yes(*args, **kwargs):
        for work in Work.objects.filter(stage=Stage.ROUTE):
            for version in ClassifierVersion.objects.all():
                Estimate.objects.get_or_create(work=work, version=version, defaults={"approve": 1.0, "novelty": 0.0})
        return run_batch(*args, **kwargs)

    monkeypatch.setattr(route, "run_batch", said_yes)
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.9999)


@pytest.fixture
def unsure_is_fine(db):
    RoutingRule.objects.exclude(by="lane").update(state="archived")


def test_what_a_lane_earned_does_go_when_nothing_keeps_it(posted, source, always_yes):
    """So that the tests below do not hold for want of a machine."""
    grant(source, "refund")
    assert posted({"kind": "action", "title": "Refund for order 1182", "proposal": HARMLESS}).state == "approved"


@pytest.mark.django_db(transaction=True)
def test_no_text_of_the_corpus_in_any_field_gets_what_is_risky_past_a_person(agent, source, yes_man, always_yes, run_jobs):  # noqa: F811
    """The default rules and triggers, the corpus in every field, every risky action's own lane granted: nothing is settled by anybody."""
    for one in RISKY:
        grant(source, one["action"])
    items = [poisoned(n, text, RISKY[n % len(RISKY)]) for n, text in enumerate(texts(EVERY or 120))]
    for start in range(0, len(items), 80):
        answer = agent.post("/incidents/batch", {"items": items[start : start + 80]})
        assert {one["status"] for one in answer.json()["items"]} == {201}
        run_jobs()
    while run_jobs():
        pass

    assert Incident.objects.count() == len(items) and not Proposal.objects.filter(routed_at=None).exists()
    assert Estimate.objects.filter(approve=1.0).count() >= len(items)
    assert settled_without_a_person() == []
    assert not Trial.objects.exclude(mode=TrialMode.KEPT).exists()


@pytest.mark.django_db(transaction=True)
def test_nor_gets_what_no_lane_was_granted_for_past_one(agent, source, yes_man, always_yes, run_jobs, unsure_is_fine):  # noqa: F811
    """Without a single rule that asks for a person: the lane of another action, and of another source, lets nothing go."""
    grant(source, "remember")
    grant(SourceFactory(), "refund")
    items = [poisoned(n, text, HARMLESS) for n, text in enumerate(texts(40))]
    agent.post("/incidents/batch", {"items": items})
    while run_jobs():
        pass

    assert Incident.objects.count() == len(items) and settled_without_a_person() == []
    assert not Proposal.objects.filter(routed_at=None).exists()


def test_what_test_keys_post_never_goes_alone(posted, source, always_yes):
    grant(source, "refund")
    proposal = posted({"kind": "action", "title": "Refund for order 1182", "proposal": HARMLESS}, speaker=Speaker(key_for(source, env="test")))
    assert proposal.test and proposal.state == "pending" and not Trial.objects.exists()


@pytest.mark.parametrize("kind", ["question", "handoff"])
def test_words_that_somebody_asked_for_no_lane_has(posted, source, always_yes, kind):
    for by, subject in (("action", ""), ("category", "customer_question"), ("category", "handoff")):
        grant(source, subject, by=by)
    assert posted({"kind": kind, "title": "May I?", "body": "Please tell me."}).state == "pending"


@pytest.mark.parametrize("above", ["review", "block", "broken", "conflict", "complaint", "irreversible", "claim", "past"])
def test_every_rule_trigger_floor_and_the_past_stand_above_a_granted_lane(posted, source, always_yes, above):
    grant(source, "refund")
    body = {"kind": "action", "title": "Refund for order 1182", "proposal": dict(HARMLESS)}
    if above in ("review", "block"):
        RuleFactory(floor=above, condition='proposal.action == "refund"', priority=-5000)
    elif above == "broken":
        RuleFactory(floor="review", condition="proposal.args.nothing > 1", priority=-5000)
    elif above == "conflict":
        RuleFactory(floor="review", condition='proposal.action == "refund"', priority=-1000)
    elif above == "complaint":
        body["context"] = {"request": "This is a formal complaint. Let me talk to a human being."}
    elif above == "irreversible":
        Source.objects.filter(pk=source.pk).update(known_irreversible=["refund"])
    elif above == "claim":
        body["proposal"]["confidence"] = 0.1
    elif above == "past":
        Lane.objects.update(checked_at=clock.now() - timedelta(hours=1))
        assert posted(body, key="first").state == "pending"
        Lane.objects.update(checked_at=clock.now())
    proposal = posted(body, key="second")
    assert proposal.state == ("rejected" if above == "block" else "pending")
    assert not Decision.objects.filter(type="approve").exists()
    assert not Trial.objects.filter(mode=TrialMode.ALONE).exists()


@pytest.mark.parametrize("why", ["stale", "ended", "expired", "watching", "stopped", "never looked at"])
def test_a_grant_that_does_not_stand_at_this_moment_lets_nothing_go(posted, source, always_yes, mona, why):
    """Law 6: whatever is wrong with it, people decide."""
    given = grant(source, "refund", **({"expires_at": clock.now() - timedelta(seconds=1)} if why == "expired" else {}))
    if why == "stale":
        Lane.objects.update(checked_at=clock.now() - timedelta(seconds=61))
    elif why == "ended":
        LaneGrant.objects.filter(pk=given.pk).update(ended_at=clock.now(), end="manager", end_why="x")
    elif why == "watching":
        Lane.objects.update(state=LaneState.WATCHING)
    elif why == "stopped":
        switch.stop_everything(person=mona, reason="Something is wrong.")
    elif why == "never looked at":
        Lane.objects.update(checked_at=None)
    proposal = posted({"kind": "action", "title": "Refund for order 1182", "proposal": HARMLESS})
    assert proposal.state == "pending" and not Decision.objects.exists()
    assert not Trial.objects.filter(mode__in=[TrialMode.ALONE, TrialMode.AUDIT]).exists()


def test_a_source_disabled_while_its_item_waits_gets_nothing_alone(posted, source, always_yes, run_jobs):
    grant(source, "refund")
    proposal = posted({"kind": "action", "title": "Refund for order 1182", "proposal": HARMLESS}, jobs=False)
    Source.objects.filter(pk=source.pk).update(disabled_at=clock.now())
    run_jobs()
    assert newest(proposal.incident_id).state == "pending"


def test_the_words_of_another_version_do_not_count_for_a_grant(posted, source, monkeypatch, run_jobs):
    """A grant heeds the version whose evidence was signed, however sure a newer one is."""
    old = ClassifierVersion.objects.create(number=1, state="retired")
    new = ClassifierVersion.objects.create(number=2, state="retired")
    grant(source, "refund", version=old)
    run_batch = route.run_batch

    def only_the_new_one(*args, **kwargs):
        for work in Work.objects.filter(stage=Stage.ROUTE):
            Estimate.objects.get_or_create(work=work, version=new, defaults={"approve": 1.0, "novelty": 0.0})
        return run_batch(*args, **kwargs)

    monkeypatch.setattr(route, "run_batch", only_the_new_one)
    proposal = posted({"kind": "action", "title": "Refund for order 1182", "proposal": HARMLESS})
    assert proposal.state == "pending" and Trial.objects.get().mode == TrialMode.BELOW


@pytest.mark.django_db(transaction=True)
def test_a_model_cannot_pick_the_lane(posted, source, run_jobs, yes_man, always_yes, unsure_is_fine):  # noqa: F811
    """Of what has no action the category picks it, and only where rules or the learned engine are sure: never the model's word."""
    for subject in ("other", "bug", "crash", "outage", "complaint", "refund"):
        grant(source, subject, by="category")
    posted({"kind": "alert", "title": "zzqx", "severity": "info"})
    while run_jobs():
        pass
    proposal = Proposal.objects.get()
    said = {one.engine: (one.category, one.sure) for one in proposal.incident.classifications.all()}
    assert said["llm"][0] and not said["rules"][1], said
    assert proposal.state == "pending" and not Trial.objects.exists()
