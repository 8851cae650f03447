"""The arithmetic of the desk, against plain Python that counts everything; and the database's counts against the same."""

import random
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from escalations import clock
from escalations.expectation import expected
from escalations.looks import reading
from escalations.models import ClassifierVersion, Decision, Estimate, Lane, LaneGrant, Proposal, Trial, Work
from escalations.states import STATE_OF, Kind, Verdict
from reviews import desk, measures
from reviews.measures import Decided
from tests.expecting import expecting
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def one(type="approve", **facts):
    """A decision; what is not said does not matter."""
    usual = {
        "person_id": 1, "person": "Rosa", "role_id": 7, "source": "agent", "kind": Kind.ACTION,
        "waited": 3600.0, "decided_at": NOON,
    }
    return Decided(type=type, **(usual | facts))


# -- what the machine would have said


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"suspected": True, "let_go": True, "expected": 0.99}, "reject"),
        ({"let_go": True, "expected": 0.1}, "approve"),
        ({"expected": 0.5}, "approve"),
        ({"expected": 0.49}, "reject"),
        ({"kind": Kind.DRAFT, "expected": 0.003}, "reject"),
        ({}, None),
        ({"kind": Kind.ALERT}, "approve"),
        ({"kind": Kind.QUESTION, "expected": 0.9}, None),
        ({"kind": Kind.HANDOFF}, None),
    ],
)
def test_the_machines_word_goes_by_what_it_wrote_when_it_routed(facts, word):
    assert measures.machine_word(one(**facts)) == word


@pytest.mark.parametrize(
    ("word", "type", "otherwise"),
    [
        (0.9, "approve", False), (0.9, "edit", True), (0.9, "reject", True), (0.9, "respond", True),
        (0.1, "approve", True), (0.1, "edit", True), (0.1, "reject", False), (0.1, "respond", False),
        (None, "approve", None), (None, "reject", None),
    ],
)
def test_an_override_is_deciding_otherwise_than_the_machine_would_have(word, type, otherwise):
    assert measures.overrides(one(type, expected=word)) is otherwise


# -- reading


def test_what_can_be_read_is_generous_and_less_so_with_the_risk():
    seconds = [reading.reading_seconds(6_000, risk) for risk in ("low", "medium", "high", "critical")]

    assert seconds == sorted(seconds)
    assert seconds[0] == pytest.approx(1_000 / (4 * 238) * 60, abs=0.01) or seconds[0] == 60.0


def test_reading_has_a_floor_per_risk_and_a_ceiling():
    assert [reading.reading_seconds(0, risk) for risk in ("low", "medium", "high", "critical")] == [1, 2, 4, 6]
    assert reading.reading_seconds(10**7, "low") == 60


# -- pace and forecast


def test_the_pace_counts_the_quiet_since_the_last_decision():
    moments = [NOON - timedelta(minutes=minutes) for minutes in (60, 50, 40)]

    assert measures.paces([one(decided_at=at) for at in moments], NOON) == {7: 60 * 60 / 3}


def test_the_pace_is_of_the_last_twenty_of_a_shift():
    moments = [NOON - timedelta(minutes=minutes) for minutes in range(1, 31)]

    assert measures.paces([one(decided_at=at) for at in moments], NOON) == {7: 60.0}
    assert measures.paces([one(decided_at=NOON - timedelta(hours=9))] * 5, NOON) == {}


def test_two_decisions_make_no_pace_and_twins_signed_at_once_make_no_infinite_one():
    assert measures.paces([one(decided_at=NOON)] * 2, NOON) == {}
    assert measures.paces([one(decided_at=NOON)] * 12, NOON) == {7: 1.0}


@pytest.mark.parametrize(
    ("minutes", "pace", "place"),
    [([], 60, None), ([10, 20, 30], 600, None), ([10, 20, 29], 600, 3), ([5], 600, 1), ([-1, 90], 60, 1), ([30, 10], 900, 1)],
)
def test_the_first_that_comes_after_its_due_time_breaches(minutes, pace, place):
    due = [NOON + timedelta(minutes=one) for one in minutes]

    breach = measures.first_breach(due, pace, NOON)

    assert (breach.place if breach else None) == place
    if breach:
        assert breach.due_at == sorted(due)[place - 1]


