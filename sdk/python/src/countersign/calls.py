"""The API's calls as flows: one function a call, each safe to repeat."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from . import errors
from .canonical import digest
from .flow import Call, Deadline, Flow, Sleep, exchange

INCIDENTS = "/api/v1/incidents"
SESSIONS = "/api/v1/sessions"
LONGEST_HOLD = 50.0  # seconds the server holds an answer back; below what proxies cut off
HOLD_FOR_QUESTIONS = 5.0  # a question asked back does not end a wait, so it is looked for this often
HASTY = 0.5  # an answer that came back this early without one waited for is no reason to ask at once again

OnQuestion = Callable[[Mapping[str, Any]], Any]


def new_key() -> str:
    """Return a key for one call and all its repetitions."""
    return f"sdk-{uuid.uuid4()}"


def _id(identifier: str) -> str:
    return quote(str(identifier), safe="")


def _held(seconds: float) -> dict[str, str]:
    return {"wait": f"{round(seconds, 2):g}"} if round(seconds, 2) > 0 else {}


def post_incident(data: Mapping[str, Any], key: str | None, wait: float, until: Deadline) -> Flow[dict[str, Any]]:
    hold = min(wait, LONGEST_HOLD)
    params = _held(hold)
    return (yield from exchange("POST", INCIDENTS, json=dict(data), key=key or new_key(), params=params, patience=hold, until=until))


def get_incident(incident: str, wait: float, until: Deadline) -> Flow[dict[str, Any]]:
    hold = min(wait, LONGEST_HOLD)
    params = _held(hold)
    return (yield from exchange("GET", f"{INCIDENTS}/{_id(incident)}", params=params, patience=hold, until=until))


def is_answered(incident: Mapping[str, Any]) -> bool:
    """Say whether it is the caller's turn: it is settled, or it was rejected and another revision is asked for."""
    if incident.get("status") == "settled":
        return True
    proposal = incident.get("proposal") or {}
    return proposal.get("state") == "rejected" and bool((incident.get("decision") or {}).get("retry"))


def wait(
    incident: str, until: Deadline, on_question: OnQuestion | None = None, told: dict[str, Any] | None = None
) -> Flow[dict[str, Any]]:
    """Wait for an answer, across restarts and cut connections. `told` is the incident when it was just read.

    Raises TimedOut with what is known when the deadline comes first, and ApiError when the server refuses.
    """
    answered: set[str] = set()
    while True:
        if told is not None:
            if is_answered(told):
                return told
            if on_question is not None:
                yield from _answer(incident, told, on_question, answered, until)
        if until.passed:
            raise errors.TimedOut("No decision in time; nothing was signed.", told)
        began, hold = time.monotonic(), min(HOLD_FOR_QUESTIONS if on_question else LONGEST_HOLD, until.left())
        try:
            told = yield from get_incident(incident, hold, until)
        except (errors.Unreachable, errors.RateLimited) as error:
            raise errors.TimedOut(f"No decision in time; at the end Countersign could not be reached ({error}).", told) from error
        if not is_answered(told) and time.monotonic() - began < min(HASTY, hold):  # it is just ending, or does not wait
            yield Sleep(min(HASTY, until.left()))


def _answer(
    incident: str, told: Mapping[str, Any], on_question: OnQuestion, answered: set[str], until: Deadline
) -> Flow[None]:
    """Answer what a reviewer asked back and nobody answered yet. Text becomes a message, a mapping is taken as context."""
    for question in told.get("questions") or []:
        if question.get("answered_at") or question.get("id") in answered:
            continue
        answered.add(question["id"])
        said = yield Call(on_question, (question,))
        if said is None:
            continue
        context = dict(said) if isinstance(said, Mapping) else {"messages": [{"role": "agent", "content": said}]}
        try:
            yield from add_context(incident, context, until)
        except errors.Conflict:  # it was settled meanwhile
            return


def add_context(incident: str, context: Mapping[str, Any], until: Deadline) -> Flow[dict[str, Any]]:
    return (yield from exchange("POST", f"{INCIDENTS}/{_id(incident)}/context", json={"context": dict(context)}, until=until))


