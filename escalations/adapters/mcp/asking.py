"""request_approval, ask_human and get_approval: an incident goes in, and what became of it comes back in words for a model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from escalations import canonical, errors, lifecycle, wire
from escalations.adapters.base import own, post
from escalations.api import auth, fields, inputs, parsers, waiting
from escalations.api.auth import Caller
from escalations.models import ApiKey, Incident, Proposal

from .words import answer_of

TITLE = 200  # characters of one that is made here


@dataclass(frozen=True)
class Call:
    """Who calls a tool, how long it may wait at most in seconds, and the run it belongs to by its address."""

    caller: Caller
    longest: float
    session: str = ""

    def wait(self, given: dict[str, Any]) -> float:
        """Return how long this call waits."""
        return min(self.longest, given.get("wait_seconds", self.longest))


@dataclass(frozen=True)
class Said:
    """What a tool answers: JSON for the model, or one text that stands for itself."""

    data: dict[str, Any]
    failed: bool = False
    bare: bool = False  # the text alone: its reader takes one block and nothing else


@dataclass(frozen=True)
class Waits:
    """The tool waits for a person: when there is an answer (for a run: an order), or after `seconds`, `then()` is called in a thread."""

    thing: waiting.Thing
    seconds: float
    then: Callable[[], Said]


def request_approval(call: Call, given: dict[str, Any]) -> Said | Waits:
    """Ask for a signature on an action with its args, or on a draft."""
    proposal = {
        name: given[name] for name in ("action", "args", "draft", "confidence", "reversible", "impact") if given.get(name) is not None
    }
    # Nobody signs what was mended on the way; elsewhere an agent in trouble is not turned away for a NUL in a log line.
    if faults := [one for name in ("action", "args", "draft") for one in canonical.check_signable(given.get(name), f"/{name}")]:
        raise errors.Invalid(faults)
    if "draft" in given and ("action" in given or "args" in given):
        raise _fault("/draft", "not_taken", "ask for an action with its args, or for a draft, not for both")
    if not (given.get("action") or given.get("draft")):
        raise _fault("/action", "required", "say what you want to do: an action with its args, or a draft")
    if "action" in given:
        proposal.setdefault("args", {})
    if "revises" in given:
        return _revised(call, given, proposal)
    data = _incident(call, given, kind="action" if "action" in given else "draft", title=_title_of(proposal)) | {"proposal": proposal}
    digest = canonical.args_digest(proposal.get("action"), proposal.get("args"), _whole(proposal.get("draft")))
    return _asked(call, given, data, same=lambda incident: _first(incident).args_digest == digest)


def ask_human(call: Call, given: dict[str, Any]) -> Said | Waits:
    """Ask a question."""
    question = given["question"]
    data = _incident(call, given, kind="question", title=one_line(question)) | {"body": question}
    if options := given.get("options"):
        data |= {"payload": {"options": options}, "body": question + "\n\n" + "\n".join(f"* {one}" for one in options)}
    body = parsers.mended(data["body"])
    return _asked(call, given, data, same=lambda incident: incident.body == body)


def get_approval(call: Call, given: dict[str, Any]) -> Said | Waits:
    """Look, or wait, for what became of a request; answer what was asked back."""
    incident = own(call.caller, pk=given["id"])
    if incident is None:
        raise errors.NotFound("There is no request with this id.")
    if "answer" in given:
        auth.check_scope(call.caller, "incidents:write")
        text = parsers.mended(given["answer"])
        context = {"messages": [{"role": "agent", "content": text}]}
        lifecycle.add_context(incident.pk, context=context, sanitised=text != given["answer"], actor=call.caller.actor)
    return _told(call, incident.pk, call.wait(given))


def _asked(call: Call, given: dict[str, Any], data: dict[str, Any], *, same: Callable[[Incident], bool]) -> Said | Waits:
    """Post the incident, or find the one of the same key again. Raises IdempotencyMismatch when that asked for something else.

    Only what is asked for has to be the same: a model tells its reasons in other words each time.
    """
    incident, replayed = post(call.caller, data, key=f"mcp:{given['key']}" if "key" in given else None)
    if replayed and (incident.test != (call.caller.env == ApiKey.TEST) or incident.kind != data["kind"] or not same(incident)):
        raise errors.IdempotencyMismatch("This key was used for another request before. Choose another key for this one.")
    return _told(call, incident.pk, call.wait(given))


def _revised(call: Call, given: dict[str, Any], proposal: dict[str, Any]) -> Said | Waits:
    incident = own(call.caller, pk=given["revises"])
    if incident is None:
        raise errors.NotFound("There is no request with the id in `revises`.")
    if given.get("reason"):
        proposal = proposal | {"description": parsers.mended(given["reason"])}
    last = Proposal.objects.filter(incident=incident).order_by("-revision").first()
    digest = canonical.args_digest(proposal.get("action"), proposal.get("args"), _whole(proposal.get("draft")))
    # The same revision once more is the same call, sent again: it is not to use up one of the five.
    if last is None or last.revision == 1 or last.args_digest != digest:
        content = fields.read(inputs.ProposalIn, proposal)
        lifecycle.revise(incident.pk, content=content, author="source", actor=call.caller.actor)
    return _told(call, incident.pk, call.wait(given))


def _told(call: Call, incident_id: UUID, seconds: float) -> Said | Waits:
    def look() -> Said:
        return Said(answer_of(told(call, incident_id)))

    said = look()
    if said.data["status"] != "pending" or seconds <= 0:
        return said
    return Waits(incident_id, seconds, look)


def told(call: Call, incident_id: UUID) -> dict[str, Any]:
    """Return the incident as its source may be told of it now. Raises NotFound."""
    incident = own(call.caller, pk=incident_id)
    if incident is None:
        raise errors.NotFound
    return wire.handed_out([incident])[0]


def _incident(call: Call, given: dict[str, Any], *, kind: str, title: str) -> dict[str, Any]:
    """Return what is posted, without what is asked for: title, run and context (law 11)."""
    said = {"request": given.get("request"), "why": given.get("reason"), "summary": given.get("background")}
    context: dict[str, Any] = {name: text for name, text in said.items() if text}
    context |= {name: given[name] for name in ("attempts", "links") if given.get(name)}
    data = {"kind": kind, "title": one_line(given["title"], 500) if "title" in given else title, "context": context}
    data |= {name: given[name] for name in ("on_behalf_of", "severity") if given.get(name)}
    session = given.get("session") or call.session
    return data | ({"session": session} if session else {})


def one_line(text: str, longest: int = TITLE) -> str:
    """Return a text as one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _title_of(proposal: dict[str, Any]) -> str:
    if "draft" in proposal:
        draft = proposal["draft"]
        return one_line(f"Send to {draft['to']}: {draft['subject'] or draft['body']}")
    args = ", ".join(f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in proposal["args"].items())
    return one_line(f"{proposal['action']} ({args})" if args else proposal["action"])


def _whole(draft: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a draft as it is stored and signed."""
    return None if draft is None else {name: draft[name] for name in ("to", "subject", "body")} | {"format": "text"}


def _first(incident: Incident) -> Proposal:
    return Proposal.objects.get(incident=incident, revision=1)


def _fault(pointer: str, code: str, detail: str) -> errors.Invalid:
    return errors.Invalid([{"pointer": pointer, "code": code, "detail": detail}])
