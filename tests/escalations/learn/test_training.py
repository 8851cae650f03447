"""A version's life: asked for, trained behind a lease from what people decided, made live if it is better, taken back."""

from datetime import timedelta

import pytest
from django.db import connection

from escalations import clock
from escalations.errors import IllegalMove, Invalid, NotAllowed
from escalations.learn import asking, promoting, training
from escalations.learned import Model
from escalations.models import Acknowledgement, AuditEntry, ClassifierVersion, Decision, Features, History, OutcomeReport
from escalations.states import Verdict, VersionState
from tests.factories import PersonFactory, SourceFactory
from tests.teaching import posted, taught

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return PersonFactory(is_staff=True, is_superuser=True)


def trained():
    asking.ask()
    row = asking.claim()
    training.train(row.pk, row.token)
    row.refresh_from_db()
    return row


def live(admin):
    return promoting.promote(trained().pk, person=admin, reason="It has shown what it can do.")


def test_a_version_is_trained_from_what_people_decided(admin):
    taught(SourceFactory(), PersonFactory(), 260)

    row = trained()

    assert (row.state, row.rows, row.error, row.lease_until) == (VersionState.READY, 260, "", None)
    assert row.window_from < row.window_until
    assert row.scores["approve"]["auroc"] > 0.95 and row.scores["later"] == 52
    assert row.rungs[""]
    assert any("amount" in name for name, _ in row.features["largest"]["approve"]["against"])
    assert Model.load(bytes(row.weights)).approve is not None
    assert Features.objects.count() == 260
    assert list(AuditEntry.objects.filter(action__startswith="classifier").values_list("action", flat=True)) == [
        "classifier.asked", "classifier.trained",
    ]


def test_decisions_of_test_keys_of_tokens_and_of_machines_teach_nothing():
    source, person = SourceFactory(), PersonFactory()
    real = taught(source, person, 8)
    taught(source, person, 5, test=True)
    taught(source, person, 5, interactive=False)
    taught(source, person, 5, by="policy")

    assert {decision.proposal_id for decision in asking.taught_by()} == {one.pk for one in real}
    assert len(list(training.of_decisions())) == 8


@pytest.mark.parametrize(("outcome", "how", "yes"), [
    ("wrong", "feedback", False), ("resolved", "complaint", False), ("resolved", "correction", False), ("right", "feedback", True),
    ("resolved", "feedback", True),
])
def test_what_was_found_wrong_later_is_no_yes(outcome, how, yes):
    source = SourceFactory()
    proposals = taught(source, PersonFactory(), 4)
    OutcomeReport.objects.create(incident=proposals[1].incident, outcome=outcome, how=how, by_kind="source", by_id=source.name)

    said = {case.at: case.approve for case in training.of_decisions()}

    assert [said[decision.decided_at] for decision in Decision.objects.order_by("decided_at")] == [False, yes, True, True]


def test_what_failed_is_taught_as_people_decided_it():
    proposals = taught(SourceFactory(), PersonFactory(), 2)
    Acknowledgement.objects.create(decision=proposals[1].decision, result="failed")

    assert sorted(case.approve for case in training.of_decisions()) == [False, True]


def test_a_category_is_taught_only_where_a_person_signed_it():
    source, person = SourceFactory(), PersonFactory()
    mine, theirs = taught(source, person, 2)[1], taught(source, person, 2)[1]
    with connection.cursor() as cursor:  # what was signed is immutable once it is there
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE escalations_proposal SET author = 'system', action = 'acknowledge' WHERE id = %s", [mine.pk])
        cursor.execute("UPDATE escalations_proposal SET category = 'refund' WHERE id = %s", [theirs.pk])
        said = '{"category": "outage", "severity": "critical"}'
        cursor.execute("UPDATE escalations_decision SET args = %s WHERE proposal_id = %s", [said, mine.pk])
        cursor.execute("SET session_replication_role = origin")

    cases = {(case.category, case.severity) for case in training.of_decisions()}

    assert cases == {("outage", "critical"), ("", "")}


def test_imported_history_trains_and_its_features_are_kept():
    source = SourceFactory()
    for number in range(230):
        right = number % 4 != 0
        History.objects.create(
            source=source, key=str(number), kind="action", incident=posted(number, right=right),
            verdict=Verdict.APPROVE if right else Verdict.REJECT, decided_at=clock.now() - timedelta(minutes=300 - number),
        )

    row = trained()

    assert (row.state, row.rows) == (VersionState.READY, 230)
    assert not History.objects.filter(data=None).exists()


def test_too_little_fails_in_words():
    taught(SourceFactory(), PersonFactory(), 20)

    row = trained()

    assert row.state == VersionState.FAILED
    assert row.error == "Only 20 decisions teach so far; 200 are needed."
    assert AuditEntry.objects.filter(action="classifier.failed").count() == 1


def test_only_one_is_trained_at_a_time_and_asking_again_finds_it(admin):
    first = asking.ask(admin)

    assert asking.ask().pk == first.pk
    assert asking.claim().pk == first.pk
    assert asking.claim() is None


