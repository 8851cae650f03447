"""Why it came to a person: the bench's words and the record's are one explanation, and asking writes nothing."""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle, queue, route
from escalations.floors.cel import compile_condition
from escalations.floors.explain import FAILED, MATCH, NO_MATCH, UNREADABLE, course_of, explain, length, recorded
from escalations.floors.facts import facts_of
from escalations.floors.names import EXAMPLES, names_of, place_of, placed
from escalations.floors.rulebook import Rulebook
from escalations.models import AuditEntry, Classification, EscalationPolicy, Incident, Proposal, Role, Trigger
from escalations.states import Stage, Status
from tests.factories import IncidentFactory, PolicyFactory, RuleFactory, SourceFactory, WorkFactory, role

pytestmark = pytest.mark.django_db
REFUND = 'incident.kind == "action" && proposal.action == "refund"'


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent", authoritative_paths=["customer.tier"])


@pytest.fixture
def asked(source):
    """Post a refund, classified by the rules engine, not yet routed."""

    def make(amount=250, *, confidence=0.9, **more):
        incident = IncidentFactory(source=source, status=Status.RECEIVED, **({"title": "A refund"} | more))
        proposal = lifecycle.new_proposal(incident, {"action": "refund", "args": {"amount": amount}})
        proposal.save()
        work = WorkFactory(incident=incident, proposal=proposal, stage=Stage.ROUTE)
        Classification.objects.create(
            incident=incident, work=work, engine="rules", severity="info", category="refund", confidence=confidence, sure=True
        )
        return incident, proposal

    return make


def judged(incident, proposal, **how):
    return explain(Rulebook.load(), incident, proposal, list(Classification.objects.filter(incident=incident)), **how)


def routed(proposal):
    assert route.run_batch() == 1
    return Proposal.objects.select_related("role").get(pk=proposal.pk)


def same(one, other):
    """The two tell alike what both know."""
    for name in ("floor", "headline", "goes_alone", "not_alone", "role_why", "policy", "policy_why", "held", "severity", "category"):
        assert getattr(one, name) == getattr(other, name), name
    assert [(rule.name, rule.verdict, rule.floor, rule.said, rule.version) for rule in one.rules] == [
        (rule.name, rule.verdict, rule.floor, rule.said, rule.version) for rule in other.rules
    ]
    assert [(fired.name, fired.why) for fired in one.triggers] == [(fired.name, fired.why) for fired in other.triggers]


def test_a_large_refund_is_explained_by_the_rule_the_trigger_and_the_policy(asked):
    incident, proposal = asked(250)

    before = judged(incident, proposal)
    after = recorded(routed(proposal))

    same(before, after)
    assert before.headline == "A person decides: the rule “Refunds over 100” asks for one; the trigger “high stakes” fired."
    assert (before.role, before.role_why) == ("finance", "the rule “Refunds over 100” names it")
    assert (before.policy, before.policy_why) == ("standard", "it is the default")
    assert before.course == "finance; after 4 h manager; after 4 h more manager; after 12 h in all it is rejected" == after.course
    assert "The rule “What a lane has earned” would let it go, but no lane has earned this." in before.not_alone and not before.nearly


def test_what_may_go_alone_says_by_which_rule(asked):
    RuleFactory(name="Small refunds", floor="auto", condition=f'{REFUND} && proposal.args.amount <= 20 && customer.tier == "verified"', why="Small.")
    incident, proposal = asked(20, customer={"tier": "verified"})

    before = judged(incident, proposal)
    after = recorded(routed(proposal))

    assert before.goes_alone and after.goes_alone and not before.not_alone
    assert before.headline == after.headline == "Nobody is asked: the rule “Small refunds” lets it go alone, and nothing held it."
    assert after.role == after.course == ""


@pytest.mark.parametrize(("rule", "confidence", "said"), [
    ({"by": "lane"}, 0.9, "The rule “Small” would let it go, but no lane has earned this."),
    ({"by": "threshold", "threshold": 0.8}, 0.7, "The rule “Small” would let it go, but it needs confidence 0.8."),
])
def test_what_an_auto_rule_still_asks_for_is_told(asked, rule, confidence, said):
    RuleFactory(name="Small", floor="auto", condition=REFUND, **rule)
    incident, proposal = asked(5, confidence=confidence)

    before = judged(incident, proposal)
    same(before, recorded(routed(proposal)))
    assert said in before.not_alone and before.nearly == (rule["by"] != "lane") and not before.goes_alone


