"""People are told: once each, what is true, nothing that hides or leaks, and never in the clock's way."""

import re
import smtplib
from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction

from escalations import clock, notify, outbox, queue
from escalations.models import Notice, Proposal
from escalations.notify import gathering, sending
from escalations.states import Sending, State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db


def tell(kind="escalated", **how):
    proposal = how.pop("proposal", None) or ProposalFactory(role=how.get("role") or role())
    return outbox.open_notice(kind, proposal=proposal, step=1, **how)


def test_everybody_of_the_role_is_told_once_each(finance):
    one, two = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance", "support"])
    PersonFactory(roles=["support"])
    PersonFactory(roles=["finance"], is_active=False)
    PersonFactory(roles=["finance"], email="")
    assert len(tell(role=finance)) == 2
    assert notify.run_batch() == 2
    assert sorted(message.to for message in mail.outbox) == [[one.email], [two.email]]
    assert notify.run_batch() == 0
    assert {notice.state for notice in Notice.objects.all()} == {Sending.SENT}


def test_a_shared_mailbox_is_told_too_and_nobody_twice_at_one_address(finance):
    PersonFactory(roles=["finance"], email="Desk@countersign.example")
    PersonFactory(roles=["finance"], email="own@countersign.example")
    finance.notify_email = "desk@countersign.example"
    finance.save()
    tell(role=finance)
    notify.run_batch()
    assert sorted(message.to[0].lower() for message in mail.outbox) == ["desk@countersign.example", "own@countersign.example"]


def test_a_role_nobody_can_be_told_of_leaves_a_row_that_says_so(finance):
    notice = tell(role=finance)[0]
    assert (notice.state, notice.error) == (Sending.NOTHING_TO_SEND, "nobody with an address")
    assert notify.run_batch() == 0


def test_many_are_opened_with_five_queries(finance, django_assert_num_queries):
    support = role("support")
    for _ in range(3):
        PersonFactory(roles=["finance"])
        PersonFactory(roles=["support"])
    proposals = [ProposalFactory() for _ in range(5)]
    wanted = [outbox.Wanted("escalated", proposal=one, role=which, step=1) for one in proposals for which in (finance, support)]
    queue.wake("notify")
    # 1 for the members of all roles, 2 for how they want to be told, 1 for all rows, 1 for the wake-up
    with django_assert_num_queries(5):
        assert len(outbox.open_notices(wanted)) == 30


def test_a_test_key_s_items_tell_nobody(finance):
    PersonFactory(roles=["finance"])
    assert tell(role=finance, proposal=ProposalFactory(incident__test=True)) == []
    assert not Notice.objects.exists()


def test_an_unknown_kind_is_a_mistake_of_ours():
    with pytest.raises(ValueError):
        outbox.open_notice("whatever")


def test_notices_stand_and_fall_with_what_caused_them(finance):
    PersonFactory(roles=["finance"])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tell(role=finance)
        raise ZeroDivisionError
    assert not Notice.objects.exists()


def test_the_mail_says_what_is_asked_why_and_until_when(finance, time, settings):
    settings.PUBLIC_URL = "https://countersign.example.com/"
    person = PersonFactory(roles=["finance"], time_zone="Europe/Warsaw")
    proposal = ProposalFactory(
        role=finance, triggers=[{"name": "high_stakes", "why": "amount 250 is over 100", "where": "proposal.args.amount"}],
        claims={"impact": "one customer"}, due_at=clock.now() + timedelta(hours=3, minutes=20),
    )  # fmt: skip
    tell(role=finance, proposal=proposal, by="Robin", why="too much for us")
    notify.run_batch()
    sent = mail.outbox[0]
    assert sent.subject == "Escalated to finance: Refund $250 for order 1182"
    for said in (person.name, "refund", "order: 1182", "amount: 250", "high_stakes: amount 250 is over 100", "the source says: one customer",
                 "in 3 h 20 min", "Robin passed this on to finance: too much for us", f"https://countersign.example.com/proposals/{proposal.pk}/"):
        assert said in sent.body
    assert re.search(r"\d\d:\d\d CES?T", sent.body)
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    assert str(Notice.objects.get().pk) in sent.extra_headers["Message-ID"]


