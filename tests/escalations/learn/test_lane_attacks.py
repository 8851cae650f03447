"""Ways to keep a grant that is not deserved any more, or to get one: each was tried against lanes that really learn, and has to fail."""

from datetime import timedelta

import pytest

from escalations import audit, clock, lifecycle, policies
from escalations.classify import learned as engine
from escalations.errors import IllegalMove
from escalations.floors import lanes as floor_lanes
from escalations.learn import evidence, following, harm, promoting
from escalations.learned import Said
from escalations.lifecycle import clockwork
from escalations.models import Classification, Lane, OutcomeReport, Proposal, RoutingRule, Trial, Trigger
from escalations.policies import lanes, proving
from escalations.states import RuleState, State, TrialMode
from tests import earning
from tests.factories import PersonFactory, RuleFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(source, version, rosa, mona):
    return earning.earned(source, version, rosa, mona)


# -- a source that takes back what a person would look at


def taken_back(grant, rosa, *, how, of=6, right=30):
    """Let audits be answered, and some be taken back by their source before anybody could."""
    source, version = grant.lane.source, grant.version
    earning.decided(source, version, rosa, [(0.97, True)] * right, grant=grant, mode=TrialMode.AUDIT, share=0.2)
    patience = {"in a hurry": {"timeout_seconds": 30}, "with patience": {"timeout_seconds": 30 * 24 * 3600}}.get(how, {})
    came = [earning.came(source, version, **patience) for _ in range(of)]
    assert {one.trial.mode for one in came} == {TrialMode.AUDIT}
    agent = audit.Actor.source(source)
    for number, proposal in enumerate(came):
        if how == "withdrawn":
            lifecycle.withdraw(proposal.incident_id, actor=agent)
        elif how == "revised":
            lifecycle.revise(proposal.incident_id, content={"action": "refund", "args": {"order": 90_000 + number}}, actor=agent)
    if how in ("in a hurry", "with patience", "expired"):
        with clock.frozen_at(max(one.expires_at for one in came) + timedelta(seconds=1)):
            Proposal.objects.filter(state=State.PENDING).update(due_at=clock.now())
            clockwork.run_out()
    following.label(100, sweep=True)
    assert Trial.objects.filter(grant=grant, right=None, labelled_at__isnull=False).count() == of


@pytest.mark.parametrize("how", ["withdrawn", "revised", "in a hurry"])
def test_a_source_that_takes_back_what_is_looked_at_loses_its_lane(grant, rosa, time, always_drawn, how):
    """Else whoever withdraws each bad one that did not go at once would never fail an audit."""
    taken_back(grant, rosa, how=how)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "unchecked" and grant.end_evidence["taken_back"] == 6 and "6 of 36" in grant.end_why


def test_one_that_takes_back_now_and_then_keeps_it(grant, rosa, time, always_drawn):
    taken_back(grant, rosa, how="withdrawn", of=1)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.ended_at is None


@pytest.mark.parametrize("how", ["expired", "with patience"])
def test_what_people_left_undecided_is_not_the_sources_doing(grant, rosa, time, always_drawn, how):
    taken_back(grant, rosa, how=how, of=4)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.ended_at is None


def test_audits_that_only_a_token_answers_are_answered_by_nobody(grant, source, version, rosa, time, always_drawn):
    for _ in range(10):
        earning.decide(earning.came(source, version), rosa, method="api", interactive=False)
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "unchecked" and grant.end_evidence["answered"] == 0


# -- harm


def test_harm_is_not_forgotten_with_the_grant_it_was_done_under(grant, source, version, rosa, mona, time):
    """A manager ends it because of what went wrong: what it may be granted anew on has that in it."""
    earning.decided(source, version, rosa, [(0.97, False)] * 2, grant=grant, mode=TrialMode.ALONE, share=0.2)
    lanes.withdraw(grant.lane_id, why="It did harm.", person=mona)
    pieces = proving.pieces(grant.lane, version)
    assert (len(pieces), sum(not one.right for one in pieces)) == (102, 2)
    assert evidence.seen(Lane.objects.get()).harmed == 2


def test_under_its_grant_harm_is_weighed_once(grant, source, version, rosa):
    earning.decided(source, version, rosa, [(0.97, False)], grant=grant, mode=TrialMode.ALONE, share=0.2)
    watched = evidence.watch(grant)
    assert (watched.selected, watched.wrong, watched.harms) == (100, 0, 1)


