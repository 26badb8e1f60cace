"""The gateway with everything real: a server behind it, Countersign beside it, an admin who loads its blueprint."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from countersign.mcp import main
from countersign.mcp.server import gateway
from countersign.mcp.settings import load
from mcp import Client

from agents.models import Agent
from agents.services import credentials
from approvals.ballots import Ballot
from approvals.models import Proposal, Queue, Verdict
from approvals.services import load_blueprint
from approvals.services.decide import decide
from tests.factories import admin, person, reviewer
from tests.mcp.asking import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
SHOP = Path(__file__).resolve().parents[2] / "sdk" / "tests" / "mcp_shop.py"


def decided_at_once(**extra: Any) -> None:
    """The next proposal that waits is decided by a reviewer of the queue that the blueprint made."""
    until(lambda: Proposal.objects.filter(state="pending").exists())
    proposal = Proposal.objects.get(state="pending")
    judge = reviewer(Queue.objects.get(slug="shop-actions"))
    ballot = Ballot(revision=proposal.revision, version=proposal.version, seen=True, **extra)
    decide(proposal_id=proposal.pk, reviewer=judge, ballot=ballot)


def test_from_import_to_outcome(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = person("Olga Owner")
    ledger = tmp_path / "ledger.jsonl"
    document = {
        "server": {"command": sys.executable, "args": [str(SHOP), str(ledger)]},
        "domain": "shop",
        "reads": ["list_*"],
        "agent": {"slug": "shop-agent", "name": "Shop agent", "owner": owner.email},
    }
    config = tmp_path / "mcp-gateway.json"
    config.write_text(json.dumps(document))

    assert main(["--config", str(config), "import"]) == 0
    text = (tmp_path / "shop.blueprint.yaml").read_bytes()
    assert load_blueprint.load(data=text, name="shop.blueprint.yaml", actor=admin()).is_needed
    assert not load_blueprint.load(data=text, name="shop.blueprint.yaml", actor=admin()).is_needed
    _, token = credentials.issue(agent_id=Agent.objects.get(slug="shop-agent").pk, actor=owner)
    monkeypatch.setenv("COUNTERSIGN_URL", url)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", token)

    async def work() -> list[types.CallToolResult]:
        async with gateway(load(config)) as server, Client(server, cache=None) as client:
            read = await client.call_tool("list_orders", {})
            edited = asyncio.create_task(client.call_tool("refundOrder", {"order_id": "A-1", "amount": 12.5}))
            await asyncio.to_thread(
                decided_at_once, verdict=Verdict.EDIT, arguments={"order_id": "A-1", "amount": 5}
            )
            await edited
            refused = asyncio.create_task(client.call_tool("refundOrder", {"order_id": "A-2", "amount": 9}))
            await asyncio.to_thread(
                decided_at_once, verdict=Verdict.REJECT, reason="not_allowed", comment="It was never paid."
            )
            wrong = await client.call_tool("refundOrder", {"order_id": "A-3", "amount": "much"})
            return [read, edited.result(), await refused, wrong]

    read, edited, refused, wrong = asyncio.run(work())
    assert read.structured_content == {"orders": ["A-1", "A-2"]}
    assert edited.structured_content == {"refund": 1}
    assert refused.is_error and "It was never paid." in str(refused.content)
    assert wrong.is_error and "/amount" in str(wrong.content)
    assert [json.loads(line) for line in ledger.read_text().splitlines()] == [
        {"order_id": "A-1", "amount": 5}
    ]
    states = Proposal.objects.order_by("created_at").values_list("state", flat=True)
    assert list(states) == ["succeeded", "rejected"]
