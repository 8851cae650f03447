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


def test_what_it_is_better_at_is_read_before_the_reason_is_typed(admin, ready):
    promote = f"{LIST}{ready.pk}/act/promote/"

    page = admin.get(promote).content.decode()

    assert "It is better: On 52 later decisions its log loss" in page and "always giving the share" in page
    assert "given only the 208 decisions before them, was asked of the 52 that came last" in page and "No classifier is live now" in page
    assert page.index("It is better") < page.index('name="reason"')


@pytest.mark.parametrize(("unseen", "said"), [(True, "the 50 of them that came after all that classifier 7"), (False, "some it may have been trained on")])
def test_beside_a_live_one_it_says_how_both_did_on_the_same_decisions(admin, ready, unseen, said):
    live = ClassifierVersion.objects.create(number=7, state=VersionState.LIVE)
    mine = {"approve": {"n": 50, "log_loss": 0.2, "accuracy": 0.9}, "category": {"accuracy": 0.75}}
    theirs = {"approve": {"n": 50, "log_loss": 0.31, "accuracy": 0.8}}
    ready.scores |= {"beside_number": live.number, "beside": {"cases": 50, "unseen": unseen, "this": mine, "live": theirs}}
    ready.save(update_fields=["scores"])

    page = admin.get(f"{LIST}{ready.pk}/act/promote/").content.decode()

    assert "is 0.2000; that of classifier 7, which is live, is 0.3100" in page and said in page
    assert "Right about whether a person would approve it: this one 90.0%, classifier 7 80.0%." in page
    assert "Right about the category: this one 75.0%, classifier 7 does not know." in page


def test_what_a_stranger_wrote_is_shown_as_text(admin, ready):
    ready.features["largest"]["approve"]["for"] = [["text: <script>alert(1)</script>", 1.0]]
    ready.save(update_fields=["features"])

    assert "<script>alert(1)" not in admin.get(page_of(ready)).content.decode()


def test_nothing_can_be_typed_into_a_version(admin, ready):
    before = ready.rows

    admin.post(page_of(ready), {"rows": "1", "state": "live"})

    ready.refresh_from_db()
    assert (ready.rows, ready.state) == (before, VersionState.READY)
