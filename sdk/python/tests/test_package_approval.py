"""No yes, no run: every other end is an exception, and what runs is what was signed."""

import asyncio
import contextlib
import json
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, gone, problem

import countersign
from countersign import (
    AlreadyActed,
    Answered,
    DigestMismatch,
    Expired,
    NotApproved,
    NotSignable,
    Rejected,
    TimedOut,
    Withdrawn,
    digest,
)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def client(fake):
    return Hurried(fake)


# -- approve()


def test_a_yes_brings_what_may_run(fake, client):
    fake.decides("approve", reason="fine")
    yes = client.approve("refund", {"order": 7, "amount": 250}, context="The parcel was lost.", severity="warning", reversible=False)
    assert (yes.args, yes.edited, yes.reason, yes.by["name"]) == ({"order": 7, "amount": 250}, False, "fine", "Rosa")
    posted = fake.incidents[yes.id]["posted"]
    assert posted["context"] == {"summary": "The parcel was lost."} and posted["severity"] == "warning"
    assert posted["proposal"] == {"action": "refund", "args": {"order": 7, "amount": 250}, "reversible": False}


def test_an_edit_brings_the_args_as_signed(fake, client):
    fake.decides("edit", args={"order": 7, "amount": 100})
    yes = client.approve("refund", {"order": 7, "amount": 250})
    assert yes.edited and yes.args == {"order": 7, "amount": 100} and yes.args_digest == digest("refund", {"order": 7, "amount": 100})


@pytest.mark.parametrize(("kind", "said", "error"), [
    ("reject", {"reason": "too much"}, Rejected), ("reject", {"by": "clock"}, Expired), ("reject", {"retry": True}, Rejected),
    ("respond", {"message": "call them"}, Answered),
])
def test_every_other_end_is_no_yes(fake, client, kind, said, error):
    fake.decides(kind, **said)
    with pytest.raises(error) as caught:
        client.approve("refund", {"amount": 1})
    assert isinstance(caught.value, NotApproved)
    assert getattr(caught.value, "reason", said.get("reason", "")) == said.get("reason", "")
    assert getattr(caught.value, "message", said.get("message")) == said.get("message")
    assert getattr(caught.value, "retry", said.get("retry", False)) == said.get("retry", False)


def test_a_withdrawal_is_no_yes(fake, client):
    fake.decide = lambda incident: fake.withdraw(incident, {})
    with pytest.raises(Withdrawn):
        client.approve("refund", {"amount": 1})


def test_a_decision_nobody_has_heard_of_is_no_yes(fake, client):
    fake.decide = lambda incident: (fake.settle(incident, "approve"), incident["decision"].update(type="bless"))
    with pytest.raises(NotApproved):
        client.approve("refund", {"amount": 1})


@pytest.mark.parametrize("bend", [
    {"args": {"amount": 1_000}},  # other args, the old digest
    {"action": "delete_everything"},
    {"args_digest": digest("refund", {"amount": 2})},
    {"args_digest": None},
    {"args": {"amount": 1_000}, "args_digest": digest("refund", {"amount": 1_000})},  # consistent, and never edited by anybody
    {"action": "wipe", "args_digest": digest("wipe", {"amount": 1})},
])
def test_an_answer_that_does_not_hold_together_is_no_yes(fake, client, bend):
    fake.decide = lambda incident: (fake.settle(incident, "approve"), incident["decision"].update(bend))
    with pytest.raises(DigestMismatch):
        client.approve("refund", {"amount": 1})


def test_a_yes_to_a_revision_somebody_else_made_is_an_edit(fake, client):
    def decide(incident):
        fake.revise(incident, {"proposal": {"action": "refund", "args": {"amount": 50}}})
        fake.settle(incident, "approve")

    fake.decide = decide
    yes = client.approve("refund", {"amount": 90})
    assert yes.edited and yes.args == {"amount": 50}


def test_a_yes_that_is_too_old_is_none_by_the_servers_clock(fake, client):
    fake.decides("approve", valid_for=1)  # the answer itself takes that long: nothing is begun in the last two seconds
    with pytest.raises(Expired):
        client.approve("refund", {"amount": 1})


def test_a_yes_that_grows_old_before_it_is_used_is_none(fake, client):
    fake.decides("approve", valid_for=60)
    yes = client.approve("refund", {"amount": 1})
    fake.now = fake.now.replace(hour=2)
    client.get_incident(yes.id)  # any answer brings the time
    with pytest.raises(Expired):
        yes.check("refund", {"amount": 1})
    with pytest.raises(Expired):
        yes.__enter__()


