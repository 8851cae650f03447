"""What is over, in a real browser: searching it, taking it away as a file, and the story of an incident."""

import csv
import io
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import lifecycle
from escalations.models import Delivery, DeliveryAttempt
from reviews.models import Glance

from .test_journeys import RULES

SHOTS = Path(os.environ["SHOTS"]) if "SHOTS" in os.environ else None
HOSTILE = '=cmd|\' /C calc\'!A0 <img src=x onerror="document.title=1"> \u202eturbine\u2066 ' + "w" * 300


def decided(proposal, person, verdict="approve", **said):
    proposal.refresh_from_db()
    lifecycle.decide(
        proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, **said
    )
    return proposal


@pytest.fixture
def over(ask, reviewer, colleague):
    """Some things that are over: one hostile, one edited, one rejected, one of a few words."""
    one = ask(title="Broken turbine of unit 7", incident_context={"request": "The turbine of unit 7 broke, refund the repair please."})
    Glance.objects.create(proposal=one, person=colleague, version=1, length=100)
    lifecycle.claim(one.pk, person=reviewer)
    lifecycle.comment(one.pk, person=colleague, text="I saw the photo: it is broken.")
    decided(one, reviewer, "edit", args={**one.args, "amount": 90}, reason="Half of it")
    delivery = Delivery.objects.filter(incident=one.incident).first()
    DeliveryAttempt.objects.create(delivery=delivery, status=503, error="busy", duration_ms=812)
    DeliveryAttempt.objects.create(delivery=delivery, status=200, duration_ms=40)
    decided(ask(title=HOSTILE, args={"note": HOSTILE}, incident_body=HOSTILE), reviewer, "reject", reason=HOSTILE)
    decided(ask(title="Another", incident_customer={"id": "cus_turbine"}), reviewer)
    return one


def shot(page, name):
    if SHOTS:
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def test_what_was_settled_is_searched_and_taken_away(open_browser, over, reviewer):
    page = open_browser(reviewer)
    page.goto("/settled/")
    page.get_by_label("Search").fill("turbine")
    page.keyboard.press("Enter")

    expect(page.locator("#listing .row")).to_have_count(3)
    expect(page.locator(".row-title mark:not(.hidden-char)").first).to_have_text("turbine")
    assert "q=turbine" in page.url
    shot(page, "settled-search")

    with page.expect_download() as taken:
        page.get_by_role("button", name="CSV").click()
    text = Path(taken.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 3 and taken.value.suggested_filename.endswith(".csv")
    assert all(not cell.startswith("=") for row in rows for cell in row.values())

    page.get_by_label("Outcome").select_option("rejected")
    expect(page.locator("#listing .row")).to_have_count(1)
    page.go_back()
    expect(page.get_by_label("Outcome")).to_have_value("")


def test_without_scripts_it_is_searched_and_taken_away_just_so(open_browser, over, reviewer):
    page = open_browser(reviewer, java_script_enabled=False)
    page.goto("/settled/")
    page.get_by_label("Search").fill("turbine")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#listing .row")).to_have_count(3)

    with page.expect_download() as taken:
        page.get_by_role("button", name="JSON lines").click()
    assert len(Path(taken.value.path()).read_text().splitlines()) == 3


def test_the_story_is_read_from_receipt_to_delivery(open_browser, over, reviewer):
    page = open_browser(reviewer)
    page.goto("/settled/?q=unit+7")
    page.get_by_role("link", name="story").first.click()

    events = page.locator(".story .event b")
    told = events.all_text_contents()
    for one in ("Opened", "Claimed", "Commented", "Edited and approved"):
        assert one in told, told
    expect(page.locator(".story")).to_contain_text("attempt 1: failed")
    expect(page.locator(".story")).to_contain_text("250 → 90")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_axe_finds_nothing_and_nothing_moves_sideways(open_browser, over, reviewer, scheme, width):
    page = open_browser(reviewer, color_scheme=scheme, viewport={"width": width, "height": 900})
    for name, path in (("settled", "/settled/"), ("searched", "/settled/?q=turbine"), ("none", "/settled/?q=xyzzy"), ("story", f"/incidents/{over.incident_id}/")):
        page.goto(path)
        shot(page, f"{name}-{width}-{scheme}")
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
