"""Signing where it can still be taken back: by button, by key, and what the page becomes when the clock settles it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, lifecycle
from escalations.models import Comment, Decision, Hold, Proposal, Signature
from tests.factories import STANDARD

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
UNDO = {**STANDARD, "undo_seconds": 20}
LONG = {**STANDARD, "undo_seconds": 300}


def address(proposal):
    return re.compile(f"/proposals/{proposal.pk}/")


def arrive(page, where):
    """Wait until the page is there with its scripts: a key pressed before that is pressed for nobody."""
    expect(page).to_have_url(where)
    page.wait_for_load_state()


def sign(page, proposal, verdict="Approve", reason=""):
    page.goto(proposal.get_absolute_url())
    page.get_by_role("radio", name=re.compile(f"^{verdict}")).check()
    if reason:
        page.get_by_label(re.compile("^Reason")).fill(reason)
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("Signed")
    page.wait_for_load_state()


def no_violations(page, *parts):
    # Their script is injected by the browser's own tool, past the page's policy. The whole page is looked at in the walk through all.
    context = {"include": [[part] for part in parts]}
    violations = Axe().run(page, context=context, options=RULES).response["violations"]
    assert not [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in violations]


def settle():
    """Let the time run out for everything that is held, as the timers do a moment later."""
    with clock.frozen_at(Hold.objects.latest("settles_at").settles_at):
        return lifecycle.settle_held()


def test_signed_undone_by_the_button_undone_by_the_key_and_settled_in_the_end(open_browser, ask, reviewer):
    proposal, following = ask(policy=UNDO), ask()
    page = open_browser(reviewer)

    sign(page, proposal)
    arrive(page, address(following))
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("#flash")).to_contain_text("Signed: approved")
    expect(page.locator("#held")).to_contain_text(re.compile(r"settles in \d+ s"))
    no_violations(page, "#held", "#flash")
    page.locator("#held").get_by_role("button", name="Undo").click()
    arrive(page, address(proposal))
    expect(page.locator("#flash")).to_contain_text("Taken back")
    expect(page.get_by_role("radio", name=re.compile("^Approve"))).to_be_checked()
    assert not Hold.objects.exists() and Proposal.objects.get(pk=proposal.pk).state == "pending"

    page.get_by_role("button", name="Sign", exact=True).click()
    arrive(page, address(following))
    page.keyboard.press("u")
    arrive(page, address(proposal))
    expect(page.locator("#flash")).to_contain_text("Taken back")
    assert not Hold.objects.exists()

    page.get_by_role("button", name="Sign", exact=True).click()
    arrive(page, address(following))
    assert settle() == 1
    page.goto(proposal.get_absolute_url())
    expect(page.locator("#decision")).to_contain_text("Rosa Reviewer")
    expect(page.locator("#held")).to_have_count(0)
    assert Decision.objects.get().type == "approve" and Signature.objects.get().method == "page"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_own_page_counts_down_and_becomes_the_outcome_by_itself(open_browser, ask, reviewer, colleague, scheme):
    proposal = ask(policy=UNDO)
    page, theirs = open_browser(reviewer, color_scheme=scheme), open_browser(colleague, color_scheme=scheme)
    page.clock.install()
    sign(page, proposal, "Reject", "not like this")
    page.goto(proposal.get_absolute_url())
    theirs.goto(proposal.get_absolute_url())

    expect(page.locator("#decision")).to_contain_text("You signed this: Reject")
    expect(page.locator("#decision").get_by_role("button", name="Undo")).to_be_visible()
    expect(theirs.locator("#decision")).to_contain_text("Rosa Reviewer signed this: Reject")
    expect(theirs.get_by_role("button", name="Undo")).to_have_count(0)
    expect(theirs.get_by_role("button", name="Sign", exact=True)).to_have_count(0)
    for one in (page, theirs):
        no_violations(one, "#decision", "[aria-labelledby=talk-h]")
    assert settle() == 1
    page.clock.fast_forward(30_000)

    expect(page.locator("#decision")).to_contain_text("not like this")
    expect(page.locator("#decision")).not_to_contain_text("You signed this")


def test_what_was_taken_back_is_changed_and_signed_again_without_javascript(open_browser, ask, reviewer):
    proposal = ask(policy=LONG)
    page = open_browser(reviewer, java_script_enabled=False)
    sign(page, proposal, "Reject", "an essay that must not be lost")
    expect(page.locator("#held")).to_contain_text("settles in")

    page.locator("#held").get_by_role("button", name="Undo").click()

    expect(page.get_by_label(re.compile("^Reason"))).to_have_value("an essay that must not be lost")
    page.get_by_label(re.compile("^Reason")).fill("an essay, shorter")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("Signed: rejected")
    assert Hold.objects.get().reason == "an essay, shorter"


def test_several_are_taken_back_at_once_on_a_phone(open_browser, ask, reviewer):
    first, second = ask(policy=LONG), ask(policy=LONG)
    page = open_browser(reviewer, viewport={"width": 390, "height": 800})
    for one in (first, second):
        sign(page, one)
    expect(page.locator("#held li")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for button in page.locator("#held button").all():
        assert button.bounding_box()["height"] >= 44

    page.get_by_role("button", name="Undo all 2").click()

    expect(page.locator("#flash")).to_contain_text("Taken back: 2")
    assert not Hold.objects.exists()


def test_a_comment_calls_on_a_colleague_who_finds_it(open_browser, ask, reviewer, colleague):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.get_by_label(re.compile("^For colleagues")).fill("is this the customer of last week?")
    page.get_by_label(re.compile("^Tell a colleague")).fill("@carl")
    page.get_by_role("button", name="Comment", exact=True).click()

    expect(page.locator(".mention")).to_have_text("@carl")
    assert Comment.objects.get().mentions == [colleague.pk]
    theirs = open_browser(colleague)
    theirs.goto(proposal.get_absolute_url())
    expect(theirs.get_by_text("to you", exact=True)).to_be_visible()


def test_a_refused_comment_keeps_its_text_and_the_focus_is_where_the_reason_stands(open_browser, ask, reviewer, troubles):
    troubles[0].extend(["status of 400", "status of 422"])
    page = open_browser(reviewer)
    page.goto(ask().get_absolute_url())

    page.get_by_label(re.compile("^For colleagues")).fill("@nobody, look at this")
    page.get_by_role("button", name="Comment", exact=True).click()

    expect(page.locator("#act-problems")).to_be_focused()
    expect(page.locator("#act-problems")).to_contain_text("@nobody")
    expect(page.get_by_label(re.compile("^For colleagues"))).to_have_value("@nobody, look at this")
    assert not Comment.objects.exists()
