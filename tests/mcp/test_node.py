"""The official MCP client for Node against /mcp: another make of client, another reading of the protocol."""

import pytest

from approvals.models import Proposal, Verdict
from tests.factories import ARGUMENTS, desk
from tests.mcp.clients import Place, call, node

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.node_mcp, pytest.mark.timeout(300)]


def test_a_client_of_node_goes_from_proposal_to_outcome(url: str) -> None:
    the = desk()
    tool = f"propose_{the.action_type.name}"
    with node(Place(url=f"{url}/mcp", token=the.token)) as client:
        assert tool in client.tools()
        proposed = call(client, tool, arguments=ARGUMENTS, summary="He paid twice.").data
        assert proposed["status"] == "pending"
        waiting = client.begin("wait_for_decision", {"proposal_id": proposed["id"]})
        edited = ARGUMENTS | {"amount": 12.5}
        the.decide(Proposal.objects.get(), Verdict.EDIT, arguments=edited, comment="Half of it.")
        decided = waiting.result(100)
        assert "Half of it." in decided.text and decided.data["arguments"] == edited
        named = {"proposal_id": proposed["id"]}
        stale = call(client, "redeem_grant", **named, digest=proposed["digest"])
        assert stale.is_error and stale.data["code"] == "digest_mismatch"
        redeemed = call(client, "redeem_grant", **named, digest=decided.data["digest"])
        assert redeemed.data["arguments"] == edited
        call(client, "report_outcome", **named, status="succeeded", result={"by": "node"})
        read = call(client, "get_proposal", **named)
        assert (read.data["status"], read.data["outcome"]["result"]) == ("succeeded", {"by": "node"})
        listed = call(client, "list_proposals", status="succeeded").data["items"]
        assert [item["id"] for item in listed] == [proposed["id"]]
        foreign = call(client, "get_proposal", proposal_id=str(desk().propose().pk))
        assert foreign.is_error and foreign.data["code"] == "not_found"
