"""Any walk through the life keeps the promises. Hypothesis picks the moves; what must always hold is stated here."""

import contextlib
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from escalations import audit, clock, defaults, errors, lifecycle
from escalations.models import AuditEntry, Decision, Delivery, Hold, Incident, Proposal, Signature
from escalations.states import OPEN, UNDECIDED
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role

AGENT = audit.Actor("source", "agent", "agent")
ACTS = [
    "approve", "reject", "retry", "respond", "edit", "claim", "release", "hand_over", "escalate_now", "extend", "ask_back",
    "context", "revise", "withdraw", "ack", "ack_failed", "an_hour_passes", "a_day_passes", "stale_approve",
    "undo", "ten_seconds_pass", "by_token",
]


class Walk:
    """One incident, one manager, a clock, and whatever moves are asked for; illegal ones are refused."""

    def __init__(self, fallback, undo=0):
        self.person = PersonFactory(roles=["manager"])
        policy = {
            **STANDARD, "steps": [{"role": role("manager").pk, "name": "manager", "after": 14_400}], "fallback": fallback,
            "undo_seconds": undo,
        }
        self.undo_seconds = undo
        self.incident = ProposalFactory(role=role("finance"), policy=policy).incident
        self.now = clock.now()
        self.settled = {}

    def current(self):
        return Proposal.objects.filter(incident=self.incident).order_by("-revision").first()

    def do(self, act):
        with clock.frozen_at(self.now):
            with contextlib.suppress(errors.CountersignError):
                getattr(self, act, lambda: self.sign(act))()
            self.route()
        self.check()

    def route(self):
        """A revision is placed as it would be by the pipeline, without its judgement."""
        Proposal.objects.filter(incident=self.incident, state="pending", routed_at=None).update(
            routed_at=self.now, role=role("finance"), policy={**STANDARD, "undo_seconds": self.undo_seconds}, due_at=self.now + timedelta(hours=4),
            expires_at=self.now + timedelta(hours=12),
        )

    def sign(self, verdict, **more):
        one = self.current()
        lifecycle.decide(
            one.pk, person=self.person, type=verdict, digest=one.args_digest, version=more.pop("version", one.version),
            reason="r", message="m", **more,
        )

    def retry(self):
        self.sign("reject", retry=True)

    def edit(self):
        self.sign("edit", args={"order": 1, "amount": self.current().version})

    def stale_approve(self):
        before = Decision.objects.count()
        try:
            self.sign("approve", version=self.current().version + 1)
        finally:
            assert Decision.objects.count() == before

    def claim(self):
        lifecycle.claim(self.current().pk, person=self.person)

    def release(self):
        lifecycle.release(self.current().pk, person=self.person)

    def hand_over(self):
        lifecycle.hand_over(self.current().pk, person=self.person, role=role("support"))

    def escalate_now(self):
        lifecycle.escalate_now(self.current().pk, person=self.person)

    def extend(self):
        lifecycle.extend(self.current().pk, person=self.person, by=timedelta(hours=1))

    def ask_back(self):
        lifecycle.ask_back(self.current().pk, person=self.person, text="?")

    def context(self):
        lifecycle.add_context(self.incident.pk, context={"summary": "x"}, actor=AGENT)

    def revise(self):
        number = self.current().revision
        lifecycle.revise(self.incident.pk, content={"action": "refund", "args": {"n": number}}, actor=AGENT)

    def withdraw(self):
        lifecycle.withdraw(self.incident.pk, actor=AGENT)

    def ack(self, result="done"):
        decision = Decision.objects.filter(proposal__incident=self.incident).order_by("-decided_at").first()
        digest = decision.args_digest if decision else None
        lifecycle.acknowledge(self.incident.pk, result=result, args_digest=digest, actor=AGENT)

    def ack_failed(self):
        self.ack("failed")

    def undo(self):
        lifecycle.undo(self.current().pk, person=self.person)

    def by_token(self):
        self.sign("approve", method="api")

    def ten_seconds_pass(self):
        self.pass_time(timedelta(seconds=10))

    def an_hour_passes(self):
        self.pass_time(timedelta(hours=1))

    def a_day_passes(self):
        self.pass_time(timedelta(days=1))

    def pass_time(self, span):
        self.now += span
        with clock.frozen_at(self.now):
            while lifecycle.settle_held() or lifecycle.run_out():
                pass

    def check(self):
        """What must hold after every move."""
        proposals = list(Proposal.objects.filter(incident=self.incident))
        pending = [one for one in proposals if one.state in OPEN]
        assert len(pending) <= 1
        for one in proposals:
            decided = Decision.objects.filter(proposal=one).count()
            outcomes = Delivery.objects.filter(proposal=one, type="proposal.settled").count()
            expected = 0 if one.state in OPEN | UNDECIDED else 1
            assert (decided, outcomes) == (expected, expected), one.state
            assert Signature.objects.filter(proposal=one).count() <= decided
            if one.pk in self.settled:
                assert self.settled[one.pk] == (one.state, one.settled_at, one.version)
            elif one.state not in OPEN:
                self.settled[one.pk] = (one.state, one.settled_at, one.version)
            held = Hold.objects.filter(proposal=one).first()
            assert held is None or one.state in OPEN, "what is settled is not held any more"
            assert held is None or (held.version, held.digest) == (one.version, one.args_digest), "what is held is what was shown"
            assert held is None or held.settles_at <= self.now + timedelta(seconds=self.undo_seconds)
            if one.state in OPEN and not one.parked_at:
                assert one.due_at is not None, "an open proposal has a way out when the clock runs"
        status = Incident.objects.get().status
        if pending:
            assert status == "waiting"
        moments = list(AuditEntry.objects.filter(incident_id=self.incident.pk).order_by("pk").values_list("at", flat=True))
        assert moments == sorted(moments), "time never runs backwards in the audit chain"


class TestLife(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(["reject", "park", "approve"]), st.sampled_from([0, 20]), st.lists(st.sampled_from(ACTS), max_size=12))
    def test_any_walk_keeps_the_promises(self, fallback, undo, acts):
        defaults.install()
        walk = Walk(fallback, undo)
        for act in acts:
            walk.do(act)

    @settings(max_examples=20, deadline=None)
    @given(st.sampled_from([0, 20]), st.lists(st.sampled_from(ACTS), max_size=6))
    def test_whatever_happened_time_alone_settles_it(self, undo, acts):
        defaults.install()
        walk = Walk("reject", undo)
        for act in [*acts, *["a_day_passes"] * 9]:
            walk.do(act)
        assert not Proposal.objects.filter(state="pending").exists()
