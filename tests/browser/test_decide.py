"""Editing by fields and by hand, a draft with its diff, what a yes asks for, and what happened meanwhile: in a real browser."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import audit, lifecycle
from escalations.models import Category, Decision, Proposal
from escalations.states import Kind

from .test_journeys import HOME, RULES, address, arrive

FINAL = [{"name": "irreversible", "why": "The action's name says delete.", "where": "proposal.action"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "order": {"type": "integer"},
        "amount": {"type": "number", "minimum": 1, "maximum": 500, "description": "In euros, at most what was paid."},
        "currency": {"type": "string", "enum": ["EUR", "USD", "GBP"]},
        "notify": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "note": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "to": {"type": "object", "properties": {"name": {"type": "string"}, "iban": {"type": "string"}}},
    },
    "required": ["order", "amount"],
}
ARGS = {
    "order": 1182, "amount": 250.10, "currency": "EUR", "notify": True, "tags": ["late", "vip"],
    "to": {"name": "Ann Example", "iban": "none given"}, "untouched": [{"deep": [1, 2.50, None]}],
}  # fmt: skip
DRAFT = {"to": "ann@customer.example", "subject": "Your order", "body": "Dear Ann,\n\nyour refund of 50 is coming today.\n\nBest,\nthe shop", "format": "text"}


def sign(page):
    page.get_by_role("button", name="Sign", exact=True).click()


@pytest.mark.parametrize("width", [1280, 390])
def test_an_edit_by_fields_changes_what_was_typed_and_nothing_else(open_browser, ask, reviewer, troubles, width):
    troubles[0].append("status of 422")
    proposal = ask(args=ARGS, args_schema=SCHEMA)
    page = open_browser(reviewer, viewport={"width": width, "height": 800})
    page.goto(proposal.get_absolute_url())

    page.get_by_role("radio", name="Edit and approve").check()
    expect(page.get_by_text("In euros, at most what was paid.")).to_be_visible()
    page.get_by_label(re.compile("^amount")).fill("1,000")
    page.get_by_label("currency", exact=True).select_option("GBP")
    page.get_by_label(re.compile("^tags")).fill("late\nsorry")
    expect(page.get_by_text("was 250.1", exact=True)).to_be_visible()
    sign(page)

    expect(page.locator("#problems")).to_be_focused()
    page.locator("#problems a").first.click()
    expect(page.get_by_label(re.compile("^amount"))).to_be_focused()
    expect(page.get_by_label(re.compile("^amount"))).to_have_attribute("aria-invalid", "true")
    page.get_by_label(re.compile("^amount")).fill("900")
    sign(page)
    expect(page.locator("#problems")).to_contain_text("maximum of 500")
    expect(page.get_by_label("currency", exact=True)).to_have_value('"GBP"')
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_label(re.compile("^amount")).fill("99.90")
    page.get_by_text("2 more that were left out").click()
    page.get_by_label(re.compile("^day")).fill("2026-11-20")
    sign(page)

    arrive(page, HOME)
    assert Decision.objects.get().args == {
        **ARGS, "amount": 99.9, "currency": "GBP", "tags": ["late", "sorry"], "day": "2026-11-20"
    }  # fmt: skip


def test_raw_json_and_fields_carry_over_to_each_other(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 422")
    proposal = ask(args=ARGS, args_schema=SCHEMA)
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.get_by_role("radio", name="Edit and approve").check()
    page.get_by_label(re.compile("^amount")).fill("90")
    page.get_by_role("button", name="Edit as raw JSON instead").click()
    raw = page.get_by_label("Args, as JSON")
    expect(raw).to_be_focused()
    expect(raw).to_have_value(re.compile('"amount": 90,'))
    assert not Decision.objects.exists()
    raw.fill(raw.input_value().replace('"EUR"', '"USD"').replace('"order": 1182', '"order": 01182'))
    page.get_by_role("button", name="Edit in fields instead").click()
    expect(page.locator("#problems")).to_contain_text(re.compile(r"line \d+, column \d+"))
    raw.fill(raw.input_value().replace("01182", "1182"))
    page.get_by_role("button", name="Edit in fields instead").click()
    expect(page.get_by_label("currency", exact=True)).to_have_value('"USD"')
    expect(page.get_by_label(re.compile("^amount"))).to_have_value("90")
    sign(page)

    arrive(page, HOME)
    assert Decision.objects.get().args == {**ARGS, "amount": 90, "currency": "USD"}


def test_enter_in_a_field_signs_nothing(open_browser, ask, reviewer):
    proposal = ask(args=ARGS)
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.keyboard.press("e")
    page.get_by_label(re.compile("^amount")).fill("9")
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="Edit and approve").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.get_by_label("Reason").press("Tab")  # what was sent would have been answered by the time this one is
    page.request.get("/")

    expect(page.get_by_label(re.compile("^amount"))).to_have_value("9")
    expect(page.get_by_role("radio", name="Approve", exact=True)).to_be_checked()
    assert page.url.endswith(proposal.get_absolute_url()) and not Decision.objects.exists()


def test_enter_on_a_choice_signs_nothing_without_javascript_either(open_browser, ask, reviewer):
    calm, draft = ask(), ask(incident_kind=Kind.DRAFT, action="", args=None, draft=DRAFT)
    page = open_browser(reviewer, java_script_enabled=False)

    for proposal in (calm, draft):
        page.goto(proposal.get_absolute_url())
        page.get_by_label("Reason").fill("half a thought")
        page.get_by_role("radio", name="Approve", exact=True).check()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.get_by_role("radio", name="Approve", exact=True)).to_be_checked()
        expect(page.get_by_label("Reason")).to_have_value("half a thought")
    assert not Decision.objects.exists()


def test_a_draft_shows_word_by_word_what_is_changed_while_it_is_typed(open_browser, ask, reviewer):
    proposal = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=DRAFT)
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.get_by_role("radio", name="Edit and approve").check()
    changed = page.locator("[data-diff=f-text]")
    expect(changed).to_be_hidden()
    page.get_by_label("Text", exact=True).fill(DRAFT["body"].replace("50", "40").replace("today", "today, <b>promised</b>\u202e"))
    expect(changed.locator("del")).to_have_text("50")
    expect(changed.locator("ins")).to_have_text(["40", ", <b>promised</b>⟦U+202E⟧"])
    page.get_by_label("Text", exact=True).fill(DRAFT["body"])
    expect(changed).to_be_hidden()
    page.get_by_label("Text", exact=True).fill(DRAFT["body"].replace("50", "40"))
    sign(page)
    arrive(page, HOME)
    page.goto(proposal.get_absolute_url())

    expect(page.get_by_role("region", name="The text, as it was changed").locator("ins")).to_have_text("40")
    assert Decision.objects.get().draft == {**DRAFT, "body": DRAFT["body"].replace("50", "40")}


def test_of_a_long_text_rewritten_whole_the_shortest_change_is_not_looked_for(open_browser, ask, reviewer):
    body = " ".join(f"word{number}" for number in range(2500))
    proposal = ask(incident_kind=Kind.DRAFT, action="", args=None, draft={**DRAFT, "body": body})
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.get_by_role("radio", name="Edit and approve").check()

    page.get_by_label("Text", exact=True).fill(" ".join(f"other{number}" for number in range(2500)))
    expect(page.locator("[data-diff=f-text] ins")).to_have_count(1)
    # One insertion: the shortest change was given up, where every space between two words would have stayed the same.


def test_fields_typed_into_in_one_frame_each_say_what_they_were(open_browser, ask, reviewer):
    """Two changes between two frames of a busy machine: the later one must not take the earlier one's word."""
    proposal = ask(args=ARGS, args_schema=SCHEMA)
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.get_by_role("radio", name="Edit and approve").check()
    amount, tags = page.get_by_label(re.compile("^amount")), page.get_by_label(re.compile("^tags"))

    page.evaluate(
        """([amount, tags]) => {
          for (const [field, value] of [[amount, "1000"], [tags, "sorry"]]) {
            field.value = value;
            field.dispatchEvent(new InputEvent("input", { bubbles: true }));
          }
        }""",
        [amount.element_handle(), tags.element_handle()],
    )

    expect(page.get_by_text("was 250.1", exact=True)).to_be_visible()
    expect(page.locator(".was:visible")).to_have_count(2)


