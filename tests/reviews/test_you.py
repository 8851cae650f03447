"""One's own page: how one works, one's time zone, one's password."""

import json

import pytest

from escalations import lifecycle
from escalations.models import AuditEntry, Person
from reviews.models import Preferences
from tests.factories import PersonFactory

PASSWORD = "correct horse battery"
NEW = "a quite different phrase"


@pytest.fixture
def rosa(db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"], password=PASSWORD)


@pytest.fixture
def browser(signed_in, rosa):
    return signed_in(rosa)


def renew(browser, old=PASSWORD, new=NEW, again=None):
    said = {"change": "password", "old_password": old, "new_password1": new, "new_password2": new if again is None else again}
    return browser.post("/you/", said)


def test_the_page_is_for_everybody_and_leads_to_the_tokens(browser):
    text = browser.get("/you/").content.decode()

    assert "Rosa Reviewer" in text and "finance" in text and 'href="/tokens/"' in text


def test_preferences_are_the_persons_own_in_every_browser(browser, rosa, signed_in):
    answer = browser.post("/you/", {"change": "preferences", "claim_on_open": "on", "order": "urgent"})

    kept = Preferences.objects.get(person=rosa)
    assert answer["Location"] == "/you/"
    assert (kept.claim_on_open, kept.single_keys, kept.order) == (True, False, "urgent")
    assert 'data-keys="off"' in signed_in(rosa).get("/").content.decode()
    assert 'data-keys="off"' not in signed_in(PersonFactory(roles=["finance"])).get("/").content.decode()


def test_an_order_that_does_not_exist_is_refused(browser):
    answer = browser.post("/you/", {"change": "preferences", "order": "random"})

    assert answer.status_code == 422 and not Preferences.objects.exists()


def test_the_time_zone_changes_what_is_shown_and_is_on_record(browser, rosa):
    answer = browser.post("/you/", {"change": "zone", "time_zone": "Asia/Kolkata"})

    assert answer["Location"] == "/you/"
    assert Person.objects.get(pk=rosa.pk).time_zone == "Asia/Kolkata"
    assert "Asia/Kolkata" in AuditEntry.objects.get(action="person.saved").body


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "x" * 65, "UTC\0"])
def test_a_time_zone_that_does_not_exist_is_refused(browser, rosa, zone):
    answer = browser.post("/you/", {"change": "zone", "time_zone": zone})

    assert answer.status_code == 422
    assert Person.objects.get(pk=rosa.pk).time_zone == "UTC"


def test_a_new_password_ends_the_sessions_elsewhere_and_goes_on_here(browser, rosa, signed_in):
    elsewhere = signed_in(rosa)

    answer = renew(browser)

    assert answer["Location"] == "/you/"
    assert browser.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert Person.objects.get(pk=rosa.pk).check_password(NEW)


def test_a_new_password_is_on_record_and_not_in_it(browser):
    renew(browser)

    body = AuditEntry.objects.get(action="person.saved").body
    assert json.loads(body)["facts"]["changed"]["password"] == {"old": None, "new": "changed"}
    assert NEW not in body and PASSWORD not in body


@pytest.mark.parametrize(
    "said, why",
    [
        ({"old": "wrong"}, "That is not your password."),
        ({"new": "short"}, "too short"),
        ({"new": "rosareviewer"}, "too similar"),
        ({"again": "something else entirely"}, "didn’t match"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_why(browser, rosa, said, why):
    answer = renew(browser, **said)

    assert answer.status_code == 422 and why in answer.content.decode()
    assert Person.objects.get(pk=rosa.pk).check_password(PASSWORD)
    assert not AuditEntry.objects.exists()


def test_guessing_the_old_password_here_locks_out_as_at_the_door(browser, client, settings):
    settings.AXES_ENABLED = True

    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        renew(browser, old="a guess")
    answer = client.post("/login/", {"username": "rosa", "password": PASSWORD})

    assert answer.status_code == 429


def test_who_signs_in_another_way_has_no_password_to_change(signed_in):
    text = signed_in(PersonFactory()).get("/you/").content.decode()

    assert "Your password" not in text


def opened(browser, proposal):
    """Return whether the page claims by itself when it is opened."""
    return 'hx-trigger="submit, load"' in browser.get(proposal.get_absolute_url()).content.decode()


def test_claiming_on_opening_is_a_choice_and_a_get_never_claims(browser, ask, rosa):
    proposal = ask()
    assert not opened(browser, proposal)

    Preferences.objects.create(person=rosa, claim_on_open=True)

    assert opened(browser, proposal)
    proposal.refresh_from_db()
    assert proposal.claimed_by is None


def test_what_a_colleague_holds_or_may_not_be_decided_is_not_claimed_on_opening(browser, ask, rosa, colleague, signed_in):
    Preferences.objects.create(person=rosa, claim_on_open=True)
    held, own, mine = ask(), ask(), ask()
    own.source.owner = rosa
    own.source.save()
    lifecycle.claim(held.pk, person=colleague)
    lifecycle.claim(mine.pk, person=rosa)

    assert [opened(browser, one) for one in (held, own, mine)] == [False, False, False]
