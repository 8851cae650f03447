"""Two prompts asked about the past: counted beside people, within the budget, restartable, and nothing is decided by it."""

import json
from datetime import timedelta

import pytest
from django.db.models import F

from escalations import clock, policies, queue
from escalations.classify import agreeing, breaker, comparing, conversation
from escalations.classify.agreeing import Case, Duel
from escalations.classify.word import Word
from escalations.errors import Invalid, NotFound
from escalations.models import AuditEntry, Classification, Decision, ModelSpend, PromptTrial, PromptVersion, Work
from tests.escalations.classify.past import decided
from tests.factories import PersonFactory, SourceFactory

transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(db):
    return PersonFactory(roles=["queue manager"], is_staff=True)


@pytest.fixture
def versions(person):
    """The installed version and a second one, which tells the fake to fail nothing: its server answers by its prompt."""
    second = policies.save_prompt(PromptVersion(instructions="SECOND", why="shorter"), person=person)
    return PromptVersion.objects.get(state="live"), second


@pytest.fixture
def past(person):
    """Six alarms people decided: four as proposed, one corrected, one answered."""
    source = SourceFactory(name="monitor")
    alarm = {"action": "acknowledge", "author": "system", "kind": "alert", "incident": {"kind": "alert", "title": "An outage of db-1"}}
    args = {"severity": "warning", "category": "outage"}
    for _ in range(4):
        decided(person, source, "approve", "", args=args, **alarm)
    decided(person, source, "edit", "It was the disk", args=args, changes={"severity": "critical", "category": "timeout"}, **alarm)
    decided(person, source, "respond", "Look at it", args=args, **alarm)
    return source


def trial(versions, person, wanted=50):
    return comparing.ask(versions[0].pk, versions[1].pk, wanted, person=person)


def run(at_most=20):
    for _ in range(at_most):
        if not comparing.run_slice():
            return
    pytest.fail("it does not end")


@transactional
def test_both_versions_are_asked_and_counted_beside_what_people_signed(model, versions, past, person):
    row = trial(versions, person)
    before = {kind: kind.objects.count() for kind in (Classification, Work, Decision)}

    run()

    row.refresh_from_db()
    assert (row.state, row.done, row.result["cases"]) == ("done", 6, 6)
    first = agreeing.side(row.result, "first")
    assert (first.answered, first.errors) == (6, 0)
    assert (first.category.hits, first.category.of) == (4, 5), "one was corrected, one answered"
    assert (first.severity.hits, first.severity.of) == (4, 5)
    assert (first.disturbed.of, first.caught.of) == (4, 2)
    assert (first.tokens_in, first.tokens_out) == (600, 120)
    assert agreeing.same(row.result, "category").share == 1.0
    systems = [body["messages"][0]["content"] for body in model.seen]
    assert len(systems) == 12 and sum("SECOND" in one for one in systems) == 6
    assert {kind: kind.objects.count() for kind in before} == before, "it decides nothing and classifies nothing"
    assert (ModelSpend.objects.get().calls, ModelSpend.objects.get().tokens_in) == (12, 1200)
    states = [json.loads(one.body)["facts"]["state"] for one in AuditEntry.objects.filter(action="prompt.compared").order_by("pk")]
    assert states == ["asked", "done"]


@transactional
def test_where_they_differ_can_be_read_case_by_case(model, versions, past, person, monkeypatch):
    monkeypatch.setattr(comparing.llm, "ask_each", answers(lambda system: ("timeout", "critical") if "SECOND" in system else ("outage", "warning")))
    row = trial(versions, person)

    run()

    row.refresh_from_db()
    assert row.result["differ"] == 6 and len(row.result["items"]) == 6
    assert agreeing.duel(row.result, "category") == Duel(first=4, second=1)
    assert not agreeing.duel(row.result, "category").clear
    corrected = next(one for one in row.result["items"] if one["verdict"] == "edit")
    assert (corrected["category"], corrected["first"]["category"], corrected["second"]["category"]) == ("timeout", "outage", "timeout")


def answers(say):
    def ask_each(questions):
        for index, question in reversed(list(enumerate(questions))):  # as they come, which is in no order
            category, severity = say(question.messages[0]["content"])
            word = Word(engine="llm", category=category, severity=severity, confidence=0.9, tokens_in=10, tokens_out=2, latency_ms=5)
            yield [(index, word)]

    return ask_each


