"""Asking a person, as flows: may I do this, may I send this, what is the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from . import calls, errors
from .approval import Answer, Signed, answer, signed
from .canonical import canonical_bytes
from .flow import Call, Deadline, Flow, ServerTime

# The run under watch that this thread or task is in: what it asks is linked to it.
current_session: ContextVar[str | None] = ContextVar("countersign_session", default=None)

OF_PROPOSAL = frozenset({"description", "args_schema", "allowed_decisions", "confidence", "reversible", "impact"})
OF_INCIDENT = frozenset({
    "body", "severity", "fingerprint", "external_id", "environment", "on_behalf_of", "customer", "payload", "session", "timeout_seconds",
    "callback_url",
})
WITHDRAWING = 10.0  # seconds in which an unanswered request is withdrawn, when that is wished

OnTimeout = str | Callable[[Mapping[str, Any] | None], Any]


@dataclass(frozen=True)
class Waiting:
    """How long somebody is waited for, and what happens meanwhile and afterwards. There is no way to a yes in here."""

    key: str | None = None
    timeout: float | None = None
    on_timeout: OnTimeout = "leave"
    on_question: calls.OnQuestion | None = None

    def __post_init__(self) -> None:
        if not callable(self.on_timeout) and self.on_timeout not in ("leave", "withdraw"):
            raise ValueError('on_timeout is "leave", "withdraw" or a function; without a decision nothing runs, whichever it is')


@dataclass(frozen=True)
class Wish:
    """What is asked for: the members of an incident, and what of it is signed."""

    data: dict[str, Any]
    action: str | None = None
    args: dict[str, Any] | None = None
    draft: dict[str, Any] | None = field(default=None)


def action_wish(action: str, args: Mapping[str, Any] | None, title: str | None, context: Any, more: Mapping[str, Any]) -> Wish:
    """Return the wish to do something. Raises NotSignable before anything is sent."""
    named = settled(dict(args or {}))
    of_proposal, of_incident = _sorted(more)
    data = {
        "kind": "action", "title": title or _title(action, named), **of_incident, "proposal": {"action": action, "args": named, **of_proposal}
    }
    return Wish(_with_context(data, context), action, named)


def draft_wish(draft: Mapping[str, Any], title: str | None, context: Any, more: Mapping[str, Any]) -> Wish:
    """Return the wish to send something. Raises NotSignable before anything is sent."""
    whole = settled({"to": "", "subject": "", "body": "", "format": "text", **draft})
    of_proposal, of_incident = _sorted(more)
    data = {
        "kind": "draft", "title": title or f"Send “{whole['subject']}” to {whole['to']}"[:500], **of_incident,
        "proposal": {"draft": whole, **of_proposal},
    }
    return Wish(_with_context(data, context), draft=whole)


def question_wish(question: str, context: Any, more: Mapping[str, Any]) -> Wish:
    """Return a question."""
    of_proposal, of_incident = _sorted(more)
    if of_proposal:
        raise TypeError(f"a question has no {', '.join(sorted(of_proposal))}")
    first = question.strip().splitlines()[0] if question.strip() else ""
    if not first:
        raise ValueError("an empty question")
    data = {"kind": "question", "title": first[:500], **({"body": question} if question.strip() != first[:500] else {}), **of_incident}
    return Wish(_with_context(data, context))


def ask_for_yes(wish: Wish, waiting: Waiting, time: ServerTime) -> Flow[Signed]:
    """Return the yes. Raises NotApproved for every other end, ApiError when Countersign refuses to be asked."""
    told = yield from _settled(wish, waiting)
    return signed(told, wish.action, wish.args, wish.draft, time)


def ask_for_words(wish: Wish, waiting: Waiting) -> Flow[Answer]:
    """Return the answer to a question. Raises as `ask_for_yes`."""
    told = yield from _settled(wish, waiting)
    return answer(told)


def _settled(wish: Wish, waiting: Waiting) -> Flow[dict[str, Any]]:
    until = Deadline(waiting.timeout)
    told: dict[str, Any] | None = None
    try:
        told = yield from calls.post_incident(wish.data, waiting.key, 0, until)
        return (yield from calls.wait(told["id"], until, waiting.on_question, told))
    except errors.TimedOut as late:
        timed_out = late
    except (errors.Unreachable, errors.RateLimited) as error:
        timed_out = errors.TimedOut(f"Nobody could be asked: {error}", told)
        timed_out.__cause__ = error
    decided = yield from _too_late(waiting.on_timeout, timed_out.incident)
    if decided is not None:
        return decided
    raise timed_out


def _too_late(on_timeout: OnTimeout, told: dict[str, Any] | None) -> Flow[dict[str, Any] | None]:
    """Do what is to be done without a decision. Returns the incident where one came in the very moment of withdrawing."""
    if callable(on_timeout):
        yield Call(on_timeout, (told,))
        return None
    if on_timeout == "leave" or told is None:
        return None
    try:
        try:
            yield from calls.withdraw(told["id"], Deadline(WITHDRAWING))
            return None
        except errors.Conflict:
            now = yield from calls.get_incident(told["id"], 0, Deadline(WITHDRAWING))
    except errors.CountersignError:
        return None  # it stays open, and runs out on its own
    return now if calls.is_answered(now) else None


def settled(value: dict[str, Any]) -> dict[str, Any]:
    """Return a copy as it will be signed. Raises NotSignable.

    What the caller changes while people think changes nothing of what was asked, and the same members in another order are the same
    request, also under the same key.
    """
    copied: dict[str, Any] = json.loads(canonical_bytes(value))
    return copied


def _title(action: str, args: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name}={value!r}" for name, value in args.items())
    return f"{action}({listed})"[:200]


def _sorted(more: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    unknown = sorted(set(more) - OF_PROPOSAL - OF_INCIDENT)
    if unknown:
        raise TypeError(f"unexpected: {', '.join(unknown)}; there are {', '.join(sorted(OF_PROPOSAL | OF_INCIDENT))}")
    said = {name: value for name, value in more.items() if value is not None}
    return (
        {name: value for name, value in said.items() if name in OF_PROPOSAL},
        {name: value for name, value in said.items() if name in OF_INCIDENT},
    )


def _with_context(data: dict[str, Any], context: Any) -> dict[str, Any]:
    """Add the context, text being its summary, and the run this is asked in."""
    if isinstance(context, str):
        data["context"] = {"summary": context}
    elif context:
        data["context"] = dict(context)
    session = current_session.get()
    return data if session is None or "session" in data else {**data, "session": session}