# -- the database against plain Python


SAYS = ("none", "silent", "low", "high", "unheard", "pinned")  # what was expected of something; in its place below


def expect(proposal, says, versions):
    """Write down what the classifier said of a proposal when it came, as classifying and routing do. Returns what counts of it."""
    live, ready = versions
    if says == "none":
        return None
    score = {"silent": None, "low": 0.003, "high": 0.97, "unheard": None, "pinned": 0.2}[says]
    if says != "unheard":
        expecting(proposal, score, live)
    work = Work.objects.get_or_create(proposal=proposal, incident=proposal.incident)[0]
    Estimate.objects.create(work=work, version=ready, approve=0.6)  # heard by nobody, unless a lane's grant goes by it
    if says == "pinned":
        grant, _ = LaneGrant.objects.get_or_create(
            lane=Lane.objects.get_or_create(source=proposal.source, by="action", subject="refund")[0], version=ready,
            defaults={
                "alpha": 0.02, "delta": 0.05, "threshold": 0.5, "audit_share": 0.05, "evidence": {}, "terms_digest": "x", "reason": "r",
                "granted_by": PersonFactory(), "granted_at": NOON, "expires_at": NOON,
            },
        )
        Trial.objects.create(proposal=proposal, lane=grant.lane, work=work, version=ready, grant=grant, score=0.6, mode="audit")
        return 0.6
    return score


LETS = {"name": "r", "floor": "auto"}
LEAVES = {"name": "What a lane has earned", "floor": "auto", "unmet": "no lane has earned this"}  # matches nearly everything
RULES = [[LETS], [LEAVES, LETS], [LEAVES], [{"name": "big", "floor": "review"}, LEAVES], []]  # the first two let go


