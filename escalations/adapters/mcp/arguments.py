"""What each tool takes: the form that checks it, and the JSON Schema beside it in which a model reads what is meant."""

from typing import Any

from rest_framework import serializers

from escalations.api.fields import Amount, AnyJson, Choice, Members, Several, Share, Strict, Text, Whole, YesNo
from escalations.api.inputs import AttemptIn, DraftIn, LinkIn
from escalations.states import Severity

LONGEST_WAIT = 290  # seconds; the published clients give up reading after 300
USUAL_WAIT = 50  # hosts that give a call a minute are many
MOST_ATTEMPTS = 200
COUNT = 2**31 - 1


class Name(Text):
    """A name software gave to something: one line of what can be printed."""

    default_error_messages = {"unprintable": "must be printable"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(blank=False, one_line=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not name.isprintable():
            self.fail("unprintable")
        return name


class _Asks(Strict):
    """What every request may say besides what it wants."""

    title = Text(max_length=500, blank=False, required=False)
    request = Text(max_length=100_000, required=False)
    attempts = Several(child=AttemptIn(), max_length=MOST_ATTEMPTS, required=False)
    links = Several(child=LinkIn(), max_length=20, required=False)
    on_behalf_of = Text(max_length=255, required=False)
    severity = Choice(Severity.values, required=False)
    session = Text(max_length=255, required=False)
    key = Name(max_length=200, required=False)
    wait_seconds = Whole(low=0, high=LONGEST_WAIT, required=False)


class ApprovalIn(_Asks):
    action = Name(max_length=200, required=False)
    args = Members(required=False)
    draft = DraftIn(required=False)
    reason = Text(max_length=100_000, required=False)
    confidence = Share(required=False)
    reversible = YesNo(required=False)
    impact = Text(max_length=5_000, required=False)
    revises = serializers.UUIDField(required=False, error_messages={"invalid": "must be the id of an approval"})


class QuestionIn(_Asks):
    question = Text(max_length=100_000, blank=False)
    background = Text(max_length=100_000, required=False)
    options = Several(child=Text(max_length=500, blank=False), max_length=20, required=False)


class LookIn(Strict):
    id = serializers.UUIDField(error_messages={"invalid": "must be the id that request_approval or ask_human answered"})
    answer = Text(max_length=100_000, blank=False, required=False)
    wait_seconds = Whole(low=0, high=LONGEST_WAIT, required=False)


class ReportIn(Strict):
    session = serializers.UUIDField(required=False, error_messages={"invalid": "must be the session id of an earlier answer"})
    agent = Name(max_length=200, required=False)
    goal = Text(max_length=20_000, required=False)
    key = Name(max_length=200, required=False)
    tool = Name(max_length=200, required=False)
    args = AnyJson(required=False)
    result = AnyJson(required=False)
    error = Text(max_length=100_000, required=False)
    number = Whole(low=1, high=COUNT, required=False)
    tokens = Whole(low=0, high=COUNT, required=False)
    cost = Amount(required=False)
    took_ms = Whole(low=0, high=COUNT, required=False)
    approval = serializers.UUIDField(required=False, error_messages={"invalid": "must be the id of an approval"})
    args_digest = Text(max_length=80, blank=False, one_line=True, required=False)
    outcome = Choice(["done", "failed", "stopped"], required=False)
    detail = Text(max_length=20_000, required=False)
    wait_seconds = Whole(low=0, high=LONGEST_WAIT, required=False)


class ToolUseIn(Strict):
    tool_name = Name(max_length=200)
    input = Members()
    tool_use_id = Name(max_length=200, required=False)


# -- as a model reads them


def schema_of(tool: str, longest: float) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, with the longest wait this address allows."""
    found = SCHEMAS[tool]
    if "wait_seconds" not in found["properties"]:
        return found
    wait = _whole(
        f"How long to wait for a person before answering `pending`, in seconds; {longest:g} if left out.", low=0, high=int(longest)
    )
    return found | {"properties": found["properties"] | {"wait_seconds": wait}}


def _text(what: str, longest: int | None = None) -> dict[str, Any]:
    return {"type": "string", "description": what} | ({"maxLength": longest} if longest else {})


def _whole(what: str, low: int = 0, high: int = COUNT) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, "description": what}


def _id(what: str) -> dict[str, Any]:
    return {"type": "string", "format": "uuid", "description": what}


def _object(what: str, members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    described = {"description": what} if what else {}
    return {"type": "object", **described, "properties": members, "required": required, "additionalProperties": False}


_ATTEMPT = _object("", {
    "tool": _text("Its name.", 500), "arguments": {"description": "What it was called with."},
    "result": {"description": "What came back."}, "error": {"description": "What went wrong."},
    "at": _text("When, as an RFC 3339 time.", 80),
}, [])
_ASKS = {
    "title": _text("One line a person reads first, such as: Refund 250 USD for order 1182.", 500),
    "request": _text("What the user asked you for, in their own words. The person who decides needs it.", 100_000),
    "attempts": {
        "type": "array", "maxItems": MOST_ATTEMPTS, "items": _ATTEMPT,
        "description": "The tools you called on the way here, with their arguments and results, oldest first.",
    },
    "links": {
        "type": "array", "maxItems": 20, "description": "Where more is to be read.",
        "items": _object("", {"label": _text("What it is.", 200), "url": _text("https:// or http://", 2_000)}, ["url"]),
    },
    "on_behalf_of": _text("Who you act for, if you know: a user name or an e-mail address. They may not decide it.", 255),
    "severity": {"type": "string", "enum": list(Severity.values), "description": "How grave it is as far as you can tell."},
    "session": _text("The session id that report_step answered, when you are in a watched run.", 255),
    "key": _text(
        "A name you choose for this one request, such as refund-1182. Called again with the same key (after a lost connection, a "
        "restart), the request is found again and nobody is asked twice. Never use it for another request.", 200,
    ),
    "wait_seconds": {},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "request_approval": _object("", {
        "action": _text("What you want to do, as a short stable name: refund, delete_user. Leave it out only for a draft.", 200),
        "args": {
            "type": "object",
            "description": "The exact arguments it will run with. A person signs these and no others; they may change them.",
        },
        "draft": _object("Instead of action and args: a text to be sent, word by word.", {
            "to": _text("Whom it goes to.", 500), "subject": _text("Its subject; empty if it has none.", 1_000),
            "body": _text("The text."), "format": {"type": "string", "enum": ["text"]},
        }, ["to", "subject", "body"]),
        "reason": _text("Why you want it: what you found out and what speaks for it.", 100_000),
        "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "How sure you are that it is right."},
        "reversible": {"type": "boolean", "description": "Whether it can be undone."},
        "impact": _text("What it changes, and for whom.", 5_000),
        "revises": _id("The id of a refused approval that asked for another proposal. This becomes its next revision."),
        **_ASKS,
    }, []),
    "ask_human": _object("", {
        "question": _text("The question, so that it can be answered without knowing more than stands here.", 100_000),
        "background": _text("What the person should know to answer.", 100_000),
        "options": {
            "type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 500},
            "description": "Answers to choose from, if there are such. The person may write another.",
        },
        **_ASKS,
    }, ["question"]),
    "get_approval": _object("", {
        "id": _id("The id that request_approval or ask_human answered."),
        "answer": _text("Your answer to what stands in `questions`, when a person asked you back.", 100_000),
        "wait_seconds": {},
    }, ["id"]),
    "report_step": _object("", {
        "session": _id("The session id of the first step's answer. Leave it out on the first step of a run only."),
        "agent": _text("On the first step: your name.", 200),
        "goal": _text("On the first step: what the run is to reach, in a sentence.", 20_000),
        "key": _text("On the first step: a name you choose for this run; called again with it, the same run goes on.", 200),
        "tool": _text("The tool you used.", 200),
        "args": {"description": "What you gave it."},
        "result": {"description": "What came back, shortened if it is long."},
        "error": _text("What went wrong, if it did.", 100_000),
        "number": _whole("Your own count of the steps of this run, from 1. The same number again is the same step.", low=1),
        "tokens": _whole("Tokens it took."),
        "cost": {"type": "number", "minimum": 0, "description": "Money it cost."},
        "took_ms": _whole("Milliseconds it took."),
        "approval": _id("The id of the approval that this step carried out. Give tool and args exactly as they ran."),
        "args_digest": _text("For a draft that was approved: the args_digest of the approval.", 80),
        "outcome": {
            "type": "string", "enum": ["done", "failed", "stopped"],
            "description": "When the run is over: what became of it. No further step follows.",
        },
        "detail": _text("With outcome: a sentence about it.", 20_000),
        "wait_seconds": {},
    }, []),
    "approve_tool_use": {
        "type": "object",
        "properties": {
            "tool_name": _text("The tool that is to be used.", 200),
            "input": {"type": "object", "description": "The input it is to be used with."},
            "tool_use_id": _text("The id of the tool call.", 200),
        },
        "required": ["tool_name", "input"],
    },
}
