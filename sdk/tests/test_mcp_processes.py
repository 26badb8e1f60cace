"""The gateway as a process of its own, over both transports, before a server that is one too; and killed in a call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters, types
from mcp.client.streamable_http import streamable_http_client
from mcp_behind import off, text
from mcp_shop import Shop

import countersign
from countersign.mcp import main
from countersign.mcp.server import KEY
from countersign.testing import FakeServer, wait_until

T = TypeVar("T")
SECRET = "a-token-of-the-gateways-own"
COMMAND = ("-c", "import sys; from countersign.cli import main; sys.exit(main())", "mcp-gateway", "--config")
REFUND = {"order_id": "A-1", "amount": 12.5}


@pytest.fixture
def people() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings before the shop as a command; the shop is told nothing of Countersign."""
    document = {
        "server": {
            "command": sys.executable,
            "args": [str(Path(__file__).with_name("mcp_shop.py")), str(tmp_path / "ledger.jsonl")],
            "env": {"SHOP_SECRET": "${SHOP_SECRET}"},
        },
        "domain": "shop",
        "reads": ["list_*"],
    }
    path = tmp_path / "mcp-gateway.json"
    path.write_text(json.dumps(document))
    os.environ["SHOP_SECRET"] = "only the shop's"
    try:
        assert main(["--config", str(path), "import"]) == 0
    finally:
        del os.environ["SHOP_SECRET"]
    return path


def environment(people: FakeServer) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(countersign.__file__).parents[1]),
        "COUNTERSIGN_URL": people.url,
        "COUNTERSIGN_TOKEN": people.token,
        "COUNTERSIGN_GATEWAY_TOKEN": SECRET,
        "SHOP_SECRET": "only the shop's",
    }


@contextmanager
def running(config: Path, people: FakeServer) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The gateway over HTTP at a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, *COMMAND, str(config), "run", "--http", f"127.0.0.1:{port}"], env=environment(people)
    )
    url = f"http://127.0.0.1:{port}/mcp"

    def answers() -> bool:
        assert child.poll() is None, "the gateway ended"
        try:
            return httpx.post(url).status_code == 401
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, timeout=60)
        yield url, child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        child.wait(60)


def asked(url: str, work: Callable[[Client], Awaitable[T]], mode: str, session: str = "") -> T:
    async def run() -> T:
        headers = {"Authorization": f"Bearer {SECRET}"} | ({"Mcp-Session-Id": session} if session else {})
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            return await work(client)

    return asyncio.run(run())


def test_over_http_only_with_the_token_and_killed_in_a_call_it_calls_nothing_twice(
    config: Path, people: FakeServer
) -> None:
    shop = Shop(config.with_name("ledger.jsonl"))
    meta: Any = {KEY: "slow"}

    async def refunded(client: Client) -> str:
        return text(await client.call_tool("refundOrder", REFUND))

    async def killed(client: Client) -> None:
        calling = asyncio.create_task(client.call_tool("slow_refund", REFUND, meta=meta))
        proposal = await off(people.next)
        await off(lambda: people.approve(proposal))
        await off(lambda: wait_until(lambda: len(shop.refunds) == 4))
        child.kill()
        await off(child.wait)
        calling.cancel()
        await asyncio.wait({calling})

    async def again(client: Client) -> types.CallToolResult:
        return await client.call_tool("slow_refund", REFUND, meta=meta)

    with running(config, people) as (url, child):
        sent = {"Authorization": f"Bearer {SECRET}"}
        statuses = [
            httpx.post(url, headers=headers).status_code
            for headers in (
                {"Authorization": "Bearer another"},
                sent | {"Origin": "https://evil.example"},
                sent | {"Origin": "http://["},
                sent | {"Host": "evil.example"},
                sent | {"Host": "["},
                sent | {"Mcp-Session-Id": "made-up"},
            )
        ]
        assert statuses == [401, 403, 403, 403, 403, 404]
        people.answer(people.approve)
        assert asked(url, refunded, "legacy") == "Refunded 12.5."
        for _ in range(2):  # a session's name that this gateway never gave makes two calls no repeat of one
            assert asked(url, refunded, "2026-07-28", session="made-up") == "Refunded 12.5."
        assert len(shop.refunds) == 3
        people.answer(None)
        for proposal in people.proposals:
            assert proposal.status == "succeeded"
        with suppress(Exception):  # how the library takes it that its server was killed is its own matter
            asked(url, killed, "2026-07-28")
    with running(config, people) as (url, _):
        result = asked(url, again, "2026-07-28")
    assert result.is_error and "nobody knows" in text(result)
    assert len(shop.refunds) == 4
    assert [proposal.status for proposal in people.proposals] == ["succeeded"] * 3 + ["unknown"]


def test_over_stdio_the_client_starts_it_and_what_it_leaves_waiting_is_withdrawn(
    config: Path, people: FakeServer
) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=[*COMMAND, str(config), "run"], env=environment(people)
    )

    async def work() -> list[str]:
        async with Client(command) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "list_orders" in names and "countersign_wait" in names
            read = await client.call_tool("list_orders", {})
            waiting = asyncio.create_task(client.call_tool("refundOrder", REFUND))
            await off(people.next)
        await asyncio.wait({waiting})
        return [text(read)]

    assert asyncio.run(work()) == ["A-1, A-2"]
    given = json.loads(config.with_name("environment.json").read_text())
    assert given.pop("SHOP_SECRET") == "only the shop's"
    assert not [name for name in given if name.startswith("COUNTERSIGN")], (
        "the shop is told nothing of Countersign"
    )
    kept = [path for path in config.parent.iterdir() if path.is_file() and path.name != "environment.json"]
    assert len(kept) > 3
    assert not [path.name for path in kept if b"only the shop's" in path.read_bytes()]
    wait_until(lambda: people.proposals[0].status == "withdrawn")
    assert Shop(config.with_name("ledger.jsonl")).refunds == []
