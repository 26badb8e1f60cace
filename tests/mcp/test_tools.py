"""The official client against /mcp over a real port: from the list of tools to a reported outcome."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mcp_types as types
import pytest
from mcp import Client

from agents.services import credentials
from approvals.models import Proposal, Verdict
from config import mcp_server, waiting
from tests.factories import ARGUMENTS, Desk, desk
from tests.mcp.asking import MODES, asked, until

pytestmark = pytest.mark.django_db(transaction=True)


def tool(the: Desk) -> str:
    return f"propose_{the.action_type.name}"


def content(result: types.CallToolResult) -> dict[str, Any]:
    found = result.structured_content
    assert isinstance(found, dict)
    return found


def text(result: types.CallToolResult) -> str:
    first = result.content[0]
    assert isinstance(first, types.TextContent)
    return first.text


def test_tools_are_those_of_the_agents_mandates(url: str) -> None:
    the, other = desk(), desk()
    each = [asked(url, the.token, lambda client: client.list_tools(), mode).tools for mode in MODES]
    assert each[0] == each[1] == each[2]
    by_name = {one.name: one for one in each[0]}
    assert [name for name in by_name if name.startswith("propose_")] == [tool(the)]
    assert tool(other) not in by_name
    offered = by_name[tool(the)].input_schema["properties"]["arguments"]
    assert offered == the.action_type.schema
    assert not {name for name in by_name if "decide" in name or "approve" in name or "vote" in name} - {
        tool(the)
    }


def test_an_action_goes_from_proposal_to_outcome(url: str) -> None:
    for mode in ("legacy", "2026-07-28"):
        goes_from_proposal_to_outcome(url, desk(), mode)


def goes_from_proposal_to_outcome(url: str, the: Desk, mode: str) -> None:

    async def work(client: Client) -> dict[str, Any]:
        proposed = await client.call_tool(
            tool(the), {"arguments": ARGUMENTS, "summary": "He paid twice.", "idempotency_key": "twice-paid"}
        )
        again = await client.call_tool(
            tool(the), {"arguments": ARGUMENTS, "summary": "He paid twice.", "idempotency_key": "twice-paid"}
        )
        assert content(proposed)["status"] == "pending"
        assert content(again)["id"] == content(proposed)["id"]
        proposal_id = content(proposed)["id"]
        row = await asyncio.to_thread(Proposal.objects.get, pk=proposal_id)
        await asyncio.to_thread(
            the.decide, row, Verdict.EDIT, arguments=ARGUMENTS | {"amount": 12.5}, comment="Half of it."
        )
        decided = await client.call_tool("wait_for_decision", {"proposal_id": proposal_id, "seconds": 20})
        assert content(decided)["arguments"]["amount"] == 12.5
        assert "Half of it." in text(decided)
        redeemed = await client.call_tool(
            "redeem_grant", {"proposal_id": proposal_id, "digest": content(decided)["digest"]}
        )
        assert content(redeemed)["status"] == "executing"
        twice = await client.call_tool(
            "redeem_grant", {"proposal_id": proposal_id, "digest": content(decided)["digest"]}
        )
        assert twice.is_error and content(twice)["code"] == "grant_refused"
        reported = await client.call_tool(
            "report_outcome",
            {"proposal_id": proposal_id, "status": "succeeded", "result": {"refund": "r-1"}},
        )
        return content(reported)

    reported = asked(url, the.token, work, mode)
    assert reported["status"] == "succeeded"
    assert reported["outcome"]["result"] == {"refund": "r-1"}
    assert Proposal.objects.filter(agent=the.agent).count() == 1


def test_a_waiting_call_hears_of_the_decision_and_of_time_passing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "PROGRESS_EVERY", 0.05)
    the = desk()
    proposal = the.propose()
    notes: list[str | None] = []
    results: list[types.CallToolResult] = []

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        notes.append(message)

    async def work(client: Client) -> None:
        results.append(
            await client.call_tool(
                "wait_for_decision",
                {"proposal_id": str(proposal.pk), "seconds": 50},
                progress_callback=noted,
            )
        )

    waiter = threading.Thread(target=lambda: asked(url, the.token, work))
    waiter.start()
    until(lambda: bool(waiting.hub._waiting) and len(notes) > 1)
    assert results == []
    the.decide(proposal, Verdict.REJECT, comment="The order is not paid.")
    waiter.join(60)
    assert content(results[0])["status"] == "rejected"
    assert "The order is not paid." in text(results[0])
    assert set(notes) == {"Nobody has decided yet."}


def test_who_waits_is_not_told_once_the_credential_is_revoked(url: str) -> None:
    the = desk()
    proposal = the.propose()

    async def work(client: Client) -> types.CallToolResult:
        return await client.call_tool("wait_for_decision", {"proposal_id": str(proposal.pk), "seconds": 50})

    with ThreadPoolExecutor(1) as other:
        waiter = other.submit(asked, url, the.token, work)
        until(lambda: bool(waiting.hub._waiting))
        credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
        the.decide(proposal, Verdict.APPROVE)
        result = waiter.result(60)
    assert result.is_error and content(result)["code"] == "bad_credential"
    assert "grant" not in content(result)


def test_a_question_is_answered_by_a_revision_and_what_is_unwanted_withdrawn(url: str) -> None:
    the = desk()
    proposal, unwanted = the.propose(), the.propose()
    the.decide(proposal, Verdict.RETURN, comment="Which order is meant?")

    async def work(client: Client) -> list[types.CallToolResult]:
        named = {"proposal_id": str(proposal.pk)}
        return [
            await client.call_tool("get_proposal", named),
            await client.call_tool(
                "revise_proposal", named | {"arguments": ARGUMENTS | {"order_id": "A-2"}, "reply": "A-2."}
            ),
            await client.call_tool("withdraw_proposal", {"proposal_id": str(unwanted.pk), "reason": "Done."}),
            await client.call_tool("list_proposals", {"status": "withdrawn"}),
            await client.call_tool("get_mandates", {}),
        ]

    asking, revised, withdrawn, listed, mandates = asked(url, the.token, work)
    assert "Which order is meant?" in text(asking) and content(asking)["status"] == "returned"
    assert (content(revised)["status"], content(revised)["revision"]) == ("pending", 2)
    assert content(withdrawn)["status"] == "withdrawn"
    assert [item["id"] for item in content(listed)["items"]] == [str(unwanted.pk)]
    assert content(mandates)["agent"] == the.agent.slug


def test_faults_are_told_as_errors_of_the_tool(url: str) -> None:
    the, other = desk(), desk()
    foreign = other.propose()

    async def work(client: Client) -> list[types.CallToolResult]:
        return [
            await client.call_tool(tool(the), {"arguments": ARGUMENTS | {"amount": "much"}}),
            await client.call_tool(tool(the), {"arguments": ARGUMENTS, "verdict": "approve"}),
            await client.call_tool(tool(other), {"arguments": ARGUMENTS}),
            await client.call_tool("get_proposal", {"proposal_id": str(foreign.pk)}),
            await client.call_tool("get_proposal", {"proposal_id": "../me"}),
            await client.call_tool("list_proposals", {"status": "pending&limit=1"}),
            await client.call_tool("wait_for_decision", {"proposal_id": str(foreign.pk), "seconds": 600}),
            await client.call_tool("approve_proposal", {"proposal_id": str(foreign.pk)}),
        ]

    results = asked(url, the.token, work)
    denied = content(results.pop(2))
    assert denied["status"] == "denied"
    assert all(result.is_error for result in results)
    wrong, unknown, hidden, *calls = results
    assert "/amount" in text(wrong)
    assert "verdict" in text(unknown)
    assert content(hidden)["code"] == "not_found"
    assert [text(call)[:30] for call in calls] == [
        "proposal_id: '../me' is not an",
        "status is not acceptable.",
        "seconds must be a whole number",
        "There is no tool 'approve_prop",
    ]
    assert Proposal.objects.filter(agent=the.agent, state="pending").count() == 0


def test_a_client_with_a_person_beside_is_sent_to_the_review_page_once(url: str) -> None:
    the = desk()
    shown: list[types.ElicitRequestURLParams] = []

    async def opens(context: Any, params: Any) -> types.ElicitResult:
        shown.append(params)
        return types.ElicitResult(action="accept")

    async def work(client: Client) -> types.CallToolResult:
        return await client.call_tool(tool(the), {"arguments": ARGUMENTS})

    result = content(asked(url, the.token, work, "2026-07-28", elicitation_callback=opens))
    proposal = Proposal.objects.get()
    assert [page.url for page in shown] == [mcp_server.review_page(str(proposal.pk))]
    assert (result["id"], result["status"]) == (str(proposal.pk), "pending"), (
        "the page decides, the client does not"
    )
    assert result["review_page"] == shown[0].url

    foreign = desk().propose()

    async def forges(client: Client) -> types.CallToolResult:
        return await client.call_tool(tool(the), {"arguments": ARGUMENTS}, request_state=str(foreign.pk))

    forged = asked(url, the.token, forges, "2026-07-28")
    assert forged.is_error and content(forged)["code"] == "not_found"
