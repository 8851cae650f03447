"""An agent that refunds, once a person signed it: it runs what was signed, which may be less than it asked for.

Run it, open the address it prints, and approve, edit or reject. Run it again and stop it while it waits: with the same order it comes
back to the same question.
"""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign"]
# ///

import os
import sys

from countersign import Client, NotApproved

LEDGER: dict[int, float] = {}  # the shop's payments; here they are only written down

client = Client()


@client.requires_approval(
    title=lambda args: f"Refund EUR {args['amount']} for order {args['order']}",
    key=lambda args: f"refund-{args['order']}-{os.environ.get('REQUEST', 'R-7')}",
    context={
        "request": "The parcel arrived broken. I want my money back.",
        "attempts": [{"tool": "get_order", "arguments": {"order": 1182}, "result": {"total": 250, "paid": True}}],
        "why": "The photo shows a broken frame.",
    },
    args_schema={
        "type": "object", "required": ["order", "amount"],
        "properties": {"order": {"type": "integer"}, "amount": {"type": "number", "minimum": 1, "maximum": 250}},
    },
    reversible=True, confidence=0.62,
)
def refund(order: int, amount: float) -> str:
    """Pay money back. Only ever runs with the arguments that were signed."""
    LEDGER[order] = amount
    return f"refunded EUR {amount} for order {order}"


def main() -> int:
    """Ask, and do what was allowed."""
    print(f"Asking for a refund of EUR 250. Decide it at {client.base_url}/", flush=True)
    try:
        print(refund(1182, 250))
    except NotApproved as refusal:
        print(f"not refunded: {refusal}")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
