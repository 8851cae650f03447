"""What the names of args give away: where something goes, what it costs; and words that say nothing about where a text is from."""

TO = frozenset(
    (
        "to", "recipient", "recipients", "receiver", "receivers", "email", "emails", "mail", "cc", "bcc", "payee", "beneficiary",
        "destination", "dest", "iban", "account", "wallet", "phone", "user", "users", "username", "participant", "participants",
        "member", "members", "attendee", "attendees", "invitee", "invitees", "assignee", "owner", "channel", "webhook", "callback",
    )
)  # fmt: skip
LINK = frozenset(
    (
        "url", "uri", "link", "links", "href", "host", "hostname", "domain", "endpoint", "website", "site", "address", "webhook",
        "callback", "target", "repository",
    )
)  # fmt: skip
AMOUNT = frozenset(
    (
        "amount", "amt", "total", "price", "sum", "value", "payment", "refund", "charge", "cost", "credit", "transfer", "payout",
        "deposit", "cents", "fee",
    )
)  # fmt: skip
CENTS = frozenset(("cents", "cent", "pence", "minor", "subunits"))
PLAIN = frozenset(
    (
        "about", "after", "again", "also", "been", "before", "best", "could", "dear", "does", "each", "every", "from", "have",
        "hello", "here", "kind", "know", "like", "made", "make", "many", "more", "most", "much", "need", "only", "other", "over",
        "please", "regards", "same", "should", "some", "such", "sure", "than", "thank", "thanks", "that", "their", "them", "then",
        "there", "these", "they", "this", "those", "very", "want", "well", "were", "what", "when", "where", "which", "while",
        "will", "with", "would", "your",
    )
)  # fmt: skip
