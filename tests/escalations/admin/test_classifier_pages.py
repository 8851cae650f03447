"""Versions of the classifier on pages: trained, read in words, made live with a reason, taken back; by administrators alone."""

import pytest

from escalations.models import ClassifierVersion
from escalations.states import VersionState
from tests.escalations.learn.test_training import trained
from tests.factories import PersonFactory, SourceFactory
from tests.teaching import taught

pytestmark = pytest.mark.django_db

LIST = "/admin/escalations/classifierversion/"


@pytest.fixture
def ready():
    taught(SourceFactory(), PersonFactory(), 260)
    return trained()


def page_of(version):
    return f"{LIST}{version.pk}/change/"


def test_a_version_is_asked_for_by_a_button(admin):
    assert "At least 200 decisions" in admin.get(f"{LIST}add/").content.decode()
    assert not ClassifierVersion.objects.exists(), "a GET trains nothing"

    answer = admin.post(f"{LIST}add/", follow=True)

    assert "Classifier 1 is being trained" in answer.content.decode()
    assert ClassifierVersion.objects.get().state == VersionState.WAITING
    assert "Classifier 1" in admin.get(LIST).content.decode()


def test_a_version_is_read_in_words(admin, ready):
    page = admin.get(page_of(ready)).content.decode()

    assert "Trained on 260 decisions" in page and "the 52 that came after" in page
    assert "It is better: On 52 later decisions" in page
    assert "Speaks against" in page and "amount is about" in page and "2^" not in page


def test_what_is_no_better_than_the_live_one_has_no_button_to_make_it_live(admin, ready):
    button = f"{LIST}{ready.pk}/act/promote/"
    assert button in admin.get(page_of(ready)).content.decode()

    ready.scores["approve"]["log_loss"] = 1 + ready.scores["approve"]["base_log_loss"]
    ready.save(update_fields=["scores"])
    page = admin.get(page_of(ready)).content.decode()

    assert button not in page and "It may not be made live: " in page
    admin.post(button, {"reason": "All the same."}, follow=True)
    ready.refresh_from_db()
    assert ready.state == VersionState.READY


def test_where_nothing_can_be_named_the_page_says_why(admin, ready):
    ready.features["largest"] = {}
    ready.save(update_fields=["features"])

    page = admin.get(page_of(ready)).content.decode()

    assert "None is named here" in page and "Speaks for" not in page


def test_it_is_made_live_with_a_reason_and_taken_back(admin, ready):
    promote, back = f"{LIST}{ready.pk}/act/promote/", f"{LIST}{ready.pk}/act/take-back/"
    assert admin.get(promote).status_code == 200
    assert "This field is required" in admin.post(promote, {"reason": ""}).content.decode()

    assert "is live from the next incident on" in admin.post(promote, {"reason": "Better than nothing."}, follow=True).content.decode()
    ready.refresh_from_db()
    assert ready.state == VersionState.LIVE

    assert "No classifier is live now." in admin.post(back, {"reason": "It was not."}, follow=True).content.decode()
    ready.refresh_from_db()
    assert ready.state == VersionState.RETIRED


def test_what_a_stranger_wrote_is_shown_as_text(admin, ready):
    ready.features["largest"]["approve"]["for"] = [["text: <script>alert(1)</script>", 1.0]]
    ready.save(update_fields=["features"])

    assert "<script>alert(1)" not in admin.get(page_of(ready)).content.decode()


def test_nothing_can_be_typed_into_a_version(admin, ready):
    before = ready.rows

    admin.post(page_of(ready), {"rows": "1", "state": "live"})

    ready.refresh_from_db()
    assert (ready.rows, ready.state) == (before, VersionState.READY)
