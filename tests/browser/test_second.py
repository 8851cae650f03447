"""Two administrators in two browsers: one asks for what lets the machine do more, the other reads what would differ and confirms."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import audit, policies
from escalations.models import Change, RoutingRule
from tests.factories import PersonFactory, role

from .test_journeys import RULES

CONDITION = 'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100'
SHOTS = os.environ.get("SHOTS")


def administrator(username, first):
    return PersonFactory(username=username, first_name=first, last_name="Admin", is_staff=True, is_superuser=True)


def rule(**more):
    given = {"name": "Refunds over 100", "condition": CONDITION, "role": role("finance"), "state": "live", "priority": 710}
    return policies.save_rule(RoutingRule(**given | more), actor=audit.SYSTEM)


def axe(page):
    # Without preloading: it would write styles into the page, which its policy forbids.
    found = Axe().run(page, options={**RULES, "preload": False}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:140]}" for one in found]


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_one_asks_and_another_confirms_with_keyboard_alone(open_browser):
    ada, bob = administrator("ada", "Ada"), administrator("bob", "Bob")
    RoutingRule.objects.filter(name="Refunds over 100").update(name="As installed")
    one = rule()
    page = open_browser(ada, java_script_enabled=False)
    page.goto(f"/admin/escalations/routingrule/{one.pk}/change/")
    page.get_by_role("link", name="Archive").click()
    page.get_by_label("Why").fill("Finance no longer wants them.")
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("Nothing has changed yet")).to_be_visible()
    assert RoutingRule.objects.get(pk=one.pk).state == "live"

    page = open_browser(bob)
    page.goto("/admin/")
    shot(page, "index")
    page.get_by_role("link", name="Refunds over 100").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It asks for review now, and would no longer apply.")).to_be_visible()
    expect(page.get_by_role("cell", name="archived", exact=True)).to_be_visible()
    shot(page, "change")
    page.get_by_role("link", name="Confirm").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Confirm")
    assert RoutingRule.objects.get(pk=one.pk).state == "live"
    page.get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Confirmed. It holds")).to_be_visible()
    assert RoutingRule.objects.get(pk=one.pk).state == "archived"

    page.goto(f"/admin/escalations/routingrule/{one.pk}/change/")
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    expect(page.get_by_text("confirmed by bob")).to_be_visible()
    page.get_by_role("link", name="Restore version 1").click()
    shot(page, "restore")
    expect(page.get_by_role("combobox", name="Version")).to_have_value("1")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_where_one_asks_and_another_confirms(open_browser, scheme, width):
    ada, bob = administrator("ada", "Ada"), administrator("bob", "Bob")
    RoutingRule.objects.filter(name="Refunds over 100").update(name="As installed")
    one = rule(why="Money over 100 leaves only with a person's yes.")
    one.priority, one.why = 712, "<b>Money</b>\u202e"
    policies.save_rule(one, actor=audit.Actor.of(ada), person=ada, why="It comes before the others.")
    one.condition, one.floor = f"{CONDITION}\n&& source.name != \"billing-agent\"", "review"
    change = policies.save_rule(one, actor=audit.Actor.of(ada), person=ada, why="The billing agent has its own rule now.")
    assert isinstance(change, Change)
    rule(name="Refunds to support", role=role("support"), priority=712)

    page = open_browser(bob, color_scheme=scheme, viewport={"width": width, "height": 900})
    for name, address in (
        ("rule", f"/admin/escalations/routingrule/{one.pk}/change/"), ("waits", f"/admin/escalations/change/{change.pk}/change/"),
        ("confirm", f"/admin/escalations/change/{change.pk}/act/confirm/"), ("list", "/admin/escalations/change/"), ("first", "/admin/"),
    ):
        page.goto(address)
        shot(page, f"{name}-{width}-{scheme}")
        assert not axe(page), address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
