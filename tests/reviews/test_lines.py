"""A group is one line of the list, whatever its number, and nothing that waits is without a line."""

import re
from datetime import timedelta

import pytest

from escalations import clock
from escalations.models import Proposal
from reviews import inbox
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa():
    return PersonFactory(roles=["finance", "support"])


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


def ask(source, fingerprint="", minutes=0, of="finance", **values):
    return ProposalFactory(
        incident=IncidentFactory(source=source, fingerprint=fingerprint), role=role(of), due_at=clock.now() + timedelta(hours=1, minutes=minutes),
        **values,
    )  # fmt: skip


def storm(source, number, fingerprint="storm", minutes=0, **values):
    """Write many alike rows fast."""
    return [ask(source, fingerprint, minutes, findable=False, **values) for _ in range(number)]


def lines(person, size=inbox.PAGE, **asked):
    """Return the pages, each as the ids of its rows."""
    filters, after, pages = inbox.Filters.of(asked), None, []
    while True:
        listing = inbox.listing(person, filters, after, size)
        pages.append([row.pk for row in listing.rows])
        if listing.more is None:
            return pages
        after = listing.more


@pytest.mark.parametrize("order", ["due", "urgent"])
def test_a_group_is_one_line_where_its_first_stands(order, rosa, source):
    first, early, late = ask(source, "f", 1), ask(source, "", 0), ask(source, "", 5)
    ask(source, "f", 3), ask(source, "f", 9)
    other = ask(SourceFactory(), "f", 4)  # another source's is another group

    assert lines(rosa, order=order) == [[early.pk, first.pk, other.pk, late.pk]]


def test_a_storm_is_one_line_and_what_lies_beyond_it_fills_the_page(rosa, source):
    before = [ask(source, "", -5) for _ in range(2)]
    alike = storm(source, 60)
    beyond = [ask(source, "", 30 + number) for number in range(8)]

    pages = lines(rosa, size=10)

    assert [pk for page in pages for pk in page] == [
        *sorted(one.pk for one in before), min(one.pk for one in alike), *(one.pk for one in beyond),
    ]  # fmt: skip
    assert len(pages[0]) == 10


def test_several_storms_at_once_are_several_lines(rosa, source):
    for name in "abc":
        storm(source, 30, name)
    calm = [ask(source, "", 30) for _ in range(3)]
    found = [pk for page in lines(rosa, size=10) for pk in page]
    assert len(found) == 6 and set(found) > {one.pk for one in calm}


def test_what_is_folded_on_one_page_has_no_second_line_on_the_next(rosa, source):
    rows = [ask(source, f"f{number % 7}" if number % 2 else "", number) for number in range(60)]
    found = [pk for page in lines(rosa, size=10) for pk in page]
    expected, seen = [], set()
    for row in rows:  # the obvious way
        group = row.incident.fingerprint
        if not group or group not in seen:
            expected.append(row.pk)
        seen.add(group)
    assert found == expected


def test_a_group_of_which_a_part_is_not_mine_to_read_has_its_line_where_mine_begins(source):
    reader = PersonFactory(roles=["support"])
    ask(source, "f", 0, of="finance")
    mine = ask(source, "f", 5, of="support")
    assert lines(reader) == [[mine.pk]]


def test_a_filter_that_leaves_only_a_later_one_shows_that(rosa, source):
    ask(source, "f", 0, risk="low")
    wanted = ask(source, "f", 5, risk="critical")
    assert lines(rosa, risk="critical") == [[wanted.pk]]


def test_when_the_first_is_settled_the_next_takes_its_place(rosa, source):
    first, second = ask(source, "f", 0), ask(source, "f", 1)
    Proposal.objects.filter(pk=first.pk).update(state="approved", settled_at=clock.now())
    assert lines(rosa) == [[second.pk]]


def test_the_page_says_for_how_many_a_line_stands(signed_in, rosa, source):
    storm(source, 12)
    text = signed_in(rosa).get("/").content.decode()
    assert len(re.findall(r'<li class="row ', text)) == 1 and "12 alike, decide together" in text


def test_a_storm_costs_a_bounded_number_of_queries(rosa, source, django_assert_max_num_queries):
    storm(source, 150)
    rosa.roles()
    # roles, preference; two queries for each of at most four looks
    with django_assert_max_num_queries(10):
        listing = inbox.listing(rosa, inbox.Filters.of({}), None, 10)
    assert len(listing.rows) == 1


def test_without_groups_it_costs_what_it_did(rosa, source, django_assert_num_queries):
    for number in range(12):
        ask(source, f"only {number}", number)
    # roles, preference, the ids, the rows
    with django_assert_num_queries(4):
        assert len(inbox.listing(rosa, inbox.Filters.of({}), None, 10).rows) == 10
