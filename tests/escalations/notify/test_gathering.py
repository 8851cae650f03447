"""What people are told at once, together, later, or not at all."""

from datetime import UTC, datetime, timedelta
from datetime import time as at
from zoneinfo import ZoneInfo

import pytest
from django.core import mail

from escalations import audit, clock, notify, outbox, policies
from escalations.errors import Invalid
from escalations.models import Absence, MuteWindow, Notice, NoticeWishes, Proposal
from escalations.notify import gathering
from escalations.states import Sending, Severity, State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def carl(finance):
    return PersonFactory(roles=["finance"], time_zone="Europe/Vienna")


def wishes(person, **wanted):
    return NoticeWishes.objects.create(person=person, **wanted)


def open_one(kind="escalated", *, to, proposal=None, **facts):
    return outbox.open_notice(kind, proposal=proposal or ProposalFactory(role=to), role=to, step=1, **facts)[0]


# -- together


def test_what_waits_for_one_person_is_one_message(finance, carl):
    first, second = (open_one(to=finance, proposal=ProposalFactory(role=finance, title=f"Refund number {n}")) for n in (1, 2))

    notify.run_batch()

    sent = mail.outbox[0]
    assert len(mail.outbox) == 1 and sent.subject == "2 notices: Escalated to finance: Refund number 1"
    for said in ("Refund number 1", "Refund number 2", f"/proposals/{first.proposal_id}/", f"/proposals/{second.proposal_id}/"):
        assert said in sent.body
    assert sent.body.count("://") == 2
    assert [(row.state, row.sent_with_id) for row in Notice.objects.order_by("created_at", "pk")] == [
        (Sending.SENT, None), (Sending.SENT, Notice.objects.get(sent_with=None).pk),
    ]  # fmt: skip
    assert str(Notice.objects.get(sent_with=None).pk) in sent.extra_headers["Message-ID"]


def test_each_step_counts_as_told_although_it_was_one_message(finance, carl):
    """An approving fallback asks whether every step's people were told."""
    for _ in range(3):
        open_one(to=finance)
    notify.run_batch()
    assert len(mail.outbox) == 1 and Notice.objects.filter(kind="escalated", state=Sending.SENT).count() == 3


def test_thousands_for_one_person_are_one_message_that_says_how_many(finance, carl):
    proposals = [ProposalFactory(role=finance, title=f"Refund number {n}") for n in range(120)]
    outbox.open_notices([outbox.Wanted("escalated", proposal=one, role=finance, step=1) for one in proposals])

    handled = notify.run_batch()

    assert handled == 120 and len(mail.outbox) == 1
    assert mail.outbox[0].subject.startswith("120 notices: ") and "And 100 more" in mail.outbox[0].body
    assert set(Notice.objects.values_list("state", flat=True)) == {Sending.SENT}


def test_of_those_only_counted_the_settled_are_not(finance, carl):
    proposals = [ProposalFactory(role=finance) for n in range(gathering.BATCH + 10)]
    outbox.open_notices([outbox.Wanted("escalated", proposal=one, role=finance, step=1) for one in proposals])
    Proposal.objects.filter(pk__in=[one.pk for one in proposals[-5:]]).update(state=State.APPROVED, settled_at=clock.now())
    while notify.run_batch():
        pass
    assert Notice.objects.filter(state=Sending.SENT).count() == gathering.BATCH + 5


def test_what_comes_within_a_minute_after_a_message_is_gathered_for_it(finance, carl, time):
    open_one(to=finance)
    notify.run_batch()
    for _ in range(3):
        open_one(to=finance)
        time(seconds=10)
        notify.run_batch()
    assert len(mail.outbox) == 1

    time(seconds=40)
    notify.run_batch()

    assert [message.subject.split(":")[0] for message in mail.outbox] == ["Escalated to finance", "3 notices"]


def test_what_is_critical_waits_for_nothing_and_goes_by_itself(finance, carl, time):
    wishes(carl, quiet_from=at(0, 0), quiet_until=at(23, 59), digest="daily")
    open_one(to=finance)
    open_one("critical", to=finance)
    open_one(to=finance, proposal=ProposalFactory(role=finance, severity=Severity.CRITICAL))
    time(seconds=1)
    notify.run_batch()
    assert [message.subject.split(":")[0] for message in mail.outbox] == ["2 notices"]
    assert Notice.objects.filter(state=Sending.WAITING).count() == 1


