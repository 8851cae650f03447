"""Searching in the room: what is found, by whom, in which order, where it stands, and at what cost."""

from datetime import timedelta

import pytest
from django.db.models import F

from escalations import clock
from escalations.models import Proposal
from reviews import search
from reviews.search import understood
from reviews.templatetags.found import found
from reviews.templatetags.room import sentence
from reviews.veil import Veil, drawn
from tests.factories import PersonFactory, role


def lists():
    return [Proposal.objects.open().filter(role=role("finance"))]


def pks(hits):
    return list(hits.ids)


@pytest.mark.parametrize(
    ("text", "tsquery"),
    [
        ("refund", "('refund':*)"),
        ("refund ", "('refund')"),
        ("re", "('re')"),
        ("1182", "('1182')"),
        ("118234", "('118234':*)"),
        ("Zoë REFUND", "('zoe') & ('refund':*)"),
        ('"double charge" -paypal', "('double' <-> 'charge') & !('paypal')"),
        ("ORD-1182", "('ord' <-> '1182')"),
        ("a or b", "('a') | ('b')"),
        ("refund or -paid", "('refund') | !('paid')"),
        ("or or or", ""),
        ("sha256:abc123", "('abc123':*)"),
        ("東京", "('東' <-> '京')"),
        ('"never closed', "('never' <-> 'closed')"),
        ("'); DROP TABLE x; --", "('drop') & ('table') & ('x')"),
        ("!!! & | :* <->", ""),
        ("\0", ""),
        ("", ""),
    ],
)
def test_what_is_looked_for(text, tsquery):
    assert understood(text).tsquery == tsquery


@pytest.mark.parametrize("text", ["x" * 5_000, "or " * 500, '"' * 99, "-" * 99, "- - -a", "a:*", "\\' \\", "(((", "ﷺ" * 50, "\ud83d\ude00"])
def test_whatever_is_typed_is_an_answer(db, ask, text):
    ask()

    search.hits(lists(), text, 10)


def test_a_title_beats_args_and_args_beat_the_context(ask):
    in_context = ask(incident_context={"request": "about the turbine"}, title="One")
    in_title = ask(title="Turbine")
    in_args = ask(title="Two", args={"part": "turbine"})

    hits = search.hits(lists(), "turbine", 10)

    assert pks(hits) == [in_title.pk, in_args.pk, in_context.pk]
    assert hits.ranked and not hits.more
    assert sentence(hits.snippets[in_args.pk]) == '<span class="arg-name">args</span>part: <mark>turbine</mark>'
    assert "<mark>turbine</mark>" in sentence(hits.snippets[in_context.pk])
    assert in_title.pk not in hits.snippets


@pytest.mark.parametrize(
    "text",
    ["turbine", "TURB", '"broken turbine"', "turbine -refundable", "nonsense or turbine", "ZD-77", "cus_9F2X", "fp_9c", "bruno refund", "pk", "incident", "digest"],
)
def test_it_is_found_by_words_beginnings_phrases_and_ids(ask, text):
    other = ask(title="Something else")
    one = ask(
        title="Broken turbine of Brúno", incident_external_id="ZD-77", incident_customer={"id": "cus_9F2X"}, incident_fingerprint="fp_9c"
    )
    said = {"pk": str(one.pk), "incident": str(one.incident_id), "digest": one.args_digest}.get(text, text)

    assert one.pk in pks(search.hits(lists(), said, 10))
    assert (other.pk in pks(search.hits(lists(), said, 10))) == (text == "digest")  # the same action and args


def test_half_a_phrase_and_a_word_that_must_not_stand_there_find_nothing(ask):
    ask(title="Broken turbine")

    assert not pks(search.hits(lists(), '"turbine broken"', 10))
    assert not pks(search.hits(lists(), "turbine -broken", 10))


def test_what_others_read_is_not_found(ask):
    ask(title="Turbine", role=role("security"))

    assert not pks(search.hits(lists(), "turbine", 10))
    assert not search.hits([], "turbine", 10).ids


def test_a_word_in_everything_is_found_along_the_list_and_says_so(ask, monkeypatch):
    monkeypatch.setattr(search, "CANDIDATES", 2)
    monkeypatch.setattr(search, "WALKED", 4)
    ours = [ask(title="Turbine", due_at=clock.now() + timedelta(minutes=n)) for n in range(6)]

    first = search.hits(lists(), "turbine", 3)
    second = search.hits(lists(), "turbine", 3, skip=3)
    newest = search.hits(lists(), "turbine", 2, newest=True)

    assert pks(first) == [one.pk for one in ours[:3]] and first.more and not first.ranked and not first.looked
    assert pks(second) == [ours[3].pk] and not second.more and second.looked == 4
    assert pks(newest) == [ours[5].pk, ours[4].pk]


def test_several_lists_are_one_in_the_order_of_all(ask, monkeypatch):
    a, b = ask(title="Turbine"), ask(title="Turbine turbine", role=role("security"))
    both = [Proposal.objects.open().filter(role=role(name)) for name in ("finance", "security")]

    assert set(pks(search.hits(both, "turbine", 10))) == {a.pk, b.pk}
    monkeypatch.setattr(search, "CANDIDATES", 0)
    assert pks(search.hits(both, "turbine", 10, place=F("due_at"))) == [a.pk, b.pk]


def test_only_what_must_not_stand_there_walks_the_list(ask):
    ask(title="Turbine")
    other = ask(title="Other")

    hits = search.hits(lists(), "-turbine ", 10)

    assert pks(hits) == [other.pk] and not hits.ranked


@pytest.mark.parametrize("size", [1, 25])
def test_a_search_costs_the_same_whatever_it_finds(ask, size, django_assert_num_queries):
    for _ in range(size):
        ask(title="Turbine")

    ours = lists()

    with django_assert_num_queries(4):  # the estimate, candidates, the best of them that may be read, where the words stand
        assert len(search.hits(ours, "turbine", 50).ids) == size


def test_a_search_tells_nothing_of_what_is_masked(page, ask):
    card = "4111 1111 1111 1111"
    one = ask(title=f"Pay to {card}", incident_context={"request": f"Turbine, my card is {card}, password: hunter2!x"})

    for digits in ("4111", "1111", "4111111111111111", '"1111 1111"', card, "hunter2"):
        assert not pks(search.hits(lists(), digits, 10)), digits
    snippet = sentence(search.hits(lists(), "turbine", 10).snippets[one.pk])
    assert "<mark>Turbine</mark>" in snippet and "1111" not in snippet and "hunter2" not in snippet


def test_marking_a_word_takes_no_masked_value_apart():
    with drawn(Veil(frozenset({"financial"}))):
        text = found("Pay 4111 1111 1111 1111 for <b>1111</b>", understood("1111"))

    assert "4111 1111" not in text and "<mark>1111</mark>" in text and "<b>" not in text and 'class="masked"' in text


def test_markup_in_a_text_stays_text_where_it_is_marked(ask):
    one = ask(title="x", args={"note": '<img src=x onerror=alert(1)> turbine "><script>\u202e'})

    snippet = sentence(search.hits(lists(), "turbine", 10).snippets[one.pk])

    assert "<img" not in snippet and "<script" not in snippet and "hidden-char" in snippet and "<mark>turbine</mark>" in snippet


def test_a_manager_finds_what_stands_in_every_queue(ask, signed_in):
    one = ask(title="Turbine", role=role("security"))
    manager = signed_in(PersonFactory(roles=["manager"]))

    assert str(one.pk) in manager.get("/?q=turbine").content.decode()
