"""What only a browser knows: keys, focus, swaps, another tab, no JavaScript, hostile text, what axe finds."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from escalations import audit, lifecycle
from escalations.models import Decision, Proposal
from escalations.states import Kind
from tests.factories import PersonFactory, SourceFactory, role

from .conftest import PASSWORD

HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe\u202c \u200bpaid <script>alert(2)</script>"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}

HOME = re.compile(r"^https?://[^/]+/$")


def address(proposal):
    return re.compile(f"/proposals/{proposal.pk}/")


def arrive(page, where):
    """Wait until the page is there with its scripts: a key pressed before that is pressed for nobody."""
    expect(page).to_have_url(where)
    page.wait_for_load_state()


def test_three_are_signed_by_keyboard_alone(open_browser, ask, reviewer):
    first, second, third = ask(), ask(risk="high"), ask()
    page = open_browser(reviewer)
    page.goto("/")

    page.keyboard.press("j")
    page.keyboard.press("o")
    arrive(page, address(first))
    page.keyboard.press("a")
    assert not Decision.objects.exists()  # a key chooses and signs nothing
    page.keyboard.press("Control+Enter")

    arrive(page, address(second))
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("#flash")).to_contain_text("Signed: approved")
    page.keyboard.press("r")
    expect(page.get_by_role("radio", name="Reject")).to_be_checked()
    page.get_by_label("Reason").focus()
    page.keyboard.type("area j k a: keys are letters in a field")
    page.keyboard.press("Control+Enter")

    arrive(page, address(third))
    page.keyboard.press("a")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Sign", exact=True).focus()
    page.keyboard.press("Enter")
    arrive(page, HOME)
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    assert list(Decision.objects.order_by("decided_at").values_list("type", flat=True)) == ["approve", "reject", "approve"]


def test_keys_can_be_listed_and_switched_off(open_browser, ask, reviewer):
    ask()
    page = open_browser(reviewer)
    page.goto("/")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("[data-row]")).not_to_be_focused()


def test_a_form_that_is_wrong_keeps_the_text_and_moves_the_focus(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 422")
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.get_by_role("radio", name="Edit and approve").check()
    page.get_by_role("button", name="Edit as raw JSON instead").click()
    page.get_by_label("Args, as JSON").fill('{"order": 1182,\n "amount": }')
    page.get_by_label("Reason").fill("half is enough")
    page.get_by_role("button", name="Sign", exact=True).click()

    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#problems")).to_contain_text("line 2, column")
    expect(page.get_by_label("Args, as JSON")).to_have_value('{"order": 1182,\n "amount": }')
    expect(page.get_by_label("Args, as JSON")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Reason")).to_have_value("half is enough")
    page.get_by_label("Args, as JSON").fill('{"order": 1182, "amount": 90}')
    page.get_by_role("button", name="Sign", exact=True).click()
    arrive(page, HOME)
    assert Decision.objects.get().args == {"order": 1182, "amount": 90}


def test_another_tab_was_first(open_browser, ask, reviewer, colleague, troubles):
    troubles[0].append("status of 409")
    proposal = ask()
    mine, theirs = open_browser(reviewer), open_browser(colleague)
    for page in (mine, theirs):
        page.goto(proposal.get_absolute_url())

    theirs.keyboard.press("a")
    theirs.keyboard.press("Control+Enter")
    arrive(theirs, HOME)
    mine.get_by_role("radio", name="Reject").check()
    mine.get_by_label("Reason").fill("an essay that must not be lost")
    mine.get_by_role("button", name="Sign", exact=True).click()

    expect(mine.locator("#moved-on")).to_be_focused()
    expect(mine.locator("#moved-on")).to_contain_text("Carl Colleague")
    expect(mine.locator("#kept-reason")).to_have_value("an essay that must not be lost")
    assert Decision.objects.get().by_name == "Carl Colleague"


def test_what_changed_since_it_was_read_is_told_and_not_signed(open_browser, ask, reviewer, colleague, troubles):
    troubles[0].append("status of 409")
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    lifecycle.add_context(
        proposal.incident_id,
        context={"summary": "the customer called again"},
        sanitised=False,
        actor=audit.Actor.source(proposal.source),
    )

    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")

    expect(page.locator("#moved-on")).to_contain_text("This changed since you saw it")
    expect(page.locator("#moved-on")).to_contain_text("Context was added")
    expect(page.get_by_text("the customer called again")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    arrive(page, HOME)
    assert Decision.objects.count() == 1


def test_the_whole_way_without_javascript(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 422")
    first, second = ask(), ask()
    page = open_browser(None, java_script_enabled=False)

    page.goto(first.get_absolute_url())
    page.get_by_label("Name").fill("rosa")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    arrive(page, address(first))
    page.goto("/?kind=action")
    page.get_by_role("button", name=re.compile("^Claim")).first.click()
    arrive(page, re.compile(r"/\?kind=action$"))
    expect(page.get_by_text("yours", exact=True)).to_be_visible()
    page.locator("[data-row]").first.click()
    page.get_by_role("radio", name="Reject").check()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#problems")).to_contain_text("Say why not")
    page.get_by_label("Reason").fill("not today")
    page.get_by_role("button", name="Sign", exact=True).click()

    arrive(page, address(second))
    expect(page.locator("#flash")).to_contain_text("Signed: rejected")
    assert Decision.objects.get().reason == "not today"


def test_an_expired_session_leads_through_the_sign_in_page_and_back(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(f"{proposal.get_absolute_url()}?kind=action")
    Session.objects.all().delete()

    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    arrive(page, re.compile(r"/login/\?next="))
    page.get_by_label("Name").fill("rosa")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    arrive(page, re.compile(f"/proposals/{proposal.pk}/\\?kind=action"))
    assert not Decision.objects.exists()


def test_back_after_filtering_shows_the_list_it_showed(open_browser, ask, reviewer):
    ask(incident_title="the refund")
    ask(incident_kind=Kind.ALERT, incident_title="the alert")
    page = open_browser(reviewer)
    page.goto("/")

    page.get_by_text("More filters").click()
    page.get_by_label("Kind").select_option("alert")
    arrive(page, re.compile(r"kind=alert"))
    expect(page.locator("[data-row]")).to_have_count(1)
    page.locator("[data-row]").click()
    page.go_back()

    arrive(page, re.compile(r"kind=alert"))
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("header.top")).to_have_count(1)


def test_claiming_swaps_the_row_and_keeps_the_focus(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto("/")

    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.press("Enter")

    expect(page.get_by_text("yours", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Release"))).to_be_focused()
    assert Proposal.objects.get(pk=proposal.pk).claimed_by == reviewer


def test_what_arrives_is_announced_and_moves_nothing(open_browser, ask, reviewer, colleague):
    ask(incident_title="the first")
    elsewhere = ask(role=role("security"), incident_title="the second")
    page = open_browser(reviewer)
    page.clock.install()
    page.goto("/")
    page.keyboard.press("j")

    manager = PersonFactory(roles=["manager"])
    lifecycle.hand_over(elsewhere.pk, person=manager, role=role("finance"), why="money")
    page.clock.fast_forward(21_000)

    expect(page.get_by_role("status").filter(has_text="1 new")).to_be_visible()
    expect(page.locator("#inbox-count")).to_have_text("2")
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("[data-row]")).to_be_focused()
    page.get_by_role("link", name="1 new").click()
    expect(page.locator("[data-row]")).to_have_count(2)


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_text_shows_tokens_runs_nothing_and_holds_the_layout(open_browser, ask, reviewer, width):
    source = SourceFactory()
    context = {
        "request": HOSTILE,
        "messages": [{"role": HOSTILE, "content": "W" * 3000}],
        "links": [{"label": HOSTILE, "url": "javascript:alert(3)"}],
        "attempts": [{"tool": "W" * 300, "arguments": {HOSTILE: HOSTILE}, "result": HOSTILE}],
    }
    for _ in range(2):
        proposal = ask(
            source=source,
            args={"to": HOSTILE, "W" * 300: "W" * 2000},
            incident_title=HOSTILE + "W" * 300,
            incident_body=HOSTILE,
            incident_context=context,
            incident_fingerprint="W" * 200,
            description=HOSTILE,
            triggers=[{"name": "injection_suspected", "why": "W" * 300, "where": HOSTILE}],
        )
    page = open_browser(reviewer, viewport={"width": width, "height": 900})

    for url in (
        "/",
        proposal.get_absolute_url(),
        f"/incidents/{proposal.incident_id}/",
        f"/groups/?source={source.name}&fingerprint={'W' * 200}",
    ):
        page.goto(url)
        expect(page.locator("mark.hidden-char").first).to_contain_text("U+202E")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url
        assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_browser, ask, reviewer, colleague, scheme):
    source = SourceFactory(name="billing-agent")
    proposal = ask(
        source=source,
        risk="critical",
        severity="critical",
        triggers=[{"name": "high_stakes", "why": "much", "where": "args"}],
        incident_context={
            "request": "please " * 400,
            "messages": [{"role": "a", "content": "b"}],
            "attempts": [{"tool": "t", "error": "e"}],
        },
        rules=[{"name": "r", "floor": "review", "why": "w", "error": "no such field"}],
        incident_fingerprint="fp",
        args={"order": 1182, "memo": "x\u202ey"},
    )
    ask(source=source, incident_fingerprint="fp", incident_test=True)
    lifecycle.claim(ask().pk, person=colleague)
    settled = ask()
    lifecycle.decide(
        settled.pk, person=colleague, type="approve", digest=settled.args_digest, version=settled.version, reason="fine"
    )
    page = open_browser(reviewer, color_scheme=scheme)
    axe = Axe()

    for url in (
        "/",
        "/?kind=alert",
        proposal.get_absolute_url(),
        settled.get_absolute_url(),
        f"/incidents/{settled.incident_id}/",
        "/groups/?source=billing-agent&fingerprint=fp",
        "/settled/",
        "/tokens/",
    ):
        page.goto(url)
        if url == proposal.get_absolute_url():
            page.get_by_role("radio", name="Edit and approve").check()
        # Their script is injected by the browser's own tool, past the page's policy.
        result = axe.run(page, options=RULES)
        found = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in result.response["violations"]]
        assert not found, (url, found)
