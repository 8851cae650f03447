"""An agent on the published MCP SDK for Python. Run in an environment that has `mcp`; nothing of ours is imported.

python mcp_agent.py session|client URL KEY  reads calls from stdin, one a line, as [tool, arguments], and writes what came back, one
a line. A call that the network loses is made again, as a host does whose model tries once more.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, ClientSession
from mcp.client.streamable_http import streamable_http_client

HOW, URL, KEY = sys.argv[1:4]
TRIES = 100


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def transport(http):
    return streamable_http_client(URL, http_client=http)


async def with_session(http, work):
    async with transport(http) as streams, ClientSession(streams[0], streams[1]) as session:
        began = await session.initialize()
        return await work(session, began.protocol_version)


async def with_client(http, work):
    async with Client(transport(http)) as client:
        return await work(client, client.protocol_version)


async def connected(work):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=httpx2.Timeout(30, read=300)) as http:
        return await {"session": with_session, "client": with_client}[HOW](http, work)


async def listed(mcp, version):
    tools = (await mcp.list_tools()).tools
    say({"version": version, "tools": [tool.name for tool in tools]})


async def call(tool, arguments):
    async def work(mcp, _):
        return await mcp.call_tool(tool, arguments)

    for tried in range(TRIES):
        try:
            result = await connected(work)
        except Exception as error:  # a lost connection comes in many shapes, and in groups of them
            if tried == TRIES - 1:
                raise
            sys.stderr.write(f"once more: {type(error).__name__}\n")
            await asyncio.sleep(0.3)
            continue
        return {"texts": [block.text for block in result.content], "failed": result.is_error, "structured": result.structured_content}


async def main():
    await connected(listed)
    for line in sys.stdin:
        say(await call(*json.loads(line)))


asyncio.run(main())
