"""The pages of triggers, categories and of what does nothing: by axe, on a phone, in the dark, and without JavaScript."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, upkeep
from escalations.models import Category, Trigger
from escalations.states import State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role


@pytest.fixture
def ada(transactional_db):
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True, is_superuser=True)


@pytest.fixture
def caught(transactional_db):
    for number, state in enumerate([State.APPROVED, State.REJECTED, State.PENDING]):
        ProposalFactory(
            triggers=[{"name": "high_stakes", "why": "x", "where": ""}], category="refund", state=state, role=role("finance"),
            settled_at=None if state == State.PENDING else clock.now(), routed_at=clock.now() - timedelta(hours=number),
            incident=IncidentFactory(title="a-very-long-word" * 20 if number == 0 else "Refund", source=SourceFactory()),
        )
    upkeep.look()


PAGES = ("/admin/", "/admin/configuration/", "/admin/escalations/trigger/high_stakes/change/", "category")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_runs_off_the_page(open_browser, ada, caught, troubles, scheme, width):
    troubles[0].append("Content Security Policy")  # axe's own script
    page = open_browser(ada, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    for address in PAGES:
        page.goto(address if address != "category" else f"/admin/escalations/category/{Category.objects.get(name='refund').pk}/change/")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}).response["violations"]
        ours = [one for one in found if any(is_ours(node) for node in one["nodes"])]
        assert not ours, [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in ours]


def is_ours(node):
    """Of Django's own pages only what we put there is looked at here."""
    return any(part in " ".join(map(str, node["target"])) + node["html"] for part in ("caught", "upkeep", "finding", "looks-for", "setting_"))


def test_a_trigger_is_retuned_without_javascript(open_browser, ada, caught):
    page = open_browser(ada, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto("/admin/")
    page.get_by_role("link", name="Triggers").click()
    page.get_by_role("link", name="high_stakes").click()
    expect(page.get_by_text("Looks at every number")).to_be_visible()
    expect(page.get_by_role("region", name="What it caught last week, and what people said")).to_be_visible()
    page.get_by_label("Limit for money").fill("50")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert Trigger.objects.get(name="high_stakes").settings["money_limit"] == 50
