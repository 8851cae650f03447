"""Outcomes reach the source at least once, signed, the same bytes under the same id, whatever the receiver does."""

import json
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook

from escalations import audit, canonical, clock, deliver, errors, outbox, queue
from escalations.deliver import http, rows
from escalations.models import AuditEntry, Decision, Delivery, DeliveryAttempt, Notice, Proposal
from escalations.states import Sending, State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role
from tests.fakes import receiver as fakes

pytestmark = pytest.mark.django_db
ADMIN = audit.Actor("person", "ada", "Ada Admin")


@pytest.fixture(autouse=True)
def development(settings):
    settings.DEBUG = True


@pytest.fixture
def receiver():
    with fakes.listening() as listening:
        yield listening


@pytest.fixture
def time():
    """A clock that stands still until the test moves it: `time(hours=2)`."""
    with ExitStack() as stack:
        at = clock.read()
        stack.enter_context(clock.frozen_at(at))

        def forward(**by):
            nonlocal at
            at += timedelta(**by)
            stack.enter_context(clock.frozen_at(at))
            return at

        yield forward


@pytest.fixture
def source(receiver):
    source = SourceFactory(callback_url=receiver.url, owner=PersonFactory())
    source.secret = outbox.ensure_secret(source)
    return source


def settled(source, *, type="approve", draft=None, args=None, **incident):
    """Return a settled proposal with its decision and its incident, as the lifecycle leaves them."""
    incident = IncidentFactory(source=source, **incident)
    action = "" if draft else "refund"
    proposal = ProposalFactory(incident=incident, action=action, args=None if draft else {"amount": 250}, draft=draft)
    yes = type in ("approve", "edit")
    Decision.objects.create(
        proposal=proposal, type=type, by_kind="policy", by_id="p", by_name="p", action=action, args=proposal.args, draft=draft,
        signed_digest=proposal.args_digest, args_digest=proposal.args_digest if yes else None, valid_until=clock.now() + timedelta(days=1),
    )
    Proposal.objects.filter(pk=proposal.pk).update(state=State.APPROVED, settled_at=clock.now())
    proposal.refresh_from_db()
    return proposal, proposal.decision, incident


def outcome(source, **incident):
    proposal, _, incident = settled(source, **incident)
    return outbox.open_outcome(proposal, incident)


def tries(delivery):
    return [(attempt.status, attempt.error) for attempt in delivery.tries.all()]


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_an_outcome_arrives_signed_and_says_what_was_decided(source, receiver, time):
    delivery = outcome(source)
    assert deliver.run_batch() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.lease_until) == (Sending.SENT, 1, None)
    path, headers, body = receiver.requests[0]
    assert headers["webhook-id"] == str(delivery.pk)
    assert headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    said = json.loads(body)
    assert said["type"] == "proposal.settled"
    assert said["data"]["id"] == str(delivery.incident_id)
    assert said["data"]["decision"]["args_digest"] == delivery.proposal.args_digest
    assert body.decode() == delivery.body
    assert tries(delivery) == [(204, "")]
    assert actions() == ["delivery.sent"]
    assert deliver.run_batch() == 0
    assert len(receiver.requests) == 1


def test_the_package_of_the_receivers_verifies_it(source, receiver):
    outcome(source, title="Zażółć 🧾 \u202e")
    deliver.run_batch()
    _, headers, body = receiver.requests[0]
    assert Webhook(source.secret).verify(body, headers)["data"]["title"] == "Zażółć 🧾 \u202e"


def test_without_a_callback_there_is_nothing_to_send(time):
    delivery = outcome(SourceFactory())
    assert (delivery.state, delivery.next_try_at) == (Sending.NOTHING_TO_SEND, None)
    assert deliver.run_batch() == 0


def test_the_incident_s_own_callback_goes_before_the_source_s(source, receiver):
    outcome(source, callback_url=receiver.url + "/of-this-one")
    deliver.run_batch()
    assert receiver.requests[0][0] == "/hook/of-this-one"


def test_what_a_test_key_posted_is_delivered_too(source, receiver):
    outcome(source, test=True)
    deliver.run_batch()
    assert json.loads(receiver.requests[0][2])["data"]["test"] is True