def test_who_lost_its_lease_writes_nothing():
    taught(SourceFactory(), PersonFactory(), 210)
    asking.ask()
    slow = asking.claim()
    ClassifierVersion.objects.filter(pk=slow.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    fast = asking.claim()

    assert not training.train(slow.pk, slow.token)
    assert training.train(fast.pk, fast.token)
    assert not training.train(slow.pk, slow.token)
    assert ClassifierVersion.objects.get().state == VersionState.READY
    assert AuditEntry.objects.filter(action="classifier.trained").count() == 1


def test_a_version_whose_process_dies_again_and_again_fails():
    asking.ask()
    for _ in range(asking.MAX_ATTEMPTS):
        assert asking.claim() is not None
        ClassifierVersion.objects.update(lease_until=clock.now() - timedelta(seconds=1))

    assert asking.claim() is None
    assert ClassifierVersion.objects.get().state == VersionState.FAILED


def test_a_version_is_asked_for_when_enough_was_decided_and_not_before(time):
    source, person = SourceFactory(), PersonFactory()
    taught(source, person, 190)
    assert not asking.ask_if_time()
    taught(source, person, 15)
    time(hours=1)

    assert asking.ask_if_time()

    row = asking.claim()
    training.train(row.pk, row.token)
    time(hours=2)
    assert not asking.ask_if_time(), "nothing was decided since"


def test_always_yes_is_nothing_to_learn_from():
    taught(SourceFactory(), PersonFactory(), 220, every=10_000)

    assert not asking.ask_if_time()


def test_a_better_version_is_made_live_by_an_administrator_with_a_reason(admin):
    taught(SourceFactory(), PersonFactory(), 260)
    row = trained()

    with pytest.raises(NotAllowed):
        promoting.promote(row.pk, person=PersonFactory(roles=["finance"]), reason="I would like it.")
    with pytest.raises(Invalid):
        promoting.promote(row.pk, person=admin, reason="  ")
    promoting.promote(row.pk, person=admin, reason="Better than nothing.")

    row.refresh_from_db()
    assert (row.state, row.promoted_by, row.promoted_why) == (VersionState.LIVE, admin, "Better than nothing.")
    assert AuditEntry.objects.filter(action="classifier.promoted").count() == 1


def test_one_that_is_no_better_than_the_base_rate_is_refused(admin):
    taught(SourceFactory(), PersonFactory(), 260)
    row = trained()
    scores = row.scores
    scores["approve"]["log_loss"] = scores["approve"]["base_log_loss"]
    ClassifierVersion.objects.filter(pk=row.pk).update(scores=scores)

    with pytest.raises(IllegalMove, match="no better"):
        promoting.promote(row.pk, person=admin, reason="I would like it.")


def test_one_beside_a_live_one_is_measured_on_the_same_later_decisions(admin):
    source, person = SourceFactory(), PersonFactory()
    taught(source, person, 260, ago=timedelta(hours=2))
    first = live(admin)
    taught(source, person, 300)
    second = trained()

    beside = second.scores["beside"]
    assert second.scores["beside_number"] == first.number
    assert beside["unseen"] and beside["live"]["approve"]["n"] == beside["this"]["approve"]["n"] == beside["cases"]
    beside["this"]["approve"]["log_loss"] = beside["live"]["approve"]["log_loss"] + 0.01
    ClassifierVersion.objects.filter(pk=second.pk).update(scores=second.scores)
    with pytest.raises(IllegalMove, match="no better"):
        promoting.promote(second.pk, person=admin, reason="I would like it.")


def test_what_was_taken_back_gives_way_to_what_was_live_before(admin):
    source, person = SourceFactory(), PersonFactory()
    taught(source, person, 260, ago=timedelta(hours=2))
    first = live(admin)
    taught(source, person, 300)
    second = trained()
    second.scores["beside"]["this"]["approve"]["log_loss"] = 0.0
    ClassifierVersion.objects.filter(pk=second.pk).update(scores=second.scores)
    promoting.promote(second.pk, person=admin, reason="Better.")

    again = promoting.take_back(second.pk, person=admin, reason="It was not.")

    assert again.pk == first.pk
    assert ClassifierVersion.objects.get(state=VersionState.LIVE).pk == first.pk
    assert promoting.take_back(first.pk, person=admin, reason="None at all.") is None
    assert not ClassifierVersion.objects.filter(state=VersionState.LIVE).exists()
    with pytest.raises(IllegalMove):
        promoting.take_back(first.pk, person=admin, reason="Twice.")


def promoted(admin, number, beside=None):
    """Return a version that was made live, measured as better than what was."""
    measured = {"n": 60, "log_loss": 0.5 / number, "base_log_loss": 1.0}
    scores = {"approve": measured, "beside_number": beside, "beside": {"this": {"approve": measured}, "live": {"approve": {"n": 60, "log_loss": 1.0}}}}
    row = ClassifierVersion.objects.create(number=number, state=VersionState.READY, scores=scores, next_try_at=None)
    return promoting.promote(row.pk, person=admin, reason="Better.")


def test_what_was_taken_back_does_not_come_back_when_a_later_one_is_taken_back(admin):
    first = promoted(admin, 1)
    second = promoted(admin, 2, beside=1)
    assert promoting.take_back(second.pk, person=admin, reason="It cannot be trusted.").pk == first.pk
    third = promoted(admin, 3, beside=1)

    assert promoting.take_back(third.pk, person=admin, reason="Nor can this.").pk == first.pk
    assert promoting.take_back(first.pk, person=admin, reason="Nor this.") is None
