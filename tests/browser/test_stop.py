"""Stop everything at the page, two release it; two people sign one yes. By keyboard, on a phone, in the dark, without JavaScript."""

import pytest
from playwright.sync_api import expect

from escalations.models import Decision, Stop
from tests.factories import STANDARD, PersonFactory

from .looking import SIZES, axe, picture


def no_wider_than_its_window(page):
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.fixture
def mona(transactional_db):
    return PersonFactory(username="mona", first_name="Mona", last_name="Manager", roles=["manager"])


@pytest.fixture
def ada(transactional_db):
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True)


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without"])
def test_one_stops_everything_and_two_release_it(open_browser, mona, ada, reviewer, ask, troubles, script):
    troubles[0].extend(["404 (Not Found)", "422 (Unprocessable"])
    proposal = ask()
    page = open_browser(mona, java_script_enabled=script)
    page.goto("/desk/")
    page.get_by_role("link", name="Stop everything…").click()
    page.get_by_label("Reason").fill("Refunds go to strangers: someone changed the payout table.")
    page.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_role("alert")).to_contain_text("Type the word stop")
    expect(page.get_by_label("Reason")).to_have_value("Refunds go to strangers: someone changed the payout table.")
    assert not Stop.objects.exists()
    page.get_by_label("Type stop").fill("stop")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Everything is stopped")).to_be_visible()
    banner = page.get_by_role("region", name="Everything is stopped")
    expect(banner).to_contain_text("by Mona Manager: Refunds go to strangers")

    other = open_browser(reviewer, java_script_enabled=script)
    for path in ("/", proposal.get_absolute_url(), "/nowhere/"):
        other.goto(path)
        expect(other.get_by_role("region", name="Everything is stopped")).to_be_visible()

    page.get_by_label("Why it may go on").fill("The table is put right.")
    page.get_by_role("button", name="Ask for the release").click()
    expect(page.get_by_role("heading", name="You asked for the release")).to_be_visible()
    expect(page.get_by_role("button", name="Release everything")).to_have_count(0)

    second = open_browser(ada, java_script_enabled=script)
    second.goto("/admin/")
    second.get_by_role("link", name="Mona Manager asks for the release").click()
    second.get_by_label("Type release").fill("release")
    second.get_by_role("button", name="Release everything").click()
    expect(second.get_by_text("Released: what was held leaves now.")).to_be_visible()
    expect(second.get_by_role("region", name="Everything is stopped")).to_have_count(0)


def test_two_people_sign_one_yes(open_browser, reviewer, colleague, ask):
    proposal = ask(policy={**STANDARD, "quorum": 2})
    page = open_browser(reviewer)
    page.goto(proposal.get_absolute_url())
    expect(page.get_by_text("A yes needs 2 people.")).to_be_visible()
    page.get_by_role("radio", name="Approve", exact=False).first.check()
    page.locator("button.sign").click()
    expect(page.get_by_text("Signed by 1 of 2: one more person has to sign it.")).to_be_visible()
    page.goto(proposal.get_absolute_url())
    expect(page.get_by_text("You are one of them")).to_be_visible()

    other = open_browser(colleague)
    other.goto("/")
    expect(other.get_by_text("signed by 1 of 2")).to_be_visible()
    other.goto(proposal.get_absolute_url())
    expect(other.get_by_text("Yours would be the last: it settles.")).to_be_visible()
    other.get_by_role("radio", name="Approve", exact=False).first.check()
    other.locator("button.sign").click()
    expect(other.get_by_text("Signed: approved.")).to_be_visible()
    assert Decision.objects.get().person == colleague


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_hold_at_every_width_and_in_the_dark(open_browser, mona, ada, reviewer, ask, troubles, scheme, size):
    troubles[0].append("404 (Not Found)")
    from_the_desk = open_browser(mona, viewport=SIZES[size], color_scheme=scheme)
    from_the_desk.goto("/stop/")
    axe(from_the_desk)
    no_wider_than_its_window(from_the_desk)
    picture(from_the_desk, f"stop-before-{size}-{scheme}")

    stop = Stop.objects.create(reason="Refunds go to strangers: " + "someone changed the payout table. " * 6, by=mona)
    proposal = ask(policy={**STANDARD, "quorum": 3})
    mona.is_staff = True
    mona.save()
    for name, person, path in [
        ("stop-holds", mona, "/stop/"), ("inbox", reviewer, "/"), ("item", reviewer, proposal.get_absolute_url()),
        ("admin", mona, "/admin/"), ("nowhere", reviewer, "/nowhere/"),
    ]:
        page = open_browser(person, viewport=SIZES[size], color_scheme=scheme)
        page.goto(path)
        axe(page)
        no_wider_than_its_window(page)
        picture(page, f"{name}-{size}-{scheme}")
    stop.release_asked_by, stop.release_asked_at, stop.release_why = ada, stop.at, "The table is put right, and the agent is off."
    stop.save()
    page = open_browser(mona, viewport=SIZES[size], color_scheme=scheme)
    page.goto("/stop/")
    axe(page)
    no_wider_than_its_window(page)
    picture(page, f"stop-asked-{size}-{scheme}")
