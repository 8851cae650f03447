"""Policies with their preview, calendars with their hours and holidays, and absences, as an administrator edits them."""

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from escalations import clock, policies
from escalations.audit import SYSTEM
from escalations.models import Absence, AuditEntry, Calendar, EscalationPolicy, Role
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db
VIENNA = ZoneInfo("Europe/Vienna")
FRIDAY = datetime(2026, 11, 20, 17, 30, tzinfo=VIENNA)
WEEK = {"monday": "9-18", "tuesday": "09:00-12:30, 13:30-18:00", "wednesday": "9 – 18", "thursday": "9 to 18", "friday": "09:00-18:00"}


def holidays(*days, total=0):
    form = {"holidays-TOTAL_FORMS": str(max(total, len(days))), "holidays-INITIAL_FORMS": "0"}
    for number, (day, name) in enumerate(days):
        form |= {f"holidays-{number}-day": day, f"holidays-{number}-name": name}
    return form


def calendar(**more):
    return {"name": "Office", "time_zone": "Europe/Vienna", "country": "", "subdivision": "", **WEEK, **holidays(), **more}


def policy_form(policy, steps=(), **more):
    form = {
        "name": policy.name, "description": "", "expires_after": "12:00:00", "fallback": "reject", "quorum": "1",
        "valid_for": "1 00:00:00", "undo_seconds": "0", "chat_up_to": "", "calendar": "",
        "steps-TOTAL_FORMS": str(len(steps)), "steps-INITIAL_FORMS": "0", **more,
    }  # fmt: skip
    for number, (role, after) in enumerate(steps):
        form |= {f"steps-{number}-position": number + 1, f"steps-{number}-role": role.pk, f"steps-{number}-after": after,
                 f"steps-{number}-repeat": "0"}  # fmt: skip
    return form


@pytest.fixture
def office():
    hours = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    return policies.save_calendar(Calendar(name="Office", time_zone="Europe/Vienna", hours=hours), days=[], actor=SYSTEM)


# -- policies


def test_a_preview_says_what_would_happen_and_saves_nothing(admin, office):
    policy = policies.save_policy(EscalationPolicy(name="Quick", expires_after=timedelta(hours=12)), steps=[], actor=SYSTEM)
    manager = Role.objects.get(name="manager")
    finance = Role.objects.get(name="finance")

    page = admin.post(
        reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]),
        policy_form(
            policy, [(manager, "01:30:00")], name="Quicker", expires_after="05:30:00", calendar=office.pk, _preview="1",
            preview_at="2026-11-20T17:30", preview_role=finance.pk,
        ),
    )

    said = page.content.decode()
    assert page.status_code == 200
    assert "Posted Friday 20 November 2026, 17:30: finance until Monday 10:00, then manager until 14:00, then reject." in said
    assert "nothing is saved yet" in said and 'value="Quicker"' in said
    policy.refresh_from_db()
    assert policy.name == "Quick" and policy.version == 1 and not policy.steps.exists()


def test_a_preview_of_what_cannot_be_saved_marks_what_is_wrong(admin):
    policy = EscalationPolicy.objects.get(is_default=True)

    page = admin.post(
        reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]),
        policy_form(policy, expires_after="soon", _preview="1", preview_at="whenever"),
    )

    assert page.status_code == 200 and "Mend what is marked above" in page.content.decode()


def test_a_new_policy_can_be_previewed_before_it_is_there(admin):
    page = admin.post(
        reverse("admin:escalations_escalationpolicy_add"), policy_form(EscalationPolicy(name="New"), _preview="1", preview_at="2026-11-20T17:30")
    )

    assert "the role asked until Saturday 05:30, then reject." in page.content.decode()
    assert not EscalationPolicy.objects.filter(name="New").exists()


def test_every_policy_says_what_it_would_do_now(admin):
    policy = EscalationPolicy.objects.get(is_default=True)
    with clock.frozen_at(FRIDAY):
        page = admin.get(reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]))
    assert "Posted Friday 20 November 2026, 16:30: the role asked until 20:30" in page.content.decode()  # UTC, as ada has it
    assert 'value="2026-11-20T16:30"' in page.content.decode()


def test_calendar_quorum_and_chat_are_saved_and_on_the_record(admin, office):
    policy = policies.save_policy(EscalationPolicy(name="Quick"), steps=[], actor=SYSTEM)

    answer = admin.post(
        reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]),
        policy_form(policy, calendar=office.pk, quorum="2", chat_up_to="low"),
    )

    assert answer.status_code == 302
    policy.refresh_from_db()
    assert (policy.calendar, policy.quorum, policy.chat_up_to, policy.version) == (office, 2, "low", 2)
    changed = json.loads(AuditEntry.objects.filter(action="policy.saved").last().body)["facts"]["changed"]
    assert changed["calendar"] == {"old": None, "new": "Office"} and changed["quorum"] == {"old": 1, "new": 2}


@pytest.mark.parametrize("wrong", [{"quorum": "0"}, {"quorum": "6"}, {"chat_up_to": "critical"}, {"calendar": "999"}])
def test_what_a_policy_cannot_be_is_refused_at_its_field(admin, wrong):
    policy = policies.save_policy(EscalationPolicy(name="Quick"), steps=[], actor=SYSTEM)

    page = admin.post(reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]), policy_form(policy, **wrong))

    assert page.status_code == 200 and "errorlist" in page.content.decode()


# -- calendars


