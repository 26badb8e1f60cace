"""A gateway in the tests' own process: the shop behind it, the fake Countersign beside it, the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mcp import Client, types
from mcp_shop import Shop

from countersign.mcp import pins
from countersign.mcp import server as serving
from countersign.mcp.settings import Server, Settings
from countersign.mcp.upstream import Upstream

T = TypeVar("T")


@dataclass
class Behind:
    """Everything a test needs of one gateway; `life` is one run of it, on the same files."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shop = Shop(self.folder / "ledger.jsonl")
        shop = self.shop

        class InProcess(Upstream):
            @asynccontextmanager
            async def _open(self) -> AsyncIterator[Client]:
                async with Client(shop.server(), cache=None) as client:
                    yield client

        self.upstream = InProcess
        self.monkeypatch.setattr(serving, "Upstream", InProcess)
        self.settings = Settings(
            path=self.folder / "mcp-gateway.json",
            server=Server(command="in process"),
            domain="shop",
            label="Shop",
            **{"reads": ("list_*",)} | self.extra,
        )
        self.accept()

    def accept(self) -> None:
        """As if a person had looked at all tools as they are."""
        found = pins.pinned(self.shop.tools.values(), domain="shop", known={})
        pins.save(self.settings.lock, found)

    @asynccontextmanager
    async def life(self, **extra: Any) -> AsyncIterator[Client]:
        async with serving.gateway(self.settings) as server, Client(server, cache=None, **extra) as client:
            yield client

    def run(self, work: Callable[[Client], Awaitable[T]], **extra: Any) -> T:
        async def run() -> T:
            async with self.life(**extra) as client:
                return await work(client)

        return asyncio.run(run())


def text(result: types.CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))


async def off(work: Callable[[], T]) -> T:
    """What a person does meanwhile, in a thread."""
    return await asyncio.to_thread(work)
