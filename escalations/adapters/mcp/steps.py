"""report_step: what an agent did goes into its watched run, and what it is to do now comes back."""

from typing import Any

from escalations import canonical, errors, lifecycle, oversight
from escalations.adapters.base import own
from escalations.api import parsers, waiting
from escalations.models import ApiKey

from .asking import Call, Said, Waits, told
from .words import MAY_RUN, state_of

NEXT = {
    "continue": "Go on.",
    "note": "Go on, and do as the notes say: they are from the people who watch this run.",
    "pause": "Do nothing more until you are told to go on: call report_step with this session alone, again and again.",
    "stop": "Stop now. Use no further tool. Report the end with outcome: stopped, and tell your user why.",
}
STARTS = ("agent", "goal", "key")
STEP = ("tool", "args", "result", "error", "number", "tokens", "cost", "took_ms")


def report_step(call: Call, given: dict[str, Any]) -> Said | Waits:
    """Begin a run, take a step, report an approval carried out, end the run: whatever is said, in this order.

    With the session alone it tells what to do now; while the run is paused, it waits for something new.
    """
    given = parsers.mended(given)
    session = given.get("session")
    if session is not None and any(name in given for name in STARTS):
        raise _fault("/session", "not_taken", f"{', '.join(STARTS)} begin a new run; leave them out in a run that has begun")
    if "tool" not in given and any(name in given for name in STEP):
        raise _fault("/tool", "required", "a step names its tool")
    if session is None and not ("tool" in given and "approval" in given) and "agent" not in given:
        raise _fault("/agent", "required", "the first step of a run names the agent; every later one has the session id it was answered")
    if set(given) <= {"session", "wait_seconds"}:
        return _listening(call, session, given)
    said: dict[str, Any] = {}
    if session is None and "agent" in given:
        session = _begun(call, given)
    if session is not None:
        said = _taken(call, session, given)
    if "approval" in given:
        said["approval"] = _carried_out(call, given)
    return Said(said)


def _listening(call: Call, session: Any, given: dict[str, Any]) -> Said | Waits:
    now = oversight.look(session, **_own(call))
    seconds = call.wait(given) if "wait_seconds" in given or now.directive["directive"] == "pause" else 0
    if now.fresh or seconds <= 0:
        return Said(_told(session, now.directive))
    known = now.directive["number"]
    return Waits(
        waiting.Orders(session, known, now.held), seconds,
        lambda: Said(_told(session, oversight.directive(session, seen=known, **_own(call)))),
    )


def _begun(call: Call, given: dict[str, Any]) -> Any:
    data = {"agent": given["agent"], "goal": given.get("goal", "")}
    begun, _ = oversight.start(
        source=call.caller.as_source, key_env=call.caller.env, data=data, key=f"mcp:{given['key']}" if "key" in given else None,
        body_digest=canonical.body_digest(data),
    )
    return begun.pk


def _taken(call: Call, session: Any, given: dict[str, Any]) -> dict[str, Any]:
    own_run = _own(call)
    if "tool" in given:
        answer = oversight.take_steps(session, steps=[{name: given[name] for name in STEP if name in given}], **own_run)
        said = _told(session, answer.directive) | {"steps": answer.steps}
    else:
        said = _told(session, oversight.directive(session, **own_run))
    if "outcome" in given:
        ended = oversight.end(session, outcome=given["outcome"], detail=given.get("detail", ""), **own_run)
        said |= {"ended": ended.outcome, "next": "The run is over."}
    return said


def _told(session: Any, directive: dict[str, Any]) -> dict[str, Any]:
    """Return a directive in words for a model."""
    said = {name: directive[name] for name in ("directive", "reason", "notes") if directive.get(name)}
    return {"session": str(session), **said, "next": NEXT[directive["directive"]]}


def _own(call: Call) -> dict[str, Any]:
    """Return whose run it has to be, as `oversight` takes it."""
    return {"source": call.caller.as_source, "only_test": call.caller.env == ApiKey.TEST}


def _carried_out(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Acknowledge an approval by what ran. Raises Invalid when that is not what was signed."""
    incident = own(call.caller, pk=given["approval"])
    if incident is None:
        raise errors.NotFound("There is no approval with this id.")
    now = told(call, incident.pk)
    if now["acknowledged"] is not None:  # said again is no fault
        return {"id": now["id"], "carried_out": now["acknowledged"]["result"]}
    if state_of(now) not in MAY_RUN:
        raise errors.Conflict(f"Nothing was approved there: it is {state_of(now)}.")
    digest = given.get("args_digest")
    if "args" in given:
        if faults := canonical.check_signable(given["args"], "/args"):
            raise errors.Invalid(faults)
        digest = canonical.args_digest(now["decision"]["action"], given["args"], None)
    result = "failed" if given.get("error") else "done"
    lifecycle.acknowledge(incident.pk, result=result, args_digest=digest, detail=given.get("error", ""), actor=call.caller.actor)
    return {"id": now["id"], "carried_out": result}


def _fault(pointer: str, code: str, detail: str) -> errors.Invalid:
    return errors.Invalid([{"pointer": pointer, "code": code, "detail": detail}])
