"""The desk in a real browser: read by a manager, acted from by keyboard alone and without JavaScript, on a phone, by axe."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, lifecycle
from reviews import glances
from tests.factories import PersonFactory

from .test_journeys import RULES


def violations(page):
    """What axe finds. Its script is injected by the browser's own tool, past the page's policy."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]


@pytest.fixture
def manager(transactional_db):
    return PersonFactory(username="mira", first_name="Mira", last_name="Manager", roles=["manager"])


@pytest.fixture
def busy(ask, reviewer, colleague):
    """A room at work: some decided too fast to be read, one held, one sent up, one due next."""
    now = clock.now()
    for number in range(6):
        with clock.frozen_at(now - timedelta(minutes=90 - number)):
            done = ask()
            glances.note(reviewer, done, 4_000)
        with clock.frozen_at(now - timedelta(minutes=90 - number) + timedelta(seconds=2)):
            lifecycle.decide(done.pk, person=reviewer, type="approve", digest=done.args_digest, version=done.version)
    held = ask(title="Held by Carl", due_at=now + timedelta(hours=2))
    lifecycle.claim(held.pk, person=colleague)
    lifecycle.escalate_now(ask(title="Too large for me").pk, person=reviewer, why="over my limit")
    return ask(title="Due next", due_at=now + timedelta(minutes=10))


def test_a_manager_reads_the_room(open_browser, manager, busy):
    page = open_browser(manager)
    page.goto("/desk/")

    expect(page.get_by_role("row", name="finance")).to_contain_text("at this pace finance breaches at")
    expect(page.get_by_text("signed sooner than")).to_have_count(0)
    expect(page.get_by_role("region", name="Decisions by people, last seven days").get_by_role("row", name="Rosa Reviewer")).to_be_visible()
    expect(page.get_by_role("region", name="Who holds what")).to_contain_text("Carl Colleague")
    expect(page.get_by_role("region", name="Escalated in the last 24 hours")).to_contain_text("over my limit")
    page.get_by_text("The same as a table").first.click()
    expect(page.get_by_role("columnheader", name="Hour from")).to_be_visible()
    assert violations(page) == []


def test_hands_over_by_keyboard_alone_and_is_back_at_the_desk(open_browser, manager, busy):
    page = open_browser(manager)
    page.goto("/desk/")

    first = page.get_by_role("region", name="Due next").get_by_role("listitem").first
    first.get_by_text("Reassign").focus()
    page.keyboard.press("Enter")
    first.get_by_label("Role").focus()
    page.keyboard.type("security")
    page.keyboard.press("Tab")
    page.keyboard.type("theirs")
    page.keyboard.press("Enter")

    expect(page).to_have_url("/desk/")
    expect(page.get_by_text("Handed over.")).to_be_visible()
    busy.refresh_from_db()
    assert busy.role.name == "security"


def test_acts_without_javascript(open_browser, manager, busy):
    page = open_browser(manager, java_script_enabled=False)
    page.goto("/desk/")

    page.get_by_role("region", name="Who holds what").get_by_role("button", name="Take over").click()

    expect(page).to_have_url("/desk/")
    expect(page.get_by_role("region", name="Who holds what")).to_contain_text("Mira Manager")


def test_what_moves_refreshes_itself_and_nothing_else(open_browser, manager, busy, ask):
    page = open_browser(manager)
    page.goto("/desk/")
    page.get_by_text("Reassign").first.click()
    ask()

    with page.expect_response(lambda answer: answer.url.endswith("/desk/")):
        page.evaluate("htmx.ajax('GET', '/desk/', {target: '#now', swap: 'outerHTML'})")

    expect(page.get_by_role("row", name="finance").get_by_role("cell").nth(0)).to_have_text("3")
    expect(page.get_by_label("Role").first).to_be_visible()  # what was being filled in stands as it was


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}, {"viewport": {"width": 320, "height": 600}}])
def test_nothing_is_lost_on_a_phone_or_in_the_dark(open_browser, manager, busy, options):
    page = open_browser(manager, **options)
    page.goto("/desk/")

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.get_by_text("at this pace finance breaches at")).to_be_visible()
    assert violations(page) == []