@transactional
def test_an_incident_is_asked_about_with_the_decisions_of_its_day_alone(model, versions, person):
    source = SourceFactory()
    decided(person, source, "reject", "The first word on this")
    decided(person, source, "reject", "The second word on this")
    row = trial(versions, person)

    run()

    row.refresh_from_db()
    told = [body["messages"][1]["content"] for body in model.seen]
    assert (row.done, len(told)) == (2, 4)
    assert sum("The first word" in one for one in told) == 2, "the later one, by both versions"
    assert not any("The second word" in one for one in told), "its own reason, and what came after it, are not known"


@transactional
def test_test_keys_scripts_and_rules_are_left_out(model, versions, person):
    source = SourceFactory()
    decided(person, source, "reject", "a test", incident={"test": True}, test=True)
    decided(person, source, "reject", "a script", interactive=False)
    trial(versions, person)

    run()

    assert model.seen == []
    assert PromptTrial.objects.get().state == "done"


@transactional
def test_as_many_as_wanted_page_by_page_newest_first(model, versions, past, person, monkeypatch):
    monkeypatch.setattr(comparing, "A_PAGE", 2)
    row = trial(versions, person, wanted=3)

    assert comparing.run_slice() is True
    row.refresh_from_db()
    assert (row.state, row.done, row.lease_until) == ("running", 2, None)
    assert comparing.run_slice() is False

    row.refresh_from_db()
    assert (row.state, row.done, len(model.seen)) == ("done", 3, 6)
    assert row.result["first"]["caught"][1] == 2, "the answered and the corrected one are the newest"


@transactional
def test_a_worker_that_dies_loses_its_page_and_nothing_is_counted_twice(model, versions, past, person, monkeypatch):
    row = trial(versions, person)
    keep = comparing._keep

    def dies(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "_keep", dies)
    with pytest.raises(KeyboardInterrupt):
        comparing.run_slice()
    monkeypatch.setattr(comparing, "_keep", keep)
    assert comparing.run_slice() is False, "the lease holds"
    PromptTrial.objects.update(lease_until=clock.now() - timedelta(seconds=1))

    run()

    row.refresh_from_db()
    assert (row.state, row.done, row.result["cases"]) == ("done", 6, 6)


@transactional
def test_who_lost_the_lease_writes_nothing(model, versions, past, person, monkeypatch):
    row = trial(versions, person)
    pairs = comparing._pairs

    def stolen(*args):
        PromptTrial.objects.update(token=F("token") + 1)
        return pairs(*args)

    monkeypatch.setattr(comparing, "_pairs", stolen)
    assert comparing.run_slice() is False

    row.refresh_from_db()
    assert (row.done, row.result["cases"], row.state) == (0, 0, "running")


@transactional
def test_cancelling_ends_it_and_keeps_what_was_counted(model, versions, past, person, monkeypatch):
    monkeypatch.setattr(comparing, "A_PAGE", 2)
    row = trial(versions, person)
    comparing.run_slice()

    assert comparing.cancel(row, person=person) is True
    assert comparing.run_slice() is False
    assert comparing.cancel(row, person=person) is False
    row.refresh_from_db()
    assert (row.state, row.done) == ("cancelled", 2)


