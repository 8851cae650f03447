"""approve_tool_use: the question a coding agent's host asks before each use of a tool, answered in the only words it understands.

The host reads one JSON text: allow with the input to use, or deny with a message. There is no "not yet": when the time is up it is a
deny that says so, and the same tool call asked again finds the same request. A yes is handed out once, to one tool call: whoever gets
it has it acknowledged in the same moment, by what it will run.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from escalations import canonical, clock, errors, lifecycle
from escalations.adapters.base import own, post
from escalations.lifecycle.sources import AlreadyAcknowledged
from escalations.models import Acknowledgement, ApiKey, Incident, Proposal
from escalations.states import Status

from .asking import Call, Said, Waits, one_line, told
from .words import MAY_RUN, state_of

KEY = "mcp:tool:"
FOUND_AGAIN = timedelta(days=1)  # how long a request is there for the same call under another id
HEARD_AGAIN = timedelta(minutes=10)  # how long the call that got a yes may ask again for what it was answered
TELLING = ("command", "file_path", "path", "url", "query", "pattern", "prompt", "description")  # what a person reads first
NOT_YET = "Nobody has decided this yet: it is not a no. Ask for the same tool with the same input again; the request is found again. {url}"
TAKEN = "This approval was used before, and is good for one call. Call the tool anew: that is a request of its own."


def approve_tool_use(call: Call, given: dict[str, Any]) -> Said | Waits:
    """Return what the host does with a tool call, after a person (or a rule) said so."""
    name, tool_input, use = given["tool_name"], given["input"], given.get("tool_use_id", "")
    if faults := canonical.check_signable(tool_input, "/input"):
        raise errors.Invalid(faults)
    digest = canonical.args_digest(name, tool_input, None)
    incident = _of_this_call(call, use, digest) or _left_behind(call, use, digest) or _asked(call, name, tool_input, use)

    def look() -> Said:
        return _verdict(call, incident.pk, name, use, digest)

    said = told(call, incident.pk)
    if state_of(said) != "pending" or call.longest <= 0:
        return look()
    return Waits(incident.pk, call.longest, look)


def deny(message: str) -> Said:
    """Return a no."""
    return Said({"behavior": "deny", "message": message}, bare=True)


def _of_this_call(call: Call, use: str, digest: str) -> Incident | None:
    """Return the request of this very tool call. Raises IdempotencyMismatch when it asked for another tool or input."""
    incident = own(call.caller, key=KEY + use) if use else None
    if incident is not None and _first_digest(incident) != digest:
        raise errors.IdempotencyMismatch("This tool_use_id was used for another tool or input before.")
    return incident


def _left_behind(call: Call, use: str, digest: str) -> Incident | None:
    """Return the newest request for the same tool and input whose answer nobody else got: its host stopped waiting.

    The same run only; what was answered to somebody is over, and the same call again is a request of its own.
    """
    answered = Acknowledgement.objects.filter(decision__proposal__incident=OuterRef("incident"))
    if use:
        answered = answered.exclude(detail=_handed(use))  # this call may ask until it has heard its answer
    asked = Proposal.objects.filter(
        ~Exists(answered), source=call.caller.as_source, args_digest=digest, revision=1, test=_is_test(call),
        created_at__gt=clock.now() - FOUND_AGAIN, incident__key__startswith=KEY, incident__session=call.session,
    )
    found = asked.order_by("-created_at").values_list("incident_id", flat=True).first()
    if found is None or state_of(told(call, found)) in ("lapsed", "withdrawn"):
        return None
    return own(call.caller, pk=found)


def _asked(call: Call, name: str, tool_input: dict[str, Any], use: str) -> Incident:
    data: dict[str, Any] = {
        "kind": "action", "title": _title(name, tool_input), "external_id": use,
        "context": {"why": f"A coding agent asks whether it may use {name} with this input."},
        "proposal": {"action": name, "args": tool_input},
    }
    if call.session:
        data["session"] = call.session
    # Without an id of the call's own it is nobody's in particular: found again by what it asks for, never by a key.
    key = KEY + (use or f"{clock.now().timestamp():.6f}:{canonical.body_digest(tool_input)[:32]}")
    incident, replayed = post(call.caller, data, key=key)
    if replayed and (_first_digest(incident) != canonical.args_digest(name, tool_input, None) or incident.test != _is_test(call)):
        raise errors.IdempotencyMismatch("This tool_use_id was used for another tool or input before.")
    return incident


def _verdict(call: Call, incident_id: UUID, name: str, use: str, digest: str) -> Said:
    said = told(call, incident_id)
    state, decision = state_of(said), said["decision"]
    if state == "pending":
        return deny(NOT_YET.format(url=said["review_url"]))
    if state == "withdrawn":
        return deny("The request was withdrawn.")
    if state == "lapsed":
        return deny("It was approved too long ago. Ask again if it is still wanted.")
    if not _taken(call, incident_id, use, said):
        return deny(TAKEN)
    if state not in MAY_RUN:
        if decision["retry"] and said["status"] != Status.SETTLED:  # another try comes as a call of its own, never as a revision
            lifecycle.withdraw(incident_id, actor=call.caller.actor)
        return deny(_words(state, decision))
    # What runs is what was signed, or nothing.
    if decision["args"] is None or canonical.args_digest(decision["action"], decision["args"], None) != decision["args_digest"]:
        return deny("What was signed cannot be read back as it was. Nothing may run.")
    if decision["action"] != name or (state == "approved" and decision["args_digest"] != digest):
        return deny("What was signed is not this tool call. Nothing may run.")
    return Said({"behavior": "allow", "updatedInput": decision["args"]}, bare=True)


def _taken(call: Call, incident_id: UUID, use: str, said: dict[str, Any]) -> bool:
    """Hand the outcome to this tool call, and say whether it is its own: the database lets one have it.

    The same call may hear it again (its answer may have been lost); without an id nobody can tell that it is the same.
    """
    mine = _handed(use)
    if said["acknowledged"] is None:
        try:
            lifecycle.acknowledge(
                incident_id, result="done", args_digest=said["decision"]["args_digest"], detail=mine, actor=call.caller.actor
            )
            return True
        except AlreadyAcknowledged:
            said = told(call, incident_id)
    acknowledged = said["acknowledged"]
    if not use or acknowledged is None or acknowledged["detail"] != mine:
        return False
    if state_of(said) not in MAY_RUN:  # a no may be heard for ever
        return True
    now = clock.now()
    over = datetime.fromisoformat(said["decision"]["valid_until"]) <= now
    return not over and now - datetime.fromisoformat(acknowledged["at"]) <= HEARD_AGAIN


def _handed(use: str) -> str:
    return f"Handed to the host for tool call {use or 'without an id'}."


def _words(state: str, decision: dict[str, Any]) -> str:
    if state == "answered":
        return f"A person answers instead: {decision['message']}"
    if state == "expired":
        return "Nobody decided in time, which is a no."
    reason = decision["reason"] or "no reason was given"
    return f"Refused by {decision['by']['name']}: {reason}" + (" Try it another way." if decision["retry"] else "")


def _title(name: str, tool_input: dict[str, Any]) -> str:
    first = next((tool_input[one] for one in TELLING if isinstance(tool_input.get(one), str) and tool_input[one].strip()), None)
    return one_line(f"{name}: {first if first is not None else json.dumps(tool_input)}")


def _first_digest(incident: Incident) -> str:
    """Return the digest of what was asked first, "" of an incident that asked for nothing: it was posted elsewhere with a key like these."""
    return Proposal.objects.filter(incident=incident, revision=1).values_list("args_digest", flat=True).first() or ""


def _is_test(call: Call) -> bool:
    return call.caller.env == ApiKey.TEST
