"""What came of a decision, said in a real browser, and the file of all that was decided."""

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations.models import OutcomeReport

from .test_journeys import RULES
from .test_records import decided, shot


@pytest.fixture
def one(ask, reviewer):
    return decided(ask(incident_title="Refund $250 for order 1182"), reviewer, reason="It broke.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_what_came_of_it_is_said_on_the_story(open_browser, one, reviewer, scripts, troubles):
    troubles[0].append("status of 422")
    page = open_browser(reviewer, java_script_enabled=scripts, viewport={"width": 390, "height": 800})
    page.goto(f"/incidents/{one.incident_id}/")
    page.get_by_text("Say what came of it").click()
    page.get_by_label("What happened").fill("The parcel had been found.\n=1+1 <b>x</b>")
    page.get_by_label("How you know").select_option("correction")
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was stored")
    expect(page.get_by_label("What happened")).to_have_value("The parcel had been found.\n=1+1 <b>x</b>")

    page.get_by_label("It was wrong").check()
    page.get_by_role("button", name="Put it on record").click()

    expect(page.locator("#came-of-it .pill")).to_have_text("it was wrong")
    expect(page.locator("#came-of-it")).to_contain_text("=1+1 <b>x</b>")
    assert OutcomeReport.objects.get().interactive
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 if scripts else True
    shot(page, f"outcome-{scripts}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_manager_takes_everything_away(open_browser, one, mona, scheme):
    OutcomeReport.objects.create(incident=one.incident, outcome="wrong", how="complaint", detail="w" * 400, by_kind="source", by_id="agent")
    page = open_browser(mona, color_scheme=scheme, viewport={"width": 390, "height": 800})
    page.goto("/settled/")
    page.get_by_role("link", name="Take away what was decided and learned").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Take away what was decided")
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, f"feedback-{scheme}")

    with page.expect_download() as taken:
        page.get_by_role("button", name="Take the file").click()

    name = taken.value.suggested_filename
    [line] = Path(taken.value.path()).read_text(encoding="utf-8").splitlines()
    assert name.startswith("countersign-feedback-") and name.endswith(".jsonl")
    assert json.loads(line)["outcomes"][0]["outcome"] == "wrong" and json.loads(line)["decision"]["by"]["name"] is None
