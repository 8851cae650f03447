"""A version of the prompt in a real browser: written, compared on past decisions, watched, made live; on a phone, in the dark, by axe."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations.classify import comparing, conversation
from escalations.models import PromptVersion
from tests.escalations.classify.past import decided
from tests.factories import PersonFactory, SourceFactory
from tests.fakes.llm import FakeModel

SHOTS = os.environ.get("SHOTS")


@pytest.fixture
def ada(transactional_db):
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True, is_superuser=True)


@pytest.fixture
def model(settings):
    conversation.breaker.reset()
    with FakeModel() as server:
        settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL, settings.COUNTERSIGN_MODEL = "sk-local", server.base_url, "fake-1"
        yield server


@pytest.fixture
def past(transactional_db):
    """Five alarms: three acknowledged, one corrected, one answered."""
    mona, source = PersonFactory(username="mona", roles=["queue manager"]), SourceFactory(name="monitor")
    alarm = {"action": "acknowledge", "author": "system", "kind": "alert", "title": "An outage of db-1", "incident": {"kind": "alert", "title": "An outage of db-1"}}
    args = {"severity": "warning", "category": "outage"}
    for _ in range(3):
        decided(mona, source, "approve", args=args, **alarm)
    decided(mona, source, "edit", "The disk was full", args=args, changes={"severity": "critical", "category": "timeout"}, **alarm)
    decided(mona, source, "respond", "Look at it first", args=args, **alarm)


def trouble(page):
    # Without its own copies of the style sheets: Django's import others, which axe would write into the page.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def written(page):
    page.goto("/admin/escalations/promptversion/add/")
    page.get_by_label("Policy").fill("No refunds after ninety days.")
    page.get_by_label("Why this version").fill("Finance asked for it")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"/admin/escalations/promptversion/{PromptVersion.objects.get(number=2).pk}/change/")


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_a_version_is_written_compared_and_made_live(open_browser, ada, past, model, javascript):
    page = open_browser(ada, java_script_enabled=javascript)
    written(page)
    expect(page.get_by_role("heading", name="What differs from version 1, which is live")).to_be_visible()
    expect(page.get_by_role("insertion")).to_have_text("No refunds after ninety days.")
    version = page.url
    page.get_by_label("on the newest decisions of people").select_option("25")
    page.get_by_role("button", name="Compare").click()

    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    model.answer = {"category": "outage", "severity": "warning"}
    while comparing.run_slice():
        pass
    expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("5 of 25 decisions")).to_be_visible()
    expect(page.get_by_role("row", name="named the category a person signed")).to_contain_text("3 of 4")
    if javascript:
        expect(page.get_by_role("status").last).to_have_text("The comparison has ended: done.")
    shot(page, f"comparison-{javascript}")

    page.goto(version)
    page.get_by_role("link", name="Make it live").click()
    page.get_by_label("Why").fill("It agrees as often, and knows our policy")
    page.get_by_role("button", name="Make it live").click()
    expect(page.get_by_text("Version 2 speaks from the next incident on.")).to_be_visible()
    assert PromptVersion.objects.get(state="live").number == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_stands_out(open_browser, ada, past, model, scheme, width):
    page = open_browser(ada, color_scheme=scheme, viewport={"width": width, "height": 900})
    written(page)
    version = PromptVersion.objects.get(number=2)
    model.script = ["", "safe_approve"] * 5  # so that they differ
    trial = comparing.ask(PromptVersion.objects.get(number=1).pk, version.pk, 25, person=ada)
    while comparing.run_slice():
        pass

    for name, address in {
        "version": f"/admin/escalations/promptversion/{version.pk}/change/", "comparison": f"/admin/escalations/prompttrial/{trial.pk}/change/",
        "versions": "/admin/escalations/promptversion/", "comparisons": "/admin/escalations/prompttrial/",
        "new": "/admin/escalations/promptversion/add/", "promote": f"/admin/escalations/promptversion/{version.pk}/act/promote/",
    }.items():
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if name in ("version", "comparison"):
            if name == "version":
                page.get_by_text("With the frame around it").click()
            assert trouble(page) == [], name
        shot(page, f"{name}-{width}-{scheme}")