def test_reasons_of_the_category_are_picked_and_another_try_is_asked_for(open_browser, ask, reviewer):
    Category.objects.filter(name="refund").update(reject_reasons=["Refunded before", "More than was paid"])
    proposal = ask(category="refund")
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.keyboard.press("r")
    page.get_by_label("More than was paid").check()
    page.get_by_label("Ask for another try").check()
    page.get_by_label("Reason").fill("the invoice says 40")
    page.keyboard.press("Control+Enter")

    arrive(page, HOME)
    decision = Decision.objects.get()
    assert (decision.type, decision.reason, decision.retry) == ("reject", "More than was paid: the invoice says 40", True)


def test_what_cannot_be_undone_is_typed_out(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 422")
    proposal = ask(action="delete_customer", args={"customer": "C-77 Ltd", "purge": True}, triggers=FINAL, risk="high")
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())

    page.keyboard.press("r")
    expect(page.locator("#friction")).to_be_hidden()
    page.keyboard.press("a")
    expect(page.locator("#friction")).to_be_visible()
    page.get_by_label("Reason").fill("they asked us to")
    page.get_by_label(re.compile("To say yes, type customer")).fill("C-77")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#problems")).to_contain_text("type customer exactly as it stands, C-77 Ltd")
    page.get_by_label(re.compile("To say yes, type customer")).fill("C-77 Ltd")
    page.keyboard.press("Control+Enter")

    arrive(page, HOME)
    assert Decision.objects.get().reason == "they asked us to"


