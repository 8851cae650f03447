"""The document of the life says what the code does."""

import re

from django.conf import settings

from escalations.states import MOVES


def test_the_table_of_moves_is_the_one_in_the_code():
    text = (settings.BASE_DIR / "docs" / "life-of-a-proposal.md").read_text()
    told = set(re.findall(r"^\| (\w+) \| (\w+) \|", text, re.MULTILINE)) - {("from", "to")}
    assert told == {(str(before), str(after)) for before, afters in MOVES.items() for after in afters}
