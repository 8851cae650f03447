"""What stands in a channel: everything a yes would sign or no buttons at all, nothing that is masked, and the truth, later too."""

import json
from datetime import timedelta

import pytest
from django.db import connection, transaction

from escalations import audit, clock, lifecycle, notify, outbox, queue
from escalations.errors import DecisionNotAllowed, StepUpRequired
from escalations.floors import chatting
from escalations.models import Notice, Proposal, SlackMessage, SlackWorkspace
from escalations.notify import slack as chats
from escalations.policies import chat
from escalations.senders import SendFailed
from escalations.senders import slack as senders
from escalations.states import Sending
from tests.factories import role

pytestmark = pytest.mark.django_db

BOTH = {"approve", "reject", "open"}


def texts(message):
    """Return every text of a message that Slack would read as markup, and everything else."""
    markup, plain = [message["text"]], []

    def walk(one):
        if isinstance(one, dict):
            if isinstance(one.get("text"), str):
                (markup if one.get("type") == "mrkdwn" else plain).append(one["text"])
            for value in one.values():
                walk(value)
        elif isinstance(one, list):
            for value in one:
                walk(value)

    walk(message["blocks"])
    return markup, plain


def test_a_message_says_what_is_asked_why_what_is_at_stake_until_when_and_where(posted, rosa, slack, settings):
    settings.PUBLIC_URL = "https://countersign.example.com"
    proposal = posted(
        triggers=[{"name": "high_stakes", "why": "amount 250 is over 100", "where": "proposal.args.amount"}], risk="high",
        claims={"impact": "one customer"}, incident__context={"request": "please give me my money back"},
    )
    said = json.dumps(slack.last(), ensure_ascii=False)

    for part in ("Escalated to finance", "Refund $250 for order 1182", "billing-agent asks", "At stake: high_stakes: amount 250 is over 100",
                 "The source says of its impact: one customer", "please give me my money back", "action: refund\\norder: 1182\\namount: 250",
                 f"<!date^{int(proposal.due_at.timestamp())}^", f"https://countersign.example.com/proposals/{proposal.pk}/"):
        assert part in said
    assert set(slack.buttons()) == BOTH
    assert all("confirm" in slack.buttons()[one] for one in ("approve", "reject"))  # a second, deliberate act
    assert slack.calls[0][1]["unfurl_links"] is False


def hostile(**more):
    return {"args": {"note": more.pop("note", "x")}, **more}


NOT_IN_A_CHAT = {
    "source": {"source": None},
    "policy": {"policy": {"chat_up_to": ""}},
    "policy without a word": {"policy": {"chat_up_to": None}},
    "risk": {"policy": {"chat_up_to": "low"}, "risk": "medium"},
    "critical": {"risk": "critical"},
    "irreversible": {"triggers": [{"name": "irreversible", "why": "", "where": ""}]},
    "sensitive": {"triggers": [{"name": "sensitive_data", "why": "", "where": ""}]},
    "injection": {"triggers": [{"name": "injection_suspected", "why": "", "where": ""}]},
    "masked": hostile(note="card 4111 1111 1111 1111"),
    "hidden": hostile(note="pay \u202egnp.exe"),
    "zero width": hostile(note="a\u200bb"),
    "mixed alphabets": hostile(note="p\u0430ypal"),
    "link": hostile(note="see https://evil.example"),
    "www": hostile(note="see WWW.evil.example"),
    "too long": hostile(note="x" * 1_001),
    "too many": {"args": {f"n{n}": n for n in range(30)}},
    "pushed away": hostile(note="a" + " " * 40 + "and 9000 more"),
    "line in the action": {"action": "refund\namount: 1"},
    "a draft with gaps": {"kind": "draft", "action": "", "args": None, "draft": {"to": "a@b.example", "subject": "s", "body": "yes" + "\n" * 30 + "no"}},
    "an answer": {"allowed_decisions": ["respond", "reject"]},
}


@pytest.mark.parametrize("case", NOT_IN_A_CHAT)
def test_where_a_button_could_mislead_or_is_not_allowed_there_is_only_a_way_to_the_page(case, make, posted, press, rosa, slack, source):
    given = dict(NOT_IN_A_CHAT[case])
    if "source" in given:
        source.may_chat = False
        source.save()
        del given["source"]

    proposal = posted(proposal=make(**given))

    assert set(slack.buttons()) == {"open"}
    assert "4111" not in json.dumps(slack.last())
    assert not any(block["type"] in ("input", "rich_text") for block in slack.last()["blocks"])
    # and who has a button all the same (an old one, one of a rule that was changed) is refused by the record itself
    with pytest.raises((StepUpRequired, DecisionNotAllowed)):
        lifecycle.decide(proposal.pk, person=rosa, type="approve", digest=proposal.args_digest, version=proposal.version, method="chat", reason="because")
    assert Proposal.objects.get().state == "pending"