def test_every_kind_of_outcome_opens_a_row(source, receiver):
    incident = IncidentFactory(source=source)
    question = incident.questions.create(person=PersonFactory(), text="Which order?")
    outbox.open_question(incident, question)
    outbox.open_incident_settled(incident)
    deliver.run_batch()
    types = {json.loads(body)["type"] for _, _, body in receiver.requests}
    assert types == {"incident.question", "incident.settled"}
    assert json.loads(receiver.requests[0][2])["data"]["questions"][0]["text"] == "Which order?"


def test_a_failing_receiver_is_tried_over_three_days_and_then_given_up(source, receiver, time):
    receiver.otherwise = fakes.status(500)
    delivery = outcome(source)
    moments = []
    for _ in range(30):
        if not deliver.run_batch():
            break
        moments.append(clock.now())
        delivery.refresh_from_db()
        if delivery.state != Sending.WAITING:
            break
        assert clock.now() < delivery.next_try_at
        assert deliver.run_batch() == 0
        time(seconds=(delivery.next_try_at - clock.now()).total_seconds())
    waits = [(after - before).total_seconds() for before, after in zip(moments, moments[1:], strict=False)]
    assert len(moments) == 10
    for wait, least in zip(waits, rows.WAITS, strict=True):
        assert least <= wait <= least * 1.1
    assert sum(rows.WAITS) == 75 * 3600 + 35 * 60 + 5
    assert (delivery.state, delivery.attempts, delivery.next_try_at) == (Sending.GIVEN_UP, 10, None)
    assert len(tries(delivery)) == 10
    assert actions() == ["delivery.given_up"]
    notice = Notice.objects.get()
    assert (notice.kind, notice.person) == ("given_up", source.owner)
    assert notice.facts["attempts"] == 10


def test_every_attempt_has_the_same_id_and_body_and_its_own_time(source, receiver, time):
    receiver.script = [fakes.status(500)] * 3
    delivery = outcome(source)
    for _ in range(4):
        deliver.run_batch()
        source.owner.save()
        type(delivery.incident).objects.filter(pk=delivery.incident_id).update(severity="critical")  # the world moves on
        time(hours=3)
    assert len(receiver.requests) == 4
    assert len(set(receiver.ids)) == 1
    assert len({body for _, _, body in receiver.requests}) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in receiver.requests}) == 4


def test_an_outcome_sent_late_still_tells_of_its_own_decision(source, receiver, time):
    proposal, _, incident = settled(source)
    delivery = outbox.open_outcome(proposal, incident)
    ProposalFactory(incident=incident, revision=2)
    deliver.run_batch()
    said = json.loads(receiver.requests[0][2])["data"]
    assert said["proposal"]["id"] == str(delivery.proposal_id)
    assert said["decision"]["args_digest"] == proposal.args_digest


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured(source, receiver, time, code):
    receiver.script = [fakes.status(code, Retry_After="900")]
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.next_try_at == clock.now() + timedelta(seconds=900)
    time(seconds=901)
    assert deliver.run_batch() == 1
    assert Delivery.objects.get().state == Sending.SENT


@pytest.mark.parametrize("behave", [fakes.reset, fakes.garbage, fakes.status(302, Location="http://169.254.169.254/"), fakes.status(404), fakes.huge(500)])
def test_whatever_goes_wrong_is_tried_again(source, receiver, time, behave):
    receiver.script = [behave]
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert tries(delivery)[0][1]
    time(seconds=6)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert set(receiver.ids) == {str(delivery.pk)}


def test_a_slow_receiver_delays_nobody_else(source, receiver, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 3.0)
    monkeypatch.setattr(deliver, "ROUND_SECONDS", 2.5)
    receiver.otherwise = fakes.hang
    slow = [outcome(source) for _ in range(3)]
    with fakes.listening() as quick:
        other = SourceFactory(callback_url=quick.url)
        outbox.ensure_secret(other)
        fast = [outcome(other) for _ in range(20)]
        deliver.run_batch()
        assert len(quick.requests) == 20
        assert quick.most_open <= 2
    assert receiver.most_open == 2
    states = {delivery.pk: delivery for delivery in Delivery.objects.all()}
    assert all(states[delivery.pk].state == Sending.SENT for delivery in fast)
    assert sorted(states[delivery.pk].attempts for delivery in slow) == [0, 1, 1]
    assert all(states[delivery.pk].lease_until is None for delivery in slow)


