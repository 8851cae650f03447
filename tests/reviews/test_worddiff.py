"""What was changed in a text, word by word: both texts can be read back out of it."""

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from reviews.worddiff import FARTHEST, Piece, diff

words = st.lists(st.sampled_from(["a", "b", "c", " ", "\n", "é", ".", "word"]), max_size=30).map("".join)


def test_words_put_in_and_taken_out_are_told_apart():
    assert diff("Dear Ann, your refund of 50 is coming.", "Dear Ann, your refund of 40 is coming soon.") == [
        Piece("same", "Dear Ann, your refund of "), Piece("del", "50"), Piece("ins", "40"),
        Piece("same", " is coming"), Piece("ins", " soon"), Piece("same", "."),
    ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(words, words)
def test_both_texts_stand_in_it_whole(before, after):
    pieces = diff(before, after)

    assert "".join(one.text for one in pieces if one.kind != "ins") == before
    assert "".join(one.text for one in pieces if one.kind != "del") == after
    assert all(one.kind != two.kind for one, two in zip(pieces, pieces[1:], strict=False))


def test_a_long_text_with_many_changes_costs_little_and_one_written_anew_is_shown_as_such():
    dice = random.Random(7)
    before = [dice.choice("abcdefgh") * dice.randrange(1, 9) for _ in range(4000)]
    after = list(before)
    for at in range(0, 4000, FARTHEST // 4 + 1):
        after[at] = "changed"
    start = time.process_time()

    found = diff(" ".join(before), " ".join(after))
    anew = diff(" ".join(before), " ".join(reversed([f"{word}x" for word in before])))

    assert sum(one.text == "changed" for one in found if one.kind == "ins") == len(range(0, 4000, FARTHEST // 4 + 1))
    assert {one.kind for one in anew} == {"del", "ins"} and len(anew) == 2
    assert time.process_time() - start < 5
