"""The ordinary matters of the company's last week: what was asked, who decided it how, and how long they read."""

from typing import Any


def refund(order: int, amount: float, item: str, request: str, why: str, confidence: float = 0.9) -> dict[str, Any]:
    return {
        "kind": "action", "title": f"Refund €{amount:.2f} for order {order}", "external_id": f"order-{order}",
        "context": {
            "request": request, "why": why,
            "attempts": [{"tool": "find_order", "arguments": {"order": order}, "result": {"items": [item], "paid": amount}}],
        },
        "proposal": {
            "action": "refund", "args": {"order": order, "amount": amount, "currency": "EUR"}, "confidence": confidence,
            "description": f"Give back the price of the {item}.",
        },
    }


def payment(payee: str, iban: str, amount: float, why: str) -> dict[str, Any]:
    return {
        "kind": "action", "title": f"Pay €{amount:.2f} to {payee}",
        "context": {"request": f"Pay what we owe {payee} this week, account {iban}.", "why": why},
        "proposal": {
            "action": "send_payment", "args": {"payee": payee, "iban": iban, "amount": amount, "currency": "EUR"}, "confidence": 0.9,
            "description": "Transfer the invoice amount to the account on file.",
        },
    }


def reply(ticket: int, to: str, subject: str, request: str, body: str, confidence: float = 0.9) -> dict[str, Any]:
    return {
        "kind": "draft", "title": f"Reply: {subject}", "context": {"request": request},
        "proposal": {
            "action": "send_reply", "args": {"ticket": ticket}, "confidence": confidence,
            "draft": {"to": to, "subject": subject, "body": f"Hello,\n\n{body}\n\nKind regards\nMarlow & Finch", "format": "text"},
        },
    }


def failure(title: str, fingerprint: str, type: str, message: str, service: str, attempts: int = 1) -> dict[str, Any]:
    return {
        "kind": "exception", "title": title, "fingerprint": fingerprint, "severity": "warning", "environment": "production",
        "payload": {
            "service": service,
            "exception": {"type": type, "message": message, "retryable": attempts < 3, "attempts": attempts},
        },
    }


def question(title: str, body: str) -> dict[str, Any]:
    return {"kind": "question", "title": title, "body": body}


BROKEN = "It arrived broken. I would like my money back."
LATE = "It never came. Please give me my money back."
BACK = "I sent it back last week, here is the receipt of the parcel."
SEEN = "The photographs show it; it was returned in time."
WHERE = "Hello, where is my order? Thank you."

# hours ago | source | what | who | minutes until it was opened | seconds it was open | what was signed | reason | more
Matter = tuple[float, str, dict[str, Any], str, float, float, str, str, dict[str, Any]]

