"""What is signed has one spelling, and keeps it through the database."""

import json

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalations.canonical import (
    LARGEST_INTEGER,
    Literal,
    args_digest,
    body_digest,
    canonical_bytes,
    check_signable,
    content_text,
    digest_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
NUMBERS = (
    st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda n: not n.is_integer() or abs(n) <= LARGEST_INTEGER)
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(args=st.dictionaries(TEXT, JSON, max_size=4))
def test_a_digest_survives_the_database(args):
    assert check_signable(args, "") == []

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [json.dumps(args)])
        returned = json.loads(cursor.fetchone()[0])

    assert args_digest("pay", returned, None) == args_digest("pay", args, None)


def test_the_content_is_the_documented_object_with_null_for_what_is_absent():
    content = content_text("refund", {"order": 1182, "amount": 250.0}, None)

    assert content == '{"action":"refund","args":{"amount":250,"order":1182},"draft":null,"v":1}'
    assert digest_of(content) == args_digest("refund", {"amount": 250, "order": 1182}, None)
    assert args_digest("refund", {}, None).startswith("sha256:")
    assert content_text("", None, {"to": "a"}) == content_text(None, None, {"to": "a"})


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        Literal("1e16"),
        Literal("0.1000000000000000055"),
        Literal("1e-400"),
        Literal("9007199254740992.0"),
        float("nan"),
        float("inf"),
        "a\x00b",
        "\ud800",
        {"\udfff": 1},
        object(),
    ],
)
def test_what_canonicalises_two_ways_cannot_be_signed(value):
    errors = check_signable({"deep": [value]}, "/proposal/args")

    assert [error["code"] for error in errors] == ["not_signable"]
    assert errors[0]["pointer"].startswith("/proposal/args/deep/0")


@pytest.mark.parametrize("value", [2**53 - 1, Literal("0.1"), Literal("1e2"), Literal("-0.0"), Literal("12.50"), "😀", True, None])
def test_what_has_one_reading_can_be_signed(value):
    assert check_signable([value], "") == []
    assert canonical_bytes([value])


def test_names_that_nobody_reads_cannot_be_signed():
    """A name is said again with each value below it: half a megabyte of it, nine thousand times, is no page."""
    faults = check_signable({"a": {"k" * 500_000: list(range(9_000))}}, "/args")

    assert [one["pointer"] for one in faults] == ["/args/a"]
    assert len(faults[0]["detail"]) < 200
    assert not check_signable({"k" * 250: [1]}, "/args")


def test_pointers_escape_what_rfc_6901_asks():
    assert check_signable({"a/b~c": 2**60}, "")[0]["pointer"] == "/a~1b~0c"


def test_one_json_value_has_one_body_digest():
    assert body_digest({"a": 1, "b": [1e2]}) == body_digest({"b": [100], "a": Literal("1.0")})
    assert body_digest({"a": Literal("1e21")}) == body_digest({"a": 10**21})
    assert body_digest({"a": Literal("1e23")}) == body_digest({"a": 10**23})
    assert body_digest({"a": 1}) != body_digest({"a": "1"})
    assert body_digest({"a": 1}) != body_digest({"a": True})
    assert len(body_digest({"big": 10**400, "odd": "\ud800\x00"})) == 64
