"""The list in a browser: filters and Back, what arrives, the list beside an item, keys, kept lists, no JavaScript, small windows."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, lifecycle
from escalations.states import Kind
from reviews.models import SavedView
from tests.factories import PersonFactory, SourceFactory, role

from .test_journeys import RULES, address, arrive


def due(number):
    return clock.now() + timedelta(hours=number)


def order_of(page):
    return page.get_by_role("combobox", name=re.compile("^Order"))


def top_of(locator):
    return locator.bounding_box()["y"]


def test_back_goes_through_the_filters_one_by_one(open_browser, ask, reviewer):
    refund = ask(due_at=due(1), risk="low")
    alert = ask(incident_kind=Kind.ALERT, due_at=due(2), risk="critical")
    page = open_browser(reviewer)
    page.goto("/")
    rows = page.locator("[data-row]")

    order_of(page).select_option("urgent")
    arrive(page, re.compile(r"/\?order=urgent$"))
    expect(rows.first).to_have_id(f"open-{alert.pk}")
    page.get_by_text("More filters").click()
    page.get_by_label("Kind").select_option("action")
    arrive(page, re.compile(r"/\?kind=action&order=urgent$"))
    expect(rows).to_have_count(1)
    rows.first.click()
    expect(page).to_have_url(re.compile(r"/proposals/.+\?kind=action&order=urgent$"))

    page.go_back()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Kind")).to_have_value("action")
    page.go_back()
    expect(rows).to_have_count(2)
    expect(order_of(page)).to_have_value("urgent")
    expect(rows.first).to_have_id(f"open-{alert.pk}")
    page.go_back()
    arrive(page, re.compile(r"/$"))
    expect(order_of(page)).to_have_value("due")
    expect(rows.first).to_have_id(f"open-{refund.pk}")
    page.go_forward()
    expect(order_of(page)).to_have_value("urgent")


def test_what_arrives_moves_no_row_and_counts_in_the_tab(open_browser, ask, reviewer):
    for number in range(1, 4):
        ask(due_at=due(number))
    elsewhere = [ask(role=role("security"), due_at=due(0.5)) for _ in range(2)]
    page = open_browser(reviewer)
    page.goto("/")
    expect(page).to_have_title("(3) Inbox · Countersign")
    row = page.locator("[data-row]").first
    row.focus()
    before = top_of(row)

    manager = PersonFactory(roles=["manager"])
    for one in elsewhere:
        lifecycle.hand_over(one.pk, person=manager, role=role("finance"), why="money")

    expect(page.get_by_role("link", name="2 new")).to_be_visible()
    expect(page).to_have_title("(5) Inbox · Countersign")
    expect(page.locator("[data-row]")).to_have_count(3)
    expect(row).to_be_focused()
    assert top_of(row) == before
    page.get_by_role("link", name="2 new").click()
    expect(page.locator("[data-row]")).to_have_count(5)
    expect(page.get_by_role("link", name="2 new")).to_have_count(0)


def test_what_colleagues_do_is_seen_in_the_row_and_moves_nothing(open_browser, ask, reviewer, colleague):
    first, second, third = (ask(due_at=due(number)) for number in (1, 2, 3))
    page = open_browser(reviewer)
    page.goto("/")
    link = page.locator(f"#open-{first.pk}")
    link.focus()
    below = top_of(page.locator(f"#row-{third.pk}"))

    lifecycle.claim(first.pk, person=colleague)
    lifecycle.decide(second.pk, person=colleague, type="approve", digest=second.args_digest, version=second.version)

    expect(page.locator(f"#row-{first.pk}")).to_contain_text("Carl Colleague holds this")
    expect(page.locator(f"#row-{second.pk}")).to_contain_text("approved by Carl Colleague")
    expect(page.locator(f"#open-{first.pk}")).to_be_focused()
    assert abs(top_of(page.locator(f"#row-{third.pk}")) - below) < 2


def test_the_list_stands_beside_the_item_and_stays_where_it_is(open_browser, ask, reviewer):
    rows = [ask(due_at=due(number), args={"order": number}) for number in range(1, 21)]
    page = open_browser(reviewer)
    page.goto(rows[9].get_absolute_url() + "?order=due")
    side = page.get_by_role("navigation", name="The list")

    expect(side.locator("[data-row]")).to_have_count(16)
    expect(side.locator("[aria-current]")).to_have_attribute("id", f"open-{rows[9].pk}")
    first = side.locator("[data-row]").first
    before = top_of(first)
    side.locator(f"#open-{rows[11].pk}").click()

    expect(page).to_have_url(re.compile(f"{rows[11].pk}/\\?order=due$"))
    expect(page.locator("#item h1")).to_contain_text("12")
    expect(page.locator("#item h1")).to_be_focused()
    expect(side.locator("[aria-current]")).to_have_attribute("id", f"open-{rows[11].pk}")
    expect(page).to_have_title(re.compile(r"^\(20\) .+"))
    assert top_of(first) == before
    page.go_back()
    expect(page.locator("#item h1")).to_contain_text("10")
    expect(page.locator(".side [aria-current]")).to_have_attribute("id", f"open-{rows[9].pk}")
    with page.context.expect_page() as opened:
        side.locator(f"#open-{rows[7].pk}").click(modifiers=["Control"])
    expect(opened.value.locator("#item h1")).to_contain_text("8")
    expect(page.locator("#item h1")).to_contain_text("10")


def test_a_list_is_worked_through_by_keys_in_its_own_order(open_browser, ask, reviewer):
    harmless = ask(due_at=due(1), risk="low", confidence=1.0, args={"order": 1})
    grave = ask(due_at=due(9), risk="high", confidence=0.9, args={"order": 2})
    doubtful = ask(due_at=due(6), risk="low", confidence=0.1, args={"order": 3})
    page = open_browser(reviewer)
    page.goto("/?order=urgent")
    expect(page.locator("[data-row]").first).to_have_id(f"open-{harmless.pk}")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    arrive(page, address(doubtful))
    page.keyboard.press("r")
    page.get_by_label("Reason").first.fill("no")
    page.keyboard.press("Control+Enter")
    arrive(page, address(grave))
    expect(page).to_have_url(re.compile(r"order=urgent"))
    page.keyboard.press("k")
    expect(page.locator(".side [data-row]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(address(harmless))


def test_the_search_is_one_key_away_and_marks_what_it_found(open_browser, ask, reviewer):
    ask(incident_title="nothing of it")
    ask(incident_title="Close it", incident_context={"request": "please cancel my zanzibar trip"})
    page = open_browser(reviewer)
    page.goto("/")

    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("zanzibar")
    page.keyboard.press("Enter")

    arrive(page, re.compile(r"/\?q=zanzibar&order=due$"))
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator(".row-found mark")).to_have_text("zanzibar")
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator("[data-row]")).to_have_count(2)


def test_a_list_is_kept_found_again_and_forgotten_without_javascript(open_browser, ask, reviewer):
    ask(incident_title="the refund")
    ask(incident_kind=Kind.ALERT, incident_title="the alert", risk="critical")
    page = open_browser(reviewer, java_script_enabled=False)
    page.goto("/")

    order_of(page).select_option("urgent")
    page.get_by_text("More filters").click()
    page.get_by_label("Kind").select_option("alert")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator(".row-why")).to_contain_text("critical risk 8 h")
    page.get_by_text("Keep this list").click()
    page.get_by_label("A name for what is shown").fill("Grave alerts")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page).to_have_url(re.compile(r"/\?kind=alert&order=urgent$"))
    page.get_by_role("link", name="Everything").click()
    expect(page.locator("[data-row]")).to_have_count(2)
    page.get_by_role("link", name="Grave alerts").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_text("Keep this list").click()
    page.get_by_role("button", name="Forget Grave alerts").click()
    expect(page.locator("#flash")).to_contain_text("Forgotten")
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(("width", "beside"), [(1440, True), (1280, True), (1024, False), (390, False), (320, False)])
def test_nothing_scrolls_sideways_and_the_list_stands_beside_where_there_is_room(open_browser, ask, reviewer, width, beside):
    for number in range(1, 12):
        proposal = ask(
            due_at=due(number), source=SourceFactory(name=f"source-{'w' * 60}-{number}"), args={"W" * 90: "W" * 900},
            incident_title="W" * 300, incident_fingerprint="f", step=2,
            triggers=[{"name": name, "why": "w", "where": ""} for name in ("high_stakes", "irreversible", "sensitive_data", "loop_detected")],
        )
    SavedView.objects.create(person=reviewer, name="W" * 60, query="order=urgent")
    page = open_browser(reviewer, viewport={"width": width, "height": 800})

    for url in ("/?order=urgent", proposal.get_absolute_url()):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url
    expect(page.locator("#side")).to_be_visible(visible=beside)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_lists(open_browser, ask, reviewer, colleague, scheme):
    source = SourceFactory(name="billing-agent")
    for number in range(1, 5):
        one = ask(
            source=source, due_at=due(number - 2), incident_fingerprint="f", step=number % 2, incident_test=number == 3,
            risk=("low", "medium", "high", "critical")[number - 1], severity=("info", "warning", "critical", "critical")[number - 1],
            triggers=[{"name": "high_stakes", "why": "much", "where": ""}],
        )
    lifecycle.claim(one.pk, person=colleague)
    SavedView.objects.create(person=reviewer, name="Mine", query="held=me")
    page = open_browser(reviewer, color_scheme=scheme)
    axe = Axe()

    for url in ("/", "/?order=urgent", "/?q=refund", "/?q=nowhere", one.get_absolute_url()):
        page.goto(url)
        if url == "/":
            page.get_by_text("Keep this list").click()
        result = axe.run(page, options=RULES)
        found = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in result.response["violations"]]
        assert not found, (url, found)
