"""The official MCP client, of either generation of the protocol, as an agent would use it against /mcp."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

T = TypeVar("T")
PATIENCE = 100
"""Seconds: a client or server that is a process of its own has to start first, on a machine that may be busy."""
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


def until(holds: Callable[[], bool]) -> None:
    """Poll for what another process or thread does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
