"""Which settled proposals are looked at again: by chance alone, and never by who could not be blind."""

import math
from datetime import timedelta
from uuid import uuid4

import pytest

from escalations import clock, lifecycle, looks
from escalations.errors import CountersignError
from escalations.looks import drawing
from escalations.models import AuditEntry, KnownAnswer, SecondLook, Trial
from escalations.states import LookState, TrialMode
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_is_drawn(settings):
    settings.SECOND_LOOK_PERCENT, settings.KNOWN_ANSWER_EVERY = 100, 0


def drawn_of(proposal):
    return SecondLook.objects.filter(proposal=proposal)


def test_what_a_person_settled_is_drawn_once_and_recorded_without_its_incident(decided, rosa, carl):
    one = decided(rosa)

    assert (looks.draw(), looks.draw()) == (1, 0)

    look = drawn_of(one).get()
    assert (look.state, look.role, look.share, look.expected) == (LookState.OPEN, one.role, 1.0, "")
    entry = AuditEntry.objects.get(action="second.drawn")
    assert entry.proposal_id == one.pk and entry.incident_id is None and "share" not in entry.body


def test_nothing_is_drawn_that_nobody_else_could_look_at(decided, rosa):
    decided(rosa)

    assert looks.draw() == 0


def test_test_keys_and_tokens_with_nobody_behind_them_are_left_out(decided, rosa, carl):
    tried = decided(rosa, incident=IncidentFactory(test=True))
    by_token = ProposalFactory(role=tried.role)
    lifecycle.decide(
        by_token.pk, person=rosa, type="approve", digest=by_token.args_digest, version=by_token.version, method="api", interactive=False
    )
    question = decided(rosa, "reject", incident=IncidentFactory(kind="question"))

    assert looks.draw() == 0
    assert not SecondLook.objects.filter(proposal__in=[tried, by_token, question]).exists()


def test_what_lies_behind_is_not_dug_out(decided, rosa, carl):
    with clock.frozen_at(clock.now() - drawing.WITHIN - timedelta(minutes=1)):
        decided(rosa)

    assert looks.draw() == 0


@pytest.mark.parametrize("percent", [0, 5, 40])
def test_the_share_is_what_the_setting_says(settings, percent):
    settings.SECOND_LOOK_PERCENT = percent
    share = drawing.share_of(None)
    hits = sum(drawing.chance(uuid4()) < share for _ in range(4_000))

    assert share == percent / 100
    assert abs(hits / 4_000 - share) <= 5 * math.sqrt(share * (1 - share) / 4_000)


def test_the_draw_is_always_the_same_and_differs_with_the_secret(settings):
    one = uuid4()
    before = drawing.chance(one)

    assert drawing.chance(one) == before
    assert drawing.chance(one, b"another purpose") != before
    settings.SECRET_KEY = "another secret"
    assert drawing.chance(one) != before


def test_what_a_lane_stands_on_is_drawn_more_often(settings):
    settings.SECOND_LOOK_PERCENT = 5
    audit, watched = Trial(mode=TrialMode.AUDIT, eligible=True), Trial(mode=TrialMode.WATCHED, eligible=True, score=0.9)

    assert [drawing.share_of(one) for one in (None, Trial(mode=TrialMode.KEPT), watched, audit)] == [0.05, 0.05, 0.1, 0.2]


def test_no_more_wait_than_the_role_can_look_at(decided, rosa, carl):
    for _ in range(2 * drawing.WAITING_MOST + 3):
        decided(rosa)

    assert looks.draw() == 2 * drawing.WAITING_MOST


def test_known_answers_are_mixed_in_and_look_like_the_others(settings, decided, rosa, carl, ada):
    settings.KNOWN_ANSWER_EVERY = 1
    known = decided(rosa)
    looks.mark(known.pk, person=ada, verdict="reject", why="the order was never delivered")
    retired = decided(rosa)
    looks.mark(retired.pk, person=ada, verdict="reject", why="so it was")
    looks.retire(retired.pk, person=ada)
    fresh = decided(rosa)

    assert looks.draw() == 2

    assert drawn_of(known).get().expected == "reject" and drawn_of(fresh).get().expected == ""
    assert not drawn_of(retired).exists()
    told = AuditEntry.objects.filter(action="second.drawn").values_list("body", flat=True)
    assert not [body for body in told if "expected" in body or "known" in body]


def test_looks_that_nobody_takes_lapse(drawn, rosa):
    look = drawn(rosa)

    with clock.frozen_at(look.lapses_at):
        assert (looks.lapse(), looks.lapse()) == (1, 0)

    look.refresh_from_db()
    assert look.state == LookState.LAPSED and AuditEntry.objects.filter(action="second.lapsed").count() == 1


def test_drawing_costs_the_same_however_much_was_settled(decided, rosa, django_assert_max_num_queries):
    for _ in range(4):
        PersonFactory(roles=["finance"])
    for _ in range(8):
        decided(rosa)

    with django_assert_max_num_queries(11):
        assert looks.draw() == 8
    with django_assert_max_num_queries(1):
        assert looks.draw() == 0


def test_a_known_answer_is_for_administrators_to_mark(decided, rosa, ada):
    one, open_one = decided(rosa), ProposalFactory()

    for person, proposal, verdict, why in (
        (rosa, one.pk, "reject", "w"), (ada, uuid4(), "reject", "w"), (ada, open_one.pk, "reject", "w"), (ada, one.pk, "maybe", "w"), (ada, one.pk, "reject", " "),
    ):
        with pytest.raises(CountersignError):
            looks.mark(proposal, person=person, verdict=verdict, why=why)

    assert not KnownAnswer.objects.exists()