def test_a_yes_that_was_used_is_not_used_again(fake, client):
    fake.decides("approve")
    with client.approve("refund", {"amount": 1}, key="refund-7"):
        pass
    with pytest.raises(AlreadyActed):
        client.approve("refund", {"amount": 1}, key="refund-7")


def test_after_a_restart_the_same_key_finds_the_same_decision(fake):
    with pytest.raises(TimedOut):
        Hurried(fake).approve("refund", {"amount": 1}, key="refund-7", timeout=0.01)
    fake.decides("approve")
    yes = Hurried(fake).approve("refund", {"amount": 1}, key="refund-7")
    assert len(fake.incidents) == 1 and yes.args == {"amount": 1}


def test_what_cannot_be_signed_is_not_sent(fake, client):
    with pytest.raises(NotSignable, match="/amount"):
        client.approve("refund", {"amount": Decimal("1.10")})
    assert fake.requests == []


def test_a_member_nobody_knows_is_refused_before_anything_is_sent(fake, client):
    with pytest.raises(TypeError, match="urgency"):
        client.approve("refund", {"amount": 1}, urgency="high")
    assert fake.requests == []


# -- out of time


def test_out_of_time_is_no_yes_and_leaves_it_open(fake, client):
    with pytest.raises(TimedOut) as caught:
        client.approve("refund", {"amount": 1}, timeout=0.01)
    assert fake.incidents[caught.value.incident["id"]]["status"] == "waiting"


def test_out_of_time_can_withdraw(fake, client):
    with pytest.raises(TimedOut) as caught:
        client.approve("refund", {"amount": 1}, timeout=0.01, on_timeout="withdraw")
    assert fake.incidents[caught.value.incident["id"]]["proposal"]["state"] == "withdrawn"


def test_a_yes_in_the_moment_of_withdrawing_counts(fake, client):
    withdraw = fake.withdraw

    def too_late(incident, body):
        fake.settle(incident, "approve")
        return withdraw(incident, body)

    fake.withdraw = too_late
    assert client.approve("refund", {"amount": 1}, timeout=0.01, on_timeout="withdraw").args == {"amount": 1}


def test_whatever_is_done_when_time_is_up_there_is_no_yes(fake, client):
    told = []
    with pytest.raises(TimedOut):
        client.approve("refund", {"amount": 1}, timeout=0.01, on_timeout=lambda incident: told.append(incident) or "approve")
    assert told[0]["status"] == "waiting"


@pytest.mark.parametrize("wish", ["approve", "run", True, None])
def test_no_yes_can_be_wished_for(client, wish):
    with pytest.raises(ValueError, match="on_timeout"):
        client.approve("refund", {"amount": 1}, timeout=0.01, on_timeout=wish)


def test_a_countersign_that_is_away_is_no_yes(fake, client):
    fake.troubles = [gone] * 10_000
    with pytest.raises(TimedOut, match="Nobody could be asked"):
        client.approve("refund", {"amount": 1}, timeout=0.02)


# -- drafts, questions, and what is asked back


def test_a_draft_is_sent_as_signed(fake, client):
    fake.decides("edit", draft={"to": "a@example.com", "subject": "Hello", "body": "Dear Ann", "format": "text"})
    with client.review({"to": "a@example.com", "subject": "Hello", "body": "Hey"}) as yes:
        assert yes.edited and yes.draft["body"] == "Dear Ann" and yes.action is None
    assert fake.acks[0]["args_digest"] == yes.args_digest


def test_a_draft_that_was_refused_is_not_sent(fake, client):
    fake.decides("reject", reason="rude")
    with pytest.raises(Rejected, match="rude"):
        client.review({"to": "a@example.com", "subject": "Hello", "body": "Hey"})


def test_a_question_is_answered_in_words(fake, client):
    fake.decides("respond", message="eu-west")
    answer = client.ask("Which region?\nWe have three.", context="It is for Ann.")
    assert (answer.text, str(answer), answer.by["name"]) == ("eu-west", "eu-west", "Rosa")
    assert fake.incidents["incident-1"]["posted"]["body"] == "Which region?\nWe have three."


