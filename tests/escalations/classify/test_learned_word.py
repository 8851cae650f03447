"""The learned engine at classification: a word of the live version, expectations apart from it, and nobody waits for its troubles."""

import json

import pytest

from escalations import classify
from escalations.classify import learned
from escalations.learned.fitting import model_of
from escalations.models import AuditEntry, Classification, ClassifierVersion, Estimate, Features, Trigger, Work
from escalations.states import Stage, VersionState
from tests.factories import IncidentFactory, ProposalFactory, WorkFactory
from tests.teaching import case, posted

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def weights(django_db_blocker):
    with django_db_blocker.unblock():
        past = [  # one in seven without a category: so the two questions, else the same, get other chances
            case(number, right=number % 4 != 0, category="" if number % 7 == 0 else "big" if number % 4 == 0 else "small")
            for number in range(1_000, 1_240)
        ]
        return model_of(past).dump()


@pytest.fixture(autouse=True)
def nothing_remembered():
    learned.forget()
    yield
    learned.forget()


def version(weights, number=1, state=VersionState.LIVE):
    return ClassifierVersion.objects.create(number=number, state=state, weights=weights, next_try_at=None)


def work(number=1_101, right=True, **incident):
    said = posted(number, right=right)
    row = IncidentFactory(title=said["title"], context=said["context"], **incident)
    proposal = ProposalFactory(incident=row, action="refund", args=said["proposal"]["args"], routed_at=None)
    return WorkFactory(incident=row, proposal=proposal)


def word(of):
    return Classification.objects.filter(work=of, engine="learned").first()


def test_without_any_version_there_is_no_word_and_features_are_kept():
    one = work()

    classify.run_batch()

    assert word(one) is None
    assert Features.objects.get(work=one).spec == 1
    assert not Estimate.objects.exists()


def test_the_live_version_says_what_it_is_and_expects_apart_from_it(weights):
    live = version(weights)
    small, big = work(1_101), work(1_100, right=False)

    classify.run_batch()

    said = word(small)
    assert (said.category, said.version, said.error, said.severity) == ("small", "1", "", "")
    assert word(big).category == "big"
    estimates = {one.work_id: one for one in Estimate.objects.filter(version=live)}
    assert estimates[small.pk].approve > 0.8 > 0.4 > estimates[big.pk].approve


def test_what_it_expects_of_a_person_is_in_no_word_and_no_entry(weights):
    version(weights)
    one = work()

    classify.run_batch()

    expected = Estimate.objects.get(work=one)
    row = word(one)
    told = json.dumps([row.rationale, row.triggers, row.version, row.error, *AuditEntry.objects.values_list("body", flat=True)], default=str)
    for number in (expected.approve, expected.novelty):
        assert f"{number:.3f}" not in told
    assert "approve" not in told and "novelty" not in told and "estimate" not in told


def test_a_ready_version_speaks_in_shadow_and_is_heard_by_nobody(weights):
    version(weights, state=VersionState.READY)
    one = work()

    classify.run_batch()

    assert word(one) is None
    assert Estimate.objects.get(work=one).approve is not None


def test_only_the_newest_ready_one_and_none_that_is_retired_or_failed(weights):
    for number, state in enumerate([VersionState.READY, VersionState.READY, VersionState.RETIRED, VersionState.FAILED], start=1):
        version(weights, number, state)
    one = work()

    classify.run_batch()

    assert [estimate.version.number for estimate in Estimate.objects.filter(work=one)] == [2]


def test_what_is_unlike_the_past_fires_unfamiliar_and_how_unlike_is_for_the_trigger_to_say(weights):
    version(weights)
    strange = {"title": "Wire the treasury to Vanuatu", "context": {"request": "zxcv qwer asdf uiop"}}
    one = WorkFactory(incident=IncidentFactory(**strange))
    classify.run_batch()
    assert [trigger["name"] for trigger in word(one).triggers] == ["unfamiliar"]
    assert word(one).confidence is None and not word(one).sure

    Trigger.objects.filter(name="unfamiliar").update(settings={"above": 1})
    other = WorkFactory(incident=IncidentFactory(**strange))
    classify.run_batch()
    assert word(other).triggers == []


def test_weights_that_cannot_be_read_are_an_error_of_the_live_version_and_delay_nobody(weights):
    version(b"no weights at all")
    one = work()

    classify.run_batch()

    assert word(one).error.startswith("The learned engine did not speak.")
    assert Work.objects.get(pk=one.pk).stage == Stage.ROUTE
    assert Classification.objects.filter(work=one, engine="rules", error="").exists()


def test_an_incident_that_breaks_the_features_keeps_none_of_its_neighbours(weights, monkeypatch):
    version(weights)
    bad, good = work(1_101), work(1_102)
    real = learned.of
    monkeypatch.setattr(learned, "of", lambda incident, proposal: 1 / 0 if incident.pk == bad.incident_id else real(incident, proposal))

    classify.run_batch()

    assert word(bad).error and not word(good).error
    assert set(Work.objects.values_list("stage", flat=True)) == {Stage.ROUTE}


def test_an_engine_that_breaks_is_a_word_only_where_a_version_is_live(weights, monkeypatch):
    monkeypatch.setattr(learned, "_heard", lambda works: 1 / 0)
    silent = work()
    classify.run_batch()
    assert word(silent) is None

    version(weights)
    told = work()
    classify.run_batch()
    assert word(told).error == "The learned engine failed (ZeroDivisionError)."


def test_a_batch_costs_the_same_number_of_queries_whatever_its_length(weights, django_assert_max_num_queries):
    version(weights)
    for number in range(20):
        work(1_100 + number)

    with django_assert_max_num_queries(22):
        assert classify.run_batch() == 20


def test_classified_twice_it_is_estimated_once(weights):
    version(weights)
    one = work()
    classify.run_batch()
    before = Estimate.objects.get(work=one).created_at
    Work.objects.filter(pk=one.pk).update(stage=Stage.CLASSIFY)

    classify.run_batch()

    assert Estimate.objects.get(work=one).created_at == before