def test_an_endpoint_somebody_is_sending_to_is_left_to_them(source, receiver):
    first, second = outcome(source), outcome(source)
    mine = rows.claim(1)
    assert rows.claim(10) == []
    assert {parcel.delivery.pk for parcel in mine} == {first.pk}
    rows.settle(mine[0])
    assert {parcel.delivery.pk for parcel in rows.claim(10)} == {first.pk, second.pk}


def test_410_turns_the_endpoint_off_tells_the_owner_and_loses_nothing(source, receiver, time):
    receiver.otherwise = fakes.status(410)
    first = outcome(source)
    deliver.run_batch()
    source.refresh_from_db()
    assert source.endpoint_disabled_at is not None
    assert "410" in source.endpoint_disabled_why
    assert actions() == ["endpoint.disabled"]
    assert [(notice.kind, notice.person) for notice in Notice.objects.all()] == [("endpoint_disabled", source.owner)]
    second = outcome(source)
    time(days=30)
    deliver.run_batch()
    assert len(receiver.requests) == 1
    for delivery in (first, second):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.next_try_at) == (Sending.WAITING, None)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(first.pk, actor=ADMIN)

    receiver.otherwise = fakes.status(204)
    assert deliver.enable_endpoint(source, ADMIN) == 2
    assert deliver.enable_endpoint(source, ADMIN) == 0
    deliver.run_batch()
    assert sorted(receiver.ids[1:]) == sorted([str(first.pk), str(second.pk)])
    assert "endpoint.enabled" in actions()


def test_what_waited_goes_to_the_address_the_source_has_now(source, receiver):
    receiver.script = [fakes.status(410)]
    outcome(source)
    deliver.run_batch()
    source.refresh_from_db()
    source.callback_url = receiver.url + "/new"
    source.save()
    deliver.enable_endpoint(source, ADMIN)
    deliver.run_batch()
    assert [path for path, _, _ in receiver.requests] == ["/hook", "/hook/new"]


def test_410_of_one_incident_s_own_address_turns_nothing_off(source, receiver):
    receiver.otherwise = fakes.status(410)
    delivery = outcome(source, callback_url=receiver.url + "/one-run")
    deliver.run_batch()
    delivery.refresh_from_db()
    source.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert source.endpoint_disabled_at is None


def test_a_host_outside_the_list_is_given_up_at_once_and_never_called(source, receiver):
    with fakes.listening() as stranger:
        delivery = outcome(source, callback_url=stranger.url)
        deliver.run_batch()
        assert stranger.requests == []
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert "not among the hosts" in tries(delivery)[0][1]


def test_nothing_is_sent_unsigned(source, receiver):
    source.signing_secrets.all().delete()
    delivery = outcome(source)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    assert receiver.requests == []


def test_a_lost_encryption_key_is_our_fault_and_waits(source, receiver, settings, time):
    delivery = outcome(source)
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert "cannot be read" in tries(delivery)[0][1]


def test_a_record_that_cannot_be_written_holds_up_nobody(source, receiver, monkeypatch):
    bad, good = outcome(source, title="bad"), outcome(source, title="good")
    plain = rows.wire.incidents_json

    def break_on_bad(incidents):
        if any(incident.title == "bad" for incident in incidents):
            raise KeyError("broken")
        return plain(incidents)

    monkeypatch.setattr(rows.wire, "incidents_json", break_on_bad)
    deliver.run_batch()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == (Sending.WAITING, Sending.SENT)
    assert "KeyError" in tries(bad)[0][1]


def test_a_sender_that_dies_after_the_200_sends_again_under_the_same_id(source, receiver, time, monkeypatch):
    delivery = outcome(source)

    class Killed(BaseException):
        pass

    def die(parcel):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rows, "settle", die)
        with pytest.raises(Killed):
            deliver.run_batch()
    assert deliver.run_batch() == 0  # its lease still holds
    time(seconds=queue.LEASE.total_seconds() + 1)
    assert deliver.run_batch() == 1
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert receiver.ids == [str(delivery.pk)] * 2
    assert receiver.requests[0][2] == receiver.requests[1][2]


