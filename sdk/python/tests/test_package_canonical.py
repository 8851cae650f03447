"""RFC 8785 by its own examples, and what nobody can sign."""

import math

import pytest

from countersign import NotSignable, digest
from countersign.canonical import canonical_bytes

# Appendix B of RFC 8785, as far as the numbers can be signed.
NUMBERS = [
    (0.0, "0"), (-0.0, "0"), (5e-324, "5e-324"), (-5e-324, "-5e-324"), (9007199254740991.0, "9007199254740991"),
    (0.0000033333333333333333, "0.0000033333333333333333"), (1e-7, "1e-7"), (0.000001, "0.000001"),
    (333333333.3333332, "333333333.3333332"), (333333333.33333325, "333333333.33333325"), (4.5, "4.5"), (2e-3, "0.002"),
    (1e15, "1000000000000000"), (100.0, "100"), (-1.5e-9, "-1.5e-9"), (123456.789, "123456.789"),
]


@pytest.mark.parametrize(("value", "written"), NUMBERS)
def test_a_number_is_written_as_ecmascript_writes_it(value, written):
    assert canonical_bytes(value).decode() == written


def test_names_are_sorted_by_their_utf_16_code_units():
    # The example of section 3.2.3: by code points the smiley would come after the Hebrew letter from the presentation forms.
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert canonical_bytes(value).decode() == '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'


def test_text_is_escaped_as_little_as_allowed():
    assert canonical_bytes('€$\u000f\u000aA\'B"\\\\"/\u007f\u2028').decode() == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"'


def test_the_digest_is_that_of_the_api():
    # docs/api.md: sha256 over {"v": 1, "action": …, "args": …, "draft": …}, what is absent as null.
    assert canonical_bytes({"v": 1, "action": "refund", "args": {"order": 1182, "amount": 250}, "draft": None}) == (
        b'{"action":"refund","args":{"amount":250,"order":1182},"draft":null,"v":1}'
    )
    assert digest("refund", {"order": 1182, "amount": 250}) == "sha256:1fd603ca44dd3c77357c238bda68eb96332c7511ad7bd568475ce3ba893da3a3"
    assert digest("refund", {"amount": 250.0, "order": 1182}) == digest("refund", {"order": 1182, "amount": 250})


@pytest.mark.parametrize(("value", "where"), [
    ({"a": [1, math.nan]}, "/a/1"), (math.inf, ""), ({"a": 2**53}, "/a"), (1e300, ""), ("a\x00b", ""), ({"\ud800": 1}, ""),
    ({"a/b~": {1, 2}}, "/a~1b~0"), ({1: 2}, ""), ({"x" * 251: 1}, ""), (b"bytes", ""), ({"a": object()}, "/a"),
])
def test_what_two_programs_could_read_differently_is_refused_with_its_place(value, where):
    with pytest.raises(NotSignable) as caught:
        canonical_bytes(value)
    assert caught.value.pointer == where


def test_what_goes_round_in_circles_is_refused():
    value = {}
    value["self"] = value
    with pytest.raises(NotSignable):
        canonical_bytes(value)
