"""Keys choose and a second act signs: twenty of every kind without a mouse, and every way in which a key must not sign."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from escalations import clock
from escalations.models import Decision
from escalations.states import Kind
from reviews.models import Preferences

from .test_decide import ARGS, DRAFT, FINAL, SCHEMA
from .test_journeys import HOME, address, arrive

OURS = {"author": "system", "action": "acknowledge", "args": {"severity": "warning", "category": "bug"}}


def mixed(ask):
    """Return twenty of every kind and risk, each with what is pressed to decide it, in the order in which they are due."""
    sign, to_reason = ["Control+Enter"], "focus:Reason"
    plain = [
        ({"args": {"order": 1}}, ["a"]),
        ({"args": {"order": 2}}, ["r", to_reason, "type:not this one"]),
        ({"args": {"order": 3}}, ["d", "focus:Your answer", "type:ask again on Monday"]),
        ({"args": {"order": 4, "amount": 9}}, ["e", "focus:amount a number", "all", "type:7"]),
        ({"risk": "high", "args": {"order": 5}}, ["a", to_reason, "type:seen the invoice"]),
        ({"risk": "critical", "args": {"order": 6, "amount": 70}, "triggers": FINAL},
         ["a", "focus:To say yes", "type:70", to_reason, "type:agreed on the phone"]),
        ({"incident_kind": Kind.DRAFT, "action": "", "args": None, "draft": DRAFT}, ["a"]),
        ({"incident_kind": Kind.DRAFT, "action": "", "args": None, "draft": DRAFT}, ["e", "focus:Subject", "all", "type:About your order"]),
        (dict(incident_kind=Kind.EXCEPTION, **OURS), ["a"]),
        (dict(incident_kind=Kind.ALERT, **OURS), ["d", "focus:Your answer", "type:we are on it"]),
        (dict(incident_kind=Kind.QUESTION, **OURS), ["d", "focus:Your answer", "type:the one in Malta"]),
        (dict(incident_kind=Kind.HANDOFF, **OURS), ["r", to_reason, "type:not ours"]),
        ({"args": ARGS, "args_schema": SCHEMA}, ["a"]),
        ({"risk": "medium", "args": {"order": 14}}, ["r", "focus:Ask for another try", "Space", to_reason, "type:try again"]),
    ]  # fmt: skip
    plan = [*plain, *[({"args": {"order": 20 + more}}, ["a"]) for more in range(20 - len(plain))]]
    first = clock.now()
    made = []
    for number, (facts, keys) in enumerate(plan):
        made.append((ask(due_at=first + timedelta(minutes=10 + number), **facts), [*keys, *sign]))
    return made


def press(page, step):
    if step == "all":
        page.keyboard.press("Control+a")
    elif step.startswith("type:"):
        page.keyboard.type(step.removeprefix("type:"))
    elif step.startswith("focus:"):
        tab_to(page, step.removeprefix("focus:"))
    else:
        page.keyboard.press(step)


def tab_to(page, label):
    """Press Tab until the focus is on the control with this label."""
    said = "document.activeElement.labels && document.activeElement.labels.length ? document.activeElement.labels[0].innerText : ''"
    for _ in range(40):
        if page.evaluate(said).startswith(label):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"No Tab leads to {label}.")


def test_twenty_of_every_kind_are_decided_without_a_mouse(open_browser, ask, reviewer):
    twenty = mixed(ask)
    page = open_browser(reviewer)
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    for number, (proposal, keys) in enumerate(twenty):
        arrive(page, address(proposal))
        if number:
            expect(page.locator("h1")).to_be_focused()
            expect(page.locator("#flash")).to_contain_text("Signed:")
        for step in keys[:-1]:
            press(page, step)
        assert Decision.objects.count() == number
        press(page, keys[-1])

    arrive(page, HOME)
    assert Decision.objects.count() == 20
    kinds = [one.type for one in Decision.objects.order_by("decided_at")]
    assert kinds[:14] == [
        "approve", "reject", "respond", "edit", "approve", "approve", "approve", "edit", "approve", "respond", "respond", "reject",
        "approve", "reject",
    ]  # fmt: skip


def test_no_single_key_signs(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.wait_for_load_state()

    page.keyboard.press("a")
    for key in ("a", "s", "y", "Enter", "Space", "Shift+Enter", "Alt+Enter", "1"):
        page.keyboard.press(key)
    expect(page.get_by_role("radio", name="Approve", exact=True)).to_be_checked()
    # Held down, at the end of a word of an input method, and with a dialog open: the browser says so, and nothing is signed.
    page.evaluate(
        """() => {
          const at = document.querySelector("[name=type]:checked");
          for (const how of [{ repeat: true }, { isComposing: true }, { keyCode: 229 }]) {
            at.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, ...how }));
          }
        }"""
    )
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    comment = page.locator("textarea#comment-text")
    comment.fill("what do you think?")
    comment.press("Control+Enter")

    assert page.url.endswith(proposal.get_absolute_url())
    assert not Decision.objects.exists()


def test_ctrl_enter_without_a_choice_asks_for_one(open_browser, ask, reviewer, troubles):
    troubles[0].append("status of 422")
    page = open_browser(reviewer)
    page.goto(ask().get_absolute_url())
    page.wait_for_load_state()

    page.keyboard.press("Control+Enter")

    expect(page.locator("#problems")).to_contain_text("Choose a decision first")
    assert not Decision.objects.exists()


def test_g_and_a_letter_go_somewhere_and_the_letter_alone_does_not(open_browser, ask, reviewer):
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.wait_for_load_state()

    page.keyboard.press("s")
    assert page.url.endswith(proposal.get_absolute_url())
    page.keyboard.press("g")
    page.keyboard.press("i")

    arrive(page, HOME)
    page.keyboard.press("/")
    expect(page.locator("#filter-q")).to_be_focused()
    page.keyboard.type("gs ae")
    expect(page.locator("#filter-q")).to_have_value("gs ae")
    page.get_by_role("heading", name="Inbox").click()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/settled/")


@pytest.mark.parametrize("on", [True, False])
def test_single_keys_are_a_preference(open_browser, ask, reviewer, on):
    Preferences.objects.create(person=reviewer, single_keys=on)
    proposal = ask()
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    page.wait_for_load_state()

    page.keyboard.press("a")
    chosen = page.get_by_role("radio", name="Approve", exact=True)
    expect(chosen).to_be_checked() if on else expect(chosen).not_to_be_checked()
    chosen.check()
    page.keyboard.press("Control+Enter")

    arrive(page, HOME)
    assert Decision.objects.count() == 1