@pytest.mark.parametrize("verdict", ["edit", "respond"])
def test_a_chat_says_yes_or_no_and_nothing_else(make, rosa, verdict):
    proposal = make()
    with pytest.raises((StepUpRequired, DecisionNotAllowed)):
        lifecycle.decide(proposal.pk, person=rosa, type=verdict, digest=proposal.args_digest, version=proposal.version, method="chat", message="hello", args={"a": 1})


@pytest.mark.parametrize("args", [{"amount": 250}, {"note": "żółć, 100 € \"quoted\" and a\ttab", "n": None}, {"a": {"b": [1, 2.5, "x"]}}, {}, {"odd name": True, "a\naction: pay": 1}])
def test_what_a_yes_signs_stands_there_whole_and_exact(posted, rosa, slack, args):
    proposal = posted(args=args)
    [shown] = [block for block in slack.last()["blocks"] if block["type"] == "rich_text"]
    text = shown["elements"][0]["elements"][0]["text"]

    first, *lines = text.split("\n")
    assert first == "action: refund"
    read = {}
    for line in lines:
        name, at = json.JSONDecoder().raw_decode(line) if line.startswith('"') else (line.partition(":")[0], line.index(":"))
        read[name] = json.loads(line[at + 2 :])
    assert read == proposal.args == args


def test_a_draft_stands_there_whole(posted, make, rosa, slack):
    posted(proposal=make(kind="draft", action="", args=None, draft={"to": "ana@acme.example", "subject": "Your order", "body": "Hello Ana,\n\nit is on its way.\n"}))
    assert chatting.signed_text(Proposal.objects.get()) == "to: ana@acme.example\nsubject: Your order\n\nHello Ana,\n\nit is on its way."
    assert set(slack.buttons()) == BOTH


NASTY = ["<!channel> <@U0ROSA> <https://evil.example|your bank>", "*bold* _it_ ~no~ `code`", ":warning: &lt;!here&gt;", "a\n\nApproved by Ada", "\u202egnp", "x" * 4_000, "]]}\"'\\", "{{ settings.SECRET_KEY }}"]


@pytest.mark.parametrize("nasty", NASTY)
def test_a_strangers_words_are_never_markup(posted, rosa, slack, nasty):
    posted(
        incident__title=nasty[:500], action=nasty[:150], args={"note": nasty, nasty[:60]: 1}, claims={"impact": nasty}, description=nasty,
        triggers=[{"name": "loop_detected", "why": nasty, "where": ""}], incident__context={"request": nasty},
    )
    markup, plain = texts(slack.last())

    assert not any("<!channel" in one or "<@" in one or "evil" in one and "://" in one for one in markup)
    assert all(one.startswith("Next step <!date^") for one in markup[1:])
    assert not any("\u202e" in one for one in plain + markup)
    assert len(slack.messages) == 1


def test_where_there_are_masked_details_the_message_holds_none_of_them(posted, rosa, slack):
    secrets = ["4111 1111 1111 1111", "DE89370400440532013000", "diagnosis"]
    posted(
        incident__title=f"Refund card {secrets[0]}", args={"iban": secrets[1]}, claims={"impact": secrets[2]}, description=secrets[2],
        triggers=[{"name": "sensitive_data", "why": f"card {secrets[0]}", "where": ""}],
    )
    assert not any(secret in json.dumps(slack.last()) for secret in secrets)


def test_a_detail_outside_of_what_is_signed_is_masked_too(posted, rosa, slack):
    posted(incident__title="Refund to DE89370400440532013000", claims={"impact": "card 4111 1111 1111 1111"}, incident__context={"request": "my IBAN is DE89370400440532013000"})
    said = json.dumps(slack.last())
    assert "4111" not in said and "DE89" not in said
    assert set(slack.buttons()) == BOTH