def test_who_lost_the_lease_writes_nothing(source, receiver, time):
    delivery = outcome(source)
    stale = rows.claim(10)[0]
    time(seconds=queue.LEASE.total_seconds() + 1)
    fresh = rows.claim(10)[0]
    assert fresh.delivery.pk == stale.delivery.pk
    stale.failure = deliver.DeliveryFailed("late", permanent=True)
    assert rows.settle(stale) is False
    delivery.refresh_from_db()
    assert delivery.state == Sending.WAITING
    assert tries(delivery) == []
    assert actions() == []
    fresh.failure = deliver.DeliveryFailed("not now")
    assert rows.settle(fresh) is True
    assert rows.settle(fresh) is False
    assert DeliveryAttempt.objects.count() == 1


def test_an_administrator_sends_again_what_was_given_up(source, receiver, time):
    receiver.otherwise = fakes.status(500)
    delivery = outcome(source)
    for _ in range(10):
        deliver.run_batch()
        time(days=2)
    delivery.refresh_from_db()
    assert delivery.state == Sending.GIVEN_UP
    deliver.replay(delivery.pk, actor=ADMIN)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Sending.WAITING, 1)  # the whole schedule again
    receiver.otherwise = fakes.status(200)
    deliver.replay(delivery.pk, actor=ADMIN)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert len(receiver.requests) == 12
    assert len({body for _, _, body in receiver.requests}) == 1
    assert [(attempt.by_hand, attempt.status) for attempt in delivery.tries.all()][-2:] == [("Ada Admin", 500), ("Ada Admin", 200)]
    assert delivery.tries.count() == 12
    assert actions()[-2:] == ["delivery.replayed", "delivery.sent"]


def test_replaying_what_does_not_exist_or_is_under_way_is_refused(source):
    with pytest.raises(errors.NotFound):
        deliver.replay(source_id_that_is_none(), actor=ADMIN)
    delivery = outcome(source)
    rows.claim(10)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(delivery.pk, actor=ADMIN)
    with pytest.raises(errors.IllegalMove):
        deliver.replay(outcome(SourceFactory()).pk, actor=ADMIN)


def source_id_that_is_none():
    return Delivery().pk


@pytest.mark.django_db(transaction=True)
def test_sending_holds_no_transaction_and_rows_are_written_one_by_one(source, receiver):
    delivery = outcome(source)
    seen = []

    def look(handler):
        seen.append(connection.in_atomic_block)  # another thread's connection, so ask the database instead
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")
            seen.append(cursor.fetchone()[0])
            cursor.execute("SELECT body <> '' FROM escalations_delivery WHERE id = %s FOR UPDATE NOWAIT", [delivery.pk])
            seen.append(cursor.fetchone()[0])
        connection.close()
        fakes.status(204)(handler)

    receiver.script = [look]
    assert deliver.run_batch() == 1
    assert seen == [False, 0, True]


@pytest.mark.django_db(transaction=True)
def test_what_rolls_back_is_not_sent(source, receiver):
    proposal, _, incident = settled(source)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.open_outcome(proposal, incident)
        raise ZeroDivisionError
    assert deliver.run_batch() == 0
    assert receiver.requests == []


# -- drafts by mail

DRAFT = {"to": "customer@example.com", "subject": "Your order", "body": "Dear customer,\n\nit is on its way.", "format": "text"}


def mailed(source, draft=DRAFT, **how):
    proposal, decision, _ = settled(source, kind="draft", draft=draft, **how)
    return outbox.open_mail(proposal, decision)


@pytest.fixture
def mailer():
    return SourceFactory(may_email=True, owner=PersonFactory())


