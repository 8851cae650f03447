"""An agent of the OpenAI Agents SDK with its scripted model. Argument: the turns of the model as JSON, each a list of calls.

KEPT names a file for the state of the run: where there is one, the run goes on from it. TIMEOUT is how long people are waited for.

Prints one JSON line: which tools ran with which args, and what the model was told.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from agents import Agent, RunState, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from countersign import AsyncClient
from countersign.bridges.openai_agents import HumanApproval

set_tracing_disabled(True)
RAN = []


@function_tool(needs_approval=True)
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    RAN.append(["refund", {"order": order, "cents": cents}])
    return f"refunded {order} {cents}"


@function_tool(needs_approval=True, failure_error_function=None)
def delete_user(user: str) -> str:
    """Delete a user."""
    if user == "nobody":
        raise RuntimeError("there is no such user")
    RAN.append(["delete_user", {"user": user}])
    return f"deleted {user}"


async def main():
    turns = json.loads(sys.argv[1])
    script = [[function_call(name, args, call_id=call) for name, args, call in turn] for turn in turns]
    agent = Agent(name="billing", instructions="x", model=ScriptedModel([*script, [assistant_message("all done")]]), tools=[refund, delete_user])
    said = {}
    async with AsyncClient() as client:
        bridge = HumanApproval(client, context="Somebody asked for it.", timeout=float(os.environ.get("TIMEOUT", "120")))
        kept = Path(os.environ["KEPT"]) if "KEPT" in os.environ else None
        asked = await RunState.from_string(agent, kept.read_text()) if kept and kept.exists() else "please"
        more = {"thread": kept.name, "keep": lambda state: kept.write_text(state.to_string())} if kept else {}
        try:
            result = await bridge.run(agent, asked, **more)
            said["told"] = [one["output"] for one in result.to_input_list() if isinstance(one, dict) and one.get("type") == "function_call_output"]
            said["last"] = result.final_output
        except Exception as error:
            said["raised"] = f"{type(error).__name__}: {error}"
    print(json.dumps({"ran": RAN, **said}))


asyncio.run(main())