@pytest.fixture
def history(db):
    """A room with a past: random, but the same each time."""
    dice = random.Random(11)
    roles = [role(name) for name in ("finance", "security", "support")]
    people = [PersonFactory() for _ in range(3)]
    sources = [SourceFactory() for _ in range(3)]
    versions = [ClassifierVersion.objects.create(number=number, state=state) for number, state in ((1, "live"), (2, "ready"))]
    chances = {}
    now = clock.now()
    for number in range(120):
        came = now - timedelta(minutes=dice.randint(1, 60 * 24 * 9))
        incident = IncidentFactory(source=dice.choice(sources), test=number % 11 == 0)
        with clock.frozen_at(came):
            proposal = ProposalFactory(
                incident=incident, role=dice.choice(roles), risk=dice.choice(["low", "medium", "high", "critical"]),
                confidence=dice.choice([None, 0.2, 0.9]), due_at=now + timedelta(minutes=dice.randint(1, 900)),
                triggers=[{"name": "injection_suspected"}] if number % 7 == 0 else [], rules=RULES[number % 5],
            )
        chances[proposal.pk] = expect(proposal, SAYS[number // 3 % len(SAYS)], versions)
        if number % 3 == 0:
            continue
        at = min(came + timedelta(minutes=dice.randint(1, 600)), now)
        person, kind = dice.choice(people), "clock" if number % 13 == 0 else "person"
        verdict = dice.choice(list(Verdict))
        state = "expired" if kind == "clock" else STATE_OF[verdict]
        Proposal.objects.filter(pk=proposal.pk).update(state=state, settled_at=at, due_at=None)
        yes = verdict in ("approve", "edit")
        Decision.objects.create(
            proposal=proposal, type=verdict, by_kind=kind, person=person if kind == "person" else None, by_id="x", by_name="x",
            signed_digest="d", args_digest="d" if yes else None, decided_at=at, valid_until=at,
        )
    return now, chances


def reference(now, chances):
    """Every decision of a person in the last seven days, one row at a time."""
    found = []
    for decision in Decision.objects.filter(by_kind="person", proposal__test=False).select_related("proposal__source", "person"):
        proposal = decision.proposal
        if decision.decided_at < now - timedelta(days=7):
            continue
        found.append(Decided(
            type=decision.type, person_id=decision.person_id, person=decision.person.name, role_id=proposal.role_id,
            source=proposal.source.name, kind=proposal.kind, waited=(decision.decided_at - proposal.routed_at).total_seconds(), decided_at=decision.decided_at,
            expected=chances[proposal.pk], suspected="injection_suspected" in proposal.trigger_names,
            let_go=proposal.rules in RULES[:2],
        ))
    return found


def test_the_figures_of_people_and_sources_are_those_counted_by_hand(history):
    now = desk.now_of()
    plain = reference(now.at, history[1])

    assert sorted(now.decisions, key=repr) == sorted(plain, key=repr) and len(plain) > 40
    assert {one.expected for one in plain} == {None, 0.003, 0.97, 0.6}
    assert {row.pk: row.said for row in Proposal.objects.annotate(said=expected())} == {
        pk: said if Decision.objects.filter(proposal=pk).exists() else None for pk, said in history[1].items()
    }
    shown = desk.desk_of(now)
    for of in shown.people:
        own = [one for one in plain if one.person_id == of.person_id]
        words = [(measures.machine_word(one), one.type) for one in own]
        assert of.decided == len(own)
        assert of.edit_share == sum(one.type == "edit" for one in own) / len(own)
        assert of.judged == sum(word is not None for word, _ in words)
        assert of.overridden == sum(
            word is not None and not (type == word or (word == "reject" and type == "respond")) for word, type in words
        )
    for of in shown.sources:
        came = Proposal.objects.filter(source__name=of.name, test=False, routed_at__gte=now.at - timedelta(days=7))
        waits = [one.waited for one in plain if one.source == of.name]
        assert (of.asked, of.decided, of.median_wait) == (came.count(), len(waits), median(waits))


def test_the_figures_of_queues_are_those_counted_by_hand(history):
    now = desk.now_of()
    paces = measures.paces(reference(now.at, history[1]), now.at)
    by_age = [0] * len(desk.AGES)

    for queue in now.queues:
        rows = list(Proposal.objects.open().filter(role_id=queue.role_id, test=False))
        assert queue.waiting == len(rows) and not queue.capped
        assert queue.oldest == min((row.routed_at for row in rows), default=None)
        assert queue.next_due == min((row.due_at for row in rows), default=None)
        assert queue.pace == (pytest.approx(paces[queue.role_id]) if queue.role_id in paces else None)
        assert queue.breach == (measures.first_breach([row.due_at for row in rows], queue.pace, now.at) if queue.pace else None)
        for row in rows:
            hours = (now.at - row.routed_at).total_seconds() / 3600
            by_age[next(index for index, (_, limit) in enumerate(desk.AGES) if limit is None or hours < limit)] += 1
    assert [number for _, number, _ in now.ages] == by_age and sum(by_age) > 20


def test_the_hours_are_those_counted_by_hand(history):
    now = desk.now_of()

    for hour in now.hours:
        until = hour.begins + timedelta(hours=1)
        came = Proposal.objects.filter(test=False, routed_at__gte=hour.begins, routed_at__lt=until)
        gone = Decision.objects.filter(proposal__test=False, by_kind="person", decided_at__gte=hour.begins, decided_at__lt=until)
        assert (hour.came, hour.decided) == (came.count(), gone.count())
    assert any(hour.came for hour in now.hours) and any(hour.decided for hour in now.hours)


def test_counts_stop_at_their_limit_and_say_so(db, monkeypatch):
    queue = desk.Queue(1, "finance", None, None, None, [desk.COUNTED + 1, 3, 0, 0, 0, 0])

    assert (queue.waiting, queue.said_waiting, queue.capped, queue.done_in) == (desk.COUNTED + 3, f"{desk.COUNTED + 3}+", True, None)
