"""What a new database tells the reviewer of each category: what applies, and the usual reasons for a no. Administrators rewrite it."""

from typing import NamedTuple


class Guidance(NamedTuple):
    """The policy in a few words, and reasons that a reviewer may pick; each at most 120 characters."""

    text: str
    reasons: tuple[str, ...]


GUIDANCE: dict[str, Guidance] = {
    "refund": Guidance(
        "Refund what was paid for this order and not given back before, at most the amount paid, to the way it was paid. Goods are "
        "back, lost or faulty, or the order is younger than 30 days. Above 500 somebody looks at the order itself, not at a summary.",
        ("The order was refunded before", "More than was paid for this order", "Outside the 30 days, and nothing was faulty",
         "The order is not this customer's"),
    ),
    "payment": Guidance(
        "Pay what an invoice or a contract of ours names: same payee, same account as last time, same amount. A new or changed account "
        "is confirmed by a call to a number we already had, never to one in the request.",
        ("No invoice or contract for this", "The account is not the one on file", "Paid before", "The amount differs from the invoice"),
    ),
    "account_access": Guidance(
        "Who asks must have shown who they are: a code sent to the address or number on file. Nothing is changed on the word of an "
        "e-mail alone. A closing is confirmed by the holder, with what becomes of open orders and credit.",
        ("Identity was not shown", "Asked by somebody else than the holder", "Open orders or credit on the account"),
    ),
    "data_request": Guidance(
        "One month from receipt, and the answer goes to the person concerned alone, at the address on file. Records we must keep by law "
        "(invoices: ten years) are blocked, not erased. Other people's data in the same record is taken out.",
        ("Identity was not shown", "Would reach somebody else", "We must keep these records by law", "Holds other people's data"),
    ),
    "legal_statement": Guidance(
        "Nothing here admits fault, promises money or sets a deadline unless counsel wrote it. Figures and dates are checked against "
        "the file. Press and regulators are answered by name, never by an agent.",
        ("Admits fault or promises money", "Counsel must write this", "Facts or dates are wrong", "Not ours to say in public"),
    ),
    "deletion": Guidance(
        "Look at what it names, not at what it is called: a pattern, a whole table, a production host. A backup younger than a day "
        "exists and was restored once. Test data is deleted by its owner.",
        ("Names more than was asked for", "No backup that was tried", "Production, outside a change window", "Still in use"),
    ),
    "bulk_update": Guidance(
        "Ask for the number of rows and three examples before and after. Above 1,000 rows it runs in steps, the first of 100. There is "
        "a way back, and somebody who watches.",
        ("The selection is too wide", "No way back", "Not tried on a few rows first", "The new value is wrong"),
    ),
    "permission_change": Guidance(
        "The least right that does the job, for one named person, with an end date. Who asks is not who gets it. Administrator rights "
        "need the owner of the system; service accounts get no rights of people.",
        ("More rights than the task needs", "Asked for by who would get it", "No end date", "The owner of the system has not agreed"),
    ),
    "security": Guidance(
        "Contain first, then explain. Do not answer the sender, do not open what was attached. Keys that were seen by anybody are "
        "replaced, not watched. What the message asks the machine to do is evidence, not an instruction.",
        ("This is the attacker's wish", "Would destroy evidence", "A known false alarm"),
    ),
    "outage": Guidance(
        "Acknowledge when somebody is on it, with the name in the reason. Critical is: customers cannot buy, sign in or reach us. "
        "Restarting is fine; changing data or capacity to get it back needs a second look.",
        ("Not an outage", "Already being worked on under another incident", "This would not bring it back"),
    ),
    "timeout": Guidance(
        "Once is noise, three in ten minutes is a fault. Trying again is safe only where doing it twice does no harm: say which it is.",
        ("Trying again would do it twice", "The cause is elsewhere", "Noise"),
    ),
    "dependency_failure": Guidance(
        "Check their status page before anything of ours is changed. Switching to the other provider is for the person on call.",
        ("Their fault, and already known", "Switching would cost more than waiting"),
    ),
    "data_error": Guidance(
        "Mend the source, not the copy. A record is corrected from a document somebody can name, never from what would make the check pass.",
        ("No document for the new value", "Mends the copy, not the source", "The check is right and the value is right"),
    ),
    "auth_failure": Guidance(
        "A few for one person: forgotten. Many persons from one place, or one person from many: an attack, hand it to security.",
        ("This is an attack", "Would weaken a sign-in"),
    ),
    "crash": Guidance(
        "Acknowledge with what was lost in the reason: a request, a file, nothing. The same trace twice in a day is a bug, not a crash.",
        ("Known, and mended in the next release", "Nothing was lost, and it recovered"),
    ),
    "bug": Guidance(
        "Acknowledge when a ticket exists, with its number in the reason. Severity says what customers lose, not how ugly the trace is.",
        ("Known under another ticket", "Works as intended"),
    ),
    "customer_question": Guidance(
        "Answer what was asked, with what the file says. Prices, dates and promises only as they stand in the order or on the site.",
        ("Does not answer the question", "Promises what we do not know", "Needs somebody of another team"),
    ),
    "complaint": Guidance(
        "Say sorry once, say what happened, say what happens next and by when. Goodwill up to 25 needs no one else. The third complaint "
        "of one customer goes to the supervisor in person.",
        ("Sounds like a form letter", "Goodwill is too much for this", "We were not at fault", "Call them instead"),
    ),
    "reply_draft": Guidance(
        "The name, the order and every figure are right. No promise that is not in the file, no link the customer did not have before, "
        "no other customer's data. Plain words, in the customer's language.",
        ("A fact or a figure is wrong", "Promises what we cannot keep", "The tone is wrong", "Goes to the wrong person"),
    ),
    "booking": Guidance(
        "The dates, names and fare are those the customer agreed to in their own words. A change that costs money says so before it is "
        "made; what cannot be refunded is said twice.",
        ("The customer has not agreed to the price", "Wrong date or name", "The fare does not allow this change"),
    ),
    "handoff": Guidance(
        "Whoever takes it says so to the customer within the hour, and has read what was said before: nobody tells their story twice.",
        ("Can be answered by the agent", "For another team"),
    ),
    "other": Guidance(
        "Nothing is known of this kind yet. Read it whole, decide as if you had to explain it tomorrow, and say in the reason what it was.",
        ("Not enough to decide on", "For another team"),
    ),
}  # fmt: skip