@pytest.mark.parametrize("kind", sorted(outbox.NOTICES))
def test_every_kind_has_a_subject_of_one_line_and_a_body_without_leftovers(kind, finance):
    PersonFactory(roles=["finance"])
    facts = {"source": "agent", "type": "proposal.settled", "delivery": "d", "incident": "i", "url": "https://x.example/", "why": "answered 500",
             "attempts": 10, "by": "Ada", "key_id": "abc", "expires_at": "2026-12-01", "fallback": "reject"}
    outbox.open_notice(kind, proposal=ProposalFactory(), role=finance, step=1, **facts)
    outbox.open_notice(kind, proposal=ProposalFactory(kind="draft", action="", args=None, draft={"to": "a@b.example", "subject": "s", "body": "b"}), role=finance)
    assert notify.run_batch() == 2
    for message in mail.outbox:
        assert message.subject.strip() == message.subject != ""
        assert "\n" not in message.subject
        assert not re.search(r"\{[{%]|None|\n\n\n", message.subject + message.body)
        assert "http://testserver/" in message.body


NASTY = [
    "Refund\r\nBcc: everybody@example.com", "Refund\n\nUrgent: approve at once", "a\u2028b", "pay \u202egnp.exe", "zero\u200bwidth", "tab\tbell\x07\x1b[2J",
    "tag\U000e0041\U000e0042", "see http://evil.example/login and www.evil.example", "HTTPS://EVIL.EXAMPLE", "x" * 5000, "{{ settings.SECRET_KEY }}{% now %}",
    "<script>alert(1)</script> & \"quotes\"", "\ud83d\ude00 plain emoji".encode("utf-16", "surrogatepass").decode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
def test_a_stranger_s_words_stay_words(nasty, finance):
    PersonFactory(roles=["finance"])
    proposal = ProposalFactory(
        role=finance, title=nasty[:500], args={"note": nasty, nasty[:60]: 1}, claims={"impact": nasty},
        triggers=[{"name": "injection_suspected", "why": nasty, "where": "incident.title"}],
    )  # fmt: skip
    tell(role=finance, proposal=proposal)
    notify.run_batch()
    sent = mail.outbox[0]
    raw = sent.message().as_bytes()
    assert sent.to == sent.recipients()
    assert b"\nBcc:" not in raw.split(b"\n\n")[0]
    assert sent.subject.isprintable()
    assert len(sent.subject) < 230
    for hidden in "\u202e\u200b\u2028\x07\x1b\U000e0041\t":
        assert hidden not in sent.subject + sent.body
    assert "evil.example" not in sent.body.lower() or not re.search(r"://evil|www\.evil", sent.body, re.IGNORECASE)
    assert [line for line in sent.body.splitlines() if line.startswith("Urgent")] == []
    assert sent.body.count("://") == 1  # ours
    assert "&lt;" not in sent.body and "&amp;" not in sent.body
    assert "{{ settings" not in nasty or "{{ settings.SECRET_KEY }}" in sent.body


def test_hidden_characters_are_spelled_out(finance):
    PersonFactory(roles=["finance"])
    tell(role=finance, proposal=ProposalFactory(title="pay \u202egnp"))
    notify.run_batch()
    assert "U+202E" in mail.outbox[0].subject


def test_where_there_is_sensitive_data_the_mail_holds_none_of_it(finance):
    PersonFactory(roles=["finance"])
    secrets = ["4111 1111 1111 1111", "DE89370400440532013000", "Jana Kowalska", "diagnosis"]
    proposal = ProposalFactory(
        role=finance, title=f"Refund card {secrets[0]}", args={"iban": secrets[1], "holder": secrets[2]}, claims={"impact": secrets[3]},
        draft={"to": "jana@example.com", "subject": secrets[2], "body": secrets[3]},
        triggers=[{"name": "sensitive_data", "why": f"card {secrets[0]}", "where": "incident.title"}, {"name": "high_stakes", "why": secrets[1], "where": ""}],
    )  # fmt: skip
    tell(role=finance, proposal=proposal)
    notify.run_batch()
    text = mail.outbox[0].subject + mail.outbox[0].body
    for secret in [*secrets, "jana@example.com"]:
        assert secret not in text
    assert "sensitive_data" in text
    assert "iban" in text
    assert f"/proposals/{proposal.pk}/" in text


@pytest.mark.parametrize("kind", outbox.ABOUT_OPEN)
def test_what_was_settled_meanwhile_is_not_told(kind, finance):
    PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=finance)
    tell(kind, role=finance, proposal=proposal)
    Proposal.objects.filter(pk=proposal.pk).update(state=State.APPROVED, settled_at=clock.now())
    notify.run_batch()
    assert mail.outbox == []
    assert Notice.objects.get().state == Sending.NOTHING_TO_SEND