def test_another_roles_channel_and_a_person_who_may_not_have_no_buttons(posted, workspace, rosa, slack, make, source):
    support = chat.add_slack_channel(workspace, channel_id="C0SUPPORT", role=role("support"), actor=audit.SYSTEM)
    posted(channel=support)
    assert set(slack.buttons()) == {"open"}
    managers = chat.add_slack_channel(workspace, channel_id="C0MANAGERS", role=role("manager"), actor=audit.SYSTEM)
    posted(channel=managers)
    assert set(slack.buttons()) == BOTH
    own = chat.add_slack_channel(workspace, channel_id="U0ROSA", person=rosa, actor=audit.SYSTEM)
    posted(channel=own)
    assert set(slack.buttons()) == BOTH
    assert SlackMessage.objects.order_by("pk").last().channel_id == "D0ROSA"
    source.owner = rosa
    source.save()
    posted(channel=own, proposal=make(source=source))
    assert set(slack.buttons()) == {"open"}


def test_several_notices_in_one_message_have_no_buttons(posted, make, rosa, slack, in_finance):
    others = [Notice(kind="escalated", role=in_finance.role, proposal=make()) for _ in range(3)]
    posted(also=others)
    assert set(slack.buttons()) == {"open"}
    assert not SlackMessage.objects.exists()


def test_four_hours_without_an_answer_goes_to_the_manager_in_slack_too(posted, make, workspace, rosa, mona, slack):
    chat.add_slack_channel(workspace, channel_id="C0MANAGERS", role=role("manager"), actor=audit.SYSTEM)
    manager = {"role": role("manager").pk, "name": "manager", "after": 14_400.0}
    posted(proposal=make(policy={"steps": [manager]}))
    (finance_at,) = slack.messages

    with clock.frozen_at(clock.now() + timedelta(hours=4, seconds=1)):
        assert lifecycle.run_out() == 1
        assert queue.chats_due(clock.now())
        chats.follow()
        notify.run_batch()

        first = slack.messages[finance_at]
        assert "The role manager is asked now." in first["blocks"][1]["text"]["text"]
        assert set(slack.buttons(first)) == {"open"}
        second = next(message for (channel, _), message in slack.messages.items() if channel == "C0MANAGERS")
        assert set(slack.buttons(second)) == BOTH
        assert "Escalated to manager" in second["blocks"][0]["text"]["text"]

        proposal = Proposal.objects.get()
        lifecycle.decide(proposal.pk, person=mona, type="approve", digest=proposal.args_digest, version=proposal.version)
        assert chats.follow() == 2
        assert all(f"{mona.name} approved this" in message["blocks"][1]["text"]["text"] for message in slack.messages.values())


def settle(proposal, how, rosa):
    match how:
        case "page":
            lifecycle.decide(proposal.pk, person=rosa, type="reject", digest=proposal.args_digest, version=proposal.version, reason="no card 4111 1111 1111 1111")
        case "withdrawn":
            lifecycle.withdraw(proposal.incident_id, actor=audit.Actor.source(proposal.source))
        case "expired":
            with clock.frozen_at(proposal.expires_at + timedelta(seconds=1)):
                for _ in range(4):
                    lifecycle.run_out()


@pytest.mark.parametrize("how, said", [("page", "rejected this at"), ("withdrawn", "The source withdrew this"), ("expired", "Its time ran out. The clock rejected this")])
def test_however_it_ends_the_message_says_so_once(posted, rosa, slack, how, said):
    proposal = posted()
    assert queue.wake_due() == []
    settle(proposal, how, rosa)

    assert queue.chats_due(clock.now())
    assert chats.follow() == 1

    assert said in slack.last()["blocks"][1]["text"]["text"]
    assert "4111" not in json.dumps(slack.last())
    assert set(slack.buttons()) == {"open"}
    calls = len(slack.calls)
    assert chats.follow() == 0 and not queue.chats_due(clock.now()) and len(slack.calls) == calls


# -- when Slack is away, slow, or says no


@pytest.mark.parametrize("trouble, said", [
    ((500, {}), "Slack answered 500"), ((302, {"Location": "http://127.0.0.1:1/"}), "Slack answered 302"), ("invalid_auth", "invalid_auth"),
    ("channel_not_found", "channel_not_found"), ("not_in_channel", "not_in_channel"), ("<script>", "it did not say why"), ((200, {}), "no JSON"),
])
def test_a_failure_is_named_and_nothing_is_lost(posted, rosa, slack, make, in_finance, trouble, said):
    slack.trouble = [trouble]
    with pytest.raises(SendFailed) as failed:
        posted()
    assert said in failed.value.reason and not failed.value.permanent
    workspace = SlackWorkspace.objects.get()
    assert workspace.failing_since is not None and said in workspace.last_error
    posted()
    workspace.refresh_from_db()
    assert (workspace.failing_since, workspace.last_error) == (None, "")


