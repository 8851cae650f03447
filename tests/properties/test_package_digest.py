"""The package for callers computes what is signed as the server does: for every value that can be signed, and for no other."""

import pytest
from countersign import NotSignable, digest
from countersign.canonical import canonical_bytes
from hypothesis import given
from hypothesis import strategies as st

from escalations import canonical

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(alphabet=st.characters(exclude_categories=()))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=300), inner, max_size=5))


@given(VALUES)
def test_package_and_server_agree_on_every_value_and_on_what_is_none(value):
    if canonical.check_signable(value, ""):
        with pytest.raises(NotSignable):
            canonical_bytes(value)
    else:
        assert canonical_bytes(value) == canonical.canonical_bytes(value)


@given(st.text(min_size=1, max_size=20), st.dictionaries(st.text(max_size=10), st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10)))
def test_the_digest_of_an_action_is_the_one_the_server_asks_people_to_sign(action, args):
    if not canonical.check_signable([action, args], ""):
        assert digest(action, args) == canonical.args_digest(action, args, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_written_alike(number):
    if not canonical.check_signable(number, ""):
        assert canonical_bytes(number) == canonical.canonical_bytes(number)
