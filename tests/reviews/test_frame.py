"""What stands round every page: the places, what an empty room teaches, and the doors when something is not there."""

import pytest
from django.template import Context, Template

from tests.factories import PersonFactory


def places(answer):
    text = answer.content.decode()
    return text[text.index('<nav aria-label="Main">') : text.index("</nav>")]


def test_a_reviewer_sees_the_places_that_are_theirs(page):
    nav = places(page.get("/"))

    assert 'data-go="i" aria-current="page"' in nav and 'data-go="s"' in nav
    assert "Admin" not in nav and "Desk" not in nav


def test_an_administrator_sees_the_administration(signed_in):
    chief = PersonFactory(is_staff=True, is_superuser=True)

    nav = places(signed_in(chief).get("/settled/"))

    assert 'href="/admin/" data-go="a"' in nav and 'data-go="s" aria-current="page"' in nav


def test_the_administration_wears_the_same_head(signed_in):
    chief = PersonFactory(is_staff=True, is_superuser=True)

    answer = signed_in(chief).get("/admin/")

    assert 'data-go="a" aria-current="page"' in places(answer)
    assert b"css/tokens.css" in answer.content and b"theme.js" not in answer.content


def empty(person, client, rf):
    request = rf.get("/")
    request.user = person
    template = Template('{% include "components/empty_connect.html" %}')
    return template.render(Context({"request": request, "user": person}))


def test_an_empty_inbox_shows_an_administrator_how_to_connect_a_source(db, client, rf):
    text = empty(PersonFactory(is_staff=True), client, rf)

    assert "Connect a first source" in text and "add_source my-agent" in text and "/admin/escalations/source/add/" in text
    assert "http://testserver/api/v1/incidents" in text


def test_an_empty_inbox_tells_a_reviewer_what_will_come(reviewer, client, rf):
    text = empty(reviewer, client, rf)

    assert "What will come" in text and "curl" not in text


def test_somebody_who_has_decided_all_is_not_taught_again(reviewer, ask, client, rf):
    ask()

    text = empty(reviewer, client, rf)

    assert "What will come" not in text and "All is decided" in text


@pytest.mark.django_db
def test_a_browser_that_asks_for_the_usual_icon_gets_ours(client):
    answer = client.get("/favicon.ico")

    assert (answer.status_code, answer["Location"]) == (301, "/static/img/icon.svg")


def test_what_is_not_there_says_so_kindly(page):
    answer = page.get("/proposals/00000000-0000-4000-8000-000000000000/")

    assert answer.status_code == 404 and b"There is nothing here for you" in answer.content
