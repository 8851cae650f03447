"""An agent of the OpenAI Agents SDK whose tool needs approval: the run is interrupted, people are asked, and it goes on.

The SDK cannot run a tool with other arguments than its model wrote. So an edit comes back to the model as a no that names what would
be allowed, and it asks again; here a scripted model does just that.
"""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign", "openai-agents"]
# ///

import asyncio
import sys

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from countersign import AsyncClient
from countersign.bridges.openai_agents import HumanApproval

set_tracing_disabled(True)


@function_tool(needs_approval=True)
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    print(f"ran refund({order}, {cents})", flush=True)
    return f"refunded {cents} cents of {order}"


async def main() -> int:
    """Run the agent; people answer for its tool."""
    turns = [
        [function_call("refund", {"order": "A-1", "cents": 25000}, call_id="call_1")],
        [function_call("refund", {"order": "A-1", "cents": 9000}, call_id="call_2")],
        [assistant_message("That is all.")],
    ]
    agent = Agent(name="billing", instructions="Refund what the customer was promised.", model=ScriptedModel(turns), tools=[refund])
    async with AsyncClient() as client:
        print(f"A refund waits to be decided at {client.base_url}/", flush=True)
        result = await HumanApproval(client, context="The customer was promised EUR 90.").run(agent, "Refund order A-1.")
    for item in result.to_input_list():
        if isinstance(item, dict) and item.get("type") == "function_call_output":
            print(f"the model was told: {item['output']}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
