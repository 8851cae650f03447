"""An agent of LangChain's with a fake model. Arguments: the interrupt mode, then the calls its model makes as JSON.

Prints one JSON line: which tools ran with which args, and what the model was told.
"""

import asyncio
import json
import os
import sys

from countersign import AsyncClient, Client
from countersign.bridges.langchain import HumanInTheLoop
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

RAN = []


class Fake(GenericFakeChatModel):
    def bind_tools(self, tools, **options):
        return self


@tool
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    if order == "BROKEN":
        raise RuntimeError("the gateway is away")
    RAN.append(["refund", {"order": order, "cents": cents}])
    return f"refunded {order} {cents}"


@tool
def delete_user(user: str) -> str:
    """Delete a user."""
    RAN.append(["delete_user", {"user": user}])
    return f"deleted {user}"


def main():
    mode, calls, thread = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    model = Fake(messages=iter([AIMessage(content="", tool_calls=calls), AIMessage(content="all done")]))
    middleware = HumanInTheLoopMiddleware(
        interrupt_on={"refund": True, "delete_user": {"allowed_decisions": ["approve", "reject"], "description": "Deleting is final"}},
        **({"interrupt_mode": "per_call"} if mode.endswith("per_call") else {}),
    )
    agent = create_agent(model, [refund, delete_user], checkpointer=InMemorySaver(), middleware=[middleware])
    config = {"configurable": {"thread_id": thread}}
    asked = {"messages": [{"role": "user", "content": "please"}]}
    options = {"context": "Somebody asked for it.", "timeout": 120, "on_timeout": os.environ.get("ON_TIMEOUT", "raise")}
    said = {}
    try:
        if mode.startswith("async"):
            state = asyncio.run(later(agent, asked, config, options))
        else:
            with Client() as client:
                state = HumanInTheLoop(client, **options).invoke(agent, asked, config)
        said["told"] = [[one.status, one.content] for one in state["messages"] if one.type == "tool"]
        said["last"] = state["messages"][-1].content
    except RuntimeError as error:
        said["raised"] = str(error)
    print(json.dumps({"ran": RAN, **said}))


async def later(agent, asked, config, options):
    async with AsyncClient() as client:
        return await HumanInTheLoop(client, **options).ainvoke(agent, asked, config)


main()
