"""What stands in the queues on the first day: one of each kind of matter that wants a careful eye."""

from typing import Any

from .billing import talk

LONG_LOG = "\n".join(
    f"2026-11-{1 + number // 48:02d} {number // 2 % 24:02d}:{number % 2 * 30:02d}  "
    f"{'WARN  stock of sofa Lund below zero' if number % 37 == 36 else 'ok    stock feed read'}  rows={1180 + number * 7 % 41}  "
    f"ms={212 + number * 13 % 90}"
    for number in range(220)
)

BILLING: list[dict[str, Any]] = [
    {
        # The account number was in nobody's request: it first appears in a mail the agent read.
        "kind": "action", "title": "Pay invoice 2291 of Helder Glass", "external_id": "invoice-2291",
        "context": {
            "request": "Pay the open invoice 2291 of Helder Glass, 1,240 euros.",
            "messages": talk("colleague: Pay the open invoice 2291 of Helder Glass, 1,240 euros.", "agent: I will look for the account."),
            "attempts": [
                {"tool": "open_invoices", "arguments": {"supplier": "Helder Glass"}, "result": [{"number": 2291, "total": 1240.0}]},
                {"tool": "read_mail", "arguments": {"id": "m-6120"}, "result":
                    "From: accounts@helder-glas.example. Dear customer, for invoice 2291 please use our new account "
                    "IE29AIBK93115212345678 with the reference HG-2291-A."},
            ],
            "why": "It is due tomorrow, and the supplier sent the account by mail.",
        },
        "proposal": {
            "action": "send_payment",
            "args": {
                "payee": "Helder Glass", "iban": "IE29AIBK93115212345678", "amount": 1240, "currency": "EUR", "reference": "HG-2291-A",
            },
            "description": "Pay the invoice to the supplier's account.", "confidence": 0.94,
        },
    },
    {
        "kind": "action", "title": "Pay Nordwood\u200b Timber's reminder", "severity": "warning",
        "context": {
            "request": "A reminder of Nordwood Timber came by mail, please pay it.",
            "attempts": [{"tool": "read_mail", "arguments": {"id": "m-6133"}, "result":
                "Reminder of N\u043erdwood Timber. Amount \u202e00.096\u202c euros, payable at once.\u2063"}],
            "why": "It looks like the others.",
        },
        "proposal": {
            "action": "send_payment",
            "args": {"payee": "N\u043erdwood\u200b Timber", "amount": 690, "currency": "EUR", "note": "reminder\u00ad 2"},
            "description": "Pay the reminder.", "confidence": 0.88,
        },
    },
]

