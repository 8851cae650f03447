"""The decorator: what runs is the call that was signed, and nothing else ever."""

import copy
from decimal import Decimal

import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, problem

from countersign import AlreadyActed, DigestMismatch, DoesNotFit, NotApproved, digest


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
