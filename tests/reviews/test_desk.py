"""The desk: who may see it, what it shows, what it costs, and that its acts are the acts of a proposal's own page."""

from datetime import UTC, datetime, timedelta

import pytest

from escalations import clock, lifecycle
from escalations.models import Decision, Proposal
from escalations.states import State
from reviews import glances
from reviews.templatetags.figures import an_hour, part, span
from reviews.views.desk import clock_time
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(db):
    return PersonFactory(username="mira", first_name="Mira", last_name="Manager", roles=["manager"])


@pytest.fixture
def desk(manager, signed_in):
    """The desk as the manager's browser gets it."""
    browser = signed_in(manager)

    def get(**headers):
        answer = browser.get("/desk/", headers=headers or None)
        assert answer.status_code == 200
        return answer

    return get


def decided(person, *, ago, opened=None, length=0, type="approve", incident=None, **facts):
    """A proposal that this person decided so long ago, opened so many seconds before."""
    at = clock.now() - ago
    facts.setdefault("role", role("finance"))
    with clock.frozen_at(at - timedelta(hours=1)):
        proposal = ProposalFactory(incident=incident or IncidentFactory(), **facts)
    if opened is not None:
        with clock.frozen_at(at - timedelta(seconds=opened)):
            glances.note(person, proposal, length)
    with clock.frozen_at(at):
        said = {"reason": "no"} if type == "reject" else {"message": "so"} if type == "respond" else {}
        lifecycle.decide(proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version, **said)
    return proposal


@pytest.mark.parametrize("roles", [[], ["finance"], ["queue manager"]])
def test_the_desk_is_not_there_for_who_does_not_manage(signed_in, roles):
    assert signed_in(PersonFactory(roles=roles)).get("/desk/").status_code == 404


def test_an_auditor_reads_the_desk_without_acts(signed_in, ask):
    ask()

    answer = signed_in(PersonFactory(roles=["auditor"])).get("/desk/")

    assert answer.status_code == 200
    assert b"You read along." in answer.content
    assert b'class="desk-acts"' not in answer.content and b"Reassign" not in answer.content


def test_a_post_to_the_desk_does_nothing(signed_in, manager):
    assert signed_in(manager).post("/desk/").status_code == 405


def test_an_empty_room_says_so(desk):
    shown = desk().content.decode()

    for sentence in ("nothing waits", "Nobody holds anything", "Nothing was escalated", "Nobody has decided anything"):
        assert sentence in shown


def test_a_queue_without_decisions_has_no_pace_and_says_what_is_due(desk, ask):
    ask(due_at=clock.now() + timedelta(hours=3))

    queue, forecast = desk().context["queues"][0]

    assert (queue.role, queue.waiting, queue.pace) == ("finance", 1, None)
    assert forecast[0].startswith("no pace yet; the first is due at ")


def test_a_slow_queue_breaches_at_the_due_time_of_the_first_that_comes_too_late(desk, ask, reviewer):
    for minutes in (180, 120, 60):
        decided(reviewer, ago=timedelta(minutes=minutes))  # three in three hours: one an hour
    due = clock.now() + timedelta(minutes=110)
    for one in (clock.now() + timedelta(minutes=70), due, clock.now() + timedelta(hours=9)):
        ask(due_at=one)

    answer = desk()
    queue, forecast = answer.context["queues"][0]

    assert queue.pace == pytest.approx(3600, abs=5)
    assert queue.breach.due_at == due and queue.breach.place == 2
    words = f"at this pace finance breaches at {clock_time(due, clock.now(), UTC)} (number 2 in line)"
    assert forecast == (words, "late") and words in answer.content.decode()


def test_a_quick_queue_says_when_it_is_done(desk, ask, reviewer):
    for minutes in (15, 10, 5):
        decided(reviewer, ago=timedelta(minutes=minutes))
    ask(due_at=clock.now() + timedelta(hours=3))

    queue, forecast = desk().context["queues"][0]

    assert queue.breach is None and forecast[0].startswith("at this pace nothing breaches; done by ")


def test_a_parked_queue_has_no_clock(desk, ask):
    ask(due_at=None, expires_at=None, parked_at=clock.now())

    queue, forecast = desk().context["queues"][0]

    assert queue.waiting == 1 and forecast[0] == "parked: no clock runs"


