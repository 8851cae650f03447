"""The tools, as they are listed and called."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from escalations import errors
from escalations.api import auth, fields
from escalations.api.fields import Strict

from . import arguments, asking, permission, steps
from .asking import Call, Said, Waits

WRITES = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}


@dataclass(frozen=True)
class Tool:
    """One tool: what a model reads of it, what it takes, and what it does."""

    name: str
    title: str
    what: str
    form: type[Strict]
    does: Callable[[Call, dict[str, Any]], Said | Waits]
    scope: str = "incidents:write"
    idempotent: bool = False


TOOLS = {
    tool.name: tool for tool in (
        Tool(
            "request_approval", "Ask a person to approve an action",
            "Ask a person to sign an action before you do it: a payment, a deletion, a message that leaves the house, anything you were "
            "told to have approved. Give the exact action and args; they are what is signed. Answers `approved`, `edited` (do what "
            "stands in the answer, not what you asked for), `rejected`, `answered`, `expired` or, when nobody has decided yet, `pending` "
            "with an id for get_approval. Do the action only after `approved` or `edited`, once, with exactly the values of the answer.",
            arguments.ApprovalIn, asking.request_approval,
        ),
        Tool(
            "get_approval", "See what became of a request",
            "See, or wait for, what became of a request_approval or an ask_human, by its id. Works after a restart too. When a person "
            "asked you something back before deciding, give your `answer` here.",
            arguments.LookIn, asking.get_approval, scope="incidents:read", idempotent=True,
        ),
        Tool(
            "ask_human", "Ask a person a question",
            "Ask a person something only a person can tell: a choice that is not yours, a fact you cannot find. Answers `answered` with "
            "the words in `answer`, `rejected` when they decline, or `pending` with an id for get_approval.",
            arguments.QuestionIn, asking.ask_human,
        ),
        Tool(
            "report_step", "Report a step of a watched run",
            "Report each step you take, so that people can watch the run and steer it. The first call names the agent and begins the "
            "run; its answer has the session id every later call gives. Each answer has a `directive`: continue, note (do as the notes "
            "say), pause (do nothing, call again) or stop. Obey it. Give `approval` when the step carried out something approved, and "
            "`outcome` with the last one.",
            arguments.ReportIn, steps.report_step,
        ),
        Tool(
            "approve_tool_use", "Permission prompt for a coding agent",
            "For the host of a coding agent, as its permission prompt: answers one JSON text, "
            '{"behavior": "allow", "updatedInput": {...}} or {"behavior": "deny", "message": "..."}. Not for models to call.',
            arguments.ToolUseIn, permission.approve_tool_use,
        ),
    )
}


def listed(longest: float) -> list[dict[str, Any]]:
    """Return the tools as `tools/list` tells them."""
    return [
        {
            "name": tool.name, "title": tool.title, "description": tool.what,
            "inputSchema": arguments.schema_of(tool.name, longest),
            "annotations": {**WRITES, "title": tool.title, "idempotentHint": tool.idempotent},
        }
        for tool in TOOLS.values()
    ]


def run(tool: Tool, call: Call, given: dict[str, Any]) -> dict[str, Any] | Waits:
    """Return the tool's result, or what it waits for. What a model can mend is told it as a result that failed, never raised."""

    def do() -> Said | Waits:
        auth.check_scope(call.caller, tool.scope)
        if tool.form is arguments.ToolUseIn:  # a host may say more of a call than is asked here
            given_here = {name: value for name, value in given.items() if name in arguments.ToolUseIn().fields}
        else:
            given_here = given
        return tool.does(call, fields.read(tool.form, given_here))

    said = _kept(tool, do)
    if isinstance(said, Waits):
        waits = said
        return Waits(waits.thing, waits.seconds, lambda: _kept(tool, waits.then))
    return result_of(said)


def result_of(said: Said) -> dict[str, Any]:
    """Return what a tool said as MCP's result."""
    result: dict[str, Any] = {"content": [{"type": "text", "text": json.dumps(said.data, ensure_ascii=False)}], "isError": said.failed}
    return result if said.bare else result | {"structuredContent": said.data}


def _kept(tool: Tool, do: Callable[[], Any]) -> Any:
    try:
        return do()
    except errors.CountersignError as error:
        if tool.form is arguments.ToolUseIn:  # whatever it is, it is no yes, and its host reads nothing else
            return permission.deny(error.detail)
        return Said(_trouble(error), failed=True)


def _trouble(error: errors.CountersignError) -> dict[str, Any]:
    said: dict[str, Any] = {"error": error.code, "detail": type(error).detail if isinstance(error, errors.Invalid) else error.detail}
    if isinstance(error, errors.Invalid):
        said |= {"errors": error.errors} if error.errors else {"detail": error.detail}
    return said