def test_settling_drops_what_was_not_sent_yet_and_only_that(finance):
    PersonFactory(roles=["finance"])
    proposal, other = ProposalFactory(role=finance), ProposalFactory(role=finance)
    tell(role=finance, proposal=proposal)
    tell("given_up", role=finance, proposal=proposal)
    tell(role=finance, proposal=other)
    assert outbox.drop_notices([proposal]) == 1
    assert notify.run_batch() == 2


def test_a_notice_that_is_dropped_while_it_is_sent_stays_dropped(finance, monkeypatch):
    PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=finance)
    tell(role=finance, proposal=proposal)
    plain = sending.mailing.send

    def settle_meanwhile(**message):
        outbox.drop_notices([proposal])
        plain(**message)

    monkeypatch.setattr(sending.mailing, "send", settle_meanwhile)
    assert notify.run_batch() == 0
    assert Notice.objects.get().state == Sending.NOTHING_TO_SEND


@pytest.mark.parametrize("change", ["left", "moved"])
def test_who_left_or_changed_role_is_not_told(change, finance):
    person = PersonFactory(roles=["finance"])
    tell(role=finance)
    if change == "left":
        person.is_active = False
        person.save()
    else:
        person.groups.clear()
    notify.run_batch()
    assert mail.outbox == []


def test_a_mail_server_that_is_away_is_asked_once_a_batch_and_given_up_after_days(finance, time, monkeypatch):
    PersonFactory(roles=["finance"])
    PersonFactory(roles=["finance"])
    asked = []

    def away(self, messages):
        asked.append(messages[0].extra_headers["Message-ID"])
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", away)
    tell(role=finance)
    assert notify.run_batch() == 2
    assert len(asked) == 1
    assert notify.run_batch() == 0
    for _ in range(len(notify.WAITS)):
        time(days=1)
        notify.run_batch()
    assert {notice.state for notice in Notice.objects.all()} == {Sending.GIVEN_UP}
    assert {notice.error for notice in Notice.objects.all()} == {"the mail server cannot be reached (ConnectionRefusedError)"}
    assert len(set(asked)) <= 2
    assert len(asked) == 1 + len(notify.WAITS)


def test_one_refused_recipient_holds_up_nobody_else(finance, monkeypatch):
    bad, good = PersonFactory(roles=["finance"]), PersonFactory(roles=["finance"])
    plain = mail.backends.locmem.EmailBackend.send_messages

    def refuse(self, messages):
        if messages[0].to == [bad.email]:
            raise smtplib.SMTPRecipientsRefused({bad.email: (550, b"no such user")})
        return plain(self, messages)

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    tell(role=finance)
    notify.run_batch()
    assert [message.to for message in mail.outbox] == [[good.email]]
    assert {notice.person: notice.state for notice in Notice.objects.all()} == {bad: Sending.GIVEN_UP, good: Sending.SENT}