def test_what_test_keys_posted_is_in_no_figure(desk, reviewer):
    test = {"role": role("finance")}
    waiting = ProposalFactory(incident=IncidentFactory(test=True), **test)
    lifecycle.claim(waiting.pk, person=reviewer)
    lifecycle.escalate_now(ProposalFactory(incident=IncidentFactory(test=True), **test).pk, person=reviewer)
    decided(reviewer, ago=timedelta(minutes=5), opened=60, incident=IncidentFactory(test=True))

    context = desk().context

    assert all(queue.waiting == 0 and queue.next_id is None for queue, _ in context["queues"])
    assert not (context["desk"].held or context["desk"].escalations or context["desk"].people or context["desk"].sources)
    assert not context["desk"].upcoming and not any(hour.came or hour.decided for _, hour in context["hours"])


def test_what_a_rule_settled_alone_was_asked_of_nobody(desk):
    proposal = ProposalFactory(asked=[], state=State.APPROVED, settled_at=clock.now(), due_at=None)
    Decision.objects.create(
        proposal=proposal, type="approve", by_kind="policy", by_id="rule", by_name="rule", signed_digest="d", args_digest="d",
        valid_until=clock.now(),
    )

    context = desk().context

    assert not any(hour.came or hour.decided for _, hour in context["hours"]) and not context["desk"].sources


def test_it_says_who_holds_what_and_since_when_they_first_took_it(desk, ask, reviewer):
    proposal = ask()
    taken = clock.now() - timedelta(minutes=4)
    with clock.frozen_at(taken):
        lifecycle.claim(proposal.pk, person=reviewer)
    with clock.frozen_at(taken + timedelta(minutes=2)):
        lifecycle.claim(proposal.pk, person=reviewer)  # renewed

    held = desk().context["desk"].held

    assert [(one.proposal, one.since) for one in held] == [(proposal, taken)]


def test_who_takes_over_holds_it_since_then(desk, ask, reviewer, colleague):
    proposal = ask()
    now = clock.now()
    for person, minutes, over in ((reviewer, 8, False), (colleague, 5, True), (reviewer, 2, True)):
        with clock.frozen_at(now - timedelta(minutes=minutes)):
            lifecycle.claim(proposal.pk, person=person, take_over=over)

    held = desk().context["desk"].held

    assert [one.since for one in held] == [now - timedelta(minutes=2)]


def test_it_tells_escalations_of_the_day_and_why(desk, ask, reviewer, manager):
    manager_role = role("manager")
    policy = {"name": "p", "steps": [{"role": manager_role.pk, "name": "manager", "after": 60}], "fallback": "reject"}
    by_hand, by_clock, old = (ask(policy=policy, due_at=clock.now() - timedelta(minutes=1)) for _ in range(3))
    with clock.frozen_at(clock.now() - timedelta(hours=25)):
        lifecycle.escalate_now(old.pk, person=reviewer, why="long ago")
    lifecycle.escalate_now(by_hand.pk, person=reviewer, why="Over <my> limit")
    assert lifecycle.run_out(only=by_clock.pk) == 1

    answer = desk()
    told = answer.context["desk"]

    assert (told.by_clock, told.by_hand) == (1, 1)
    assert [(one.by_clock, one.who, one.why) for one in told.escalations] == [
        (True, "finance", ""), (False, "Rosa Reviewer", "Over <my> limit"),
    ]
    assert "finance had not answered in time" in answer.content.decode()
    assert "Over &lt;my&gt; limit" in answer.content.decode()


def test_it_says_of_nobody_how_fast_they_sign(desk, reviewer, colleague):
    """That a person is hasty is told to that person first; a manager learns of it days later, where they also said why."""
    for minutes in range(6):
        decided(reviewer, ago=timedelta(hours=2, minutes=minutes), opened=2, length=6_000)
        decided(colleague, ago=timedelta(hours=2, minutes=minutes), opened=90, length=6_000)

    answer = desk()
    shown = answer.content.decode()

    assert [(one.name, one.decided) for one in answer.context["desk"].people] == [("Carl Colleague", 6), ("Rosa Reviewer", 6)]
    people = shown[shown.index("people-title") : shown.index("sources-title")]
    assert "sooner than" not in shown and "Opening to signing" not in shown
    assert "2 s" not in people and "1 min" not in people and "90 s" not in people
    assert "/second/agreement/#alarms-h" in people


