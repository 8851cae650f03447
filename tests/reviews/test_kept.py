"""What was typed when the session had ended: it comes back to whom the page was drawn for, and to nobody else."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from escalations import clock, lifecycle
from escalations.models import Comment, Decision
from reviews import kept
from tests.factories import PersonFactory, SourceFactory

from .conftest import signature

PASSWORD = "correct horse battery"


@pytest.fixture
def rosa(db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"], password=PASSWORD)


@pytest.fixture
def carl(db):
    return PersonFactory(username="carl", first_name="Carl", last_name="Colleague", roles=["finance"], password=PASSWORD)


@pytest.fixture
def browser(signed_in, rosa):
    return signed_in(rosa)


def note_on(browser, url):
    """Return the signed note in the forms of a page."""
    return re.search(r'name="drawn_for" value="([^"]+)"', browser.get(url).content.decode()).group(1)


def expire(browser):
    """The session ends; the browser still has its cookie."""
    Session.objects.all().delete()


def enter(browser, name, where):
    return browser.post("/login/", {"username": name, "password": PASSWORD, "next": where})


@pytest.mark.parametrize("htmx", [False, True])
def test_the_form_comes_back_filled_and_nothing_is_signed(browser, ask, rosa, htmx):
    proposal = ask()
    url = f"{proposal.get_absolute_url()}?kind=action"
    note = note_on(browser, url)
    expire(browser)

    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{url}"} if htmx else {}
    said = signature(proposal, type="reject", reason="not <today>", retry="on", drawn_for=note)
    refused = browser.post(url, said, headers=headers)
    way = refused["HX-Redirect" if htmx else "Location"]
    door = browser.get(way).content.decode()
    back = enter(browser, "rosa", re.search(r'name="next" value="([^"]+)"', door).group(1).replace("&amp;", "&"))
    page = browser.get(back["Location"]).content.decode()

    assert refused.status_code == (200 if htmx else 303)
    assert "What you had typed is kept" in door
    assert back["Location"] == url
    assert "not &lt;today&gt;</textarea>" in page and re.search(r'value="reject"[^>]*checked', page)
    assert "read the page again before you sign" in page
    assert not Decision.objects.exists()


def test_what_was_signed_is_of_the_page_as_it_is_now(browser, ask, rosa):
    """The digest and the version are those of the fresh page; the choice was made of the old one, so it is made again."""
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    old = signature(proposal, reason="fine", drawn_for=note, confirm="180", read="on")
    lifecycle.comment(proposal.pk, person=rosa, text="x")
    type(proposal).objects.filter(pk=proposal.pk).update(version=7)
    expire(browser)

    browser.post(proposal.get_absolute_url(), old)
    enter(browser, "rosa", proposal.get_absolute_url())
    page = browser.get(proposal.get_absolute_url()).content.decode()

    assert 'name="version" value="7"' in page and "fine</textarea>" in page
    assert not re.search(r'name="type" value="approve"[^>]*checked', page)
    assert not re.search(r'name="read"[^>]*checked', page)


def test_somebody_else_who_signs_in_gets_nothing_and_leaves_nothing(browser, ask, rosa, carl):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)
    browser.post(proposal.get_absolute_url(), signature(proposal, reason="rosa's secret", drawn_for=note))

    enter(browser, "carl", proposal.get_absolute_url())
    theirs = browser.get(proposal.get_absolute_url()).content.decode()
    browser.post("/logout/")
    enter(browser, "rosa", proposal.get_absolute_url())
    mine = browser.get(proposal.get_absolute_url()).content.decode()

    assert "secret" not in theirs and "secret" not in mine
    assert all(kept.PLACE not in one.get_decoded() for one in Session.objects.all())


def test_it_is_not_shown_on_another_page(browser, ask, rosa):
    proposal, other = ask(), ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)
    browser.post(proposal.get_absolute_url(), signature(proposal, reason="for the first", drawn_for=note))
    enter(browser, "rosa", "/")

    assert "for the first" not in browser.get(other.get_absolute_url()).content.decode()
    assert "for the first" in browser.get(proposal.get_absolute_url()).content.decode()


def test_after_half_an_hour_it_is_gone(browser, ask, rosa):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)
    browser.post(proposal.get_absolute_url(), signature(proposal, reason="too old", drawn_for=note))

    with clock.frozen_at(clock.now() + kept.KEPT + timedelta(seconds=1)):
        enter(browser, "rosa", proposal.get_absolute_url())
        assert "too old" not in browser.get(proposal.get_absolute_url()).content.decode()


@pytest.mark.parametrize("note", ["", "made up", "changed", "too old", "of somebody deactivated"])
def test_without_a_note_of_ours_nothing_is_kept(browser, ask, rosa, note, monkeypatch):
    proposal = ask()
    right = note_on(browser, proposal.get_absolute_url())
    if note == "too old":
        monkeypatch.setattr(kept, "OLDEST_PAGE", timedelta(seconds=-1))
    if note == "of somebody deactivated":
        type(rosa).objects.update(is_active=False)
    said = {"": "", "made up": "x:y:z", "changed": right[:-1] + ("A" if right[-1] != "A" else "B")}.get(note, right)
    expire(browser)

    answer = browser.post(proposal.get_absolute_url(), signature(proposal, reason="kept?", drawn_for=said))

    assert answer.status_code == 303 and answer["Location"] == "/login/"
    assert not Session.objects.exists()


def test_what_is_too_long_is_not_kept_but_the_way_back_is_known(browser, ask, rosa, monkeypatch):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    monkeypatch.setattr(kept, "MOST", 50)
    expire(browser)

    answer = browser.post(proposal.get_absolute_url(), signature(proposal, reason="x" * 60, drawn_for=note))

    assert proposal.get_absolute_url() in answer["Location"].replace("%2F", "/")
    assert not Session.objects.exists()


@pytest.mark.parametrize("act, field", [("comment", "text"), ("ask_back", "text"), ("hand_over", "why"), ("extend", "why")])
def test_acts_and_comments_come_back_too(browser, ask, rosa, act, field):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)

    browser.post(f"{proposal.get_absolute_url()}acts/", {"act": act, field: "a long thought", "drawn_for": note})
    back = enter(browser, "rosa", proposal.get_absolute_url())
    page = browser.get(back["Location"]).content.decode()

    assert "a long thought" in page
    assert not Comment.objects.exists()


def test_a_group_comes_back_with_its_ticks_and_its_reason(browser, ask, rosa):
    source = SourceFactory(name="billing-agent")
    first, left_out, changed = (ask(source=source, incident_fingerprint="fp") for _ in range(3))
    url = "/groups/?source=billing-agent&fingerprint=fp"
    note = note_on(browser, url)
    picks = [f"{one.pk}|{one.version}|{one.args_digest}" for one in (first, changed)]
    type(changed).objects.filter(pk=changed.pk).update(version=2)
    expire(browser)

    answer = browser.post(url, {"pick": picks, "type": "reject", "reason": "all alike", "drawn_for": note})
    back = enter(browser, "rosa", url)
    page = browser.get(back["Location"]).content.decode()

    ticked = re.findall(r'name="pick" value="([^|"]+)[^>]*checked', page)
    assert answer.status_code == 303 and "all alike</textarea>" in page
    assert ticked == [str(first.pk)]  # neither what was left out nor what is not as it was
    assert not re.search(r'name="type" value="reject"[^>]*checked', page)
    assert not Decision.objects.exists()


def test_somebody_else_was_first_meanwhile_and_the_text_is_still_there(browser, ask, rosa, carl):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)
    browser.post(proposal.get_absolute_url(), signature(proposal, type="reject", reason="my essay", drawn_for=note))
    lifecycle.decide(proposal.pk, person=carl, type="approve", digest=proposal.args_digest, version=proposal.version)

    enter(browser, "rosa", proposal.get_absolute_url())
    page = browser.get(proposal.get_absolute_url()).content.decode()

    assert "Carl Colleague" in page and "my essay" in page and "was not sent" in page


def test_when_it_is_signed_it_is_no_longer_kept(browser, ask, rosa):
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    expire(browser)
    said = signature(proposal, type="reject", reason="first words", drawn_for=note)
    browser.post(proposal.get_absolute_url(), said)
    enter(browser, "rosa", proposal.get_absolute_url())

    browser.post(proposal.get_absolute_url(), {**said, "drawn_for": note_on(browser, proposal.get_absolute_url())})

    assert Decision.objects.get().reason == "first words"
    assert all(kept.PLACE not in one.get_decoded() for one in Session.objects.all())


def test_a_page_of_somebody_who_left_signs_nothing_in_the_name_of_who_came(browser, ask, rosa, carl, signed_in):
    """Two people share a browser: the first one's page is still open in a tab when the second one has signed in."""
    proposal = ask()
    note = note_on(browser, proposal.get_absolute_url())
    other = signed_in(carl)

    answer = other.post(proposal.get_absolute_url(), signature(proposal, reason="x", drawn_for=note), follow=True)

    assert "opened by somebody else" in answer.content.decode()
    assert not Decision.objects.exists()


