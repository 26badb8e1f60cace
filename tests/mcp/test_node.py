"""The official MCP client for Node against /mcp: another make of client, another reading of the protocol."""

import json
import subprocess
from pathlib import Path

import pytest

from approvals.models import Proposal, Verdict
from tests import toolchains
from tests.factories import ARGUMENTS, desk
from tests.mcp.asking import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.node_mcp, pytest.mark.timeout(300)]


def test_a_client_of_node_goes_from_proposal_to_outcome(url: str) -> None:
    the = desk()
    script = Path(__file__).with_name("node_client.mjs")
    tool = f"propose_{the.action_type.name}"
    command = ["node", script, toolchains.NODE, f"{url}/mcp", the.token, tool, json.dumps(ARGUMENTS)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def is_waiting() -> bool:
        assert child.poll() is None, child.communicate()
        return Proposal.objects.filter(agent=the.agent, state="pending").exists()

    until(is_waiting)
    edited = ARGUMENTS | {"amount": 12.5}
    the.decide(Proposal.objects.get(), Verdict.EDIT, arguments=edited)
    out, err = child.communicate(timeout=90)
    assert child.returncode == 0, err
    listed, proposed, reported = (json.loads(line) for line in out.splitlines())
    assert tool in listed["tools"]
    assert (proposed, reported) == ({"proposed": "pending"}, {"status": "succeeded", "arguments": edited})
    assert Proposal.objects.get().outcome.result == {"by": "node"}
