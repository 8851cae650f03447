"""The filters that every page writes with: what they save in time costs nothing of what they show or hide."""

import pytest

from escalations.floors.sensitive import spans
from escalations.states import Sensitive
from reviews import veil
from reviews.sentences import Bit
from reviews.templatetags.room import sentence, shown, within

HIDDEN = veil.Veil(frozenset(Sensitive.values))
SECRETS = ["4111 1111 1111 1111", "password: tr0ub4dor&3", "DE89 3704 0044 0532 0130 00", "ssn 219-09-9999"]
BEFORE = ["", "1", "password is", "password:", "passport", "https://", "iban DE89", "ssn", "api_key=", "411\u200b1", "token = \"", "a@b"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_sentence_masks_what_each_of_its_pieces_would(before, secret):
    bits = [Bit("say", before), Bit("value", secret), Bit("name", before), Bit("say", ", and 2 more")]

    with veil.drawn(HIDDEN):
        pieces = [str(shown(one.text)) for one in bits]
        written = str(sentence(bits))

    assert 'class="masked"' in pieces[1]
    assert written == f'{pieces[0]}<b class="value">{pieces[1]}</b><span class="arg-name">{pieces[2]}</span>{pieces[3]}'


def test_a_sentence_escapes_and_writes_out_what_cannot_be_seen():
    assert sentence([Bit("value", "<b>"), Bit("say", "a\u202eb")]) == (
        '<b class="value">&lt;b&gt;</b>a<mark class="hidden-char">⟦U+202E RIGHT-TO-LEFT OVERRIDE⟧</mark>b'
    )
    assert sentence([Bit("code", '"&'), Bit("say", "")]) == "<code>&quot;&amp;</code>"


def test_what_is_looked_for_nowhere_is_shorter_than_any_detail():
    assert all(not spans(secret[: veil.SHORTEST - 1]) for secret in SECRETS)


def test_what_fits_is_left_and_what_does_not_is_cut_without_breaking_a_mark():
    fits = shown("a" * 60)
    assert within(fits, 60) is fits
    marked = shown("a\u202e" + "b" * 100)
    assert within(marked, 60).endswith("…") and within(marked, 60).count("<mark") == within(marked, 60).count("</mark>")