@pytest.mark.parametrize("kind", ["reject", "approve"])
def test_a_question_without_an_answer_has_none(fake, client, kind):
    fake.decides(kind)
    with pytest.raises(NotApproved):
        client.ask("Which region?")


def test_what_is_asked_back_is_answered_once(fake, client):
    asked = []

    def decide(incident):
        if not incident["questions"]:
            incident["questions"] = [{"id": "q1", "text": "Whose order?", "answered_at": None}]
        elif fake.contexts:
            fake.settle(incident, "approve")

    fake.decide = decide
    client.approve("refund", {"amount": 1}, on_question=lambda question: asked.append(question["text"]) or "Ann's")
    assert asked == ["Whose order?"] and fake.contexts == [{"messages": [{"role": "agent", "content": "Ann's"}]}]


def test_an_answer_may_be_context_or_nothing(fake, client):
    def decide(incident):
        if not incident["questions"]:
            incident["questions"] = [{"id": f"q{number}", "text": str(number), "answered_at": None} for number in range(2)]
        else:
            fake.settle(incident, "approve")

    fake.decide = decide
    client.approve("refund", {"amount": 1}, on_question=lambda question: {"summary": "x"} if question["text"] == "0" else None)
    assert fake.contexts == [{"summary": "x"}]


def test_an_asyncio_program_asks_runs_and_acknowledges_the_same(fake):
    async def work():
        ran = []
        async with HurriedAsync(fake) as client:

            @client.requires_approval()
            async def refund(order, amount):
                ran.append((order, amount))
                return amount

            async def answer(question):
                return "Ann's"

            fake.decides("edit", args={"order": 7, "amount": 100})
            assert await refund(7, amount=250) == 100
            fake.decides("reject", reason="no")
            with pytest.raises(Rejected):
                await refund(8, 1)
            fake.decides("respond", message="eu")
            assert (await client.ask("Where?", on_question=answer)).text == "eu"
            fake.decides("approve")
            async with await client.review({"to": "a@example.com", "subject": "s", "body": "b"}) as yes:
                assert yes.draft["body"] == "b"
            fake.decide = None
            with pytest.raises(TimedOut):
                await client.approve("refund", {}, timeout=0.01)
        return ran

    assert asyncio.run(work()) == [(7, 100)] and [ack["result"] for ack in fake.acks] == ["done", "done"]


def test_everything_public_can_be_imported_by_its_name():
    assert all(hasattr(countersign, name) for name in countersign.__all__)
    assert json.dumps(sorted(countersign.__all__))


def test_the_order_of_the_args_makes_no_other_request(fake, client):
    fake.decides("approve")
    for args in ({"b": {"y": 1, "x": 2}, "a": 1}, {"a": 1, "b": {"x": 2, "y": 1}}):
        client.approve("refund", args)
    first, second = (json.loads(request.content) for request in fake.requests if request.method == "POST")
    assert first == second


@pytest.mark.parametrize("fails", [False, True])
def test_one_yes_is_for_one_act(fake, client, fails):
    fake.decides("approve")
    made = []
    yes = client.approve("refund", {"amount": 1})
    for _ in range(2):
        with pytest.raises((ValueError, AlreadyActed)) if fails or made else contextlib.nullcontext():
            with yes:
                made.append(1)
                if fails:
                    raise ValueError("no money")
    assert len(made) == 1


@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_a_yes_grows_old_while_the_machine_sleeps_or_its_clock_is_set_back(fake, client, monkeypatch, clock):
    fake.decides("approve", valid_for=3600)
    yes = client.approve("refund", {"amount": 1})
    real = {"time": time.time, "monotonic": time.monotonic, clock: lambda: getattr(time, clock)() + 7200}
    other = ({"time", "monotonic"} - {clock}).pop()
    real[other] = lambda: getattr(time, other)() - (60 if other == "time" else 0)
    monkeypatch.setattr("countersign.flow.time", SimpleNamespace(**real))
    with pytest.raises(Expired):
        yes.check("refund", {"amount": 1})


def test_out_of_time_stays_so_when_what_was_decided_cannot_be_read(fake, client):
    withdraw = fake.withdraw

    def too_late(incident, body):
        fake.settle(incident, "approve")
        fake.troubles = [None, lambda request: problem(403, "forbidden")]
        return withdraw(incident, body)

    fake.withdraw = too_late
    with pytest.raises(TimedOut):
        client.approve("refund", {"amount": 1}, timeout=0.01, on_timeout="withdraw")