def test_signing_in_again_in_another_tab_loses_nothing_in_this_one(ask, rosa):
    """The other tab's sign-in changed the browser's token: this page's form is refused, and its text put back."""
    proposal, browser = ask(), Client(enforce_csrf_checks=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login/").content.decode()).group(1)
    browser.post("/login/", {"username": "rosa", "password": PASSWORD, "csrfmiddlewaretoken": token})
    shown = browser.get(proposal.get_absolute_url()).content.decode()
    stale = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown).group(1)
    note = re.search(r'name="drawn_for" value="([^"]+)"', shown).group(1)
    Session.objects.all().delete()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login/").content.decode()).group(1)
    browser.post("/login/", {"username": "rosa", "password": PASSWORD, "csrfmiddlewaretoken": token})

    said = signature(proposal, type="reject", reason="typed before", csrfmiddlewaretoken=stale)
    without = browser.post(proposal.get_absolute_url(), said)
    answer = browser.post(proposal.get_absolute_url(), {**said, "drawn_for": note})
    page = browser.get(proposal.get_absolute_url()).content.decode()

    assert without.status_code == 403
    assert answer.status_code == 303 and answer["Location"] == proposal.get_absolute_url()
    assert "typed before</textarea>" in page
    assert not Decision.objects.exists()


@pytest.mark.parametrize("path", ["arrivals/", "rows/{pk}/", "proposals/{pk}/strip/"])
def test_what_a_page_looks_for_by_itself_does_not_take_it_away(client, ask, path):
    """A session that ends must not carry off the page somebody types on: it is told, once, and stays."""
    answer = client.get(f"/{path.format(pk=ask().pk)}", headers={"HX-Request": "true"})

    assert answer.status_code == 286  # htmx asks no more
    assert answer["HX-Retarget"] == "#flash" and "HX-Redirect" not in answer
    assert "You are signed out" in answer.content.decode()
