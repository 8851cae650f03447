"""How an agent's host speaks MCP to the address, and what it hears."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from django.test import AsyncClient, Client

from escalations.models import Source


@dataclass
class Host:
    """A host with a source's key. `call` uses a tool without waiting, unless the address or the arguments say so."""

    key: str
    source: Source | None = None
    query: str = "?wait=0"

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Accept": "application/json, text/event-stream", **more}

    def send(self, message: Any, **headers: str) -> Any:
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        return Client().post(f"/mcp{self.query}", raw, content_type="application/json", headers=self.headers(**headers))

    def ask(self, method: str, params: dict[str, Any] | None = None, /, **headers: str) -> dict[str, Any]:
        """Return the JSON-RPC answer to a request."""
        response = self.send({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}, **headers)
        said = response.json()
        assert (said["jsonrpc"], said["id"]) == ("2.0", 7), said
        return said

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Return what the tool says, read from its one text. Fails when the tool did."""
        result = self.result(tool, **arguments)
        assert result["isError"] is False, result
        return said_in(result)

    def refused(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Return what a tool says that does not do it."""
        result = self.result(tool, **arguments)
        assert result["isError"] is True, result
        return said_in(result)

    def result(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]

    async def later(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Return what the tool says after waiting, as under the server: without a thread."""
        message = {"jsonrpc": "2.0", "id": "seven", "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        async with asyncio.timeout(60):
            response = await AsyncClient().post(
                f"/mcp{self.query}", json.dumps(message), content_type="application/json", headers=self.headers()
            )
        return said_in(response.json()["result"])


def said_in(result: dict[str, Any]) -> dict[str, Any]:
    [block] = result["content"]
    assert block["type"] == "text"
    said = json.loads(block["text"])
    assert result.get("structuredContent", said) == said
    return said