def test_hours_are_typed_as_one_says_them(admin):
    answer = admin.post(reverse("admin:escalations_calendar_add"), calendar(**holidays(("2026-12-24", "Christmas Eve"))))

    assert answer.status_code == 302, answer.content.decode()[:4000]
    made = Calendar.objects.get()
    assert made.hours["mon"] == [["09:00", "18:00"]] and made.hours["tue"] == [["09:00", "12:30"], ["13:30", "18:00"]]
    assert made.hours["wed"] == made.hours["thu"] == [["09:00", "18:00"]] and "sat" not in made.hours
    assert [str(day) for day in made.holidays.all()] == ["2026-12-24 Christmas Eve"]
    assert AuditEntry.objects.filter(action="calendar.saved", actor="ada").count() == 1
    page = admin.get(reverse("admin:escalations_calendar_change", args=[made.pk])).content.decode()
    assert 'value="09:00-12:30, 13:30-18:00"' in page and "The next days, as saved" in page


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"monday": "noon"}, "no time of opening"), ({"monday": "18-9"}, "closes before"), ({"monday": "9-25"}, "no time of a day"),
        ({"monday": "9-12, 11-13"}, "overlap"), ({"subdivision": "9"}, "leave it empty"), ({"name": " "}, "required"),
        ({"time_zone": "Mars/Olympus"}, "time zone"), ({"country": "ZZ"}, "not one of the available"),
        ({**dict.fromkeys(WEEK, "")}, "never opens"),
    ],
)  # fmt: skip
def test_hours_that_cannot_be_are_refused_with_the_reason(admin, wrong, said):
    page = admin.post(reverse("admin:escalations_calendar_add"), calendar(**wrong))

    assert page.status_code == 200 and said in page.content.decode()
    assert not Calendar.objects.exists()


def test_a_country_brings_its_holidays_and_each_year_the_next(admin):
    with clock.frozen_at(FRIDAY):
        assert admin.post(reverse("admin:escalations_calendar_add"), calendar(country="AT")).status_code == 302
    made = Calendar.objects.get()
    days = {one.day.isoformat(): one.name for one in made.holidays.all()}
    assert {"2026-12-25", "2027-01-01"} <= set(days) and "2028-01-01" not in days
    assert all(one.filled_in for one in made.holidays.all())
    made.holidays.filter(day="2027-01-06").delete()  # they work then

    with clock.frozen_at(FRIDAY + timedelta(days=60)):
        assert policies.fill_in_all() > 10
        assert policies.fill_in_all() == 0

    now = {one.day.isoformat() for one in made.holidays.all()}
    assert "2028-01-01" in now and "2027-01-06" not in now


def test_a_calendar_that_is_gone_by_is_not_archived(admin, office):
    policies.save_policy(EscalationPolicy(name="Quick", calendar=office), steps=[], actor=SYSTEM)
    act = reverse("admin:escalations_calendar_act", args=[office.pk, "archive"])

    assert "Still the calendar of: Quick" in admin.post(act).content.decode()
    EscalationPolicy.objects.filter(name="Quick").update(calendar=None)
    assert admin.post(act).status_code == 302
    office.refresh_from_db()
    assert office.archived_at and admin.get(reverse("admin:escalations_calendar_change", args=[office.pk])).status_code == 200


# -- absences


def absence(person, deputy=None, since="2026-12-01T09:00", until="2026-12-05T18:00"):
    return {"person": person.pk, "since": since, "until": until, "deputy": deputy.pk if deputy else "", "note": "skiing"}


def test_an_absence_is_typed_in_the_time_of_who_is_away(admin):
    rosa, carl = PersonFactory(roles=["finance"], time_zone="America/New_York"), PersonFactory(roles=["finance"])

    answer = admin.post(reverse("admin:escalations_absence_add"), absence(rosa, carl))

    assert answer.status_code == 302, answer.content.decode()[:3000]
    kept = Absence.objects.get()
    assert kept.since == datetime(2026, 12, 1, 9, tzinfo=ZoneInfo("America/New_York")) and kept.deputy == carl
    assert 'value="2026-12-01T09:00"' in admin.get(reverse("admin:escalations_absence_change", args=[kept.pk])).content.decode()
    assert AuditEntry.objects.filter(action="absence.saved", actor="ada").exists()


@pytest.mark.parametrize("wrong", ["over", "backwards", "a stranger deputises", "oneself", "twice", "two years"])
def test_an_absence_that_cannot_be_is_refused(admin, wrong):
    rosa, carl, stranger = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"]), PersonFactory(roles=["support"])
    if wrong == "twice":
        admin.post(reverse("admin:escalations_absence_add"), absence(rosa))
    form = {
        "over": absence(rosa, since="2020-01-01T09:00", until="2020-01-02T09:00"),
        "backwards": absence(rosa, since="2026-12-09T09:00"),
        "a stranger deputises": absence(rosa, stranger),
        "oneself": absence(rosa, rosa),
        "twice": absence(rosa, carl, since="2026-12-05T17:00", until="2026-12-08T09:00"),
        "two years": absence(rosa, until="2028-12-08T09:00"),
    }[wrong]

    page = admin.post(reverse("admin:escalations_absence_add"), form)

    assert page.status_code == 200 and "errorlist" in page.content.decode()
    assert Absence.objects.count() == (wrong == "twice")


def test_an_absence_ends_when_somebody_says_so(admin):
    rosa = PersonFactory(roles=["finance"])
    now = clock.now()
    begun = policies.save_absence(Absence(person=rosa, since=now - timedelta(days=1), until=now + timedelta(days=3)), actor=SYSTEM)

    assert admin.post(reverse("admin:escalations_absence_act", args=[begun.pk, "end"])).status_code == 302

    begun.refresh_from_db()
    assert begun.until <= clock.now()
    planned = policies.save_absence(Absence(person=rosa, since=now + timedelta(days=5), until=now + timedelta(days=6)), actor=SYSTEM)
    policies.call_off(planned, actor=SYSTEM)
    assert Absence.objects.get() == begun
