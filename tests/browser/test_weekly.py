"""The Monday meeting: find, follow up, dismiss, close; with a script and without; nothing sideways on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import lifecycle
from escalations.models import EscalationReview, Finding, FollowUp
from tests.expecting import expecting
from tests.factories import PersonFactory
from tests.weeks import full_review, review_of, suggested

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


@pytest.fixture
def settled(ask, reviewer):
    found = expecting(ask(title="Refund for <b>Anna</b>", incident_title="Refund for <b>Anna</b>"), 0.9)
    lifecycle.decide(
        found.pk, person=reviewer, type="reject", digest=found.args_digest, version=found.version, reason="The photo is missing."
    )
    return found


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_team_goes_through_its_week(open_browser, settled, reviewer, colleague, troubles, script):
    troubles[0].append("status of 422")
    review = review_of()
    suggested(review)
    page = open_browser(reviewer, java_script_enabled=script)
    page.goto("/weekly/")
    page.get_by_role("link", name="finance").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("finance")
    item = page.locator(f"#item-{settled.pk}")
    expect(item).to_contain_text("decided against the machine")

    item.get_by_text("What was found?").click()
    item.get_by_role("button", name="Keep the finding").click()
    expect(page.locator("#problems")).to_contain_text("Say what was found.")
    item.get_by_label("Finding").select_option("context")
    item.get_by_label("Note").fill("Photos are missing again.")
    item.get_by_label("What", exact=True).fill("Ask for photos")
    item.get_by_label("Who").select_option(label=colleague.name)
    item.get_by_role("button", name="Keep the finding").click()
    expect(item).to_contain_text("context was missing")
    expect(page.locator("#follow-ups")).to_contain_text("Ask for photos")

    page.get_by_text("Done, or no longer needed").click()
    page.get_by_label("What came of it").fill("The agent asks now.")
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#follow-ups")).to_contain_text("The agent asks now.")

    page.get_by_text("Dismiss…").click()
    page.get_by_label("Why not").fill("Refunds stay with us.")
    page.get_by_role("button", name="Dismiss it").click()
    expect(page.get_by_text("Dismissed by")).to_be_visible()

    page.get_by_label("What else was said").fill("All were there.")
    page.get_by_role("button", name="Keep the notes").click()
    expect(page.get_by_label("What else was said")).to_have_value("All were there.")
    page.get_by_text("Close this week…").click()
    page.get_by_role("button", name="Close it for good").click()
    expect(page.get_by_text("What was found stands.")).to_be_visible()
    expect(page.get_by_text("What was found?")).to_have_count(0)

    assert (EscalationReview.objects.get(pk=review.pk).state, Finding.objects.get().found) == ("closed", "context")
    assert FollowUp.objects.get().owner == colleague


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_axe_finds_nothing(open_browser, settled, scheme):
    chief = PersonFactory(username="chief", roles=["finance", "manager"], is_staff=True, is_superuser=True)
    review = full_review(chief)
    for width in (390, 1280):
        page = open_browser(chief, color_scheme=scheme, viewport={"width": width, "height": 844})
        for url in ("/weekly/", f"/weekly/{review.pk}/"):
            page.goto(url)
            for summary in page.locator(".weekly-form > summary").all():
                summary.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = Axe().run(page, options=RULES).response["violations"]
            assert not [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
