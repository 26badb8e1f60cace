"""Who carries an approved proposal out is said to the agent; what Countersign does itself is waited for at /mcp."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client as Http
from django.utils import timezone
from mcp import Client

from agents.autonomy import Tier
from agents.services import action_types
from approvals.models import Proposal, Verdict
from approvals.services import execute
from tests.factories import ARGUMENTS, Desk, admin, desk
from tests.mcp.asking import asked
from tests.mcp.test_tools import content, text, tool
from tests.receiver import allow_loopback, receiving, says

pytestmark = pytest.mark.django_db(transaction=True)


def executed(the: Desk, url: str) -> None:
    definition = action_types.as_definition(the.action_type)
    action_types.save(definition=replace(definition, executor_url=url), actor=admin())
    the.action_type.refresh_from_db()


@pytest.mark.parametrize(
    ("tier", "has_executor", "who", "has_grant"),
    [
        (Tier.IN_THE_LOOP, False, "agent", True),
        (Tier.IN_THE_LOOP, True, "countersign", False),
        (Tier.ADVISORY, False, "person", False),
        (Tier.ADVISORY, True, "person", False),
    ],
)
def test_an_approval_says_who_acts(tier: Tier, has_executor: bool, who: str, has_grant: bool) -> None:
    the = desk(tier, at={"undo_seconds": 0})
    if has_executor:
        executed(the, "https://pay.example/x")
    proposal = the.decide(the.propose(), Verdict.APPROVE).proposal
    told = Http().get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers).json()
    assert (told["status"], told["carried_out_by"]) == ("approved", who)
    assert (told["grant"] is not None) is has_grant


def test_the_wait_goes_on_to_the_outcome(url: str) -> None:
    the = desk(at={"undo_seconds": 0})
    allow_loopback()

    async def work(client: Client) -> dict[str, Any]:
        proposed = await client.call_tool(tool(the), {"arguments": ARGUMENTS, "summary": "He paid twice."})
        of = {"proposal_id": content(proposed)["id"]}
        row = await asyncio.to_thread(Proposal.objects.get, pk=of["proposal_id"])
        await asyncio.to_thread(the.decide, row, Verdict.APPROVE)
        early = await client.call_tool("wait_for_decision", of | {"seconds": 0})
        assert "Countersign carries it out itself, not you" in text(early)
        waiting = asyncio.ensure_future(client.call_tool("wait_for_decision", of | {"seconds": 50}))
        await asyncio.to_thread(execute.run, clock=timezone.now, seconds=60)
        ended = content(await waiting)
        assert ended["carried_out_by"] == "countersign"
        return ended

    with receiving() as server:
        server.answer = says(200, json.dumps({"paid": True}).encode())
        executed(the, server.url)
        ended = asked(url, the.token, work)
    assert (ended["status"], ended["outcome"]["result"]) == ("succeeded", {"paid": True})
