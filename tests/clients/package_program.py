"""A program that has nothing but the package as it is published. Each line it prints is one step's result, as JSON."""

import asyncio
import json
import sys
from decimal import Decimal

import countersign
from countersign import AsyncClient, Client, HandedOver, NotApproved, RunStopped

ran = []


def say(step, **said):
    print(json.dumps({"step": step, **said, "ran": list(ran)}), flush=True)
    ran.clear()


with Client() as client:

    @client.requires_approval(title=lambda args: f"Refund {args['order']}", hidden=["ledger"], reversible=True)
    def refund(order, amount, ledger=None):
        ran.append([order, amount])
        return f"refunded {order} {amount}"

    for order in ("A-1", "A-2", "A-3", "A-4"):
        try:
            say(order, said=refund(order, 40, ledger=ran))
        except NotApproved as refusal:
            say(order, said=f"{type(refusal).__name__}: {refusal}")

    @client.requires_approval(
        encode=lambda args: {**args, "price": str(args["price"])}, decode=lambda args: {**args, "price": Decimal(args["price"])}
    )
    def reprice(sku, price):
        ran.append([sku, repr(price)])

    reprice("S-1", price=Decimal("9.90"))
    say("decimal")

    with client.review({"to": "ann@example.com", "subject": "Your order", "body": "Hey."}, context="She wrote twice.") as yes:
        say("draft", body=yes.draft["body"], edited=yes.edited, by=yes.by["name"])

    say("question", said=str(client.ask("Which region?\nThere are three.")))

    def fails(order):
        raise ConnectionError(f"the bank hung up on {order}")

    try:
        client.guard(fails, {"order": "A-9"}, retries=2, base=0.01)
    except HandedOver as handed:
        say("guard", incident=handed.incident["id"], tries=len(handed.attempts))

    try:
        with client.session("looper", goal="Find the bound", limits={"repeats": 4, "cost": 2}) as run:
            say("run", id=run.id, watch_url=run.watch_url)
            for number in range(100):
                if run.notes:
                    say("note", text=run.notes[-1]["text"], steps=number)
                    break
                with run.step("search", {"q": "bound"}) as step:
                    step.result, step.cost = [], 0.001
            for _ in range(100):
                run.report("search", {"q": "again"}, [])
    except RunStopped as stopped:
        say("stopped", reason=stopped.reason)


async def later():
    async with AsyncClient() as client:

        @client.requires_approval("refund")
        async def refund_later(order, amount):
            ran.append([order, amount])
            return amount

        async with client.session("async-agent") as run:
            results = await asyncio.gather(refund_later("B-1", 40), refund_later("B-2", 50), return_exceptions=True)
            say("async", said=[str(one) for one in results], run=run.id)


asyncio.run(later())
say("version", version=countersign.__version__, path=countersign.__file__, modules=sorted(
    name for name in sys.modules if name.partition(".")[0] in ("django", "requests", "aiohttp", "pydantic")))
