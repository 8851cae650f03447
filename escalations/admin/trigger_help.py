"""What each trigger looks for and what its settings mean, for the administrator who retunes it."""

# What it looks at, and what it is for. Everything only ever adds a reason to look; nothing here takes one away.
LOOKS_FOR: dict[str, str] = {
    "high_stakes": (
        "Looks at every number among the arguments of an action, lists and nested values too. The name of an argument says what it "
        "is: money, a count, or something vaguer. Over its limit, or not readable as one number, and a person must look. Amounts in a "
        "list are added up, so many small ones are one large one."
    ),
    "irreversible": (
        "Fires when the source says that an action cannot be undone, when the action is registered as irreversible for that source, "
        "when a verb in its name says so (delete, wire, publish), or when a command in an argument destroys something. A source that "
        "says “reversible” takes nothing away."
    ),
    "policy_conflict": "Fires when two live rules of equal priority match and disagree on the floor or on who is asked. Nothing to retune.",
    "sensitive_data": (
        "Looks through everything a source sent for card and bank numbers, identity numbers and secrets, which are recognised by their "
        "own check digits and forms, and for the phrases below. Many different addresses or telephone numbers count as a list of people."
    ),
    "injection_suspected": (
        "Fires on text that speaks to the classifier or the reviewer instead of about the matter, on characters that cannot be seen, and "
        "on prose that says something else than the arguments do. Nothing to retune."
    ),
    "user_request": (
        "Fires when the customer asks for a person, in some twenty languages. It is honoured at once, whatever else holds, and cannot be "
        "turned off. Phrases below are added to the built-in ones."
    ),
    "user_complaint": "Fires when the customer disputes what the machine did or decided.",
    "low_confidence": (
        "Fires when no engine is sure enough of what an incident is, when two engines disagree on it, and when a rule that lets go by "
        "confidence does not get it."
    ),
    "unfamiliar": (
        "Fires when an incident is unlike everything that was decided before. It is measured by the classifier that is live, in shares of "
        "known traffic: none fires it while no classifier is."
    ),
    "loop_detected": (
        "Is for an agent that repeats itself or exceeds its budget of steps. Nothing fires it yet; retries that ran out fire agent_failed."
    ),
    "agent_failed": (
        "Fires when an exception is marked as not retryable, when it was tried too often, or when its text says that retries ran out."
    ),
    "classifier_failed": (
        "Fires when no engine could say anything in time. A failure is a reason to look, never one to let go, so it cannot be turned off."
    ),
}

_PHRASES = (
    "One phrase on a line, as people write it; case, accents and punctuation do not matter. … is up to four other words, (a|b) either of "
    "two, word* every word that begins so, and ? after a word makes it optional."
)

# One explanation for each setting; the tests see to it that none is missing.
EXPLAINED: dict[str, dict[str, tuple[str, str]]] = {
    "high_stakes": {
        "money_limit": ("Limit for money", "In whole units of whatever currency; for an argument in cents, a hundred times that."),
        "count_limit": ("Limit for counts", "Rows, recipients, copies: at most so many without a person."),
        "money_words": ("Words for money", "An argument with such a word in its name is money. One on a line."),
        "count_words": ("Words for counts", "An argument with such a word in its name is a count. One on a line."),
        "vague_words": (
            "Vague words", "Such names hold text as often as a number: they fire over the limit, or when a figure in them cannot be read.",
        ),
        "cents_words": ("Words for hundredths", "An amount with such a word in its name is read in hundredths."),
        "limits": (
            "Limits of their own", "One on a line: an argument's name, or action and name, then =, then its limit: refund.amount = 500",
        ),
    },
    "irreversible": {
        "verbs": (
            "Verbs that cannot be undone", "An action with such words in its name fires. One on a line; of several words all must be there.",
        ),
        "look_inside": ("Look inside the arguments", "For commands that destroy: DROP TABLE, rm -rf, an HTTP DELETE and their like."),
    },
    "sensitive_data": {
        "phrases": ("Phrases, by subject", f"A line in square brackets names the subject, the lines under it are its phrases. {_PHRASES}"),
        "contacts": ("So many contacts are a list", "Different e-mail addresses or telephone numbers in one incident."),
    },
    "user_request": {"phrases": ("More phrases", _PHRASES)},
    "user_complaint": {"phrases": ("Phrases", _PHRASES)},
    "low_confidence": {"below": ("Not sure enough", "From 0 to 1. What the surest engine is less sure of than this comes to a person.")},
    "unfamiliar": {
        "above": (
            "As strange as", "From 0 to 1, as a share of known traffic: 0.98 brings the strangest two in a hundred of it to a person, and "
            "what is stranger than they are.",
        ),
    },
    "agent_failed": {"max_attempts": ("Tries", "Tried so often, an exception is an agent's failure.")},
}  # fmt: skip
