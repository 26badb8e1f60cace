"""A gateway whose process dies at every step from the approval to the report. Its next life calls nothing twice, and
says `unknown` where nobody can know."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types
from mcp_behind import text
from mcp_shop import Shop

import countersign
from countersign.mcp import main
from countersign.mcp.server import KEY, gateway
from countersign.mcp.settings import load
from countersign.testing import FakeServer

REFUND = {"order_id": "A-1", "amount": 12.5}
META: Any = {KEY: "order-17"}
DIES = """
import asyncio, os, sys
from pathlib import Path
from mcp import Client
from countersign import AsyncCountersign
from countersign.mcp.journal import Journal
from countersign.mcp.server import KEY, gateway
from countersign.mcp.settings import load
from countersign.mcp.upstream import Upstream

async def main(config, point, arguments, key):
    where, name = point.split(".")
    owner = {"Countersign": AsyncCountersign, "Journal": Journal, "Upstream": Upstream}[where]
    setattr(owner, name, lambda *given, **more: os._exit(9))
    async with gateway(load(Path(config))) as server, Client(server) as client:
        await client.call_tool("refundOrder", arguments, meta={KEY: key})

asyncio.run(main(sys.argv[1], sys.argv[2], {"order_id": "A-1", "amount": 12.5}, "order-17"))
"""


def written(folder: Path) -> Path:
    """Settings before a shop whose ledger is in the folder."""
    shop = [str(Path(__file__).with_name("mcp_shop.py")), str(folder / "ledger.jsonl")]
    config = folder / "mcp-gateway.json"
    document = {"server": {"command": sys.executable, "args": shop}, "domain": "shop", "reads": ["list_*"]}
    config.write_text(json.dumps(document))
    return config


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The shop's tools, accepted."""
    config = written(tmp_path_factory.mktemp("imported"))
    assert main(["--config", str(config), "import"]) == 0
    return config.with_suffix(".lock.json").read_bytes()


@pytest.mark.parametrize(
    ("point", "done", "after", "outcome", "words"),
    [
        ("Countersign.redeem", 0, 1, "succeeded", "Refunded 12.5."),
        ("Upstream.call", 0, 0, "unknown", "nobody knows"),
        ("Journal.called", 1, 1, "unknown", "nobody knows"),
        ("Countersign.report", 1, 1, "succeeded", "Refunded 12.5."),
    ],
    ids=["before-redeeming", "before-the-call", "before-the-answer-is-kept", "before-the-report"],
)
def test_its_next_life_calls_nothing_twice(
    point: str,
    done: int,
    after: int,
    outcome: str,
    words: str,
    lock: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`done` refunds are made when it dies, `after` in the end: an approval that was not used is used by the repeat."""
    config, shop = written(tmp_path), Shop(tmp_path / "ledger.jsonl")
    config.with_suffix(".lock.json").write_bytes(lock)

    async def again() -> list[types.CallToolResult]:
        async with gateway(load(config)) as server, Client(server, cache=None) as client:
            return [await client.call_tool("refundOrder", REFUND, meta=META) for _ in range(3)]

    with FakeServer() as people:
        people.answer(people.approve)
        monkeypatch.setenv("COUNTERSIGN_URL", people.url)
        monkeypatch.setenv("COUNTERSIGN_TOKEN", people.token)
        path = {"PYTHONPATH": str(Path(countersign.__file__).parents[1])}
        first = subprocess.run(
            [sys.executable, "-c", DIES, str(config), point], env=os.environ | path, timeout=100, check=False
        )
        assert (first.returncode, len(shop.refunds)) == (9, done), "it died where it should"
        results = asyncio.run(again())
        assert all(words in text(result) for result in results)
        [proposal] = people.proposals
        assert proposal.outcome is not None and proposal.outcome.status == outcome
        assert len(shop.refunds) == after
