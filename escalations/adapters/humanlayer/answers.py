"""What a client is told: its call again, with a status. Yes is said of exactly what was posted, of nothing else.

A call ends with yes or no and a contact with words; the client knows no other end. A comment and an answer are never empty: an empty
one would be an error to one client, and to another no answer at all.
"""

import json
from datetime import datetime
from typing import Any

from escalations import clock, standstill, wire
from escalations.models import Acknowledgement, Incident, Proposal
from escalations.states import State, Status, Verdict

from .asked import CONTACT, FUNCTION, options

AGAIN = "The agent asked again, as {call_id}, with exactly what was signed, and was told to go ahead."
NOBODY = "[no answer from a person] "
STILL_PENDING: dict[str, dict[str, Any]] = {  # where the answer cannot be looked up just now: the client asks again in 3 s
    FUNCTION: {"run_id": "", "spec": {"fn": "", "kwargs": {}}, "status": None},
    CONTACT: {"run_id": "", "spec": {"msg": ""}, "status": None},
}


def of(what: str, incident: Incident) -> dict[str, Any]:
    """Return the call or contact as its client reads it, as things are now. About eight queries, some fewer while it waits."""
    [told] = wire.handed_out([incident])
    stored = (incident.payload or {}).get("humanlayer", {})
    said = {"run_id": incident.session, "call_id": incident.external_id}
    if what == CONTACT:
        return said | {"spec": stored["spec"], "status": _of_contact(incident, told, stored["spec"])}
    first = Proposal.objects.only("action", "args", "args_digest").get(incident=incident, revision=1)
    spec = {**stored["spec"], "fn": first.action, "kwargs": first.args}
    return said | {"spec": spec, "status": _of_call(incident, told, first, spec)}


def is_pending(answer: dict[str, Any]) -> bool:
    """Say whether the client would go on asking."""
    status = answer["status"]
    return bool(status["approved"] is None if "approved" in status else status["response"] is None)


def _of_call(incident: Incident, told: dict[str, Any], first: Proposal, spec: dict[str, Any]) -> dict[str, Any]:
    decision, approved, comment = _last_word(told), None, None
    if decision is not None:
        approved, comment = _verdict(decision, told["proposal"], first)
    elif told["status"] == Status.SETTLED:  # without a decision
        signed = _signed_before(incident, first)
        if signed is None:
            approved, comment = False, "Withdrawn: the agent's side needs no answer any more."
        elif standstill.is_stopped():
            pass  # it was let go and not told yet: what has not left does not leave
        else:
            approved, comment = _in_time(signed.valid_until, f"Signed before by {signed.by_name}, with exactly these arguments.")
    return {
        "requested_at": wire.moment(incident.received_at),
        "responded_at": None if approved is None else (decision or {}).get("decided_at") or wire.moment(incident.settled_at),
        "approved": approved,
        "comment": comment,
        "reject_option_name": _option(spec, "reject_options", decision["reason"]) if approved is False and decision else None,
        "slack_message_ts": None,
        **_besides(told),
    }


def _last_word(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return the decision, unless a newer revision waits for another: the earlier one is used up then, or was a no."""
    proposal = told["proposal"]
    return None if proposal is None or proposal["state"] == State.PENDING else told["decision"]


def _verdict(decision: dict[str, Any], proposal: dict[str, Any], first: Proposal) -> tuple[bool, str]:
    """Return what a decision is to a client that knows yes and no, runs what it posted, and nothing else."""
    reason = decision["reason"].strip()
    if decision["args_digest"] is not None:
        if decision["args_digest"] == first.args_digest:
            return _in_time(datetime.fromisoformat(decision["valid_until"]), reason or "Approved.")
        args = json.dumps(decision["args"], ensure_ascii=False)
        said = f"Approved only with changes: call {decision['action']} again with exactly {args}, each by its name."
        return False, f"{said} Reason: {reason}" if reason else said
    if decision["type"] == Verdict.RESPOND:
        return False, f"Not run; answered instead: {(decision['message'] or '').strip()}"
    if proposal["state"] == State.EXPIRED:
        return False, f"Expired: nobody decided in time.{' ' if reason else ''}{reason}"
    said = reason or "Rejected."
    return False, f"{said} (Change it and ask again.)" if decision["retry"] else said


def _in_time(valid_until: datetime, comment: str) -> tuple[bool, str]:
    if valid_until <= clock.now():
        return False, f"Expired: the approval was valid until {wire.moment(valid_until)}. Ask again."
    return True, comment


def _signed_before(incident: Incident, first: Proposal) -> Any:
    """Return the decision by which this very call was let go without asking again (`again.py`), or None. One query."""
    given = Acknowledgement.objects.select_related("decision").filter(
        decision__proposal__incident__source=incident.source, decision__proposal__incident__session=incident.session,
        decision__proposal__incident__test=incident.test, decision__args_digest=first.args_digest,
        detail=AGAIN.format(call_id=incident.external_id),
    ).first()
    return given.decision if given else None


def _of_contact(incident: Incident, told: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    decision, response, option = _last_word(told), None, None
    if decision is not None and decision["type"] == Verdict.RESPOND:
        response = (decision["message"] or "").strip() or f"{NOBODY}The answer is empty."
        option = _option(spec, "response_options", response)
    elif decision is not None:
        why = "Nobody answered in time." if told["proposal"]["state"] == State.EXPIRED else "The question was turned down."
        response = " ".join(part for part in (f"{NOBODY}{why}", decision["reason"].strip()) if part)
    elif told["status"] == Status.SETTLED:
        response = f"{NOBODY}The question was withdrawn."
    return {
        "requested_at": wire.moment(incident.received_at),
        "responded_at": None if response is None else (decision or {}).get("decided_at") or wire.moment(incident.settled_at),
        "response": response,
        "response_option_name": option,
        **_besides(told),
    }


def _besides(told: dict[str, Any]) -> dict[str, Any]:
    """Return what clients leave unread and whoever responds may send back: what exactly stands there, and where it is read."""
    proposal = told["proposal"] or {}
    return {
        "incident": told["id"], "review_url": told["review_url"], "args_digest": proposal.get("args_digest"),
        "version": proposal.get("version"),
    }


def _option(spec: dict[str, Any], name: str, said: str) -> str | None:
    """Return the name of the option whose name or title was said, word for word."""
    text = said.strip().casefold()
    for one in options(spec, name):
        if text and text in (one["name"].strip().casefold(), one["title"].strip().casefold()):
            return one["name"]
    return None