def test_a_notice_that_cannot_be_written_holds_up_nobody_else(finance):
    PersonFactory(roles=["finance"])
    bad = ProposalFactory(role=finance, triggers=["no dict"])
    tell(role=finance, proposal=bad)
    tell(role=finance)
    notify.run_batch()
    assert len(mail.outbox) == 1
    assert "could not be written" in Notice.objects.get(proposal=bad).error


def test_a_slow_mail_server_costs_time_and_no_tries(finance, monkeypatch):
    for _ in range(3):
        PersonFactory(roles=["finance"])
    tell(role=finance)
    monkeypatch.setattr(sending, "ROUND_SECONDS", 0.0)
    assert notify.run_batch() == 0
    assert {(notice.state, notice.attempts, notice.lease_until) for notice in Notice.objects.all()} == {(Sending.WAITING, 0, None)}
    monkeypatch.undo()
    assert notify.run_batch() == 3


def test_who_lost_the_lease_writes_nothing(finance, time):
    PersonFactory(roles=["finance"])
    tell(role=finance)
    stale = queue.claim_sending(Notice, 10)[0]
    time(seconds=queue.LEASE.total_seconds() + 1)
    assert notify.run_batch() == 1
    assert gathering.finish([stale], Sending.GIVEN_UP) == 0
    assert Notice.objects.get().state == Sending.SENT


def test_a_notice_about_no_proposal_leads_to_its_incident(settings):
    owner, incident = PersonFactory(), IncidentFactory()
    outbox.open_notice("given_up", person=owner, source="agent", type="incident.settled", incident=str(incident.pk), delivery="d", why="answered 500", attempts=10)
    notify.run_batch()
    assert f"http://testserver/incidents/{incident.pk}/" in mail.outbox[0].body
    assert "10 tries" in mail.outbox[0].body


# -- told for one's own sake


def mentioned(person, **facts):
    return tell("mentioned", person=person, by="Carl Colleague", **facts)


def test_who_was_named_in_a_comment_reads_it_with_numbers_masked():
    person = PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"))
    mentioned(person, proposal=proposal, text="card 4111 1111 1111 1111,\nplease look")

    notify.run_batch()

    body = mail.outbox[0].body
    assert mail.outbox[0].to == [person.email] and "Carl Colleague asks for your eye" in mail.outbox[0].subject
    assert "card •••, please look" in body and "1111" not in body and f"/proposals/{proposal.pk}/" in body


def test_a_comment_on_sensitive_data_stays_on_the_page():
    person = PersonFactory(roles=["finance"])
    mentioned(person, proposal=ProposalFactory(role=role("finance"), triggers=[{"name": "sensitive_data", "why": "w"}]), text="the diagnosis")

    notify.run_batch()

    assert "diagnosis" not in mail.outbox[0].body and "on the page" in mail.outbox[0].body


@pytest.mark.parametrize("gone", ["deactivated", "another role"])
def test_who_cannot_read_it_any_more_is_not_told(gone):
    person = PersonFactory(roles=["finance"])
    mentioned(person, proposal=ProposalFactory(role=role("finance")), text="look")
    if gone == "deactivated":
        type(person).objects.update(is_active=False)
    else:
        person.groups.clear()

    notify.run_batch()

    assert not mail.outbox and Notice.objects.get().state == Sending.NOTHING_TO_SEND


def test_whose_signature_fell_is_told_why_although_it_is_settled_by_now():
    person = PersonFactory(roles=["finance"])
    proposal = ProposalFactory(role=role("finance"))
    tell("hold_fell", proposal=proposal, person=person, type="approve", why="it was withdrawn")
    Proposal.objects.update(state=State.WITHDRAWN, settled_at=clock.now())

    notify.run_batch()

    assert "Your signature fell: it was withdrawn." in mail.outbox[0].body and "It is withdrawn now." in mail.outbox[0].body
