"""A replay in a real browser: asked for from a rule, watched while it runs, read; without JavaScript, on a phone, by axe."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import replay
from escalations.models import Replay
from escalations.replay import reading
from tests.escalations.replay.world import AUTO, incident, routed, rule, says
from tests.factories import PersonFactory, SourceFactory

SHOTS = os.environ.get("SHOTS")


@pytest.fixture
def ada(transactional_db):
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True, is_superuser=True)


@pytest.fixture
def past(transactional_db):
    """Twelve notes that people decided, most with yes."""
    mona = PersonFactory(username="mona", roles=["manager"])
    sources = [SourceFactory(name="billing-agent"), SourceFactory(name="shop")]
    proposals = routed(*[incident(sources[number % 2]) for number in range(12)])
    for one, verdict in zip(proposals, ["approve"] * 7 + ["reject", "edit", "respond"], strict=False):
        says(mona, one, verdict, **({"args": {"n": 0}} if verdict == "edit" else {}))
    return proposals


def ran():
    while replay.run_slice(0.0):
        pass


def trouble(page):
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in Axe().run(page).response["violations"]]


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_a_rule_is_tried_watched_and_read(open_browser, ada, past, monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 3)
    saved = rule(state="draft", condition="false")
    page = open_browser(ada)
    page.goto(f"/admin/escalations/routingrule/{saved.pk}/change/")
    page.get_by_label("condition").first.fill(AUTO)
    page.get_by_role("button", name="Replay this").click()

    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    replay.run_slice(0.0)
    expect(page.get_by_text("3 of 12 incidents looked at")).to_be_visible()
    expect(cancel).to_be_focused()
    shot(page, "running")
    ran()

    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("status").last).to_have_text("The replay has ended: done.")
    expect(page.get_by_text("3 of 10 that people decided were not approved as proposed: 30.0 %")).to_be_visible()
    page.get_by_role("link", name="Note", exact=False).first.click()
    expect(page).to_have_url(f"{page.url.split('/admin')[0]}/admin/escalations/proposal/{past[9].pk}/change/")
    saved.refresh_from_db()
    assert saved.condition == "false", "nothing was saved"


def test_it_can_be_asked_for_and_called_off_without_javascript(open_browser, ada, past):
    saved = rule(state="draft")
    page = open_browser(ada, java_script_enabled=False)
    page.goto(f"/admin/escalations/routingrule/{saved.pk}/change/")
    page.get_by_role("button", name="Replay this").click()

    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    assert Replay.objects.get().state == "cancelled"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_stands_out(open_browser, ada, past, scheme, width):
    saved = rule(state="shadow")
    other = SourceFactory(name="other")
    routed(incident(other), incident(other))
    page = open_browser(ada, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"/admin/escalations/routingrule/{saved.pk}/change/")
    page.get_by_role("button", name="Replay this").click()
    ran()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()

    for name, address in {
        "replay": page.url, "others": f"{page.url}?show=others", "list": "/admin/escalations/replay/",
        "rule": f"/admin/escalations/routingrule/{saved.pk}/change/",
    }.items():
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if name in ("replay", "others"):
            assert trouble(page) == []
        shot(page, f"{name}-{width}-{scheme}")