def test_slack_asking_to_slow_down_says_how_long(posted, rosa, slack):
    slack.trouble = [(429, {"Retry-After": "33"}), (429, {"Retry-After": "soon"})]
    with pytest.raises(SendFailed) as failed:
        posted()
    assert failed.value.retry_after == 33.0
    with pytest.raises(SendFailed) as failed:
        posted()
    assert failed.value.retry_after is None


def test_a_slack_that_hangs_costs_a_bounded_time(posted, rosa, slack, monkeypatch):
    monkeypatch.setattr("escalations.senders.slack.TOTAL_SECONDS", 0.2)
    slack.trouble = ["hang"]
    with pytest.raises(SendFailed) as failed:
        posted()
    assert failed.value.unreachable and "did not answer within" in failed.value.reason


def test_a_notice_that_slack_does_not_take_waits_and_goes_later_through_the_notices_own_job(make, rosa, slack, in_finance):
    slack.trouble = ["not_in_channel"]
    with transaction.atomic():
        outbox.open_notice("escalated", proposal=make(), role=role("finance"), step=1)
    notify.run_batch()
    waiting = Notice.objects.get(channel=in_finance)
    in_finance.refresh_from_db()
    assert (waiting.state, in_finance.failing_since is not None) == (Sending.WAITING, True)
    assert "not_in_channel" in in_finance.last_error

    with clock.frozen_at(clock.now() + timedelta(hours=1)):
        notify.run_batch()
    waiting.refresh_from_db()
    assert waiting.state == Sending.SENT
    assert set(slack.buttons()) == BOTH


def test_a_message_that_cannot_be_written_anew_is_tried_again_and_holds_up_no_other(posted, rosa, slack):
    one, two = posted(), posted()
    for proposal in (one, two):
        settle(proposal, "withdrawn", rosa)
    slack.trouble = [(500, {})]

    assert chats.follow() == 2
    assert SlackMessage.objects.filter(closed_at=None).count() == 1
    assert not queue.chats_due(clock.now())  # not at once, and not every second
    with clock.frozen_at(clock.now() + timedelta(seconds=3)):
        assert queue.chats_due(clock.now())
        chats.follow()
    assert not SlackMessage.objects.filter(closed_at=None).exists()


def test_a_message_somebody_deleted_is_let_go_of(posted, rosa, slack):
    proposal = posted()
    slack.messages.clear()
    settle(proposal, "withdrawn", rosa)
    chats.follow()
    assert SlackMessage.objects.get().closed_at is not None
    assert SlackWorkspace.objects.get().failing_since is None


@pytest.mark.django_db(transaction=True)
def test_slack_is_never_called_in_a_transaction(posted, rosa, slack, press, monkeypatch):
    plain, called = senders.call, []

    def watched(method, token, body):
        assert not connection.in_atomic_block
        called.append(method)
        return plain(method, token, body)

    monkeypatch.setattr(senders, "call", watched)
    posted()
    press("approve", "U0NOBODY")
    press("approve", "U0ROSA")
    chats.follow()
    assert called == ["chat.postMessage", "chat.postEphemeral", "chat.update"]


@pytest.mark.parametrize("size", [1, 20])
def test_looking_for_what_is_due_costs_the_same_however_many_stand_there(posted, rosa, slack, size, django_assert_num_queries):
    for _ in range(size):
        posted()
    queue.take_turn("chats looked through", 30)
    # whose turn it is, is any open, the last entry, what moved, (nothing to mark,) replies to send, messages to write
    with django_assert_num_queries(6):
        assert not queue.chats_due(clock.now())


def test_with_no_message_anywhere_looking_costs_four_queries(db, django_assert_num_queries):
    queue.take_turn("chats looked through", 30)
    with django_assert_num_queries(4):
        assert not queue.chats_due(clock.now())


def test_what_the_last_entries_do_not_tell_of_is_found_within_half_a_minute(posted, rosa, slack, monkeypatch):
    monkeypatch.setattr(queue, "RECENT", 1)
    queue.take_turn("chats looked through", 30)
    proposal = posted()
    settle(proposal, "withdrawn", rosa)
    for _ in range(3):
        with transaction.atomic():
            audit.record("record.exported", actor=audit.SYSTEM)

    assert not queue.chats_due(clock.now())
    with clock.frozen_at(clock.now() + timedelta(seconds=31)):
        assert queue.chats_due(clock.now())
        assert chats.follow() == 1


def test_an_item_settled_before_it_was_posted_is_told_as_it_is(make, posted, rosa, slack):
    proposal = make()
    settle(proposal, "withdrawn", rosa)
    posted(proposal=proposal)
    assert set(slack.buttons()) == {"open"}
    assert not SlackMessage.objects.exists()