def test_an_approved_draft_is_mailed_to_the_signed_address_as_it_was_signed(mailer):
    delivery = mailed(mailer)
    assert deliver.run_batch() == 1
    sent = mail.outbox[0]
    assert (sent.to, sent.subject, sent.body) == (["customer@example.com"], "Your order", DRAFT["body"])
    assert sent.cc == sent.bcc == []
    assert sent.content_subtype == "plain"
    assert str(delivery.pk) in sent.extra_headers["Message-ID"]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.channel) == (Sending.SENT, "email")
    assert actions() == ["delivery.sent"]


@pytest.mark.parametrize("how", [{"type": "reject"}, {"type": "respond"}, {"test": True}])
def test_what_nobody_approved_and_what_a_test_key_posted_is_not_mailed(mailer, how):
    assert mailed(mailer, **how) is None
    assert deliver.run_batch() == 0


def test_a_source_that_may_not_mail_does_not(mailer):
    assert mailed(SourceFactory()) is None
    mailed(mailer)
    mailer.may_email = False
    mailer.save()
    deliver.run_batch()
    assert mail.outbox == []
    assert Delivery.objects.get().state == Sending.GIVEN_UP


@pytest.mark.parametrize(
    "to",
    ["", None, "nobody", "a@example.com, b@example.com", "a@example.com;b@example.com", "Boss <a@example.com>", "a@example.com\nBcc: b@example.com",
     "a@example.com\r\nBcc: b@example.com", " a@example.com", "a@example.com ", '"a b"@example.com', "a@example.com>", "ceo@example.com(c)", "ａ@example.com",
     "a@exаmple.com", "a@b@example.com", ["a@example.com"], {"a": 1}],
)  # fmt: skip
def test_only_one_plain_address_is_mailed_to(mailer, to):
    delivery = mailed(mailer, draft=DRAFT | {"to": to})
    deliver.run_batch()
    delivery.refresh_from_db()
    assert mail.outbox == []
    assert delivery.state == Sending.GIVEN_UP
    assert "plain address" in tries(delivery)[0][1]
    assert Notice.objects.get().kind == "given_up"


@pytest.mark.parametrize("subject", ["Hello\nBcc: b@example.com", "Hello\r\n\r\nbody", "x" * 2000])
def test_a_subject_cannot_carry_headers(mailer, subject):
    mailed(mailer, draft=DRAFT | {"subject": subject})
    deliver.run_batch()
    assert mail.outbox == []
    assert Delivery.objects.get().state == Sending.GIVEN_UP


def test_what_is_not_what_was_signed_is_not_mailed(mailer):
    proposal, decision, _ = settled(mailer, kind="draft", draft=DRAFT)
    other = canonical.args_digest(None, None, DRAFT | {"body": "Something else"})
    with connection.cursor() as cursor:  # as somebody with the database's own rights would
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE escalations_decision SET args_digest = %s", [other])
        cursor.execute("SET LOCAL session_replication_role = origin")
    decision.refresh_from_db()
    delivery = outbox.open_mail(proposal, decision)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert mail.outbox == []
    assert "not what was signed" in tries(delivery)[0][1]


def test_a_mail_server_that_is_away_is_tried_again_with_the_same_message_id(mailer, time, monkeypatch):
    sent = []

    def away(self, messages):
        sent.extend(message.extra_headers["Message-ID"] for message in messages)
        if len(sent) == 1:
            raise ConnectionRefusedError
        return len(messages)

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", away)
    delivery = mailed(mailer)
    deliver.run_batch()
    time(seconds=6)
    deliver.run_batch()
    delivery.refresh_from_db()
    assert delivery.state == Sending.SENT
    assert len(sent) == 2
    assert len(set(sent)) == 1


# -- who is told


def test_without_an_owner_the_managers_are_told(source, receiver):
    source.owner = None
    source.save()
    manager = PersonFactory(roles=["manager"])
    outcome(source, callback_url="https://elsewhere.example.com/")
    deliver.run_batch()
    assert [notice.person for notice in Notice.objects.all()] == [manager]
    assert role("manager").pk == Notice.objects.get().role_id


def test_nobody_is_told_of_what_a_test_key_posted(source, receiver):
    outcome(source, test=True, callback_url="https://elsewhere.example.com/")
    deliver.run_batch()
    assert Delivery.objects.get().state == Sending.GIVEN_UP
    assert not Notice.objects.exists()