# -- later


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-06-01 23:30", "2026-06-02 07:00"),
        ("2026-06-02 06:59", "2026-06-02 07:00"),
        ("2026-06-02 07:00", None),
        ("2026-06-01 21:59", None),
        ("2026-10-24 23:00", "2026-10-25 07:00"),  # the night that is an hour longer
        ("2026-03-28 23:00", "2026-03-29 07:00"),  # and the one that is shorter
    ],
)
def test_quiet_hours_are_local_and_go_over_midnight(now, until):
    zone = ZoneInfo("Europe/Vienna")
    quiet = NoticeWishes(quiet_from=at(22, 0), quiet_until=at(7, 0))
    moment = datetime.fromisoformat(now).replace(tzinfo=zone).astimezone(UTC)
    said = gathering.quiet_until(quiet, moment, zone)
    assert said == (datetime.fromisoformat(until).replace(tzinfo=zone) if until else None)


def test_in_quiet_hours_nothing_is_sent_and_no_try_is_counted(finance, carl, time):
    time(moment=datetime(2026, 6, 1, 21, 0, tzinfo=UTC))  # 23:00 in Vienna
    wishes(carl, quiet_from=at(22, 0), quiet_until=at(7, 0))
    notice = open_one(to=finance)

    assert notify.run_batch() == 1 and notify.run_batch() == 0
    notice.refresh_from_db()
    assert mail.outbox == [] and (notice.attempts, notice.next_try_at) == (0, datetime(2026, 6, 2, 5, 0, tzinfo=UTC))

    time(moment=datetime(2026, 6, 2, 5, 0, tzinfo=UTC))
    notify.run_batch()
    assert len(mail.outbox) == 1


def test_what_was_settled_in_the_night_is_not_told_in_the_morning(finance, carl, time):
    time(moment=datetime(2026, 6, 1, 21, 0, tzinfo=UTC))
    wishes(carl, quiet_from=at(22, 0), quiet_until=at(7, 0))
    notice = open_one(to=finance)
    notify.run_batch()
    Proposal.objects.update(state=State.APPROVED, settled_at=clock.now())
    time(moment=datetime(2026, 6, 2, 6, 0, tzinfo=UTC))
    notify.run_batch()
    notice.refresh_from_db()
    assert mail.outbox == [] and notice.state == Sending.NOTHING_TO_SEND


@pytest.mark.parametrize(
    ("digest", "opened", "told"),
    [
        ("hourly", "2026-06-01T10:20", "2026-06-01T11:00"),
        ("daily", "2026-06-01T05:00", "2026-06-01T06:00"),  # 08:00 in Vienna
        ("daily", "2026-06-01T06:00", "2026-06-02T06:00"),
        ("daily", "2026-10-24T12:00", "2026-10-25T07:00"),
        ("", "2026-06-01T10:20", "2026-06-01T10:20"),
    ],
)
def test_a_digest_gathers_until_its_moment(digest, opened, told):
    wish = NoticeWishes(digest=digest, digest_at=at(8, 0))
    moment = datetime.fromisoformat(opened).replace(tzinfo=UTC)
    assert gathering.digest_at(wish, moment, ZoneInfo("Europe/Vienna")) == datetime.fromisoformat(told).replace(tzinfo=UTC)


def test_only_what_is_not_urgent_waits_for_the_digest(finance, carl, time):
    time(moment=datetime(2026, 6, 1, 10, 20, tzinfo=UTC))
    wishes(carl, digest="hourly")
    for _ in range(3):
        open_one("new_work", to=finance)
    open_one("escalated", to=finance)
    notify.run_batch()
    assert [message.subject.split(":")[0] for message in mail.outbox] == ["Escalated to finance"]
    time(moment=datetime(2026, 6, 1, 11, 0, tzinfo=UTC))
    notify.run_batch()
    assert mail.outbox[1].subject.startswith("3 notices")


