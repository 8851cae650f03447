"""The search field of the inbox: what it finds, how it pages, and that the rest of the room follows it."""

from datetime import timedelta

import pytest
from django.http import QueryDict

from escalations import clock
from reviews import inbox, search
from tests.factories import PersonFactory, SourceFactory, role

HTMX = {"HX-Request": "true"}


def ids(answer):
    return [row.pk for row in answer.context["rows"]]


def asked(query):
    return inbox.Filters.of(QueryDict(query))


def test_the_best_match_stands_first_and_says_where_it_was_found(page, ask):
    aside = ask(incident_title="Close an account", incident_context={"request": "the zanzibar trip was cancelled"})
    title = ask(incident_title="Zanzibar zanzibar refund", due_at=clock.now() + timedelta(hours=9))
    ask(incident_title="nothing of it")

    answer = page.get("/?q=zanzibar")
    text = answer.content.decode()

    assert ids(answer) == [title.pk, aside.pk]
    assert "Best matches first" in text
    assert "<mark>Zanzibar</mark>" in text and "the <mark>zanzibar</mark> trip" in text


def test_what_is_found_is_narrowed_by_the_filters_and_by_rights(page, ask):
    ask(incident_title="zanzibar", role=role("security"))
    ask(incident_title="zanzibar")
    mine = ask(incident_title="zanzibar", incident_kind="alert")

    assert ids(page.get("/?q=zanzibar&kind=alert")) == [mine.pk]


def test_matches_are_paged_and_the_pages_meet(page, ask, monkeypatch):
    monkeypatch.setattr(inbox.listing, "__defaults__", (None, 2))
    made = {ask(incident_title="zanzibar").pk for _ in range(5)}

    seen, url = [], "/?q=zanzibar"
    for _ in range(3):
        answer = page.get(url)
        seen += ids(answer)
        url = f"/?q=zanzibar&{answer.context['listing'].onward}"

    assert not answer.context["listing"].onward
    assert len(seen) == 5 and set(seen) == made


def test_a_word_that_is_everywhere_keeps_the_order_and_says_how_far_was_looked(page, ask, monkeypatch):
    monkeypatch.setattr(search, "CANDIDATES", 0)  # whatever the planner guesses of a small table, it is more
    monkeypatch.setattr(search, "WALKED", 3)
    rows = [ask(incident_title="zanzibar", due_at=clock.now() + timedelta(hours=number), risk="low") for number in range(1, 5)]
    grave = ask(incident_title="zanzibar", due_at=clock.now() + timedelta(hours=5), risk="critical")

    due, urgent, none = page.get("/?q=zanzibar"), page.get("/?q=zanzibar&order=urgent"), page.get("/?q=zanzibar+-refund+or+zanzibar+-zanzibar")

    assert ids(due) == [row.pk for row in rows[:3]]
    assert ids(urgent) == [grave.pk, rows[0].pk, rows[1].pk]
    assert "only the first 3 of the list were looked through" in due.content.decode()
    assert ids(none) == [] and "another, rarer word" in none.content.decode()


def test_next_and_beside_stay_among_what_was_searched_for(ask, reviewer):
    done, other = ask(incident_title="zanzibar"), ask(incident_title="nothing of it")
    match = ask(incident_title="zanzibar too")
    ask(incident_title="zanzibar", source=SourceFactory(owner=reviewer))

    assert inbox.next_for(reviewer, asked("q=zanzibar"), done) == match
    assert other not in inbox.beside(reviewer, asked("q=zanzibar"), done).rows
    assert done in inbox.beside(reviewer, asked("q=zanzibar"), done).rows


def test_a_masked_number_is_not_taken_apart_by_what_is_marked(ask, signed_in):
    person = PersonFactory(roles=["operations"])
    ask(incident_title="Card 4111 1111 1111 1111 was charged", role=role("operations"))

    text = signed_in(person).get("/?q=charged").content.decode()
    parts = signed_in(person).get("/?q=1111+charged").content.decode()

    assert "<mark>charged</mark>" in text
    assert "1111 1111" not in text and "4111" not in text and "4111" not in parts


@pytest.mark.parametrize("size", [2, 30])
def test_a_search_costs_the_same_however_much_it_finds(page, ask, size, django_assert_max_num_queries):
    for _ in range(size):
        ask(incident_title="zanzibar", incident_context={"request": "zanzibar once more"})

    with clock.frozen_at(clock.now()), django_assert_max_num_queries(15):  # the list, second looks, estimate, candidates, snippets
        page.get("/?q=zanzibar&order=due")
