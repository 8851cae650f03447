"""Whatever one administrator may save alone lets nothing go that did not go before, and asks nobody less: held against the judge."""

from copy import copy

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from escalations import defaults
from escalations.floors.judge import judge
from escalations.floors.rulebook import Rulebook
from escalations.models import Classification, RoutingRule
from escalations.policies.second import lowers
from escalations.states import strictest
from tests.factories import IncidentFactory, ProposalFactory, SourceFactory, role

CONDITIONS = ["true", 'proposal.action == "note"', "proposal.args.size() < 2", "proposal.args.missing == 1", "false"]
RULES = st.fixed_dictionaries({
    "condition": st.sampled_from(CONDITIONS), "floor": st.sampled_from(["auto", "auto", "review", "block"]),
    "by": st.sampled_from(["rule", "rule", "threshold", "lane"]), "threshold": st.sampled_from([0.65, 0.8, 0.99]),
    "model_counts": st.booleans(), "priority": st.sampled_from([5, 5, 6]), "role": st.sampled_from(["", "finance", "support"]),
    "state": st.sampled_from(["live", "live", "draft", "shadow", "archived"]), "severity": st.sampled_from(["", "critical"]),
})  # fmt: skip
EDITS = st.sets(st.sampled_from(["condition", "floor", "by", "threshold", "model_counts", "priority", "role", "state", "severity"]), max_size=3)
AUTO = {"condition": "true", "floor": "auto", "by": "rule", "threshold": None, "model_counts": False, "priority": 5, "role": "finance",
        "state": "live", "severity": ""}  # fmt: skip

SURE = AUTO | {"by": "threshold", "threshold": 0.99}


def made(name, values):
    given = {**values, "role": role(values["role"]) if values["role"] else None}
    if given["floor"] != "auto":
        given["by"] = "rule"
    if given["by"] != "threshold":
        given |= {"threshold": None, "model_counts": False}
    return RoutingRule(name=name, **given)


class Lowering(TestCase):
    @classmethod
    def setUpTestData(cls):
        defaults.install()
        source = SourceFactory()
        cls.asked = []
        for kind, confidence, llm in (("action", 0.7, None), ("action", 0.97, 0.7), ("alert", 0.97, 0.99), ("action", 0.97, 0.97)):
            incident = IncidentFactory(source=source, kind=kind)
            alone = {"author": "system", "action": "acknowledge"} if kind == "alert" else {"author": "source", "action": "note"}
            proposal = ProposalFactory(incident=incident, source=source, kind=kind, args={"text": "x"}, claims={}, **alone)
            words = [Classification(engine="rules", confidence=confidence, severity="info", category="other", sure=True)]
            if llm is not None:
                words.append(Classification(engine="llm", confidence=llm, severity="info", category="other"))
            cls.asked.append((incident, proposal, words))

    def judged(self):
        book = Rulebook.load()
        return [judge(book, *one) for one in self.asked]

    @given(RULES, RULES, EDITS, st.lists(RULES, max_size=2))
    @example(AUTO, AUTO | {"priority": 6}, {"priority"}, [AUTO | {"role": "support"}])
    @example(AUTO, AUTO | {"state": "archived"}, {"state"}, [AUTO | {"role": "support"}])
    @example(AUTO | {"floor": "review"}, AUTO | {"condition": "false"}, {"condition"}, [AUTO])
    @example(AUTO | {"state": "draft"}, AUTO, {"state"}, [])
    @example(AUTO | {"condition": "false"}, AUTO, {"condition"}, [])
    @example(SURE, SURE | {"threshold": 0.8}, {"threshold"}, [])
    @example(SURE, SURE | {"by": "rule"}, {"by"}, [])
    @example(SURE | {"threshold": 0.98}, SURE | {"threshold": 0.98, "model_counts": True}, {"model_counts"}, [])
    @settings(max_examples=80, deadline=None)
    def test_what_needs_nobody_else_lowers_nothing(self, was, wanted, edited, others):
        for number, values in enumerate(others):
            made(f"other {number}", values).save()
        one = made("the rule", was)
        one.save()
        before = self.judged()
        new = copy(one)
        for name, value in ((name, getattr(made("the rule", was | {key: wanted[key] for key in edited}), name)) for name in was):
            setattr(new, name, value)
        if lowers(one, new):
            return

        new.save()

        for (_, proposal, _), then, now in zip(self.asked, before, self.judged(), strict=True):
            assert strictest(then.floor, now.floor) == now.floor, (proposal.action, then.floor, now.floor)
            assert now.settles is None or now.floor == "block" or then.settles is not None
