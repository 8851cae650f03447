"""An administrator makes a calendar, sees what a policy would do by it, and saves it: by keyboard's forms alone, no script."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from escalations import clock
from escalations.models import Absence, Calendar, EscalationPolicy, Role
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(transactional_db):
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True, is_superuser=True)


def test_a_calendar_a_preview_and_a_policy_without_javascript(open_browser, ada, troubles):
    page = open_browser(ada, java_script_enabled=False)
    page.goto("/admin/escalations/calendar/add/")
    page.get_by_label("Name:", exact=False).first.fill("Office")
    page.locator("#id_time_zone").select_option("Europe/Vienna")
    for day in ("monday", "tuesday", "wednesday", "thursday", "friday"):
        page.locator(f"#id_{day}").fill("9-18")
    page.get_by_role("button", name="Save", exact=True).click()
    office = Calendar.objects.get()
    assert office.hours["fri"] == [["09:00", "18:00"]]

    policy = EscalationPolicy.objects.get(is_default=True)
    page.goto(f"/admin/escalations/escalationpolicy/{policy.pk}/change/")
    expect(page.locator("#preview")).to_contain_text("Posted")
    page.locator("#id_calendar").select_option(str(office.pk))
    page.locator("#id_preview_at").fill("2026-11-20T17:30")
    page.locator("#id_preview_role").select_option(str(Role.objects.get(name="finance").pk))
    page.get_by_role("button", name="Preview").click()

    expect(page.locator("#preview")).to_contain_text(
        "Posted Friday 20 November 2026, 17:30: finance until Monday 12:30, then manager until 16:30, "
        "then manager again until Tuesday 11:30, then reject."
    )
    policy.refresh_from_db()
    assert policy.calendar is None
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile("escalationpolicy/$"))
    policy.refresh_from_db()
    assert policy.calendar == office


def test_one_says_when_one_is_away_on_ones_own_page(open_browser, reviewer, colleague):
    page = open_browser(reviewer, viewport={"width": 390, "height": 844})
    page.goto("/you/")
    away = page.get_by_role("region", name="When you are away")
    day = clock.now() + timedelta(days=2)
    away.get_by_label("Away from").fill(f"{day:%Y-%m-%dT09:00}")
    away.get_by_label("until").fill(f"{day + timedelta(days=3):%Y-%m-%dT18:00}")
    away.get_by_label("Who stands in").select_option(label=colleague.name)
    away.get_by_role("button", name="Keep").click()

    expect(away).to_contain_text("Carl Colleague stands in")
    assert Absence.objects.get().deputy == colleague
    away.get_by_role("button", name="Take it back").click()
    expect(away).not_to_contain_text("Carl Colleague stands in")
    assert not Absence.objects.exists()
