"""A configuration file is read as what it looks like, and whatever is clever in it is refused with its line."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.config import kinds
from escalations.config.reading import LARGEST, Node, Refused, read
from escalations.config.writing import written

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (BOMB, 1, "Anchors"),
        ("a: 1\nb: *nobody\n", 2, "Aliases"),
        ("a: 1\nb: !!python/object/apply:os.system ['id']\n", 2, "Tags"),
        ("a: !!str 1\n", 1, "Tags"),
        ("%YAML 1.1\n---\na: 1\n", 1, "Directives"),
        ("a: 1\n---\nb: 1\n", 2, "second document"),
        ("a: 1\nb: 2\na: 3\n", 3, "on line 1 already"),
        ("x:\n  a: {b: 1,\n      b: 2}\n", 3, "a second time"),
        ("a: 1\n? [b]\n: 2\n", 2, "one plain text"),
        ("a: [" + "[" * 20 + "]" * 20 + "]", 1, "nested deeper"),
        ("a: [" * 100_000, 1, "nested deeper"),
        ("a:\n  - b\n c: 1\n", 3, "no YAML"),
        ("a: 'never closed\n\n\n", 4, "no YAML"),
        ("a: 1\nb: \t@x\n", 2, "no YAML"),
        ("a: 1\nb: x\x07\n", 2, "cannot stand"),
        ('a: "\\ud800"\n', 1, "surrogates"),
        ('a: 1\nb: "\\0"\n', 2, "NUL"),
        ('a: "\\UFFFFFFFF"\n', 0, "escape"),
        ("a: 1e999\n", 1, "too large"),
        ("", 0, "empty"),
        ("# only a remark\n", 0, "empty"),
    ],
)  # fmt: skip
def test_what_is_clever_or_broken_is_refused_with_its_line(text, line, says):
    with pytest.raises(Refused) as refused:
        read(text.encode())
    assert refused.value.problems[0].line == line and says in str(refused.value)


def test_a_file_that_is_too_large_or_no_text_is_refused():
    with pytest.raises(Refused, match="larger"):
        read(b"a" * (LARGEST + 1))
    with pytest.raises(Refused, match="line 2: This is not UTF-8"):
        read(b"a: 1\nb: \xff\n")


def test_only_true_false_null_and_numbers_are_no_text():
    given = read(
        b"a: no\nb: 12:30\nc: 2026-12-25\nd: 0777\ne: 1_000\nf: 0x1f\ng: yes\nh: on\ni: .inf\n"
        b"j: true\nk: null\nl: ~\nm:\nn: 12\no: -1.5\np: 1e3\nq: '12'\nr: =\ns: <<\n"
    )  # fmt: skip
    assert given.plain() == {
        "a": "no", "b": "12:30", "c": "2026-12-25", "d": "0777", "e": "1_000", "f": "0x1f", "g": "yes", "h": "on", "i": ".inf",
        "j": True, "k": None, "l": None, "m": None, "n": 12, "o": -1.5, "p": 1000.0, "q": "12", "r": "=", "s": "<<",
    }  # fmt: skip


def test_the_line_of_every_value_is_known():
    top = read(b"a: 1\nb:\n  c:\n    - x\n    - y\n")
    assert top.value["b"].line == 2 and top.value["b"].value["c"].value[1] == Node("y", 5)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40) | st.sampled_from(
    ["no", "1e5", "12:30", "007", "~", "null", "true", " x", "x ", "a\nb", "\na", "a\n\n", "a\r\nb", "a\x85b", "- x", "a: b", "#", "\ufeff", "a\u2028b", "\t", "--- ", "%", "1_0"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_again_as_it_was(document):
    assert read(written(document).encode()).plain() == document


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=4))
def test_other_readers_of_yaml_find_the_same_text_in_it(document):
    assert yaml.safe_load(written(document)) == document


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80) | st.text("[]{}:&*!%|>-?'\"\\ \n\tab1,#@`", max_size=60).map(str.encode))
def test_whatever_is_given_is_read_or_refused_and_nothing_else_happens(data):
    try:
        read(data)
    except Refused as refused:
        assert refused.problems


@pytest.mark.parametrize("said", ["4h", "1d12h", "90d", "1h30m", "59s", "0s", "1.5s", "1d0.000001s"])
def test_a_duration_is_written_as_it_was_read(said):
    assert kinds.duration(Node(said, 1)) == ("1d0.000001s" if said == "1d0.000001s" else said)


@pytest.mark.parametrize(("given", "canonical"), [("90m", "1h30m"), ("24h", "1d"), ("1h 30m", "1h30m"), ("3600s", "1h")])
def test_a_duration_has_one_way_of_being_written(given, canonical):
    assert kinds.duration(Node(given, 1)) == canonical


@pytest.mark.parametrize("given", ["", "4", 4, "h", "-4h", "4 hours", "1h1d", None, [], True])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(kinds.Wrong):
        kinds.duration(Node(given, 3))


def test_hours_are_read_by_day_in_the_order_of_the_week():
    node = read(b"wed: 9:00-12:30, 13:30-18:00\nmon: 00:00-24:00\nsun:\n")
    said = kinds.hours(node)
    assert said == {"mon": "00:00-24:00", "wed": "09:00-12:30, 13:30-18:00"} and list(said) == ["mon", "wed"]
    assert kinds.hours_of(said)["wed"] == [["09:00", "12:30"], ["13:30", "18:00"]]
    assert kinds.said_hours(kinds.hours_of(said)) == said


@pytest.mark.parametrize("hours", [b"monday: 9:00-12:00", b"mon: 9-12", b"mon: 09:00", b"mon: 25:00-26:00", b"mon: [1]"])
def test_what_is_no_hours_is_refused(hours):
    with pytest.raises(kinds.Wrong):
        kinds.hours(read(hours))