def test_sources_are_told_by_who_asks_most(desk, reviewer):
    busy, quiet = SourceFactory(name="busy"), SourceFactory(name="quiet")
    for number in range(3):
        decided(reviewer, ago=timedelta(minutes=number + 1), type="reject" if number else "approve", incident=IncidentFactory(source=busy))
    ProposalFactory(incident=IncidentFactory(source=quiet))

    sources = desk().context["desk"].sources

    assert [(one.name, one.asked, one.decided, one.reject) for one in sources] == [("busy", 3, 3, 2), ("quiet", 1, 0, 0)]
    assert sources[0].median_wait == pytest.approx(3600)


def test_the_hours_tell_what_came_and_what_was_decided(desk, ask, reviewer):
    decided(reviewer, ago=timedelta(0), role=role("finance"))  # came an hour ago, decided now
    ask()

    hours = [hour for _, hour in desk().context["hours"]]

    assert len(hours) == 24
    assert [(hour.came, hour.decided) for hour in hours[-2:]] == [(1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("act", "said", "becomes"),
    [
        ("hand_over", {"role": "security", "why": "theirs"}, lambda one: one.role.name == "security"),
        ("extend", {"hours": 2}, lambda one: one.due_at > clock.now() + timedelta(hours=5)),
        ("claim", {}, lambda one: one.claimed_by.username == "mira"),
        ("take_over", {}, lambda one: one.claimed_by.username == "mira"),
    ],
)
def test_a_manager_acts_from_the_desk_and_comes_back_to_it(signed_in, manager, ask, reviewer, act, said, becomes):
    proposal = ask()
    if act == "take_over":
        lifecycle.claim(proposal.pk, person=reviewer)
    if "role" in said:
        said = said | {"role": role(said["role"]).pk}

    answer = signed_in(manager).post(f"/proposals/{proposal.pk}/acts/", {"act": act, "back": "desk", **said})

    assert (answer.status_code, answer["Location"]) == (303, "/desk/")
    assert becomes(Proposal.objects.select_related("role", "claimed_by").get(pk=proposal.pk))


def test_hostile_words_of_a_source_stay_words(desk, ask, reviewer):
    proposal = ask(action="<script>alert(1)</script>", title='"><img src=x onerror=alert(1)>', source=SourceFactory(name="agent"))
    lifecycle.claim(proposal.pk, person=reviewer)

    shown = desk().content.decode()

    assert "<script>alert" not in shown and "<img" not in shown


def test_the_part_that_moves_comes_alone_to_htmx(desk):
    shown = desk(**{"HX-Request": "true"}).content.decode()

    assert shown.lstrip().startswith('<div id="now"') and "people-title" not in shown


@pytest.mark.parametrize("size", [1, 12])
def test_the_desk_costs_the_same_whatever_waits(signed_in, manager, reviewer, ask, size, django_assert_max_num_queries):
    for number in range(size):
        lifecycle.claim(ask().pk, person=reviewer)
        lifecycle.escalate_now(ask().pk, person=reviewer, why="mine")
        decided(reviewer, ago=timedelta(minutes=number + 1), opened=60)
    browser = signed_in(manager)

    # Session, person, preferences, roles, the count in the navigation; decisions, queues, breaches, hours; held, steps, next, rows,
    # what the record tells, arrivals by source, the roles to reassign to, whether everything is stopped, runs that wait.
    with django_assert_max_num_queries(19):
        assert browser.get("/desk/").status_code == 200


def test_a_moment_of_another_day_says_which():
    now = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)

    assert clock_time(now + timedelta(hours=1), now, UTC) == "23:00"
    assert clock_time(now + timedelta(hours=3), now, UTC) == "Sat 21 Nov, 01:00"


def test_figures_are_written_as_people_say_them():
    assert [span(one) for one in (None, 0.25, 3.0, 40, 600, 7_800, 7_200, 270_000)] == [
        "–", "0.2 s", "3 s", "40 s", "10 min", "2 h 10 min", "2 h", "3 d 3 h",
    ]
    assert [part(one) for one in (None, 0.0, 0.625, 1.0)] == ["–", "0 %", "62 %", "100 %"]
    assert [an_hour(one) for one in (None, 3600, 1200, 30)] == ["–", "1 an hour", "3 an hour", "120 an hour"]