def withdraw(incident: str, until: Deadline) -> Flow[dict[str, Any]]:
    """Withdraw; withdrawn by an earlier try is withdrawn. Raises Conflict when it was decided first."""
    try:
        return (yield from exchange("POST", f"{INCIDENTS}/{_id(incident)}/withdraw", json={}, until=until))
    except errors.Conflict:
        told = yield from get_incident(incident, 0, until)
        if (told.get("proposal") or {}).get("state") == "withdrawn" or (told["status"] == "settled" and not told.get("decision")):
            return told
        raise


def revise(incident: str, proposal: Mapping[str, Any], until: Deadline) -> Flow[dict[str, Any]]:
    """Post another revision. A try whose answer was lost is found again and not made twice."""
    before = yield from get_incident(incident, 0, until)
    known = (before.get("proposal") or {}).get("revision") or 0
    args = proposal.get("args")
    wanted = digest(proposal.get("action"), {} if proposal.get("action") and args is None else args, whole(proposal.get("draft")))
    path = f"{INCIDENTS}/{_id(incident)}/proposals"
    while True:
        try:
            return (yield from exchange("POST", path, json={"proposal": dict(proposal)}, until=Deadline(0)))
        except (errors.Unreachable, errors.RateLimited):
            if until.passed:
                raise
            yield Sleep(min(1.0, until.left()))
            told = yield from get_incident(incident, 0, until)
            last = told.get("proposal") or {}
            if (last.get("revision") or 0) > known and last.get("args_digest") == wanted:
                return told


def whole(draft: Any) -> Any:
    """Return a draft with the format it has when it says none."""
    return {"format": "text", **draft} if isinstance(draft, Mapping) else None


def ack(incident: str, result: str, args_digest: str | None, detail: str, until: Deadline) -> Flow[dict[str, Any]]:
    """Say what was done. It counts once; a try whose answer was lost is recognised as one's own."""
    body = {"result": result, "detail": detail[:20_000]}
    if args_digest:
        body["args_digest"] = args_digest
    try:
        return (yield from exchange("POST", f"{INCIDENTS}/{_id(incident)}/ack", json=body, until=until))
    except errors.Conflict as error:
        if error.code != "already_acknowledged":
            raise
        told = yield from get_incident(incident, 0, until)
        said = told.get("acknowledged") or {}
        if said.get("result") == result and (said.get("detail") or "") == body["detail"]:
            return told
        raise


def feedback(
    incident: str, outcome: str, how: str | None, detail: str, complaint: str | None, until: Deadline
) -> Flow[dict[str, Any]]:
    """Say what came of it. The same said again is what was said first, so a try whose answer was lost is made again."""
    body = {"outcome": outcome, "detail": detail[:20_000]}
    body |= {name: said for name, said in (("how", how), ("complaint", complaint)) if said}
    return (yield from exchange("POST", f"{INCIDENTS}/{_id(incident)}/feedback", json=body, until=until))


# -- runs under watch


def start_session(data: Mapping[str, Any], key: str | None, until: Deadline) -> Flow[dict[str, Any]]:
    return (yield from exchange("POST", SESSIONS, json=dict(data), key=key or new_key(), until=until))


def post_steps(session: str, steps: Sequence[Mapping[str, Any]], seen: int, until: Deadline) -> Flow[dict[str, Any]]:
    body = {"steps": [dict(step) for step in steps], "seen": seen}
    return (yield from exchange("POST", f"{SESSIONS}/{_id(session)}/steps", json=body, until=until))


def get_directive(session: str, wait: float, seen: int, until: Deadline) -> Flow[dict[str, Any]]:
    hold = min(wait, LONGEST_HOLD)
    params = {"seen": str(seen)} | _held(hold)
    return (yield from exchange("GET", f"{SESSIONS}/{_id(session)}/directive", params=params, patience=hold, until=until))


def end_session(session: str, outcome: str, detail: str, seen: int, until: Deadline) -> Flow[dict[str, Any]]:
    body = {"outcome": outcome, "detail": detail[:20_000], "seen": seen}
    return (yield from exchange("POST", f"{SESSIONS}/{_id(session)}/end", json=body, until=until))


def get_session(session: str, until: Deadline) -> Flow[dict[str, Any]]:
    return (yield from exchange("GET", f"{SESSIONS}/{_id(session)}", until=until))