MATTERS: tuple[Matter, ...] = (
    (149, "billing", refund(20071, 129.0, "side table Fjord", BROKEN, SEEN),
     "rosa", 22, 64, "approve", "", {}),
    (147, "desk", reply(87990, "l.meyer@mail.example", "Order 20080", WHERE, "your order left our house this morning."),
     "ines", 15, 41, "approve", "", {}),
    (144, "billing", refund(20066, 349.0, "shelf Halden", LATE, "The carrier confirms the loss."),
     "tomas", 31, 4, "approve", "", {}),
    (142, "desk", failure("TimeoutError in the stock feed", "stock-feed", "TimeoutError", "no answer after 20 s", "stock"),
     "tomas", 9, 6, "approve", "", {}),
    (140, "billing", payment("Nordwood Timber", "DE89370400440532013000", 3180.0, "Invoice 7702; goods receipt agrees."),
     "rosa", 44, 130, "approve", "Agrees with order 5512.", {}),
    (126, "desk", question("Do you deliver on public holidays?", "The customer moves on 26 December and asks for that day."),
     "rosa", 18, 95, "respond", "", {"message": "No, not on public holidays. Offer the day before or after, between 8 and 12."}),
    (124, "billing", refund(20088, 899.0, "sofa Lund", "The colour is not what I expected.", "The return window is open."),
     "rosa", 51, 210, "edit", "10 % are kept for the opened cover, as our terms say.",
         {"args": {"order": 20088, "amount": 809.1, "currency": "EUR"}}),
    (122, "desk", reply(88004, "h.okoye@mail.example", "Missing screws", "The screws are missing!",
        "we have sent you a bag of screws; it comes the day after tomorrow."),
     "ines", 12, 38, "approve", "", {}),
    (120, "billing", refund(20091, 249.0, "armchair Oslo", BROKEN, SEEN),
     "tomas", 17, 2, "approve", "", {}),
    (119, "billing", refund(20093, 249.0, "armchair Oslo", BROKEN, SEEN),
     "tomas", 3, 2, "approve", "", {}),
    (118, "billing", refund(20095, 249.0, "armchair Oslo", BACK, "No photographs; the depot has no parcel."),
     "rosa", 40, 175, "reject", "There is no parcel at the depot. Ask the customer for its number first.", {}),
    (101, "billing", {"kind": "action", "title": "Give the agency write access to the shop",
        "context": {"request": "The agency needs to change prices themselves."}, "proposal": {"action": "grant_permission",
        "args": {"user": "agency-blau", "role": "shop-editor"}, "confidence": 0.7}},
     "rosa", 65, 240, "reject", "Outside companies get no standing access; let them send a list.", {}),
    (99, "desk", failure("TimeoutError in the stock feed", "stock-feed", "TimeoutError", "no answer after 20 s", "stock"),
     "tomas", 7, 3, "approve", "", {}),
    (98, "desk", reply(88021, "m.ruiz@mail.example", "Your armchair", "Is it on its way?",
        "your armchair comes on Tuesday between 8 and 12."),
     "ines", 25, 29, "approve", "", {}),
    (96, "billing", payment("Blitz Couriers", "NL91ABNA0417164300", 612.5, "October, 49 deliveries."),
     "rosa", 35, 88, "approve", "", {}),
    (94, "desk", reply(88023, "p.lind@mail.example", "A discount", "Can you do something about the price?",
        "we can offer you 30 % if you order today.", 0.6),
     "ines", 20, 140, "edit", "We do not give 30 %; five is what the table says.",
         {"draft": {"body": "Hello,\n\nwe can offer you 5 % if you order today.\n\nKind regards\nMarlow & Finch"}}),
    (78, "billing", {"kind": "action", "title": "Delete 38 duplicate addresses",
        "context": {"request": "Clean up after the import."}, "proposal": {"action": "delete_addresses",
        "args": {"filter": "duplicate of import 112", "count": 38}, "confidence": 0.82, "reversible": False}},
     "rosa", 90, 310, "reject", "Merge them instead: three have open orders.", {}),
    (77, "billing", refund(20130, 499.0, "bed Sund", LATE, "The carrier confirms the loss."),
     "tomas", 14, 3, "approve", "", {}),
    (75, "desk", failure("KeyError: 'width_cm' in the catalogue export", "catalogue-width", "KeyError", "'width_cm'",
        "catalogue"),
     "tomas", 11, 22, "edit", "The field is there; our export drops it. A bug.", {"args": {"severity": "warning", "category": "bug"}}),
    (73, "desk", reply(88052, "s.vogel@mail.example", "Warranty of the chair Knut", "How long is the warranty?",
        "the warranty is five years from the day of delivery."),
     "ines", 16, 52, "approve", "", {}),
    (71, "billing", refund(20141, 1290.0, "table Harbour", "One leg is too short.", "Our technician confirms a factory fault."),
     "rosa", 28, 190, "approve", "The technician's report is with it.", {}),
    (53, "billing", refund(20177, 189.0, "lamp Vera", BROKEN, SEEN),
     "tomas", 10, 3, "approve", "", {}),
    (52, "desk", question("May the carrier leave it with a neighbour?",
        "The customer works nights and asks for the flat next door."),
     "rosa", 30, 70, "respond", "", {"message": "Yes, if the customer writes us the neighbour's name."}),
    (50, "billing", payment("Helder Glass", "AT611904300234573201", 940.0, "Invoice 2254; goods receipt agrees."),
     "rosa", 26, 120, "approve", "", {}),
    (49, "desk", reply(88077, "k.berg@mail.example", "Your return", "Did you get my parcel?",
        "your parcel has arrived and the refund is on its way."),
     "ines", 9, 33, "approve", "", {}),
    (47, "desk", reply(88079, "r.stone@mail.example", "Assembly of the bed Sund", "Part 7 does not fit!",
        "please turn part 7 round: the groove shows to the wall."),
     "rosa", 33, 61, "approve", "", {}),
    (29, "billing", refund(20233, 159.0, "stool Pim", LATE, "The carrier confirms the loss."),
     "tomas", 12, 2, "approve", "", {}),
    (28, "desk", failure("Payment page answered 504 for two minutes", "pay-504", "GatewayTimeout", "upstream timed out",
        "checkout", 3),
     "tomas", 6, 18, "approve", "", {}),
    (27, "billing", refund(20236, 2100.0, "kitchen Moss, part 3", "The front has a scratch.", "A new front costs 180."),
     "rosa", 37, 260, "edit", "A new front is 180; the customer agreed on the telephone.",
         {"args": {"order": 20236, "amount": 180.0, "currency": "EUR"}}),
    (25, "desk", reply(88095, "a.cole@mail.example", "Delivery floor", "Do you carry it to the third floor?",
        "we carry it to every floor, at no charge."),
     "ines", 14, 44, "approve", "", {}),
    (7.4, "billing", refund(20301, 279.0, "mirror Alva", BROKEN, SEEN),
     "tomas", 20, 4, "approve", "", {}),
    (6.6, "desk", reply(88109, "j.weiss@mail.example", "Order 20320", WHERE, "your order comes tomorrow between 14 and 18."),
     "ines", 17, 36, "approve", "", {}),
    (5.8, "billing", refund(20308, 449.0, "shelf Halden", LATE, "The carrier has not answered yet."),
     "rosa", 45, 150, "reject", "Wait for the carrier; it is three days only.", {}),
    (5.1, "billing", payment("Kessel & Daughters", "DE02120300000000202051", 1480.0, "Invoice 118; ordered by the showroom."),
     "rosa", 24, 99, "approve", "", {}),
    (4.3, "desk", reply(88112, "f.adler@mail.example", "Your invoice", "I need the invoice again.",
        "you find it in your account under orders."),
     "ines", 11, 27, "approve", "", {}),
    (3.2, "billing", refund(20319, 329.0, "armchair Oslo", BROKEN, SEEN),
     "tomas", 26, 3, "approve", "", {}),
    (2.4, "desk", reply(88118, "n.hart@mail.example", "Changing the address", "We have moved.",
        "we have changed the address; your delivery date stays."),
     "ines", 13, 48, "approve", "", {}),
    (1.7, "desk", failure("TimeoutError in the stock feed", "stock-feed", "TimeoutError", "no answer after 20 s", "stock"),
     "tomas", 5, 11, "approve", "", {}),
    (1.3, "billing", refund(20331, 219.0, "lamp Vera", BROKEN, SEEN),
     "rosa", 19, 72, "approve", "", {}),
)
