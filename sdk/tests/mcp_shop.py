"""A small MCP server for the gateway's tests: a shop whose refunds can be counted, and whose words can be changed.

In the tests' own process as an object, and as a command over stdio: `python mcp_shop.py LEDGER`, which writes down
beside the ledger what environment it was given."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

AMOUNT = {"type": "number", "title": "Amount in EUR"}


class Shop:
    """Orders, a ledger of refunds, and what the shop says of its tools."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.tools = {tool.name: tool for tool in _tools()}
        self.holds = asyncio.Event()
        """Unset, `slow_refund` waits for it after it has refunded."""

    @property
    def refunds(self) -> list[dict[str, Any]]:
        lines = self.ledger.read_text(encoding="utf-8").splitlines() if self.ledger.exists() else []
        return [json.loads(line) for line in lines]

    def says(self, name: str, **extra: Any) -> None:
        """Describe the tool otherwise from now on."""
        self.tools[name] = self.tools[name].model_copy(update=extra)

    def server(self) -> Server[Any]:
        return Server("shop", version="1", on_list_tools=self._list, on_call_tool=self._call)

    async def _list(self, context: Any, params: Any) -> types.ListToolsResult:
        """Two pages, as servers with many tools have them."""
        names = sorted(self.tools)
        if params is not None and params.cursor == "2":
            return types.ListToolsResult(tools=[self.tools[name] for name in names[2:]])
        return types.ListToolsResult(tools=[self.tools[name] for name in names[:2]], next_cursor="2")

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        given = params.arguments or {}
        if params.name == "list_orders":
            return _said("A-1, A-2", {"orders": ["A-1", "A-2"]})
        if given.get("order_id") == "nowhere":
            return _said("There is no such order.").model_copy(update={"is_error": True})
        with self.ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(given) + "\n")
        if params.name == "slow_refund":
            await self.holds.wait()
        if params.name == "fatal_refund":
            os._exit(1)
        return _said(f"Refunded {given['amount']}.", {"refund": len(self.refunds)})


def _tools() -> list[types.Tool]:
    refund = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["order_id", "amount"],
        "properties": {"order_id": {"type": "string", "format": "order"}, "amount": AMOUNT},
    }
    found = [
        types.Tool(
            name="list_orders",
            description="All orders.",
            input_schema={"type": "object", "properties": {}},
            annotations=types.ToolAnnotations(read_only_hint=True),
        )
    ]
    for name in ("refundOrder", "slow_refund", "fatal_refund"):
        found.append(types.Tool(name=name, description="Pays money back.", input_schema=refund))
    return found


def _said(text: str, data: Any = None) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=data)


async def _serve(ledger: Path) -> None:
    ledger.with_name("environment.json").write_text(json.dumps(dict(os.environ)))
    server = Shop(ledger).server()
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
