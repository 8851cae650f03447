"""Twins decided together in a real browser: some left out, what differs told apart, what is settled still shown."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import lifecycle
from escalations.models import Decision, Proposal
from tests.factories import SourceFactory

from .test_journeys import HOME, RULES, address, arrive

URL = "/groups/?source=billing-agent&fingerprint=fp"


@pytest.fixture
def twins(ask):
    source = SourceFactory(name="billing-agent")
    return [ask(source=source, incident_fingerprint="fp", incident_title=f"Storm {number}") for number in range(5)]


def sign(page):
    page.get_by_role("button", name="Sign the ticked rows").click()


@pytest.mark.parametrize("width", [1280, 390])
def test_some_are_left_out_and_the_others_signed_one_by_one(open_browser, twins, reviewer, troubles, width):
    troubles[0].append("status of 422")
    page = open_browser(reviewer, viewport={"width": width, "height": 800})
    page.goto("/")
    page.get_by_role("link", name=re.compile("5 alike")).first.click()
    arrive(page, re.compile("/groups/"))

    for number in (1, 3):
        page.get_by_role("checkbox", name=f"Include Storm {number}").uncheck()
    page.get_by_role("radio", name=re.compile("^Reject")).check()
    sign(page)
    expect(page.locator("#problems")).to_be_focused()
    expect(page.get_by_role("checkbox", name="Include Storm 1")).not_to_be_checked()
    page.get_by_label("One reason for all").fill("a storm, not a wish")
    sign(page)

    expect(page.get_by_role("heading", name="3 of 3 signed")).to_be_visible()
    expect(page.locator("h1")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert {one.proposal_id for one in Decision.objects.all()} == {twins[at].pk for at in (0, 2, 4)}
    assert {one.reason for one in Decision.objects.all()} == {"a storm, not a wish"}


def test_what_differs_is_told_apart_and_what_is_equal_is_approved(open_browser, twins, ask, reviewer):
    odd = ask(source=twins[0].source, incident_fingerprint="fp", args={"order": 1182, "amount": 9_999})
    page = open_browser(reviewer)
    page.goto(URL)

    expect(page.locator("mark.differs").filter(has_text="9999")).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^Approve"))).to_have_count(0)
    page.get_by_role("link", name="only 5 of 6").click()
    expect(page.get_by_text("All ask for exactly the same")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")

    expect(page.get_by_role("heading", name="5 of 5 signed")).to_be_visible()
    assert Proposal.objects.get(pk=odd.pk).state == "pending" and Decision.objects.count() == 5


def test_equal_twins_are_edited_by_fields_together(open_browser, twins, reviewer):
    page = open_browser(reviewer)
    page.goto(URL)

    page.get_by_role("radio", name=re.compile("^Edit")).check()
    page.get_by_label(re.compile("^amount")).fill("99")
    sign(page)

    expect(page.get_by_role("heading", name="5 of 5 signed")).to_be_visible()
    assert [one.args for one in Decision.objects.all()] == [{"order": 1182, "amount": 99}] * 5


def test_one_that_a_colleague_signed_meanwhile_is_told(open_browser, twins, reviewer, colleague):
    page = open_browser(reviewer)
    page.goto(URL)
    first = twins[0]
    lifecycle.decide(first.pk, person=colleague, type="reject", reason="no", digest=first.args_digest, version=first.version)

    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")

    expect(page.get_by_role("heading", name="4 of 5 signed")).to_be_visible()
    expect(page.locator(".results .bad")).to_contain_text("Carl Colleague")


def test_a_settled_group_shows_what_was_decided_without_javascript(open_browser, twins, reviewer, ask):
    other = ask()
    page = open_browser(reviewer, java_script_enabled=False)
    page.goto(URL)
    page.get_by_role("radio", name=re.compile("^Approve")).check()
    page.get_by_label("One reason for all").fill("all as it should be")
    sign(page)
    expect(page.get_by_role("heading", name="5 of 5 signed")).to_be_visible()

    page.goto(URL)

    expect(page.get_by_role("heading", name="All of these are settled")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="all as it should be")).to_have_count(5)
    page.goto(other.get_absolute_url())
    arrive(page, address(other))
    page.goto("/")
    arrive(page, HOME)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_group(open_browser, twins, ask, reviewer, scheme):
    ask(source=twins[0].source, incident_fingerprint="fp", args={"order": 1182, "amount": 9_999}, risk="critical")
    page = open_browser(reviewer, color_scheme=scheme)

    for url in (URL, f"{URL}&digest={twins[0].args_digest}"):
        page.goto(url)
        page.get_by_role("radio").last.check()
        found = Axe().run(page, options=RULES).response["violations"]
        assert not [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
