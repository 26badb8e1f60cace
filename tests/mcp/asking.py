"""The official MCP client, of either generation of the protocol, as an agent would use it against /mcp."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

T = TypeVar("T")
MODES = ("legacy", "2026-07-28", "auto")


@asynccontextmanager
async def connected(url: str, token: str, mode: str = "auto", **extra: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, **extra) as client,
    ):
        yield client


def asked(
    url: str, token: str, work: Callable[[Client], Awaitable[T]], mode: str = "auto", **extra: Any
) -> T:
    """The result of `work` with a connected client."""

    async def run() -> T:
        async with connected(url, token, mode, **extra) as client:
            return await work(client)

    return asyncio.run(run())
