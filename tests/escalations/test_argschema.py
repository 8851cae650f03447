"""A caller's schema is bounded, local and linear, or it is not taken."""

import time

import pytest

from escalations.argschema import args_problems, schema_problems


def codes(schema):
    return [(one["pointer"], one["code"]) for one in schema_problems(schema, "/s")]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"pattern": "^[a-z]{1,9}$"}}, "required": ["$ref"]},
        {"enum": [{"$ref": "a value, no reference"}], "const": {"pattern": "(?="}},
        {"patternProperties": {"^x-": {"type": "number"}}, "additionalProperties": False},
        {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "not": {"required": ["c"]}},
    ],
)
def test_an_honest_schema_is_taken(schema):
    assert codes(schema) == []


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ({"$ref": "https://evil.example/schema"}, "/s/$ref", "not_supported"),
        ({"properties": {"a": {"$ref": "#"}}}, "/s/properties/a/$ref", "not_supported"),
        ({"allOf": [{"$dynamicRef": "#x"}]}, "/s/allOf/0/$dynamicRef", "not_supported"),
        ({"$defs": {"a": {"$recursiveRef": "#"}}}, "/s/$defs/a/$recursiveRef", "not_supported"),
        ({"unevaluatedProperties": False}, "/s/unevaluatedProperties", "not_supported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/s/$schema", "not_supported"),
        ({"pattern": "(a)\\1"}, "/s/pattern", "bad_pattern"),
        ({"properties": {"a": {"pattern": "(?!x)y"}}}, "/s/properties/a/pattern", "bad_pattern"),
        ({"patternProperties": {"(?<=a)b": {}}}, "/s/patternProperties/(?<=a)b", "bad_pattern"),
        ({"pattern": "("}, "/s/pattern", "bad_pattern"),
        ({"type": "integr"}, "/s/type", "bad_schema"),
        ({"minLength": -1}, "/s/minLength", "bad_schema"),
        ({"title": "x" * 70_000}, "/s", "too_long"),
        ({"const": 2**60}, "/s/const", "not_signable"),
        ("text", "/s", "wrong_type"),
    ],
)
def test_a_schema_that_could_loop_lead_away_or_run_long_is_refused(schema, pointer, code):
    assert (pointer, code) in codes(schema)


def test_a_schema_is_not_nested_without_end():
    schema = {}
    for _ in range(30):
        schema = {"properties": {"a": schema}}

    assert "too_deep" in [code for _, code in codes(schema)]


@pytest.mark.parametrize(
    ("schema", "args", "pointer"),
    [
        ({"properties": {"amount": {"maximum": 100}}}, {"amount": 101}, "/args/amount"),
        ({"required": ["amount"]}, {}, "/args"),
        ({"properties": {"id": {"pattern": "^o-[0-9]+$"}}}, {"id": "x"}, "/args/id"),
        ({"patternProperties": {"^n": {"type": "number"}}}, {"n/1": "x"}, "/args/n~11"),
        ({"properties": {"a": {}}, "patternProperties": {"^b": {}}, "additionalProperties": False}, {"c": 1}, "/args"),
        ({"additionalProperties": {"type": "string"}}, {"c": 1}, "/args/c"),
        ({"properties": {"list": {"items": {"type": "integer"}}}}, {"list": [1, "2"]}, "/args/list/1"),
    ],
)
def test_what_breaks_the_schema_is_pointed_at(schema, args, pointer):
    assert [one["pointer"] for one in args_problems(schema, args)] == [pointer]


def test_what_keeps_to_the_schema_is_taken():
    schema = {"properties": {"a": {"type": "number"}}, "patternProperties": {"^b": {}}, "additionalProperties": False}

    assert args_problems(schema, {"a": 1.5, "bb": 2}) == []


def test_a_pattern_runs_in_linear_time():
    began = time.thread_time()

    assert args_problems({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 50_000 + "!"})

    assert time.thread_time() - began < 0.5


def test_ten_problems_are_enough():
    assert len(args_problems({"additionalProperties": {"type": "string"}}, {str(n): n for n in range(50)})) == 10
