"""The args as a form: what is not touched stays the very value, what is typed keeps its type and its exactness."""

import json
import math
from decimal import Decimal

import pytest
from django.template.loader import render_to_string
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.canonical import Literal, canonical_bytes, check_signable
from reviews.schema_form import MISSING, MOST, ArgsForm, number

REFUND = {
    "type": "object",
    "properties": {
        "order": {"type": "integer", "minimum": 1},
        "amount": {"type": "number", "maximum": 500, "description": "In euros."},
        "currency": {"type": "string", "enum": ["EUR", "USD"]},
        "notify": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "note": {"type": "string", "maxLength": 80},
        "tags": {"type": "array", "items": {"type": "string"}},
        "to": {"type": "object", "properties": {"name": {"type": "string"}, "floor": {"type": ["integer", "null"]}}, "required": ["name"]},
    },
    "required": ["order", "amount"],
}
ARGS = {"order": 1182, "amount": 250.5, "currency": "EUR", "tags": ["vip", "late"], "to": {"name": "Ann", "floor": None}, "odd": {"x": [1, {"y": []}]}}


def form(args=ARGS, schema=REFUND, **typed):
    """Return the form with what was typed, by path."""
    drawn = ArgsForm(args, schema)
    names = {one.path: one.name for one in drawn.fields}
    return ArgsForm(args, schema, {names[path]: text for path, text in typed.items()})


def at(made, path):
    return next(one for one in made.fields if one.path == path)


def test_a_schema_says_which_fields_there_are():
    kinds = {one.path: (one.kind, one.absent, one.required) for one in ArgsForm(ARGS, REFUND).fields}

    assert kinds["order"] == ("integer", False, True) and kinds["amount"] == ("number", False, True)
    assert kinds["currency"] == ("choice", False, False) and kinds["notify"] == ("choice", True, False)
    assert kinds["day"] == ("date", True, False) and kinds["tags"] == ("list", False, False)
    assert kinds["to.name"][0] == "text" and kinds["to.floor"][0] == "integer"
    assert kinds["odd.x[0]"][0] == "number" and kinds["odd.x[1].y"][0] == "kept"
    assert at(ArgsForm(ARGS, REFUND), "amount").hint == "a number, at most 500" and at(ArgsForm(ARGS, REFUND), "amount").help == "In euros."


def test_without_a_schema_the_values_say_it():
    args = {"amount": 250, "to": "ann@customer.example", "urgent": False, "lines": ["a", "b"], "nothing": None, "deep": {"a": {"b": 1}}}
    kinds = {one.path: one.kind for one in ArgsForm(args, None).fields}

    assert kinds == {"amount": "number", "to": "text", "urgent": "choice", "lines": "list", "nothing": "kept", "deep.a.b": "number"}


@pytest.mark.parametrize(
    ("path", "typed", "value"),
    [
        ("order", "7", 7),
        ("amount", "99.99", 99.99),
        ("amount", " 100 ", 100),
        ("amount", "1e2", 100.0),
        ("currency", '"USD"', "USD"),
        ("currency", "", MISSING),
        ("notify", "false", False),
        ("day", "2026-11-20", "2026-11-20"),
        ("note", "  blanks stay ", "  blanks stay "),
        ("tags", "one\r\ntwo\r\n", ["one", "two"]),
        ("to.name", "Zoë", "Zoë"),
        ("to.floor", "3", 3),
        ("odd.x[0]", "2.5", 2.5),
    ],
)
def test_what_is_typed_becomes_a_value_of_its_type(path, typed, value):
    made = form(**{path: typed})
    read = made.read()

    assert not [one.problem for one in made.fields if one.problem]
    here = at(ArgsForm(read, REFUND), path).value
    assert here == value and type(here) in (type(value), Literal)
    rest = {one.path: one.value for one in ArgsForm(read, REFUND).fields if one.path != path}
    assert rest == {one.path: one.value for one in ArgsForm(ARGS, REFUND).fields if one.path != path}


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        ("order", "7.5", "no whole number"),
        ("order", "9" * 350, "integer beyond"),
        ("order", "", "cannot be left empty"),
        ("amount", "1,000", "no number"),
        ("amount", "0x10", "no number"),
        ("amount", "007", "no number"),
        ("amount", "NaN", "no number"),
        ("amount", "٣", "no number"),
        ("amount", "1e999", "Not a finite number"),
        ("amount", "9" * 500, "Not a finite number"),
        ("amount", "9007199254740993", "beyond 2^53"),
        ("amount", "0.1000000000000000055511151231257827", "send it as text"),
        ("currency", '"GBP"', "Choose one"),
        ("notify", "yes", "Choose one"),
        ("day", "2026-02-30", "no date"),
        ("odd.x[0]", "", "cannot be left empty"),
        ("note", "a\0b", "NUL"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(path, typed, said):
    made = form(**{path: typed})

    assert made.read() == ARGS
    assert said in at(made, path).problem


def test_a_number_is_exactly_what_was_written():
    assert repr(number("250.10")) == "250.1" and number("250.10").literal == "250.10"
    assert number("-0") == 0 and isinstance(number("12"), int) and number("1E2").literal == "1E2"


def test_line_ends_that_were_proposed_come_back_after_a_change():
    text = "Dear Ann,\r\nwe are sorry.\r\n"
    made = form({"text": text}, None, text="Dear Ann,\r\nwe are very sorry.\r\n")
    untouched = form({"text": text}, None, text=text.replace("\r\n", "\n"))

    assert made.read() == {"text": "Dear Ann,\r\nwe are very sorry.\r\n"}
    assert untouched.read() == {"text": text}


def test_what_cannot_be_seen_is_shown_and_not_edited_in_a_field():
    made = form({"to": "ann\u202e@x", "a\u200bb": 1, "n": 1}, None)

    assert {one.path: one.kind for one in made.fields} == {"to": "kept", "a\u200bb": "kept", "n": "number"}


def test_more_values_than_fields_stay_as_they_are():
    args = {f"key{number:03}": number for number in range(MOST + 40)}
    made = form(args, None, key000="7")

    assert made.more == 40 and len(made.fields) == MOST
    assert made.read() == {**args, "key000": 7}


def test_a_problem_of_the_record_finds_the_field_or_what_stands_above_it():
    made = ArgsForm(ARGS, REFUND)

    assert made.at("/to/name").path == "to.name" and made.at("/tags/0").path == "tags" and made.at("/nowhere") is None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": []}, {"properties": {"a": True, "b": False, "c": 7}}, {"required": "a"}, {"type": ["object", 3]}, [], "x", True,
        {"properties": {"a": {"type": []}, "b": {"enum": []}, "c": {"enum": [{}, []]}, "d": {"type": "array", "items": [1]}}},
        {"properties": {"a": {"minimum": "1", "description": 7, "pattern": 9}}},
    ],
)  # fmt: skip
def test_a_schema_that_makes_no_sense_breaks_nothing(schema):
    made = form({"a": 1, "b": [1], "c": {"d": "e"}, "d": ["x", 1]}, schema)

    assert made.read() == {"a": 1, "b": [1], "c": {"d": "e"}, "d": ["x", 1]}
    assert [one.hint for one in made.fields]


