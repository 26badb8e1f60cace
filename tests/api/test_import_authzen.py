"""A proposal as a task of the AuthZEN draft, over HTTP, through the ways it can go."""

from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from agents.autonomy import Tier
from agents.models import ActionType
from approvals.imports.authzen import ADVISED, EXECUTED_HERE, REDEEM, REDEMPTION
from approvals.models import Grant, Proposal, Verdict
from tests.api.importing import ROOT, decide
from tests.factories import Desk, desk
from tests.invariants.calls import AgentCalls, call

pytestmark = pytest.mark.django_db


@pytest.fixture
def the() -> Desk:
    return desk()


def task(the: Desk, proposal: Proposal) -> dict[str, Any]:
    found = call("GET", f"{ROOT}/authzen/tasks/{proposal.pk}", the.token)
    assert found.status == 200, found.body
    return found.body


def test_pending_then_approved_with_a_way_to_redeem(the: Desk) -> None:
    proposal = the.propose()
    pending = task(the, proposal)
    assert pending["task"]["status"] == "pending"
    assert pending["task"]["status_endpoint"] == (f"{settings.PUBLIC_URL}{ROOT}/authzen/tasks/{proposal.pk}")
    assert datetime.fromisoformat(pending["task"]["expires_at"]) == proposal.expires_at
    assert "result" not in pending
    decide(the.reviewer, proposal.pk, "approve")

    approved = task(the, proposal)
    grant = Grant.objects.get(proposal=proposal)
    assert (approved["task"]["status"], approved["result"]["mode"]) == ("approved", REDEEM)
    assert approved["result"]["approval"]["id"] == str(grant.pk)
    until = datetime.fromisoformat(approved["result"]["approval"]["approved_until"])
    assert until == grant.expires_at
    redemption = approved["result"][REDEMPTION]
    path = redemption["address"].removeprefix(settings.PUBLIC_URL)
    assert call("POST", path, the.token, {"digest": redemption["digest"]}).status == 200

    used = task(the, proposal)
    assert used["task"]["status"] == "approved", "a task leaves pending once and then stays"
    assert REDEMPTION not in used["result"]
    assert datetime.fromisoformat(used["result"]["approval"]["approved_until"]) <= timezone.now()


def test_the_other_ends(the: Desk) -> None:
    rejected, withdrawn, returned = (the.propose() for _ in range(3))
    decide(the.reviewer, rejected.pk, "reject", reason="wrong_amount", comment="No.")
    decide(the.reviewer, returned.pk, "return", comment="Which?")
    assert AgentCalls(the).do(withdrawn.pk, "withdraw").status == 200
    assert [task(the, one)["task"]["status"] for one in (rejected, withdrawn, returned)] == [
        "denied",
        "cancelled",
        "pending",
    ]


def test_advice_is_not_approved(the: Desk) -> None:
    advised = desk(Tier.ADVISORY)
    proposal = advised.decide(advised.propose(), Verdict.APPROVE).proposal
    found = task(advised, proposal)
    assert (found["task"]["status"], "result" in found) == (ADVISED, False)


def test_what_countersign_carries_out_itself_offers_nothing_to_redeem(the: Desk) -> None:
    ActionType.objects.filter(pk=the.action_type.pk).update(executor_url="https://192.0.2.7/run")
    proposal = the.approved()
    found = task(the, proposal)
    assert found["result"]["mode"] == EXECUTED_HERE
    assert REDEMPTION not in found["result"]


def test_another_agents_task_does_not_exist(the: Desk) -> None:
    proposal = the.propose()
    other = call("GET", f"{ROOT}/authzen/tasks/{proposal.pk}", desk().token)
    assert (other.status, other.code) == (404, "not_found")
    assert call("GET", f"{ROOT}/authzen/tasks/{proposal.pk}?wait=61", the.token).code == "fields_invalid"
