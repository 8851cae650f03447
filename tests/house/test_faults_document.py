"""The list of faults names a test for each, and every test it names is there."""

import re

from django.conf import settings

ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows():
    return ROW.findall((settings.BASE_DIR / "docs" / "faults.md").read_text())


def test_every_fault_is_there_once_and_has_a_test():
    assert [int(number) for number, *_ in rows()] == list(range(1, 45))
    for number, fault, done, tests in rows():
        assert NAMED.search(tests), number
        assert not NAMED.sub("", tests).strip(" ,"), f"{number}: something beside the tests"
        assert fault.strip() and done.strip()


def test_every_test_it_names_is_there():
    text = (settings.BASE_DIR / "docs" / "faults.md").read_text()
    named = set(NAMED.findall(text))
    assert len(named) > 44
    for file, name in sorted(named):
        source = (settings.BASE_DIR / file).read_text()
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file}::{name}"