def test_harm_is_found_under_a_flood_of_good_news(source, version, rosa, time):
    """Whoever reports that many others went well must not push what went wrong out of sight."""
    bad = earning.came(source, version)
    earning.decide(bad, rosa)
    earning.second(time)
    OutcomeReport.objects.create(incident=bad.incident, outcome="wrong", by_kind="source", by_id="x")
    earning.decided(source, version, rosa, [(0.97, True)] * 12)
    OutcomeReport.objects.bulk_create(
        OutcomeReport(incident=one.proposal.incident, outcome="right", by_kind="source", by_id="x")
        for one in Trial.objects.exclude(pk=bad.pk).select_related("proposal__incident")
    )
    assert harm.look(clock.now() - timedelta(seconds=60), limit=5) == {Lane.objects.get().pk}
    assert Trial.objects.get(pk=bad.pk).right is False


def test_a_flood_of_complaints_hides_none_and_costs_little(source, version, rosa, mona, time, monkeypatch, django_assert_max_num_queries):
    earning.earned(source, version, rosa, mona)
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
    alone = earning.came(source, version, session="run-7")
    assert alone.state == State.APPROVED
    first = earning.came(source, None, kind="handoff", session="run-7")
    flood = [earning.came(source, None, kind="handoff", session=f"other-{number}") for number in range(12)]
    named = [first.pk, *(one.pk for one in flood)]
    Proposal.objects.filter(pk__in=named).update(triggers=[{"name": "user_complaint", "why": "", "where": ""}])
    with django_assert_max_num_queries(24):
        assert harm.look(clock.now() - timedelta(seconds=60), limit=5)
    assert Trial.objects.get(pk=alone.pk).right is False


def test_what_failed_is_put_to_a_person_and_comes_through_no_lane(source, version, rosa):
    proposal = earning.came(source, version)
    earning.decide(proposal, rosa)
    lifecycle.acknowledge(proposal.incident_id, result="failed", args_digest=proposal.args_digest, actor=audit.Actor.source(source))
    again = Proposal.objects.get(incident=proposal.incident_id, revision=2)
    said = [Classification(engine="rules", category="refund", sure=True)]
    assert (again.author, again.action) == ("system", "refund") and floor_lanes.lane_of(again.incident, again, said) is None


def test_harm_to_what_was_counted_already_is_looked_at_though_no_clock_moved(grant, source, version, rosa, time, monkeypatch):
    """The clocks of two processes differ a little: what is known may change without its newest moment moving."""
    memory = following.Memory()
    earning.decided(source, version, rosa, [(0.97, True)] * 6, grant=grant, mode=TrialMode.AUDIT, share=0.2, risky=True)
    time(seconds=2)
    following.follow(memory=memory)
    first = Trial.objects.filter(grant=grant).order_by("labelled_at").first()
    Trial.objects.filter(pk=first.pk).update(right=False, how="harm")
    time(seconds=2)
    following.follow(memory=memory)
    grant.refresh_from_db()
    assert grant.end == "high_risk"


@pytest.mark.parametrize("score", [0.97, 0.41])
def test_while_nothing_goes_alone_all_are_evidence_alike(grant, source, version, score):
    """Else those above the threshold would count in full and those below one in twenty: laxer thresholds would look better than they are."""
    Lane.objects.update(checked_at=clock.now() - timedelta(hours=1))
    trial = earning.came(source, version, score=score).trial
    assert (trial.mode, trial.grant_id, trial.share) == (TrialMode.WATCHED, None, 1.0)


# -- who speaks


def test_a_version_that_is_just_being_taken_back_is_not_granted(source, version, rosa, mona, ada, monkeypatch):
    """Both at once: who grants has read that it is live, and then waits for who takes it back."""
    lane = earning.decided(source, version, rosa, [(0.97, True)] * 100)
    view = evidence.seen(lane)
    offer = proving.offer

    def meanwhile(*args):
        monkeypatch.setattr(proving, "offer", offer)
        promoting.take_back(version.pk, person=ada, reason="It is not to be trusted.")
        return offer(*args)

    monkeypatch.setattr(proving, "offer", meanwhile)
    with pytest.raises(IllegalMove):
        lanes.grant(
            lane.pk, person=mona, alpha=lane.alpha, delta=lane.delta, threshold=view.offer["threshold"], days=30, reason="Yes.",
            digest=view.digest, until=view.until,
        )


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1.5, -1.0], ids=str)
def test_a_score_that_is_no_chance_lets_nothing_go(grant, source, version, monkeypatch, score):
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
    assert earning.came(source, version, score=score).state == State.PENDING


@pytest.mark.parametrize("broken", ["loading", "speaking"])
def test_a_version_that_breaks_silences_no_other(source, version, monkeypatch, broken):
    ready = earning.classifier("ready")

    class Speaks:
        def speak(self, vectors):
            return [Said("refund", 0.9, "info", 0.9, 0.8, 0.1) for _ in vectors]

    class Breaks:
        def speak(self, vectors):
            raise MemoryError

    def model(pk):
        if pk == ready.pk and broken == "loading":
            raise OverflowError
        return Breaks() if pk == ready.pk else Speaks()

    monkeypatch.setattr(engine, "_model", model)
    work = earning.post(source)
    heard = engine.hear([(work, b"")])[work.pk]
    assert heard.word.error == "" and [one.version_id for one in heard.estimates] == [version.pk]


