"""No yes, no run: every other end is an exception, and what runs is what was signed."""

import asyncio
import copy
import json
from decimal import Decimal

import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, gone, problem

import countersign
from countersign import (
    AlreadyActed,
    Answered,
    DigestMismatch,
    DoesNotFit,
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


def refunds(client, **options):
    """Return a guarded function and the list of what ran."""
    ran = []

    @client.requires_approval(**options)
    def refund(order, amount, note=""):
        ran.append({"order": order, "amount": amount, "note": note})
        return f"paid {amount}"

    return refund, ran


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


# -- the decorator


def test_nothing_runs_before_the_yes_and_what_was_done_is_acknowledged(fake, client):
    refund, ran = refunds(client)
    fake.decide = lambda incident: (ran.append("looked") if not ran else None, fake.settle(incident, "approve"))
    assert refund(7, amount=250) == "paid 250"
    assert ran == ["looked", {"order": 7, "amount": 250, "note": ""}]
    assert fake.acks == [{"id": "incident-1", "result": "done", "detail": "", "args_digest": digest("refund", {"order": 7, "amount": 250, "note": ""})}]


def test_positional_arguments_and_defaults_are_shown_by_name(fake, client):
    refund, _ = refunds(client)
    fake.decides("approve")
    refund(7, 250)
    assert fake.incidents["incident-1"]["posted"]["proposal"]["args"] == {"order": 7, "amount": 250, "note": ""}


def test_an_edited_call_runs_as_signed(fake, client):
    refund, ran = refunds(client)
    fake.decides("edit", args={"order": 7, "amount": 100, "note": "half"})
    assert refund(7, 250) == "paid 100" and ran == [{"order": 7, "amount": 100, "note": "half"}]


@pytest.mark.parametrize("args", [{"order": 7}, {"order": 7, "amount": 1, "note": "", "bcc": "x"}])
def test_an_edit_that_is_no_call_of_the_function_does_not_run_and_goes_back(fake, client, args):
    refund, ran = refunds(client)
    fake.decides("edit", args=args)
    with pytest.raises(DoesNotFit):
        refund(7, 250)
    assert ran == [] and fake.acks[0]["result"] == "failed"


@pytest.mark.parametrize("kind", ["reject", "respond"])
def test_without_a_yes_nothing_runs(fake, client, kind):
    refund, ran = refunds(client)
    fake.decides(kind, message="no")
    with pytest.raises(NotApproved):
        refund(7, 250)
    assert ran == [] and fake.acks == []


def test_a_refusal_can_become_a_sentence_for_the_model(fake, client):
    refund, ran = refunds(client, on_refusal=lambda refusal: f"refused: {refusal.reason}")
    fake.decides("reject", reason="too much")
    assert refund(7, 250) == "refused: too much" and ran == []


def test_an_error_of_the_function_goes_to_a_person_and_is_raised(fake, client):
    @client.requires_approval()
    def refund(amount):
        raise ConnectionError("bank is closed")

    fake.decides("approve")
    with pytest.raises(ConnectionError):
        refund(1)
    assert fake.acks[0]["result"] == "failed" and "bank is closed" in fake.acks[0]["detail"]


def test_changing_an_argument_while_people_think_changes_nothing(fake, client):
    ran, items = [], [{"sku": 1}]

    @client.requires_approval()
    def order(items):
        ran.append(copy.deepcopy(items))

    def decide(incident):
        items.append({"sku": 2})
        fake.settle(incident, "approve")

    fake.decide = decide
    order(items)
    assert ran == [[{"sku": 1}]]


def test_what_runs_is_what_was_signed_for_500_changes_on_the_way(fake, client):
    """Whatever of the decision is changed after it was signed: it does not run."""
    ran = []

    @client.requires_approval()
    def pay(order, amount, to):
        ran.append((order, amount, to))

    for number in range(500):
        def bend(incident, number=number):
            fake.settle(incident, "approve" if number % 2 else "edit")
            args = incident["decision"]["args"] = dict(incident["decision"]["args"])
            name = ("order", "amount", "to")[number % 3]
            args[name] = f"{args[name]}{number}" if number % 4 else number
        fake.decide = bend
        with pytest.raises(DigestMismatch):
            pay("A-1", 1250, "ann")
    assert ran == [] and {ack["result"] for ack in fake.acks} <= {"failed"}


def test_self_is_neither_shown_nor_signed(fake, client):
    class Shop:
        paid = ()

        @client.requires_approval("shop.refund", hidden=["database"])
        def refund(self, amount, database=None):
            self.paid = (*self.paid, amount, database)

    shop, database = Shop(), object()
    fake.decides("approve")
    shop.refund(5, database=database)
    assert shop.paid == (5, database)
    assert fake.incidents["incident-1"]["posted"]["proposal"] == {"action": "shop.refund", "args": {"amount": 5}}


def test_star_arguments_come_back_as_signed(fake, client):
    ran = []

    @client.requires_approval()
    def tag(name, *labels, **options):
        ran.append((name, labels, options))

    fake.decides("edit", args={"name": "a", "labels": ["y"], "color": "red", "size": 2})
    tag("a", "x", color="blue")
    assert fake.incidents["incident-1"]["posted"]["proposal"]["args"] == {"name": "a", "labels": ["x"], "color": "blue"}
    assert ran == [("a", ("y",), {"color": "red", "size": 2})]


def test_an_edit_cannot_reach_what_is_hidden(fake, client):
    ran = []

    @client.requires_approval(hidden=["account"])
    def pay(amount, account="ours", **options):
        ran.append((amount, account, options))

    fake.decides("edit", args={"amount": 1, "account": "theirs"})
    with pytest.raises(DoesNotFit):
        pay(1)
    assert ran == []


def test_arguments_that_are_no_json_are_converted_and_come_back(fake, client):
    ran = []

    @client.requires_approval(
        encode=lambda args: {**args, "amount": str(args["amount"])}, decode=lambda args: {**args, "amount": Decimal(args["amount"])}
    )
    def pay(amount):
        ran.append(amount)

    fake.decides("edit", args={"amount": "2.50"})
    pay(Decimal("9.99"))
    assert ran == [Decimal("2.50")]


def test_a_conversion_that_loses_something_does_not_run(fake, client):
    ran = []

    @client.requires_approval(encode=lambda args: {"amount": str(args["amount"])}, decode=lambda args: {"amount": int(float(args["amount"]))})
    def pay(amount):
        ran.append(amount)

    fake.decides("approve")
    with pytest.raises(DigestMismatch):
        pay(9.99)
    assert ran == []


def test_title_context_and_key_may_depend_on_the_args(fake, client):
    refund, _ = refunds(
        client, title=lambda args: f"Refund order {args['order']}", context=lambda args: {"why": f"{args['amount']} is a lot"},
        key=lambda args: f"refund-{args['order']}", severity="critical",
    )
    fake.decides("approve")
    refund(7, 250)
    posted = fake.incidents["incident-1"]["posted"]
    assert (posted["title"], posted["context"], posted["severity"]) == ("Refund order 7", {"why": "250 is a lot"}, "critical")
    assert fake.keys == {"refund-7": "incident-1"}
    with pytest.raises(AlreadyActed):
        refund(7, 250)


def test_the_function_keeps_its_name_and_a_wrong_call_its_error(fake, client):
    refund, ran = refunds(client)
    assert refund.__name__ == "refund"
    with pytest.raises(TypeError):
        refund()
    assert fake.requests == [] and ran == []


def test_what_was_done_but_cannot_be_acknowledged_is_done(fake, client, caplog):
    refund, _ = refunds(client)
    fake.decides("approve")
    fake.ack = lambda incident, body: problem(409, "decision_expired")
    assert refund(7, 250) == "paid 250" and "could not be acknowledged" in caplog.text


@pytest.mark.parametrize("options", [{"hidden": ["nobody"]}, {"encode": dict}])
def test_a_gate_that_makes_no_sense_is_refused_when_it_is_made(client, options):
    with pytest.raises(TypeError):
        client.requires_approval(**options)(lambda amount: None)


def test_threads_and_event_loops_are_not_mixed_up(fake, client):
    async def later():
        return None

    with pytest.raises(TypeError, match="AsyncClient"):
        client.requires_approval()(later)
    with pytest.raises(TypeError, match="use Client"):
        HurriedAsync(fake).requires_approval()(lambda: None)


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
