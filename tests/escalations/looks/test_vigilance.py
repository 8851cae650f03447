"""Signs that attention fades: found where they are, not where they are not, and told first to whose they are."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from escalations import clock, looks
from escalations.errors import Invalid, NotFound
from escalations.looks import vigilance
from escalations.looks.vigilance import Made
from escalations.models import AuditEntry, VigilanceAlarm
from reviews.models import Glance
from tests.factories import PersonFactory

BEGIN = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def made(person, type="approve", action="refund", seconds=None, minutes=0, length=3_000, risk="medium"):
    at = BEGIN + timedelta(minutes=minutes)
    return Made(person, type, at, 1, action, risk, seconds, length)


def never(person):
    return BEGIN - timedelta(days=1)


def test_two_missed_known_answers_of_few_are_a_sign_and_one_is_none():
    missed, found_it, too_careful = ("reject", "approve"), ("reject", "edit"), ("approve", "reject")

    def signs(*answers):
        return vigilance.known_missed((7, *one) for one in answers)

    assert signs(missed) == [] and signs(found_it, found_it) == [] and signs(too_careful, too_careful, too_careful) == []
    assert signs(*[missed] * 2, *[found_it] * 40) == []  # one in twenty is what anybody misses
    [sign] = signs(missed, missed, found_it)
    assert (sign.person_id, sign.kind, sign.evidence["missed"], sign.evidence["of"]) == (7, "known", 2, 3)


def test_signing_faster_than_can_be_read_is_a_sign_from_twenty_on():
    quick, slow = made(1, seconds=1.0), made(2, seconds=60.0)

    assert vigilance.too_fast([quick] * 19) == []
    assert [sign.person_id for sign in vigilance.too_fast([quick] * 20 + [slow] * 40)] == [1]
    assert vigilance.too_fast([quick] * 20 + [made(1, seconds=60.0)] * 20) == []  # half is not more than half
    assert vigilance.too_fast([made(1)] * 50) == []  # never opened on a page


def test_nothing_but_yes_is_a_sign_only_where_others_say_no():
    mine = [made(1, minutes=n) for n in range(60)]
    strict = [made(2, "reject" if n % 4 == 0 else "approve", minutes=n) for n in range(60)]
    lenient = [made(2, minutes=n) for n in range(600)]

    [sign] = vigilance.only_yes(mine + strict, never)

    assert sign.person_id == 1 and sign.evidence["run"] == 60 and sign.evidence["chance"] < 0.001
    assert vigilance.only_yes(mine + lenient, never) == []
    assert vigilance.only_yes(mine[:29] + strict, never) == []
    assert vigilance.only_yes(mine + [made(3, "reject", "close_account", minutes=n) for n in range(60)], never) == []  # nothing like theirs
    assert vigilance.only_yes(mine + [made(1, "edit", minutes=45)] + strict, never) == []
    assert vigilance.only_yes(mine + strict, lambda person: BEGIN + timedelta(minutes=40)) == []  # told of it already


def test_being_seen_otherwise_much_more_often_than_others_is_a_sign():
    others = [(2, n % 20 == 0) for n in range(100)]

    [sign] = vigilance.seen_otherwise([*others, *[(1, n < 6) for n in range(12)]])

    assert (sign.person_id, sign.evidence["apart"], sign.evidence["of"]) == (1, 6, 12)
    assert vigilance.seen_otherwise([*others, *[(1, n < 1) for n in range(12)]]) == []
    assert vigilance.seen_otherwise([(1, True)] * 12) == []  # with nobody to compare


def test_who_looks_as_everybody_does_is_hardly_ever_alarmed():
    rng, wrongly = random.Random(5), 0
    for _ in range(200):
        decisions = [made(person, "approve" if rng.random() < 0.9 else "reject", minutes=n) for n in range(80) for person in (1, 2, 3)]
        seen = [(person, rng.random() < 0.1) for _ in range(20) for person in (1, 2, 3)]
        answers = [(1, "reject", "approve" if rng.random() < 0.05 else "reject") for _ in range(6)]
        wrongly += bool(vigilance.only_yes(decisions, never)) + bool(vigilance.known_missed(answers))
        wrongly += bool(vigilance.seen_otherwise(seen))

    assert wrongly / 200 < 0.15


@pytest.fixture
def sign(rosa):
    return vigilance.Sign(rosa.pk, "pace", "21 of 25 were signed sooner", {"fast": 21, "of": 25})


def test_an_alarm_is_raised_once_and_the_record_does_not_say_whose(sign, rosa):
    assert (vigilance.raise_alarm(sign), vigilance.raise_alarm(sign)) == (True, False)

    entry = AuditEntry.objects.get(action="vigilance.alarmed")
    assert "rosa" not in entry.body.lower() and entry.subject == f"VigilanceAlarm {VigilanceAlarm.objects.get().pk}"


def test_the_person_sees_it_first_and_managers_three_days_later(sign, rosa, carl):
    vigilance.raise_alarm(sign)
    raised = VigilanceAlarm.objects.get().raised_at

    def shared(days):
        with clock.frozen_at(raised + timedelta(days=days)):
            return looks.shared_alarms().count()

    assert looks.alarms_of(rosa).count() == 1 and looks.alarms_of(carl).count() == 0
    assert (shared(0), shared(4), shared(15)) == (0, 0, 1)  # unseen: only after two weeks
    looks.note_seen(rosa)
    assert (shared(2.9), shared(3)) == (0, 1)


def test_what_the_person_says_is_kept_and_only_theirs_can_be_answered(sign, rosa, carl):
    vigilance.raise_alarm(sign)
    alarm = VigilanceAlarm.objects.get()

    with pytest.raises(NotFound):
        looks.answer_alarm(alarm.pk, person=carl, text="not mine")
    with pytest.raises(Invalid):
        looks.answer_alarm(alarm.pk, person=rosa, text="  ")
    looks.answer_alarm(alarm.pk, person=rosa, text="All the same batch, checked by telephone.")

    alarm.refresh_from_db()
    assert alarm.answer == "All the same batch, checked by telephone." and alarm.seen_at
    assert AuditEntry.objects.get(action="vigilance.answered").actor == "rosa"


def test_the_look_finds_it_in_the_rows_and_does_not_hold_it_against_anybody_twice(decided, rosa, carl):
    for _ in range(vigilance.PACE_LEAST):
        one = decided(rosa)
        Glance.objects.create(proposal=one, person=rosa, version=1, length=20_000, at=one.settled_at - timedelta(seconds=0.2))

    assert (looks.look(), looks.look()) == (1, 0)

    alarm = VigilanceAlarm.objects.get()
    assert (alarm.person, alarm.kind, alarm.evidence) == (rosa, "pace", {"fast": 20, "of": 20})
    with clock.frozen_at(clock.now() + vigilance.CLEARED_AFTER):
        looks.look()
        assert not looks.alarms_of(rosa).exists()
        assert not VigilanceAlarm.objects.filter(cleared_at=None).exists()


@pytest.mark.parametrize("size", [1, 12])
def test_a_look_costs_the_same_however_much_was_decided(decided, rosa, size, django_assert_max_num_queries):
    for _ in range(size):
        decided(PersonFactory(roles=["finance"]))

    with django_assert_max_num_queries(8):
        assert looks.look() == 0
