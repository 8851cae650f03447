"""A person's own lists, and that the URL says what is shown."""

import pytest

from reviews.models import SavedView
from reviews.views import saved
from tests.factories import PersonFactory

HTMX = {"HX-Request": "true"}


def keep(page, name, query="kind=action&order=urgent", **said):
    return page.post("/lists/", {"name": name, "query": query}, **said)


def test_a_list_is_kept_under_a_name_and_stands_above_the_list(page, ask, reviewer):
    ask()

    answer = keep(page, "  Urgent   actions ")
    text = page.get("/").content.decode()

    view = SavedView.objects.get()
    assert (view.person, view.name, view.query) == (reviewer, "Urgent actions", "kind=action&order=urgent")
    assert (answer.status_code, answer["Location"]) == (303, "/?kind=action&order=urgent")
    assert '<a href="/?kind=action&amp;order=urgent" >Urgent actions</a>' in text
    assert 'aria-current="page">Urgent actions</a>' in page.get("/?kind=action&order=urgent").content.decode()


def test_a_name_that_is_taken_stands_for_the_new_list(page):
    keep(page, "mine", "kind=action")
    keep(page, "mine", "kind=alert")

    assert list(SavedView.objects.values_list("name", "query")) == [("mine", "kind=alert")]


def test_only_filters_we_know_are_kept(page):
    answer = keep(page, "odd", "kind=action&kind=nonsense&next=https://evil.example&q=a%00b%26c&order=sideways")

    assert SavedView.objects.get().query == "q=ab%26c"
    assert answer["Location"] == "/?q=ab%26c"


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_list_needs_a_name_of_bearable_length(page, name):
    answer = keep(page, name)

    assert not SavedView.objects.exists()
    assert "Give the list a name" in page.get(answer["Location"]).content.decode()


def test_filters_too_long_to_be_kept_are_refused_with_a_word(page):
    answer = keep(page, "long", "q=" + "%E6%BC%A2" * 120)

    assert not SavedView.objects.exists()
    assert "too long" in page.get(answer["Location"]).content.decode()


def test_there_is_an_end_to_keeping(page, monkeypatch):
    monkeypatch.setattr(saved, "MOST", 2)
    for name in ("one", "two", "three", "two"):
        keep(page, name)

    assert list(SavedView.objects.values_list("name", flat=True)) == ["one", "two"]


def test_nobody_sees_or_forgets_the_lists_of_others(page, reviewer):
    other = SavedView.objects.create(person=PersonFactory(), name="not yours", query="kind=alert")
    mine = SavedView.objects.create(person=reviewer, name="mine", query="kind=alert")

    text = page.get("/").content.decode()
    for one in (other.pk, mine.pk, "nonsense", "9" * 30):
        assert page.post("/lists/", {"forget": one, "query": ""}).status_code == 303

    assert "not yours" not in text and "mine" in text
    assert list(SavedView.objects.all()) == [other]


def test_a_name_is_shown_as_the_untrusted_text_it_is(page):
    keep(page, "<img src=x>\u202e")

    text = page.get("/").content.decode()

    assert "<img" not in text and "\u202e" not in text and "U+202E" in text


def test_reading_the_address_of_the_lists_goes_home(page):
    assert page.get("/lists/")["Location"] == "/"


def test_the_address_bar_shows_what_is_asked_for_and_no_more(page, ask):
    ask()
    form = {"q": "", "role": "", "held": "me", "order": "due", "kind": "", "nonsense": "1"}

    pushed = page.get("/", form, headers=HTMX)
    same = page.get("/", form, headers={**HTMX, "HX-Current-URL": "http://testserver/?held=me&order=due"})
    plain = page.get("/", form)

    assert pushed["HX-Push-Url"] == "/?held=me&order=due"
    assert same["HX-Replace-Url"] == "/?held=me&order=due" and "HX-Push-Url" not in same
    assert "HX-Push-Url" not in plain


@pytest.mark.parametrize("query", ["?after=nonsense", "?after=2026-01-01T00:00:00_x", "?skip=-1", "?skip=9999999999999999999999", "?q=%00"])
def test_an_address_that_makes_no_sense_still_shows_a_list(page, ask, query):
    ask()

    assert page.get(f"/{query}").status_code == 200
