"""What an agent is told became of what it asked: one word for the state, what may run, and what to do next."""

from datetime import datetime
from typing import Any

from escalations import clock
from escalations.states import State, Verdict

DECIDED = frozenset({State.APPROVED, State.EDITED, State.REJECTED, State.ANSWERED, State.EXPIRED})
WORD = {Verdict.APPROVE: "approved", Verdict.EDIT: "edited", Verdict.REJECT: "rejected", Verdict.RESPOND: "answered"}
MAY_RUN = frozenset({"approved", "edited"})
STOP_AND_ASK_LATER = "Do not do it. Ask the person you work for how to go on, or take another way."
NEXT = {
    "pending": (
        "No decision yet: neither a yes nor a no. Do not do it. Call get_approval with this id until there is one; "
        "`review_url` is where a person decides."
    ),
    "approved": (
        "A person or a rule approved exactly this. Do it once, with exactly these values, before valid_until; then call "
        "report_step with `approval` set to this id."
    ),
    "edited": (
        "Approved with changes. Do NOT do what you asked for: do exactly what stands in action, args and draft here, once, before "
        "valid_until; then call report_step with `approval` set to this id."
    ),
    "rejected": f"Refused; the reason says why. {STOP_AND_ASK_LATER}",
    "answered": "A person answered. Nothing was approved: act on what they say in `answer`.",
    "expired": f"Nobody decided in time, which is a no. {STOP_AND_ASK_LATER}",
    "lapsed": "It was approved, but too long ago (valid_until has passed). Do not do it; ask anew if it is still wanted.",
    "withdrawn": "It was withdrawn; there is nothing to do.",
}
TRY_AGAIN = "Refused as it is; the reason says what should change. Ask again with another proposal: set `revises` to this id."
CARRIED_OUT = "This was carried out and reported before. Do not do it again."
ASKED_BACK = "Before deciding, a person asks you what stands in `questions`: call get_approval with this id and your `answer`."


def state_of(told: dict[str, Any]) -> str:
    """Return the one word. `told` is the incident as its source may be told of it."""
    proposal, decision = told["proposal"], told["decision"]
    state = State(proposal["state"]) if proposal else State.PENDING
    if state in (State.WITHDRAWN, State.SUPERSEDED):
        return "withdrawn"
    if state not in DECIDED or decision is None:
        return "pending"
    word = WORD[Verdict(decision["type"])]
    if word in MAY_RUN:
        late = datetime.fromisoformat(decision["valid_until"]) <= clock.now()
        return "lapsed" if late and not told["acknowledged"] else word
    return "expired" if state == State.EXPIRED else word


def answer_of(told: dict[str, Any]) -> dict[str, Any]:
    """Return what a tool answers about an incident."""
    state = state_of(told)
    said: dict[str, Any] = {"id": told["id"], "status": state, "next": NEXT[state], "review_url": told["review_url"]}
    if state == "pending":
        asked = [{"id": one["id"], "text": one["text"]} for one in told["questions"] if one["answered_at"] is None]
        if asked:
            said |= {"questions": asked, "next": ASKED_BACK}
        if told["estimated_wait_seconds"] is not None:
            said |= {name: told[name] for name in ("estimated_wait_seconds", "estimated_wait")}
        return said
    decision = told["decision"]
    if decision is None or state == "withdrawn":
        return said
    said |= {"by": decision["by"]["name"], "decided_at": decision["decided_at"]}
    if decision["reason"]:
        said["reason"] = decision["reason"]
    if decision["message"] is not None:
        said["answer"] = decision["message"]
    if state == "rejected" and decision["retry"]:
        said["next"] = TRY_AGAIN
    if state in MAY_RUN:
        said |= {name: decision[name] for name in ("action", "args", "draft", "args_digest", "valid_until") if decision[name] is not None}
        if told["acknowledged"]:
            said |= {"carried_out": told["acknowledged"]["result"], "next": CARRIED_OUT}
    return said