@transactional
def test_half_of_the_days_tokens_stay_with_the_incidents(model, versions, past, person, settings):
    row = trial(versions, person)
    ModelSpend.objects.create(day=clock.now().date(), tokens_in=settings.LLM_DAILY_TOKENS // 2)

    assert comparing.run_slice() is False

    row.refresh_from_db()
    assert (row.state, row.lease_until, model.seen) == ("waiting", None, [])
    assert "tomorrow" in row.error and row.next_try_at.date() == clock.now().date() + timedelta(days=1)
    assert not queue.comparisons_due(clock.now()).exists()
    fits, _ = breaker.reserve([1_000], budget=settings.LLM_DAILY_TOKENS)
    assert fits == 1, "incidents are still asked about"
    with clock.frozen_at(row.next_try_at + timedelta(seconds=1)):
        run()
    row.refresh_from_db()
    assert row.state == "done"


@transactional
def test_a_question_that_can_never_be_paid_ends_it(model, versions, past, person, settings):
    settings.LLM_DAILY_TOKENS = 100
    row = trial(versions, person)

    comparing.run_slice()

    row.refresh_from_db()
    assert row.state == "failed" and "budget" in row.error


@transactional
def test_a_server_that_is_down_is_tried_again_and_then_given_up(model, versions, past, person):
    model.fault = "401"
    row = trial(versions, person)

    for _ in range(comparing.MAX_ATTEMPTS + 1):
        conversation.breaker.reset()
        PromptTrial.objects.update(next_try_at=clock.now() - timedelta(seconds=1))
        comparing.run_slice()

    row.refresh_from_db()
    assert (row.state, row.done) == ("failed", 0)
    assert "401" in row.error


@transactional
def test_the_job_runs_it_and_a_lost_wake_up_costs_a_second(model, versions, past, person, run_jobs):
    row = trial(versions, person)
    queue.forget_wake_ups()
    assert "compare" in queue.wake_due()

    run_jobs()

    row.refresh_from_db()
    assert row.state == "done"
    assert "compare" not in queue.wake_due()


def test_what_cannot_be_compared_is_refused(model, versions, person):
    first, second = (one.pk for one in versions)

    for given in ((first, first, 10), (first, second, 0), (first, second, 5_000)):
        with pytest.raises(Invalid):
            comparing.ask(*given, person=person)
    with pytest.raises(NotFound):
        comparing.ask(first, 0, 10, person=person)
    for _ in range(comparing.MOST_OPEN):
        comparing.ask(first, second, 10, person=person)
    with pytest.raises(Invalid, match="wait already") as refused:
        comparing.ask(first, second, 10, person=person)
    assert refused.value.errors[0]["code"] == "too_many"


def test_without_a_model_there_is_nobody_to_ask(versions, person, settings):
    settings.COUNTERSIGN_MODEL = ""

    with pytest.raises(Invalid):
        trial(versions, person)


# -- the arithmetic


def word(category="refund", severity="info", triggers=(), error="", **more):
    return Word(engine="llm", category=category, severity=severity, triggers=[{"name": one} for one in triggers], error=error, **more)


def test_errors_are_no_disagreement():
    result = agreeing.nothing()

    agreeing.count(result, [Case("p", "approve", "refund", "info", word(), word(error="down"))])

    assert (result["both"], result["differ"], result["second"]["errors"]) == (0, 0, 1)
    assert agreeing.side(result, "second").category.share is None
    assert agreeing.side(result, "first").category.between == pytest.approx((0.025, 1.0))


def test_a_trigger_on_what_people_refused_is_a_catch_and_on_what_they_approved_a_disturbance():
    result = agreeing.nothing()

    agreeing.count(result, [
        Case("a", "approve", "", "", word(triggers=["high_stakes"]), word()),
        Case("b", "reject", "", "", word(triggers=["high_stakes"]), word()),
        Case("c", "edit", "", "", word(), word(triggers=["user_complaint"])),
    ])

    first, second = agreeing.side(result, "first"), agreeing.side(result, "second")
    assert ((first.caught.hits, first.caught.of), (first.disturbed.hits, first.disturbed.of)) == ((1, 2), (1, 1))
    assert ((second.caught.hits, second.caught.of), (second.disturbed.hits, second.disturbed.of)) == ((1, 2), (0, 1))
    assert result["differ"] == 3


@pytest.mark.parametrize("first, second, clear", [(0, 0, False), (5, 0, False), (6, 0, True), (1, 6, False), (1, 8, True), (20, 10, False)])
def test_which_is_better_is_said_only_where_chance_would_not_say_it(first, second, clear):
    """Two-sided exact binomial at 5 %: 2·P(X ≤ min) with p = ½ is 0.0625 for 5:0, 0.031 for 6:0, 0.125 for 1:6, 0.039 for 1:8."""
    assert Duel(first, second).clear is clear


def test_no_more_is_kept_than_can_be_read():
    result = agreeing.nothing()

    agreeing.count(result, [Case(str(n), "approve", "", "", word(), word(category="other")) for n in range(300)])

    assert (result["differ"], len(result["items"])) == (300, agreeing.ITEMS_KEPT)
    assert len(json.dumps(result)) < 100_000