def test_who_changes_their_mind_gets_what_waits_by_the_new_wishes(finance, carl, time):
    time(moment=datetime(2026, 6, 1, 10, 20, tzinfo=UTC))
    wish = wishes(carl, digest="daily")
    open_one("new_work", to=finance)
    notify.run_batch()
    wish.digest = ""
    policies.save_wishes(wish, actor=audit.Actor.of(carl))
    notify.run_batch()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("about", ["all", "the source", "the role", "another source", "another role"])
def test_maintenance_silences_notices_until_it_ends_and_never_the_clock(about, finance, carl, time):
    now = clock.now()
    proposal = ProposalFactory(role=finance)
    of = {
        "all": {}, "the source": {"source": proposal.source}, "the role": {"role": finance},
        "another source": {"source": SourceFactory()}, "another role": {"role": role("support")},
    }[about]  # fmt: skip
    MuteWindow.objects.create(name="m", since=now - timedelta(minutes=1), until=now + timedelta(hours=1), **of)
    due = proposal.due_at
    open_one("critical", to=finance, proposal=proposal)
    notify.run_batch()
    held = not about.startswith("another")
    assert len(mail.outbox) == (0 if held else 1)
    time(hours=1)
    notify.run_batch()
    proposal.refresh_from_db()
    assert len(mail.outbox) == 1 and proposal.due_at == due


# -- not at all


def test_what_somebody_does_not_want_is_not_sent_to_them_and_to_the_others_it_is(finance, carl):
    other = PersonFactory(roles=["finance"])
    wishes(carl, unwanted=["new_work"])
    outbox.open_notice("new_work", proposal=ProposalFactory(role=finance), role=finance)
    notify.run_batch()
    assert [message.to for message in mail.outbox] == [[other.email]]


def test_a_row_says_that_nobody_wanted_to_be_told(finance, carl):
    wishes(carl, unwanted=["new_work"])
    notice = outbox.open_notice("new_work", proposal=ProposalFactory(role=finance), role=finance)[0]
    assert (notice.state, notice.error) == (Sending.NOTHING_TO_SEND, "nobody who wants to be told")


def test_nobody_opts_out_of_what_reaches_somebody_who_will(finance, carl):
    saved = policies.save_wishes(NoticeWishes(person=carl, unwanted=["escalated", "critical", "new_work"]), actor=audit.Actor.of(carl))
    assert saved.unwanted == ["new_work"]


def test_who_wants_no_mail_and_has_no_channel_is_told_by_mail(finance, carl):
    wishes(carl, by_mail=False)
    open_one(to=finance)
    notify.run_batch()
    assert len(mail.outbox) == 1


def test_who_is_away_is_not_told_for_their_role(finance, carl):
    here = PersonFactory(roles=["finance"])
    Absence.objects.create(person=carl, since=clock.now() - timedelta(days=1), until=clock.now() + timedelta(days=1))
    assert [notice.person for notice in [open_one(to=finance)]] == [here] and Notice.objects.count() == 1


@pytest.mark.parametrize(
    "wrong", [{"quiet_from": at(22, 0)}, {"quiet_from": at(22, 0), "quiet_until": at(22, 0)}, {"digest": "yearly"}]
)
def test_wishes_that_mean_nothing_are_refused(wrong, carl):
    with pytest.raises(Invalid):
        policies.save_wishes(NoticeWishes(person=carl, **wrong), actor=audit.Actor.of(carl))
    assert not NoticeWishes.objects.exists()


# -- numbers in any text


def test_a_card_number_is_masked_even_where_no_trigger_said_so(finance, carl):
    open_one(to=finance, proposal=ProposalFactory(role=finance, title="Card 4111 1111 1111 1111", args={"iban": "DE89370400440532013000"}))
    notify.run_batch()
    said = mail.outbox[0].subject + mail.outbox[0].body
    assert "1111" not in said and "DE8937" not in said and "•••" in said


def test_many_cost_as_many_queries_as_two(finance, carl, django_assert_max_num_queries):
    for _ in range(30):
        open_one(to=finance, proposal=ProposalFactory(role=finance, incident=IncidentFactory()))
    with django_assert_max_num_queries(20):
        notify.run_batch()
