"""What one is told, chosen on one's own page, with and without JavaScript, on a phone and in the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, vault
from escalations.models import Channel, MuteWindow, NoticeWishes
from tests.factories import PersonFactory, role

from .test_journeys import RULES


@pytest.fixture
def rosa(transactional_db):
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"], is_staff=True)


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False, "viewport": {"width": 390, "height": 800}}])
def test_a_person_chooses_what_to_be_told_and_adds_a_channel(open_browser, rosa, options):
    page = open_browser(rosa, **options)
    page.goto("/you/")
    page.get_by_label("new work in a queue of mine").uncheck()
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_label("Quiet until").fill("07:00")
    page.locator("#notices").get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Kept: that is what you are told from now on.")).to_be_visible()
    expect(page.get_by_label("new work in a queue of mine")).not_to_be_checked()
    expect(page.get_by_label("Quiet from")).to_have_value("22:00")
    assert NoticeWishes.objects.get(person=rosa).unwanted == ["new_work"]

    page.get_by_label("One more, by its address").fill("ntfys://tk_secret@ntfy.example.com/mine")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Added. Send a test")).to_be_visible()
    expect(page.get_by_text("ntfy (ntfy.example.com)")).to_be_visible()
    assert "tk_secret" not in page.content()
    page.get_by_role("button", name="Switch off ntfy").click()
    expect(page.get_by_role("button", name="Switch on ntfy")).to_be_visible()


def test_what_is_refused_is_said_where_the_eye_is(open_browser, rosa, troubles):
    troubles[0].append("422")
    page = open_browser(rosa)
    page.goto("/you/")
    page.get_by_label("One more, by its address").fill("json://127.0.0.1/x")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#channel-problems")).to_contain_text("for administrators")
    expect(page.locator("#channel-problems")).to_be_focused()
    expect(page.get_by_label("One more, by its address")).to_have_value("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_cut_off(open_browser, rosa, scheme, width):
    now = clock.now()
    Channel.objects.create(person=rosa, sealed=vault.seal(b"x"), label="Slack", failing_since=now, last_error="answered 404")
    shared = Channel.objects.create(role=role("finance"), sealed=vault.seal(b"x"), label="W" * 120, failing_since=now, last_error="no answer in time")
    MuteWindow.objects.create(name="Moving the database", since=now, until=now.replace(year=now.year + 1))
    page = open_browser(rosa, color_scheme=scheme, viewport={"width": width, "height": 800})
    for url in ("/you/", "/admin/escalations/channel/", "/admin/escalations/channel/add/", f"/admin/escalations/channel/{shared.pk}/change/",
                "/admin/escalations/mutewindow/"):
        page.goto(url)
        # Without preloading: it would write styles into the page, which its policy forbids.
        found = Axe().run(page, options={**RULES, "preload": False}).response["violations"]
        assert not [(url, each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, url
