"""Rows and expressions are one thing: what is built is what is read, and what is too free for rows is left alone."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from escalations.defaults import RULES
from escalations.floors.builder import ALL, ANY, OPERATORS, SEVERAL, Row, Rows, condition_of, rows_of
from escalations.floors.cel import Failed, compile_condition

ISSUE = 'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100 && source.name == "billing-agent"'

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)
values = st.one_of(
    texts, st.integers(-(10**9), 10**9).map(str), st.floats(-1000, 1000).map(lambda n: f"{n:.3f}"),
    st.sampled_from(["true", "false", "null", "", '""', '"100"', '"a, b", c', "a,b", " x ", 'say "no"', "\\d+", '"', "it's"]),
)
fields = st.sampled_from([
    "incident.kind", "incident.title", "proposal.action", "source.demo", "customer.tier", "customer.flags", "proposal.args.amount",
    'proposal.args["a b"].c', "incident.payload.order.total", "proposal.args.items[0].price", "classification.triggers", "proposal.reversible",
])
rows = st.builds(Row, fields, st.sampled_from(sorted(OPERATORS)), values)
built = st.builds(
    Rows, st.sampled_from(["", "action", "draft"]), st.sampled_from(["", "refund", 'odd "name"']), st.sampled_from([ALL, ANY]),
    st.lists(rows, max_size=6).map(tuple),
)


@given(built)
@settings(max_examples=400, deadline=None)
def test_what_is_written_from_rows_is_read_back_as_rows_that_write_the_same(one):
    condition = condition_of(one)
    again = rows_of(condition)

    assert again is not None, condition
    assert condition_of(again) == condition
    assert rows_of(condition_of(again)) == again


@given(st.one_of(texts, st.text('abc."\'\\&|!=<>()[], 1', max_size=60), st.sampled_from([rule.condition for rule in RULES])))
@example("(" * 1000)
@example("a" * 5000)
@example("!" * 1500 + "source.demo")
@settings(max_examples=400, deadline=None)
def test_reading_anything_raises_nothing_and_says_it_whole_or_not_at_all(text):
    again = rows_of(text)

    if again is not None and text.strip():
        assert rows_of(condition_of(again)) == again


def test_the_rule_of_the_manual_can_be_built_and_read():
    one = Rows("action", "refund", ALL, (Row("proposal.args.amount", "over", "100"), Row("source.name", "is", "billing-agent")))

    assert condition_of(one).replace(" &&\n", " && ") == ISSUE
    assert rows_of(ISSUE) == one


@pytest.mark.parametrize(("condition", "row"), [
    ('customer.tier == "verified"', Row("customer.tier", "is", "verified")),
    ("incident.payload.order.total <= 20.5", Row("incident.payload.order.total", "most", "20.5")),
    ('proposal.args.currency in ["EUR", "U,S"]', Row("proposal.args.currency", "one_of", 'EUR, "U,S"')),
    ('!(proposal.args.n in [1, "1"])', Row("proposal.args.n", "none_of", '1, "1"')),
    ('proposal.args.n == "250"', Row("proposal.args.n", "is", '"250"')),
    ("proposal.args.n == 250", Row("proposal.args.n", "is", "250")),
    ('incident.title == "250"', Row("incident.title", "is", "250")),
    ('"vip" in customer.flags', Row("customer.flags", "includes", "vip")),
    ("source.demo", Row("source.demo", "is", "true")),
    ("!source.demo", Row("source.demo", "is", "false")),
    ("proposal.reversible == null", Row("proposal.reversible", "is", "null")),
    ('proposal.action.matches(r"(?i)pay\\b")', Row("proposal.action", "matches", "(?i)pay\\b")),
    ("has(proposal.args.amount)", Row("proposal.args.amount", "present")),
    ("!has(proposal.args.amount)", Row("proposal.args.amount", "absent")),
    ("((proposal.args.n > 3))", Row("proposal.args.n", "over", "3")),
    ("proposal.draft.to != ''", Row("proposal.draft.to", "is_not", '""')),
])
def test_one_term_is_one_row(condition, row):
    assert rows_of(condition) == Rows(rows=(row,))
    compile_condition(condition_of(Rows(rows=(row,))), auto=False)


@pytest.mark.parametrize("condition", [
    "true", "size(customer.flags) > 0", "proposal.args.a + 1 > 2", "proposal.args.a > proposal.args.b", "incident.kind == 3",
    'incident.kind == "a" && proposal.args.x > 1 || proposal.args.y > 1', "a && (b || c) && d", "(a > 1 || a < 0) && (b > 1 || b < 0)",
    'source.name == "x" && (proposal.args.a > 1 || proposal.args.b > 1)', "now > timestamp('2026-01-01T00:00:00Z')",
    '"""long""" == incident.title', "incident.title", "proposal.args.a > 1 ? true : false", "// nothing", 'x == "\\x41"', "in in in",
])
def test_what_is_freer_than_rows_stays_text(condition):
    assert rows_of(condition) is None


def test_alternatives_stand_in_one_group_behind_the_guards():
    one = Rows("action", "refund", ANY, (Row("proposal.args.amount", "over", "100"), Row("customer.flags", "includes", "vip")))

    assert condition_of(one) == (
        'incident.kind == "action" &&\nproposal.action == "refund" &&\n(proposal.args.amount > 100 || "vip" in customer.flags)'
    )
    assert rows_of(condition_of(one)) == one


@pytest.mark.parametrize(("rows", "said"), [
    (Rows(), "Choose a kind"),
    (Rows(rows=(Row("proposal.args.amount", "over", "1"),)), "Args differ"),
    (Rows("action", rows=(Row("proposal.args.amount", "over", "1"),)), "Args differ"),
    (Rows(rows=(Row("incident.payload.x", "is", "1"),)), "payload"),
    (Rows("action", "", ALL, (Row("proposal.action", "matches", "pay"), Row("proposal.args.amount", "over", "1"))), ""),
    (Rows("action", "refund", ALL, (Row("proposal.args.amount", "over", "1"),)), ""),
])
def test_it_begins_with_the_kind_and_the_action(rows, said):
    assert said in rows.shortage if said else not rows.shortage


@given(amount=st.one_of(st.integers(-500, 500), st.floats(-500, 500), st.sampled_from(["100", None, True])), limit=st.integers(-200, 200),
       operator=st.sampled_from(["over", "least", "below", "most", "is", "is_not"]))
@settings(max_examples=150, deadline=None)
def test_a_built_row_means_what_it_says(amount, limit, operator):
    condition = compile_condition(condition_of(Rows(rows=(Row("proposal.args.n", operator, str(limit)),))), auto=True)
    said = condition.evaluate({"proposal": {"args": {"n": amount}}})
    number = amount if isinstance(amount, int | float) and not isinstance(amount, bool) else None
    means = {
        "over": lambda: number > limit, "least": lambda: number >= limit, "below": lambda: number < limit, "most": lambda: number <= limit,
        "is": lambda: number == limit, "is_not": lambda: number != limit,
    }[operator]

    if number is not None:
        assert said is means()
    elif operator in ("is", "is_not"):
        assert said is (operator == "is_not")
    else:
        assert isinstance(said, Failed)


def test_every_operator_reads_differently_and_those_for_several_take_a_list():
    assert all(one != other for one, other in pairwise(sorted(label for label, _ in OPERATORS.values())))
    assert condition_of(Rows(rows=(Row("customer.tier", operator, "a, b"),)) if (operator := min(SEVERAL)) else Rows()).endswith('["a", "b"])')
