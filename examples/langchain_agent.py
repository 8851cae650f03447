"""A LangChain agent whose risky tools wait for people: its middleware interrupts, the bridge asks, the agent goes on with the answers.

The model is a fake that always wants the same two calls, so that nothing else is needed to try it.
"""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign", "langchain", "langgraph"]
# ///

import sys
import uuid
from typing import Any

from countersign import Client
from countersign.bridges.langchain import HumanInTheLoop
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

WANTED = [
    {"name": "refund", "args": {"order": "A-1", "cents": 25000}, "id": "call_1"},
    {"name": "delete_user", "args": {"user": "bob"}, "id": "call_2"},
]


class Model(GenericFakeChatModel):
    """A model that was written down beforehand."""

    def bind_tools(self, tools: Any, **options: Any) -> "Model":
        return self


@tool
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    print(f"ran refund({order}, {cents})", flush=True)
    return f"refunded {cents} cents of {order}"


@tool
def delete_user(user: str) -> str:
    """Delete a user for good."""
    print(f"ran delete_user({user})", flush=True)
    return f"deleted {user}"


def main() -> int:
    """Run the agent; people answer for its tools."""
    agent = create_agent(
        Model(messages=iter([AIMessage(content="", tool_calls=WANTED), AIMessage(content="That is all.")])),
        [refund, delete_user], checkpointer=InMemorySaver(),
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"refund": True, "delete_user": {"allowed_decisions": ["approve", "reject"]}})],
    )
    with Client() as client:
        print(f"Two calls wait to be decided at {client.base_url}/", flush=True)
        bridge = HumanInTheLoop(client, context="The customer wrote: refund order A-1 and close my account.")
        asked = {"messages": [{"role": "user", "content": "Refund order A-1 and close bob's account."}]}
        state = bridge.invoke(agent, asked, {"configurable": {"thread_id": str(uuid.uuid4())}})
    for message in state["messages"]:
        if message.type == "tool":
            print(f"the model was told: {message.content}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