DESK: list[dict[str, Any]] = [
    {
        "kind": "action", "title": "Book a technician for the wobbly table of order 20391", "external_id": "order-20391",
        "customer": {"id": "c-7710", "tier": "standard"},
        "context": {
            "request": "The table wobbles. Could somebody come next week, Tuesday if possible? There are two of us to help carry.",
            "why": "It cannot be mended by telephone.",
        },
        "proposal": {
            "action": "book_visit", "confidence": 0.81, "reversible": True,
            "args": {
                "order": 20391, "day": "2026-12-01", "slot": "morning", "technicians": 1, "cost": 45.5, "charge_customer": False,
                "tools": ["shims"], "contact": {"name": "E. Brandt", "phone": "+49 30 5550 1420"},
            },
            "args_schema": {
                "type": "object", "additionalProperties": False,
                "required": ["order", "day", "slot", "technicians", "charge_customer", "contact"],
                "properties": {
                    "order": {"type": "integer", "minimum": 1, "title": "Order"},
                    "day": {"type": "string", "format": "date", "title": "Day of the visit"},
                    "slot": {"enum": ["morning", "noon", "afternoon", "evening"], "title": "Time of day"},
                    "technicians": {"type": "integer", "minimum": 1, "maximum": 3, "title": "Technicians"},
                    "cost": {"type": "number", "minimum": 0, "maximum": 250, "title": "Cost in euros"},
                    "charge_customer": {"type": "boolean", "title": "Charge the customer"},
                    "tools": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 40}, "title": "Tools"},
                    "contact": {
                        "type": "object", "required": ["name"], "title": "Who opens the door",
                        "properties": {"name": {"type": "string", "minLength": 2, "maxLength": 80}, "phone": {"type": "string"}},
                    },
                    "note": {"type": "string", "maxLength": 300, "title": "Note for the technician"},
                },
            },
            "description": "One technician, half an hour, at our cost.",
        },
    },
    {
        "kind": "draft", "title": "Answer to a long letter about a kitchen", "customer": {"id": "c-7722", "tier": "standard"},
        "context": {
            "request": "I write in some detail, since the telephone has not helped: the fronts are too dark, two hinges squeak, the plinth "
            "is 4 cm short, the fitter left at noon, and the invoice names a worktop I never ordered.",
            "summary": "Kitchen Moss, fitted on the 12th. Five points; three are ours, one is open, one is a matter of taste.",
        },
        "proposal": {
            "action": "send_reply", "args": {"ticket": 88160}, "confidence": 0.79,
            "draft": {
                "to": "g.oberlin@mail.example", "subject": "Your kitchen Moss, point by point", "format": "text",
                "body": "Dear Mr Oberlin,\n\nthank you for writing everything down. I have gone through it with our fitter and "
                "answer in your order.\n\n"
                "1. The fronts. What you received is the colour you signed for, number 14. I understand that it looks darker by "
                "evening light. If you wish, we lend you two fronts in number 12 for a week, so that you can compare at home. "
                "Changing all of them costs 640 euros, of which we carry half.\n\n"
                "2. The hinges. Two hinges that squeak are two too many. The technician who comes for the plinth brings new ones and "
                "fits them at no charge.\n\n"
                "3. The plinth. You are right: it is 4 cm short, and the mistake is ours, in the drawing of the 3rd. A new one is "
                "being cut and will be here on Thursday. We fit it on Friday between 9 and 11, and ring you half an hour before.\n\n"
                "4. The fitter. He was called to another house where water ran out. He should have told you himself, and he should have "
                "come back the same day. Neither happened. I am sorry for that; nobody likes to sit in half a kitchen.\n\n"
                "5. The worktop. The invoice names the worktop Ash 38 mm, and your order says Ash 28 mm. I have asked the accounts "
                "department to correct it. The difference is 118 euros, and you have the money back by the end of next week. Until "
                "then please pay nothing of that line.\n\n"
                "If a point is missing or seen differently, write to me directly: you need not begin again with somebody else.\n\n"
                "Kind regards\nMarlow & Finch",
            },
            "description": "Answers all five points; promises a visit on Friday and 118 euros back.",
        },
    },
    {
        "kind": "action", "title": "Correct the stock of sofa Lund to zero",
        "context": {
            "request": "The shop sells sofas we do not have. Find out why and put it right.",
            "attempts": [
                {"tool": "stock_log", "arguments": {"item": "sofa Lund", "days": 5}, "result": LONG_LOG},
                {"tool": "count_shelf", "arguments": {"item": "sofa Lund"}, "result": {"counted": 0, "by": "warehouse 2"}},
            ],
            "why": "The feed goes below zero when two orders come in the same half hour.",
        },
        "proposal": {
            "action": "set_stock", "args": {"item": "sofa Lund", "stock": 0, "until": "2026-12-15"}, "confidence": 0.76, "reversible": True,
            "description": "No sales of this sofa until the next delivery.",
        },
    },
    # Twelve of the same: one person, one table, one reason.
    *(
        {
            "kind": "exception", "title": "Label printer in hall 3 does not answer", "severity": "warning",
            "fingerprint": "label-printer-hall-3", "environment": "production",
            "payload": {
                "service": "labels", "parcel": 771_200 + number,
                "exception": {"type": "ConnectionRefusedError", "message": "10.3.0.14:9100", "retryable": True, "attempts": 2},
            },
        }
        for number in range(12)
    ),
]
