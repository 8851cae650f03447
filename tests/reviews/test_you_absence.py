"""Saying on one's own page when one is away, and who stands in."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from escalations import clock
from escalations.models import Absence, AuditEntry
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def rosa():
    return PersonFactory(username="rosa", roles=["finance"], time_zone="America/New_York")


@pytest.fixture
def browser(signed_in, rosa):
    return signed_in(rosa)


def away(**more):
    now = clock.now().astimezone(ZONE)
    return {
        "change": "absence", "since": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}", "until": f"{now + timedelta(days=3):%Y-%m-%dT%H:%M}",
        "deputy": "", "note": "", **more,
    }


def test_an_absence_is_kept_in_ones_own_time_and_shown(browser, rosa):
    carl = PersonFactory(first_name="Carl", roles=["finance"])
    said = away(deputy=carl.pk, note="<b>skiing</b>")

    answer = browser.post("/you/", said)

    assert answer.status_code in (302, 303)
    kept = Absence.objects.get()
    assert (kept.person, kept.deputy) == (rosa, carl) and f"{kept.since.astimezone(ZONE):%Y-%m-%dT%H:%M}" == said["since"]
    assert AuditEntry.objects.get(action="absence.saved").actor == "rosa"
    page = browser.get("/you/").content.decode()
    assert "Carl" in page and "&lt;b&gt;skiing" in page and "Take it back" in page


def test_only_who_could_decide_in_ones_place_may_stand_in(browser):
    mate, manager, stranger, gone = (
        PersonFactory(roles=["finance"], first_name="Mate"), PersonFactory(roles=["manager"], first_name="Mona"),
        PersonFactory(roles=["support"], first_name="Stranger"), PersonFactory(roles=["finance"], first_name="Gone", is_active=False),
    )  # fmt: skip
    page = browser.get("/you/").content.decode()
    assert "Mate" in page and "Mona" in page and "Stranger" not in page and "Gone" not in page
    assert mate != manager

    for person in (stranger, gone):
        assert browser.post("/you/", away(deputy=person.pk)).status_code == 422
    assert not Absence.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"since": ""}, {"until": "soon"}, {"until": "2020-01-01T09:00"}, {"since": "2020-01-01T09:00"}, {"deputy": "x"}, {"note": "x" * 201}]
)
def test_what_cannot_be_is_said_and_what_was_typed_stays(browser, wrong):
    page = browser.post("/you/", away(note="my note") | wrong)

    assert page.status_code == 422 and 'id="absence-problems"' in page.content.decode()
    assert not Absence.objects.exists()
    if "note" not in wrong:
        assert "my note" in page.content.decode()


def test_one_comes_back_early_and_only_oneself(browser, rosa, signed_in):
    now = clock.now()
    mine = Absence.objects.create(person=rosa, since=now - timedelta(hours=1), until=now + timedelta(days=1))
    other = Absence.objects.create(person=PersonFactory(), since=now - timedelta(hours=1), until=now + timedelta(days=1))

    for absence in (mine, other):
        browser.post("/you/", {"change": "absence_over", "absence": absence.pk})

    mine.refresh_from_db(), other.refresh_from_db()
    assert mine.until <= clock.now() < other.until
    for odd in ("", "x", "9" * 40, "-1"):
        assert browser.post("/you/", {"change": "absence_over", "absence": odd}).status_code in (302, 303)