def test_what_changed_is_read_and_signed_on_the_same_page_with_nothing_lost(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 409")
    proposal = ask(args=ARGS, args_schema=SCHEMA)
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.get_by_role("radio", name="Edit and approve").check()
    page.get_by_label(re.compile("^amount")).fill("90")
    page.get_by_label("Reason").fill("an essay that must not be lost")
    lifecycle.add_context(
        proposal.incident_id, context={"summary": "the customer called again"}, sanitised=False,
        actor=audit.Actor.source(proposal.source),
    )  # fmt: skip

    sign(page)

    expect(page.locator("#moved-on")).to_be_focused()
    expect(page.locator("#moved-on")).to_contain_text("Context was added")
    expect(page.get_by_text("the customer called again")).to_be_visible()
    expect(page.get_by_role("radio", name="Edit and approve")).not_to_be_checked()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#problems")).to_contain_text("Choose a decision first")
    assert not Decision.objects.exists()
    page.get_by_role("radio", name="Edit and approve").check()
    expect(page.get_by_label(re.compile("^amount"))).to_have_value("90")
    expect(page.get_by_label("Reason")).to_have_value("an essay that must not be lost")
    troubles[0].append("status of 422")
    sign(page)

    arrive(page, HOME)
    decision = Decision.objects.get()
    assert decision.args["amount"] == 90 and decision.reason == "an essay that must not be lost"


def test_who_comes_second_sees_the_decision_and_keeps_the_fields(open_browser, ask, reviewer, colleague, troubles):
    troubles[0].append("status of 409")
    proposal = ask(args=ARGS)
    mine, theirs = open_browser(reviewer), open_browser(colleague)
    for page in (mine, theirs):
        page.goto(proposal.get_absolute_url())
    theirs.keyboard.press("a")
    theirs.keyboard.press("Control+Enter")
    arrive(theirs, HOME)

    mine.get_by_role("radio", name="Edit and approve").check()
    mine.get_by_label(re.compile("^amount")).fill("90")
    sign(mine)

    expect(mine.locator("#moved-on")).to_contain_text("Carl Colleague")
    expect(mine.locator(".kept")).to_contain_text("amount: 90 instead of 250.1")


def test_editing_works_without_javascript(open_browser, ask, reviewer):
    proposal = ask(args=ARGS, args_schema=SCHEMA, triggers=FINAL, risk="high")
    draft = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=DRAFT)
    page = open_browser(reviewer, java_script_enabled=False)
    page.goto(proposal.get_absolute_url())

    page.get_by_role("radio", name="Edit and approve").check()
    page.get_by_label(re.compile("^amount")).fill("90")
    page.get_by_role("button", name="Edit as raw JSON instead").click()
    expect(page.get_by_label("Args, as JSON")).to_have_value(re.compile('"amount": 90,'))
    page.get_by_role("button", name="Edit in fields instead").click()
    expect(page.get_by_label(re.compile("^amount"))).to_have_value("90")
    page.get_by_label("Reason").fill("less is enough")
    page.get_by_label(re.compile("To say yes, type amount")).fill("90")
    sign(page)
    arrive(page, address(draft))
    page.get_by_role("radio", name="Edit and approve").check()
    page.get_by_label("Text", exact=True).fill("Dear Ann,\n\nyour refund of 40 is coming today.\n\nBest,\nthe shop")
    sign(page)

    arrive(page, HOME)
    assert [one.type for one in Decision.objects.all()] == ["edit", "edit"]
    assert Proposal.objects.get(pk=draft.pk).decision.draft["body"] == DRAFT["body"].replace("50", "40")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_one_edits(open_browser, ask, reviewer, troubles, scheme):
    troubles[0].append("status of 422")
    Category.objects.filter(name="refund").update(reject_reasons=["Refunded before"])
    proposal = ask(args={**ARGS, "hidden\u202e": "x\u200by"}, args_schema=SCHEMA, triggers=FINAL, risk="high", category="refund")
    draft = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=DRAFT)
    page = open_browser(reviewer, color_scheme=scheme)

    for one in (proposal, draft):
        page.goto(one.get_absolute_url())
        page.get_by_role("radio", name="Edit and approve").check()
        if one is draft:
            page.get_by_label("Text", exact=True).fill("Dear Bob,\nno")
            page.get_by_label("To", exact=True).fill("x" * 600)
        else:
            page.get_by_text("2 more that were left out").click()
            page.get_by_label(re.compile("^amount")).fill("a lot")
        sign(page)
        expect(page.locator("#problems")).to_be_visible()
        found = Axe().run(page, options=RULES).response["violations"]
        assert not [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