# -- any args, any schema they conform to

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda one: not (one.is_integer() and abs(one) > 2**53 - 1)
)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(scalars, lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4), max_leaves=8)


def schema_of(value, draw):
    """Return some schema the value conforms to: its type, an enum it is in, nothing, or the same for what is inside."""
    if isinstance(value, dict):
        known = [key for key in value if draw(st.booleans())]
        more = {f"absent {kind}": {"type": kind} for kind in ("string", "number", "boolean", "object") if draw(st.booleans())}
        return {
            "type": "object",
            "properties": {**{key: schema_of(value[key], draw) for key in known}, **more},
            "required": [key for key in known if draw(st.booleans())],
        }
    if isinstance(value, list):
        kinds = {type_of(one) for one in value}
        return {"type": "array", "items": {"type": kinds.pop()} if len(kinds) == 1 and draw(st.booleans()) else {}}
    return draw(
        st.sampled_from(
            [
                {}, {"type": type_of(value)}, {"type": [type_of(value), "null"]}, {"enum": [value, "other", 7]},
                {"type": type_of(value), "format": "date", "minimum": 0, "pattern": "^x", "description": "said"},
            ]
        )
    )  # fmt: skip


def type_of(value):
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", type(None): "null", dict: "object", list: "array"}
    return names[type(value)]


def as_a_browser_posts(one):
    """Return what a browser makes of a field: one line has no line ends, several have "\\r\\n" as ends."""
    text = one.typed.replace("\r\n", "\n").replace("\r", "\n")
    if one.kind in ("lines", "list"):
        return text.replace("\n", "\r\n")
    return text.replace("\n", "")


def exactly(value):
    """Return the value in a form in which 1, 1.0 and True differ."""
    return json.dumps(value, sort_keys=False, ensure_ascii=True)


@settings(max_examples=400, deadline=None)
@given(args=st.dictionaries(texts, anything, max_size=6), data=st.data())
def test_any_args_pass_through_the_form_unchanged(args, data):
    schema = data.draw(st.none() | st.builds(lambda: schema_of(args, data.draw)))
    drawn = ArgsForm(args, schema)
    posted = {one.name: as_a_browser_posts(one) for one in drawn.fields if one.kind != "kept"}

    back = ArgsForm(args, schema, posted)
    read = back.read()

    assert exactly(read) == exactly(args)
    assert not back.touched and not any(one.problem for one in back.fields)
    assert len({one.name for one in drawn.fields}) == len({one.pointer for one in drawn.fields})


@settings(max_examples=300, deadline=None)
@given(args=st.dictionaries(texts, anything, min_size=1, max_size=5), typed=texts | numbers.map(json.dumps), data=st.data())
def test_whatever_is_typed_into_one_field_changes_that_value_alone_and_keeps_its_type(args, typed, data):
    editable = [one for one in ArgsForm(args, None).fields if one.kind not in ("kept", "choice", "list")]
    if not editable:
        return
    here = data.draw(st.sampled_from(editable))
    made = ArgsForm(args, None, {here.name: typed})

    read = made.read()

    for before, after in zip(ArgsForm(args, None).fields, ArgsForm(read, None).fields, strict=True):
        if before.pointer != here.pointer:
            assert exactly(before.value) == exactly(after.value)
            continue
        assert isinstance(after.value, str) == isinstance(before.value, str)
        assert isinstance(after.value, bool) == isinstance(before.value, bool)
    assert not check_signable(read, "") and canonical_bytes(read)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_an_amount_is_stored_as_the_decimal_that_was_typed(amount):
    read = number(str(amount)) if "E" not in str(amount) else 0
    assert Decimal(repr(float(read))) == (amount if "E" not in str(amount) else 0) and math.isfinite(read)


def test_the_template_of_a_field_escapes_what_the_source_wrote():
    nasty = '"><script>alert(1)</script>'
    made = form({nasty: nasty, "e": nasty}, {"properties": {nasty: {"description": nasty}, "e": {"enum": [nasty, "b"]}}})

    drawn = "".join(render_to_string("reviews/arg_field.html", {"field": one}) for one in made.fields)

    assert "<script" not in drawn and drawn.count("&lt;script&gt;") >= 6
