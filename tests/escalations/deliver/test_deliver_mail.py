"""An approved draft goes out by mail as it was signed; and who is told when a delivery is given up."""


import pytest
from django.core import mail
from django.db import connection

from escalations import canonical, deliver, outbox
from escalations.models import Delivery, Notice
from escalations.states import Sending
from tests.escalations.deliver.world import (  # noqa: F401 - fixtures are found by name
    ADMIN,
    actions,
    development,
    outcome,
    receiver,
    settled,
    source,
    tries,
)
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("development")]


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
