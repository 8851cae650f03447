"""A second look in the browser: drawn, opened, answered with the keyboard, told; and what one is shown of oneself."""

import os
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from escalations import clock, lifecycle, looks
from escalations.looks import vigilance
from escalations.models import Proposal, SecondLook
from escalations.states import LookState
from reviews.models import Glance
from tests.factories import PersonFactory, SourceFactory, role

from .test_second import axe

SHOTS = os.environ.get("SHOTS")
LOOKS = [("1280-light", {}), ("1280-dark", {"color_scheme": "dark"}), ("390-light", {"viewport": {"width": 390, "height": 844}}),
         ("390-dark", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"})]  # fmt: skip


def shots(open_browser, person, **pages):
    """Take pictures of these pages in both themes and widths, when SHOTS says where to; and try axe on each."""
    for name, options in LOOKS:
        page = open_browser(person, **options)
        for said, url in pages.items():
            page.goto(url)
            assert axe(page) == [], f"{said} {name}"
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/looks-{said}-{name}.png", full_page=True)
        page.context.close()


@pytest.fixture
def settled(ask, colleague):
    def make(type="reject", reason="It was paid twice already.", **facts):
        one = ask(
            category="refund", description="The parcel arrived broken, says the customer.",
            incident_context={"request": "My vase came in pieces, I want the 250 back.", "summary": "Order 1182, paid in full."},
            source=SourceFactory.create(name=facts.pop("source_name", f"billing-agent-{Proposal.objects.count()}")), **facts,
        )
        lifecycle.decide(one.pk, person=colleague, type=type, digest=one.args_digest, version=one.version, reason=reason)
        return Proposal.objects.get(pk=one.pk)

    return make


def look_at(proposal, **facts):
    return SecondLook.objects.create(proposal=proposal, role=role("finance"), lapses_at=clock.now() + timedelta(days=7), **facts)


def test_a_drawn_one_is_answered_with_the_keyboard_and_told_only_then(open_browser, reviewer, colleague, settled, settings, troubles):
    troubles[0].append("status of 422")  # the browser says so of a form that comes back
    settings.SECOND_LOOK_PERCENT, settings.KNOWN_ANSWER_EVERY = 100, 0
    one = settled()
    assert looks.draw() == 1
    page = open_browser(reviewer)
    page.goto("/")
    page.get_by_role("link", name="1 second look").click()
    page.locator(".second-list a").first.click()
    expect(page.get_by_role("heading", name="What would you have decided?")).to_be_visible()
    assert "paid twice" not in page.content() and colleague.name not in page.content()

    page.goto(f"/proposals/{one.pk}/")  # there is no way round it
    expect(page.get_by_role("heading", name="What would you have decided?")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator("input[value=reject]")).to_be_checked()
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Say why")
    page.get_by_label("Why", exact=False).last.fill("Looks like a second claim for the same vase.")
    page.get_by_role("button", name="Answer", exact=True).click()

    expect(page.get_by_text("Both saw it alike.")).to_be_visible()
    expect(page.get_by_text("It was paid twice already.")).to_be_visible()
    assert SecondLook.objects.get().state == LookState.ANSWERED
    assert Proposal.objects.get(pk=one.pk).decision.reason == "It was paid twice already."


def test_it_works_without_javascript(open_browser, reviewer, settled):
    look = look_at(settled())
    page = open_browser(reviewer, java_script_enabled=False)

    page.goto(f"/second/{look.pk}/")
    page.get_by_label("Approve", exact=False).first.check()
    page.get_by_role("button", name="Answer", exact=True).click()

    expect(page.get_by_text("The two saw it differently.", exact=False)).to_be_visible()


def test_an_alarm_is_answered_on_ones_own_page(open_browser, reviewer):
    vigilance.raise_alarm(vigilance.Sign(reviewer.pk, "pace", "21 of 25 were signed sooner than can be read.", {}))
    page = open_browser(reviewer)

    page.goto("/you/")
    page.get_by_label("What you say to it").fill("All of one batch, checked by telephone.")
    page.locator(".alarm").get_by_role("button", name="Keep").click()

    expect(page.get_by_text("Kept. Whoever sees the sign", exact=False)).to_be_visible()
    expect(page.get_by_label("What you say to it")).to_have_value("All of one batch, checked by telephone.")


def test_every_page_in_both_themes_and_widths(open_browser, reviewer, colleague, settled, ask):
    chief = PersonFactory(username="chief", first_name="Mona", last_name="Manager", roles=["manager"], is_staff=True, is_superuser=True)
    for number in range(24):
        verdict = "approve" if number % 3 else "reject"
        looks.answer(look_at(settled("reject" if number % 4 else "approve")).pk, person=reviewer, verdict=verdict, reason="The receipt is missing.")
    known = settled()
    looks.mark(known.pk, person=chief, verdict="reject", why="The order was never delivered: the carrier says so.")
    found = look_at(known, expected="reject")
    looks.answer(found.pk, person=reviewer, verdict="reject", reason="No delivery.")
    for seconds in (3, 40, 90, 200):
        one = ask()
        Glance.objects.create(proposal=one, person=reviewer, version=1, length=seconds * 60, at=clock.now() - timedelta(seconds=seconds))
        lifecycle.decide(one.pk, person=reviewer, type="approve", digest=one.args_digest, version=one.version)
    vigilance.raise_alarm(vigilance.Sign(reviewer.pk, "known", "2 of 3 known answers that were a no, or needed a change, were approved as proposed.", {}))
    waits = look_at(settled())
    look_at(settled())
    told = SecondLook.objects.filter(state=LookState.ANSWERED, expected="").first()

    shots(
        open_browser, reviewer, inbox="/", list="/second/", look=f"/second/{waits.pk}/", told=f"/second/{told.pk}/", known_told=f"/second/{found.pk}/",
        you="/you/",
    )
    with clock.frozen_at(clock.now()):
        looks.note_seen(reviewer)
    reviewer.vigilance_alarms.update(shared_at=clock.now())
    shots(open_browser, chief, agreement="/second/agreement/", known="/second/known/")
