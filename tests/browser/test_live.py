"""What comes and changes while a page is open, and what becomes of a page whose session has ended."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from escalations import audit, lifecycle
from escalations.models import Decision, Proposal
from reviews.models import Preferences
from tests.factories import PersonFactory, role

from .conftest import PASSWORD
from .test_journeys import RULES, address, arrive

SOON = 12_000  # ms: two seconds is what it takes, and the look without a stream comes only after twenty


def opened(page, url):
    with page.expect_response(lambda answer: "/live/" in answer.url) as stream:
        page.goto(url)
    assert stream.value.status == 200
    return page


def sign_in(page, name="rosa"):
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def top_of(page, locator):
    return page.locator(locator).first.bounding_box()["y"]


def test_what_arrives_is_told_within_two_seconds_and_moves_nothing(open_browser, ask, reviewer):
    ask(incident_title="the first")
    elsewhere = ask(role=role("security"), incident_title="the second")
    page = opened(open_browser(reviewer), "/")
    page.keyboard.press("j")
    before = top_of(page, "[data-row]")

    manager = PersonFactory(roles=["manager"])
    lifecycle.hand_over(elsewhere.pk, person=manager, role=role("finance"), why="money")

    expect(page.locator("#arrivals")).to_contain_text("1 new", timeout=SOON)
    expect(page.locator("#inbox-count")).to_have_text("2")
    expect(page).to_have_title(re.compile(r"^\(2\) "))
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("[data-row]")).to_be_focused()
    assert top_of(page, "[data-row]") == before


def test_a_colleagues_claim_shows_in_the_list_at_once(open_browser, ask, reviewer, colleague):
    proposal = ask()
    page = opened(open_browser(reviewer), "/")

    lifecycle.claim(proposal.pk, person=colleague)

    expect(page.get_by_text("Carl Colleague holds this")).to_be_visible(timeout=SOON)


def test_taking_over_shows_to_both_at_once(open_browser, ask, reviewer, colleague):
    proposal = ask()
    mine = opened(open_browser(reviewer), proposal.get_absolute_url())
    theirs = opened(open_browser(colleague), proposal.get_absolute_url())

    mine.keyboard.press("c")
    mine.keyboard.press("Enter")
    expect(mine.locator("#strip")).to_contain_text("yours")
    expect(theirs.locator("#strip")).to_contain_text("Rosa Reviewer holds this", timeout=SOON)
    theirs.get_by_role("button", name="Take over from Rosa Reviewer").click()

    expect(theirs.locator("#strip")).to_contain_text("yours")
    expect(mine.locator("#strip")).to_contain_text("Carl Colleague took this over from you", timeout=SOON)
    assert Proposal.objects.get(pk=proposal.pk).claimed_by == colleague


def test_somebody_elses_signature_shows_at_once_and_loses_nothing(open_browser, ask, reviewer, colleague, troubles):
    troubles[0].append("status of 409")
    proposal = ask()
    page = opened(open_browser(reviewer), proposal.get_absolute_url())
    page.get_by_role("radio", name="Reject").check()
    page.get_by_label("Reason").fill("an essay, half wri")
    before = top_of(page, "#decision")

    lifecycle.decide(proposal.pk, person=colleague, type="approve", digest=proposal.args_digest, version=proposal.version)

    expect(page.locator("#strip")).to_contain_text("Carl Colleague was first: approved", timeout=SOON)
    expect(page.get_by_label("Reason")).to_be_focused()
    expect(page.get_by_label("Reason")).to_have_value("an essay, half wri")
    assert top_of(page, "#decision") == before
    page.get_by_role("button", name="See it").click()
    expect(page.locator("#moved-on")).to_contain_text("Carl Colleague")
    expect(page.locator("#kept-reason")).to_have_value("an essay, half wri")


def test_what_changed_is_told_quietly_and_read_again_with_what_was_typed(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 409")
    proposal = ask()
    page = opened(open_browser(reviewer), proposal.get_absolute_url())
    page.get_by_role("radio", name="Reject").check()
    page.get_by_label("Reason").fill("too much")
    before = top_of(page, "#decision")

    lifecycle.add_context(
        proposal.incident_id,
        context={"summary": "the customer called again"},
        sanitised=False,
        actor=audit.Actor.source(proposal.source),
    )

    expect(page.locator("#strip")).to_contain_text("This changed since you opened it", timeout=SOON)
    assert top_of(page, "#decision") == before
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_text("the customer called again")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("too much")
    page.get_by_role("radio", name="Reject").check()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("Signed: rejected")
    assert Decision.objects.get().reason == "too much"


def test_opening_claims_for_who_likes_it_so_and_releasing_stays_released(open_browser, ask, reviewer):
    Preferences.objects.create(person=reviewer, claim_on_open=True)
    proposal = ask()
    page = opened(open_browser(reviewer), proposal.get_absolute_url())

    expect(page.locator("#strip")).to_contain_text("yours")
    assert Proposal.objects.get(pk=proposal.pk).claimed_by == reviewer
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_role("button", name=re.compile("^Claim"))).to_be_visible()
    lifecycle.comment(proposal.pk, person=PersonFactory(roles=["finance"]), text="x")
    expect(page.locator("#strip")).to_contain_text("Commented", timeout=SOON)
    assert Proposal.objects.get(pk=proposal.pk).claimed_by is None


def test_a_hidden_tab_holds_no_stream_and_catches_up_when_shown(open_browser, ask, reviewer, colleague):
    proposal = ask()
    page = open_browser(reviewer)
    page.clock.install()
    opened(page, proposal.get_absolute_url())
    hide = "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden}); document.dispatchEvent(new Event('visibilitychange')); }"

    page.evaluate(hide, True)
    with page.expect_event("requestfailed", lambda request: "/live/" in request.url):  # it hung up
        page.clock.fast_forward(6_000)
    lifecycle.claim(proposal.pk, person=colleague)
    with page.expect_response(lambda answer: "/live/?since=" in answer.url):
        page.evaluate(hide, False)

    expect(page.locator("#strip")).to_contain_text("Carl Colleague holds this", timeout=SOON)


@pytest.mark.parametrize("javascript", [True, False])
def test_an_expired_session_comes_back_to_the_filled_form(open_browser, ask, reviewer, javascript):
    proposal = ask()
    page = open_browser(reviewer, java_script_enabled=javascript)
    page.goto(f"{proposal.get_absolute_url()}?kind=action")
    page.get_by_role("radio", name="Reject").check()
    page.get_by_label("Reason").fill("an hour's work\nin two lines")
    Session.objects.all().delete()

    page.get_by_role("button", name="Sign", exact=True).click()
    arrive(page, re.compile(r"/login/\?next="))
    expect(page.get_by_text("What you had typed is kept")).to_be_visible()
    sign_in(page)

    arrive(page, re.compile(f"/proposals/{proposal.pk}/\\?kind=action"))
    expect(page.locator("#flash")).to_contain_text("read the page again before you sign")
    expect(page.get_by_role("radio", name="Reject")).to_be_checked()
    expect(page.get_by_label("Reason")).to_have_value("an hour's work\nin two lines")
    assert not Decision.objects.exists()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("Signed: rejected")


def test_a_comment_comes_back_after_the_session_expired(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.get_by_label("For colleagues").fill("look at the address")
    Session.objects.all().delete()

    page.get_by_role("button", name="Comment").click()
    arrive(page, re.compile(r"/login/\?next="))
    sign_in(page)

    arrive(page, address(proposal))
    expect(page.get_by_label("For colleagues")).to_have_value("look at the address")


def test_somebody_else_who_signs_in_after_an_expired_session_gets_nothing(open_browser, ask, reviewer, colleague):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.get_by_role("radio", name="Reject").check()
    page.get_by_label("Reason").fill("for my eyes")
    Session.objects.all().delete()

    page.get_by_role("button", name="Sign", exact=True).click()
    arrive(page, re.compile(r"/login/\?next="))
    sign_in(page, "carl")

    arrive(page, address(proposal))
    expect(page.get_by_label("Reason")).to_have_value("")
    expect(page.get_by_text("for my eyes")).to_have_count(0)


def test_signing_in_again_in_another_tab_keeps_this_one_whole(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(None)
    page.goto(proposal.get_absolute_url())
    sign_in(page)
    arrive(page, address(proposal))
    page.get_by_role("radio", name="Reject").check()
    page.get_by_label("Reason").fill("typed before")
    Session.objects.all().delete()
    other = page.context.new_page()
    other.goto("/login/")
    sign_in(other)
    arrive(other, re.compile("/$"))

    page.get_by_role("button", name="Sign", exact=True).click()

    expect(page.locator("#flash")).to_contain_text("What you had typed stands in its place")
    expect(page.get_by_label("Reason")).to_have_value("typed before")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("Signed: rejected")


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_ones_own_page_is_usable(open_browser, reviewer, width, scheme):
    page = open_browser(reviewer, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto("/you/")

    page.get_by_label("Claim what I open").check()
    page.get_by_role("button", name="Keep").first.click()
    expect(page.locator("#flash")).to_contain_text("Kept")
    expect(page.get_by_label("Claim what I open")).to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in Axe().run(page, options=RULES).response["violations"]]
    assert not found
