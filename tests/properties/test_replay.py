"""A replay counts what plain Python counts on the same rows, whatever was posted and whatever people said."""

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from scipy.stats import beta

from escalations import clock, defaults, replay
from escalations.models import Decision, Proposal, Replay, RoutingRule
from tests.escalations.replay.world import incident, judged_by, routed, rule, says
from tests.factories import PersonFactory, SourceFactory, role

ROLES = ["", "finance", "security"]
CONDITIONS = [
    'proposal.action == "note"', 'proposal.action == "refund" && proposal.args.amount > 40', "proposal.args.amount < 60", "true",
    'proposal.args.missing == "x"', 'source.name == "agent-a"',
]
RULES = st.fixed_dictionaries({
    "condition": st.sampled_from(CONDITIONS), "floor": st.sampled_from(["auto", "review", "block"]), "priority": st.integers(1, 3),
    "by": st.sampled_from(["rule", "threshold", "lane"]), "threshold": st.sampled_from([0.5, 0.7, 0.95]),
    "role": st.sampled_from(ROLES), "severity": st.sampled_from(["", "warning", "critical"]),
})  # fmt: skip
POSTED = st.fixed_dictionaries({
    "source": st.integers(0, 1), "action": st.sampled_from(["note", "refund"]), "amount": st.sampled_from([1, 50, 90, 500]),
    "said": st.sampled_from(["approve", "edit", "reject", "respond", "", "run_out"]), "confidence": st.sampled_from([0.5, 0.65, 0.8, 0.99]),
    "kind": st.sampled_from(["action", "action", "question"]), "test": st.sampled_from([False, False, False, True]),
})  # fmt: skip


def made(values, name, live):
    fields = {**values, "role": role(values["role"]) if values["role"] else None}
    if fields["floor"] != "auto":
        fields |= {"by": "rule", "threshold": None}
    return rule(name, state="live", **fields) if live else RoutingRule(name=name, state="draft", **fields)


def said_of(proposal):
    """What became of it, in plain Python."""
    decision = Decision.objects.filter(proposal=proposal).first()
    if decision is None:
        return "open" if proposal.state == "pending" else "undecided"
    return decision.type if decision.by_kind == "person" else decision.by_kind


class ReplaysCount(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(live=st.lists(RULES, max_size=3), draft=RULES, posted=st.lists(POSTED, min_size=1, max_size=8), edits=st.booleans())
    def test_what_plain_python_counts_on_the_same_rows(self, live, draft, posted, edits):
        defaults.install()
        RoutingRule.objects.update(state="archived")
        sources = [SourceFactory(name="agent-a"), SourceFactory(name="agent-b")]
        person = PersonFactory(roles=["manager"])
        rules = [made(values, f"rule {number}", live=True) for number, values in enumerate(live)]
        proposals = routed(*[
            incident(
                sources[one["source"]], action=one["action"], args={"amount": one["amount"]}, kind=one["kind"], test=one["test"],
                words=(("rules", one["confidence"]),),
            )
            for one in posted
        ])
        for one, proposal in zip(posted, proposals, strict=True):
            self.say(person, proposal, one)
        proposals = [Proposal.objects.get(pk=one.pk) for one in proposals]
        tried = made(draft, "a draft", live=False)
        replaced = ""
        if edits and rules:
            replaced = tried.name = rules[0].name

        row = self.replayed(tried, rules[0] if replaced else None)

        counted = [(one, judged_by(tried, one, replaces=replaced)) for one in proposals if not one.test]
        result = row.result
        assert result["incidents"] == row.done == row.total == len(counted)
        assert result["proposals"] == len(counted)
        becomes = {one.pk: (judgement.floor, tuple(judgement.trigger_names)) for one, judgement in counted}
        was = {one.pk: (one.floor, tuple(one.trigger_names)) for one, _ in counted}
        floors = Counter(f"{was[pk][0]} → {becomes[pk][0]}" for pk in was if was[pk][0] != becomes[pk][0])
        assert result["changes"].get("floor", {}) == floors
        fired = Counter(f"+ {name}" for pk in was for name in set(becomes[pk][1]) - set(was[pk][1]))
        fired += Counter(f"− {name}" for pk in was for name in set(was[pk][1]) - set(becomes[pk][1]))
        assert result["changes"].get("triggers", {}) == fired
        alone = Counter(said_of(one) for one, _ in counted if becomes[one.pk][0] == "auto" != was[one.pk][0])
        assert {key: count for key, count in result["alone"].items() if count} == alone
        refused = Counter(said_of(one) for one, _ in counted if becomes[one.pk][0] == "block" != was[one.pk][0])
        assert {key: count for key, count in result["refused"].items() if count} == refused
        self.figures(replay.figures(result), alone)
        mistakes = {one.pk for one, _ in counted if becomes[one.pk][0] == "auto" != was[one.pk][0] and said_of(one) in ("edit", "reject", "respond")}
        mistakes |= {one.pk for one, _ in counted if becomes[one.pk][0] == "block" != was[one.pk][0] and said_of(one) in ("approve", "edit")}
        assert set(row.items.filter(mistake=True).values_list("proposal_id", flat=True)) == mistakes

    def figures(self, figures, alone):
        otherwise = alone["edit"] + alone["reject"] + alone["respond"]
        decided = otherwise + alone["approve"]
        assert (figures.alone, figures.decided, figures.otherwise) == (alone.total(), decided, otherwise)
        if not decided:
            assert figures.share is figures.low is figures.high is None
            return
        low = beta.ppf(0.025, otherwise, decided - otherwise + 1) if otherwise else 0.0
        high = beta.ppf(0.975, otherwise + 1, decided - otherwise) if otherwise < decided else 1.0
        assert abs(figures.share - otherwise / decided) < 1e-12
        assert abs(figures.low - low) < 1e-9
        assert abs(figures.high - high) < 1e-9

    def say(self, person, proposal, one):
        if proposal.state != "pending" or not one["said"]:
            return
        verdict = one["said"] if one["kind"] == "action" else "respond"
        if one["said"] == "run_out":
            proposal = Proposal.objects.get(pk=proposal.pk)
            Proposal.objects.filter(pk=proposal.pk).update(state="expired", settled_at=clock.now())
            Decision.objects.create(
                proposal=proposal, type="reject", by_kind="clock", by_id="standard", by_name="standard", signed_digest=proposal.args_digest,
                valid_until=clock.now(),
            )
        elif verdict == "edit":
            says(person, proposal, "edit", args={**proposal.args, "note": "less"})
        else:
            says(person, proposal, verdict)

    def replayed(self, tried, saved):
        now = clock.now()
        row = replay.ask(
            "rule", replay.wanted_of(tried), f"RoutingRule {saved.pk}" if saved else "", now - timedelta(days=1), now, PersonFactory(),
        )
        while replay.run_slice():
            pass
        row = Replay.objects.get(pk=row.pk)
        assert row.state == "done", row.error
        return row