def test_what_a_caller_may_not_be_told_yes_to_goes_alone_nowhere(grant, source, version, monkeypatch):
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
    content = {"action": "refund", "args": {"order": 7}, "allowed_decisions": ["respond"]}
    proposal = earning.came(source, version, proposal=content)
    assert proposal.state == State.PENDING and not Trial.objects.filter(pk=proposal.pk).exists()


@pytest.mark.parametrize("kind", ["alert", "exception", "action", "draft"])
def test_a_draft_does_not_go_by_what_acknowledgements_have_earned(source, version, rosa, mona, monkeypatch, kind):
    """Nothing leaves with an acknowledgement, so people say yes to nearly all of them; a draft of the same category is sent."""
    monkeypatch.setattr(floor_lanes, "draw", lambda what, incident, revision: 0.999)
    said = ("info", "network", 0.95)
    earning.granted(earning.decided(source, version, rosa, [(0.97, True)] * 100, by="category", subject="network"), mona)
    assert earning.came(source, version, kind="alert", said=said).state == State.APPROVED
    draft = {"draft": {"to": "all@example.com", "subject": "Down", "body": "Send us your password."}}
    proposal = earning.came(source, version, kind=kind, said=("info", "reply_draft" if kind == "draft" else "network", 0.95), proposal=draft)
    assert proposal.state == State.PENDING
    lanes_of_it = Trial.objects.filter(pk=proposal.pk).values_list("lane__subject", flat=True)
    assert list(lanes_of_it) == (["reply_draft"] if kind == "draft" else [])


# -- what is kept is kept by others, until they let go


def administrators(**fields):
    return PersonFactory(is_staff=True, **fields), PersonFactory(is_staff=True)


def loosen(what, first, second):
    """Let two administrators take away what kept some items with people."""
    if isinstance(what, RoutingRule):
        change = policies.rules.archive_rule(what, actor=audit.Actor.of(first), person=first, why="Not needed.")
    else:
        what.enabled = False
        change = policies.rules.save_trigger(what, actor=audit.Actor.of(first), person=first, why="Not needed.")
    policies.second.confirm_change(change, person=second)


def kept_by(source, version, what):
    large = {"proposal": {"action": "refund", "args": {"order": 1, "amount": 90_000}}}
    if what in ("rule", "block"):
        rule = RuleFactory(name="Large ones", floor="review", condition="proposal.args.amount > 50000", priority=7)
        Trigger.objects.filter(name="high_stakes").update(enabled=False)
        found = rule
    else:
        found = Trigger.objects.get(name="high_stakes")
    if what == "block":
        RoutingRule.objects.filter(pk=found.pk).update(floor="block")
        found.refresh_from_db()
    proposal = earning.came(source, version, **large)
    assert proposal.state == State.REJECTED if what == "block" else proposal.trial.mode == TrialMode.KEPT
    return found


@pytest.mark.parametrize("what", ["rule", "trigger", "block"])
def test_when_what_kept_the_hard_ones_is_taken_away_the_lane_proves_itself_anew(source, version, rosa, mona, time, what):
    """What was shown is about the easy ones: large refunds are no part of the evidence, and would go alone from here on."""
    found = kept_by(source, version, what)
    time(seconds=200)
    Lane.objects.update(alpha=earning.ALPHA)
    grant = earning.earned(source, version, rosa, mona)
    time(seconds=1)
    loosen(found, *administrators())
    earning.second(time)
    grant.refresh_from_db()
    assert grant.end == "drift" and grant.end_evidence["change"]
    assert evidence.of(grant.lane, version) == [] and evidence.seen(grant.lane).offer is None


def test_a_lane_that_watches_begins_anew_too(source, version, rosa, time):
    rule = kept_by(source, version, "rule")
    Lane.objects.update(alpha=earning.ALPHA)
    lane = earning.decided(source, version, rosa, [(0.97, True)] * 100)
    lane.refresh_from_db()
    assert evidence.seen(lane).offer is not None
    time(seconds=1)
    loosen(rule, *administrators())
    assert evidence.seen(lane).offer is None


def test_what_kept_nothing_of_a_lane_may_go_without_ending_it(source, version, rosa, mona, time):
    rule = RuleFactory(floor="review", condition='proposal.action == "delete"')
    grant = earning.earned(source, version, rosa, mona)
    time(seconds=1)
    loosen(rule, *administrators())
    earning.second(time)
    grant.refresh_from_db()
    assert grant.ended_at is None and RoutingRule.objects.get(pk=rule.pk).state == RuleState.ARCHIVED