def test_a_blocked_one_names_the_rule_that_blocks(asked):
    RuleFactory(name="Never", floor="block", condition=REFUND)
    incident, proposal = asked(5)

    before = judged(incident, proposal)
    same(before, recorded(routed(proposal)))
    assert before.headline == "It is refused without asking anybody: the rule “Never” blocks it."


def test_a_rule_that_fails_is_shown_and_its_reason_too(asked):
    rule = RuleFactory(name="Odd", condition=f"{REFUND} && proposal.args.missing > 3", role=role("support"))
    lone = RuleFactory(name="Odd and alone", floor="auto", condition=f"{REFUND} && proposal.args.missing > 3")
    incident, proposal = asked(5)

    before = judged(incident, proposal)
    after = recorded(routed(proposal))

    assert before.headline == after.headline and "the rule “Odd” could not be answered" in before.headline
    told = {one.pk: (one.verdict, one.floor, one.said) for one in before.rules}
    assert told[rule.pk] == (FAILED, "review", "proposal.args.missing is missing")
    assert told[lone.pk] == (FAILED, "auto", "proposal.args.missing is missing")  # which is no match
    assert before.role == "finance"  # by its category: a rule that failed names nobody
    assert "counts as asking for a person" in " ".join(before.not_alone)


def test_the_past_holds_it_and_that_is_said(asked):
    RuleFactory(name="Small", floor="auto", condition=REFUND)
    incident, proposal = asked(5)
    why = "A person was asked the same thing within seven days."

    before = judged(incident, proposal, held=why)
    assert before.held == why and why in before.not_alone and "a person was asked the same thing" in before.headline


def test_a_question_never_goes_alone_and_says_so(source):
    RuleFactory(name="Everything", floor="auto", condition='incident.kind == "question"')
    incident = IncidentFactory(source=source, kind="question", title="When do you open?")
    proposal = lifecycle.new_proposal(incident, {"action": "acknowledge", "args": {}}, author="system")

    assert "Somebody asked for words, and a rule has none." in judged(incident, proposal).not_alone


def test_a_trigger_that_names_a_policy_is_why_that_policy_holds(asked):
    Trigger.objects.filter(name="high_stakes").update(policy=PolicyFactory(name="careful"))
    incident, proposal = asked(250)

    before = judged(incident, proposal)
    same(before, recorded(routed(proposal)))
    assert (before.policy, before.policy_why) == ("careful", "the trigger “high stakes” names it")


def test_every_rule_is_heard_drafts_and_shadows_too_and_the_archived_are_not(asked):
    kinds = {state: RuleFactory(name=state, state=state, condition=REFUND) for state in ("draft", "shadow", "archived")}
    broken = RuleFactory(name="broken", condition="proposal.nonsense", state="draft")
    RuleFactory(name="else", condition='incident.kind == "alert"', state="draft")
    incident, proposal = asked(5)

    told = {one.name: one.verdict for one in judged(incident, proposal).others}
    assert told["draft"] == told["shadow"] == MATCH and told["else"] == NO_MATCH and told[broken.name] == UNREADABLE
    assert kinds["archived"].name not in told


def test_a_draft_can_be_tried_as_if_it_were_live(asked):
    draft = RuleFactory(name="Draft", state="draft", condition=REFUND, role=role("security"), priority=999)
    incident, proposal = asked(5)

    assert judged(incident, proposal).role != "security"
    assert judged(incident, proposal, as_live=draft).role == "security"


def test_asking_writes_nothing_and_costs_the_same_however_many_rules_there_are(asked, django_assert_max_num_queries):
    incident, proposal = asked(250)
    RuleFactory.create_batch(30, condition=REFUND, state="draft")
    words, rulebook = list(Classification.objects.filter(incident=incident)), Rulebook.load()
    before = (AuditEntry.objects.count(), Proposal.objects.values().get(pk=proposal.pk), Incident.objects.values().get(pk=incident.pk), queue.OrmQ.objects.count())

    with django_assert_max_num_queries(4):  # marked paths, other rules, and at most two for whom on_behalf_of names
        explain(rulebook, incident, proposal, words)

    assert before == (AuditEntry.objects.count(), Proposal.objects.values().get(pk=proposal.pk), Incident.objects.values().get(pk=incident.pk), queue.OrmQ.objects.count())


