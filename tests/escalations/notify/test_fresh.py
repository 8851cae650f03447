"""New work and decisions are told of, whoever looks and however often; what is alike is told once."""


import pytest
from django.core import mail

from escalations import clock, lifecycle, notify, outbox
from escalations.models import Comment, Notice, Proposal
from escalations.notify import fresh
from escalations.states import Sending, State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def carl(finance, time):
    carl = PersonFactory(roles=["finance"])
    notify.tell()  # the first look tells nothing of the past
    return carl


def waiting(finance, number=1, fingerprint="", source=None, **values):
    source = source or SourceFactory()
    return [
        ProposalFactory(
            incident=IncidentFactory(source=source, fingerprint=fingerprint), role=finance, asked=[finance.pk], routed_at=clock.now(), **values
        )
        for _ in range(number)
    ]


def test_new_work_is_told_to_its_role_once(finance, carl, time):
    waiting(finance, title="Refund for Mia")
    assert notify.tell() == 1 and notify.tell() == 0
    time(seconds=30)
    assert notify.tell() == 0
    notify.run_batch()
    assert mail.outbox[0].subject == "New for finance: Refund for Mia"


def test_what_came_before_the_first_look_is_not_news(finance, time):
    PersonFactory(roles=["finance"])
    waiting(finance)
    time(minutes=10)
    assert notify.tell() == 0
    assert notify.tell() == 0


def test_what_came_while_nobody_looked_is_told_afterwards(finance, carl, time):
    waiting(finance)
    time(hours=5)
    assert notify.tell() == 1


def test_a_look_that_ends_among_those_of_one_moment_leaves_none_out(finance, carl, time, monkeypatch):
    """What one transaction of the clock settled, or one batch routed, may have one moment."""
    monkeypatch.setattr(fresh, "MOST", 2)
    proposals = waiting(finance, title="first", args={"order": 1})
    time(seconds=1)
    for number in (2, 3):
        proposals += waiting(finance, title=f"order {number}", args={"order": number})
    assert [notify.tell() for _ in range(4)] == [2, 1, 0, 0]

    for proposal in proposals:
        lifecycle.comment(proposal.pk, person=carl, text="Mine?")
    mona = PersonFactory(roles=["manager"])
    for proposal in proposals:
        if proposal is proposals[1]:
            time(seconds=1)
        lifecycle.decide(
            proposal.pk, person=mona, type="reject", reason="no", digest=proposal.args_digest,
            version=Proposal.objects.get(pk=proposal.pk).version,
        )
    assert [notify.tell() for _ in range(4)] == [2, 1, 0, 0]


def test_a_storm_of_alike_is_one_notice_each_and_says_how_many(finance, carl, time):
    other, source = PersonFactory(roles=["finance"]), SourceFactory()
    for _ in range(3):  # it comes over a while
        waiting(finance, 20, fingerprint="timeout-in-billing", source=source)
        notify.tell()
        time(seconds=15)
    notify.run_batch()
    assert sorted(message.to[0] for message in mail.outbox) == sorted([carl.email, other.email])
    assert "(and 59 alike)" in mail.outbox[0].subject


def test_what_asks_for_exactly_the_same_is_alike_without_a_fingerprint(finance, carl):
    source = SourceFactory()
    waiting(finance, 5, source=source)
    waiting(finance, 1, source=source, args={"order": "another", "amount": 3})
    assert notify.tell() == 2


def test_unlike_incidents_that_are_only_acknowledged_are_not_alike(finance, carl):
    source = SourceFactory()
    for title in ("Disk full", "Certificate expires"):
        waiting(finance, 2, source=source, author="system", action="acknowledge", args={"severity": "info", "category": "other"}, title=title)
    assert notify.tell() == 2


def test_a_group_is_news_again_after_an_hour_or_when_it_was_handled(finance, carl, time):
    source = SourceFactory()
    waiting(finance, 2, fingerprint="f", source=source)
    notify.tell()
    time(minutes=30)
    waiting(finance, 1, fingerprint="f", source=source)
    assert notify.tell() == 0, "they know of it"
    Proposal.objects.update(state=State.APPROVED, settled_at=clock.now())
    time(minutes=5)
    waiting(finance, 1, fingerprint="f", source=source)
    assert notify.tell() == 1, "what they knew of is settled, and here is another"
    time(minutes=61)
    waiting(finance, 1, fingerprint="f", source=source)
    assert notify.tell() == 1


def test_a_notice_stands_for_its_group_when_its_own_is_settled(finance, carl):
    first, second = waiting(finance, 2, fingerprint="f", source=SourceFactory())
    notify.tell()
    told = Notice.objects.get().proposal_id
    Proposal.objects.filter(pk=told).update(state=State.APPROVED, settled_at=clock.now())
    outbox.drop_notices([Proposal.objects.get(pk=told)])

    notify.run_batch()

    left = second if told == first.pk else first
    assert f"/proposals/{left.pk}/" in mail.outbox[0].body


def test_when_the_whole_group_is_settled_nothing_is_told(finance, carl):
    waiting(finance, 2, fingerprint="f", source=SourceFactory())
    notify.tell()
    Proposal.objects.update(state=State.APPROVED, settled_at=clock.now())
    notify.run_batch()
    assert mail.outbox == [] and Notice.objects.get().state == Sending.NOTHING_TO_SEND


def test_what_went_straight_to_its_people_is_not_told_twice(finance, carl):
    (proposal,) = waiting(finance)
    outbox.open_notice("critical", proposal=proposal, role=finance, step=0)
    assert notify.tell() == 0


def test_what_a_test_key_posted_and_what_nobody_was_asked_tells_nobody(finance, carl):
    proposal = ProposalFactory(incident=IncidentFactory(test=True), role=finance, asked=[finance.pk], routed_at=clock.now(), test=True)
    ProposalFactory(role=finance, asked=[], routed_at=clock.now())
    assert proposal.test and notify.tell() == 0


def test_who_had_a_hand_in_it_hears_what_others_decided(finance, carl):
    commenter, decider = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"])
    (proposal,) = waiting(finance)
    Comment.objects.create(proposal=proposal, person=commenter, text="looks odd", mentions=[])
    lifecycle.claim(proposal.pk, person=carl)
    lifecycle.release(proposal.pk, person=carl)
    proposal.refresh_from_db()
    lifecycle.decide(
        proposal.pk, person=decider, type="reject", reason="not ours", digest=proposal.args_digest, version=proposal.version, method="page"
    )

    notify.tell()
    assert notify.tell() == 0
    notify.run_batch()

    told = [message for message in mail.outbox if message.subject.startswith("Decided")]
    assert sorted(message.to[0] for message in told) == sorted([carl.email, commenter.email])
    assert f"{decider.name} decided what you had a hand in: reject." in told[0].body and "not ours" in told[0].body


def test_a_look_costs_the_same_for_many(finance, carl, django_assert_max_num_queries):
    for _ in range(20):
        waiting(finance)
    with django_assert_max_num_queries(20):
        assert notify.tell() == 20
