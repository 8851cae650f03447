"""Goodwill vouchers: small, many, alike. Half a year of them was decided before Countersign came, some eighty in its first week.

The company's people have a table for it: what is late, scratched or missing gets a small one; who haggles gets none, nor who has had
three. So there is something to learn, and now and then somebody decides otherwise than the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from escalations.states import Verdict

BEFORE, IN_THE_WEEK = 360, 78
ACTION = "goodwill_voucher"
OFTEN = ((0.30, "late"), (0.56, "scratch"), (0.78, "missing"), (0.85, "swap"), (0.93, "haggle"), (1.0, "again"))
ITEMS = ("shelf Halden", "chair Vik", "side table Fjord", "lamp Sol", "mirror Nes", "bench Tind", "desk Ena", "stool Bo")
SAYS = {
    "late": ("My {item} came {days} days late.", "The carrier was late by {days} days; the table says €{amount:.0f}."),
    "scratch": ("There is a small scratch on my {item}, I keep it anyway.", "The photograph shows it; the table says €{amount:.0f}."),
    "missing": ("Two screws were missing for my {item}.", "The bag was short; the customer went to a shop."),
    "swap": ("I got the {item} in the wrong colour and keep it.", "Picked wrongly in the warehouse; the customer keeps it."),
    "haggle": ("A friend paid less for the {item}. Can you do something about the price?", "The customer asks for a discount afterwards."),
    "again": ("My {item} squeaks, please send me another voucher.", "The customer has had three vouchers this year."),
}
AMOUNTS = {"late": (5, 10), "scratch": (10, 15, 20), "missing": (5,), "swap": (10, 15), "haggle": (25, 40), "again": (10, 15, 20)}
REFUSED = {"haggle": "No price match after the sale.", "again": "Three are enough: have somebody look at the chair instead."}


@dataclass(frozen=True)
class Voucher:
    """One that was asked for, and what the people of the company say to it."""

    key: str
    asks: dict[str, Any]
    verdict: str
    reason: str


def vouchers(count: int, seed: int, first_order: int) -> Iterator[Voucher]:
    """Return as many, always the same for a seed. One in fifty of the plain ones is refused all the same."""
    chance = Random(seed)
    for number in range(count):
        place, item = chance.random(), chance.choice(ITEMS)
        why = next(name for limit, name in OFTEN if place <= limit)
        amount, days = float(chance.choice(AMOUNTS[why])), chance.randint(2, 9)
        refused = REFUSED.get(why, "Already given by telephone." if chance.random() < 0.02 else "")
        order = first_order + 3 * number + chance.randint(0, 2)
        request, because = (text.format(item=item, days=days, amount=amount) for text in SAYS[why])
        yield Voucher(
            f"voucher-{order}", asked(order, amount, request, because), Verdict.REJECT if refused else Verdict.APPROVE, refused,
        )


def asked(order: int, amount: float, request: str, why: str) -> dict[str, Any]:
    """Return the incident as the agent posts it."""
    return {
        "kind": "action", "title": f"Voucher of €{amount:.2f} for order {order}", "external_id": f"order-{order}",
        "context": {
            "request": request, "why": why,
            "attempts": [{"tool": "find_order", "arguments": {"order": order}, "result": {"paid": True}}],
        },
        "proposal": {
            "action": ACTION, "args": {"order": order, "amount": amount, "currency": "EUR"}, "confidence": 0.9,
            "description": "A voucher for the next order, as goodwill.",
        },
    }