def test_what_was_sent_on_is_still_explained_by_who_was_asked_first(asked, django_assert_num_queries):
    _, proposal = asked(250)
    proposal = routed(proposal)
    proposal.asked, proposal.role = [proposal.role_id, role("manager").pk], role("manager")

    with django_assert_num_queries(1):  # the name of the role that was asked first
        assert recorded(proposal).role == "finance"
    with django_assert_num_queries(0):
        assert recorded(proposal, {proposal.asked[0]: "finance"}).role == "finance"


def test_what_was_routed_before_rules_said_whom_they_named_is_told_without(asked):
    _, proposal = asked(250)
    proposal = routed(proposal)
    proposal.rules = [{"name": "Refunds over 100", "floor": "review", "why": "Money."}]

    told = recorded(proposal)
    assert told.role_why == told.policy_why == "" and told.rules[0].verdict == MATCH


def test_lengths_and_courses_read_like_words():
    assert [length(seconds) for seconds in (0, 60, 5400, 86_400, 90_060)] == ["no time", "1 min", "1 h 30 min", "1 d", "1 d 1 h 1 min"]
    policy = EscalationPolicy.objects.get(is_default=True)
    assert course_of({}, "") == "" and course_of(Rulebook.load().frozen(policy), "").startswith("after 4 h manager")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.said)
def test_every_ready_example_compiles_as_it_stands(example):
    compile_condition(example.condition, auto=False)
    if example.alone:
        compile_condition(example.condition, auto=True, authoritative=example.paths)


def test_there_is_a_dozen_of_examples_and_no_two_alike():
    assert len({one.condition for one in EXAMPLES}) == len(EXAMPLES) >= 12


@pytest.mark.parametrize(("text", "auto", "at"), [
    ('incident.kind == "alert" && incident.title == "x"', True, "incident.title"),
    ("proposal.args.amount >", False, ""),
    ('incident.kind == "é😀" &&\n  proposal.acton == "b"', False, "proposal.acton"),
    ("incident.kind == 3", False, "="),
    ("proposal.args.amount ||| true", False, "|"),
])
def test_the_place_of_an_error_is_cut_out_of_the_text(text, auto, at):
    place = place_of(text, auto=auto)

    assert place.before + place.at + place.after == text
    assert place.at == at and place.message


def test_a_place_beyond_the_text_is_its_end():
    assert placed("abc", 9, 99, "x").before == "abc" and placed("", 1, 1, "x").at == ""
    assert place_of("true", auto=False) is None


def test_names_carry_the_values_of_one_incident_and_say_which_an_auto_rule_may_read(source):
    incident = IncidentFactory(
        source=source, payload={"order": {"total": 20}, 'odd "key"': 1, "a b": [1, 2]}, customer={"tier": "verified", "flags": ["vip"]},
        received_at=clock.now() - timedelta(days=1),
    )
    proposal = lifecycle.new_proposal(incident, {"action": "refund", "args": {"amount": 5, "deep": {"er": True}}})

    names = {one.name: one for one in names_of(facts_of(incident, proposal), ["customer.tier", "payload.order.total", "payload.not.there"])}

    assert names["proposal.args.amount"].value == "5" and names["proposal.args.amount"].alone
    assert names["proposal.args.deep.er"].value == "true" and names["customer.flags"].value == '["vip"]'
    assert names["customer.tier"].alone and names["incident.payload.order.total"].alone and not names["customer.flags"].alone
    assert not names["incident.title"].alone and names["incident.payload.not.there"].value == ""
    assert 'incident.payload["a b"]' in names and not [name for name in names if "odd" in name]
    for name in names:
        compile_condition(f"{name} == {name}", auto=False)


def test_a_role_that_was_removed_is_no_reason_to_fail(asked):
    _, proposal = asked(250)
    proposal = routed(proposal)
    proposal.asked = [10**6, *proposal.asked]
    assert recorded(proposal).role == "" and Role.objects.exists()
