"""The main job over HTTP: propose, decide, redeem, report."""

from decimal import Decimal

import pytest
from django.test import Client

from agents.models import Evidence
from approvals.models import Proposal, Verdict
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, desk

pytestmark = pytest.mark.django_db(transaction=True)


def propose(client: Client, the: Desk, key: str = "k1", **body: object) -> dict[str, object]:
    response = client.post(
        "/api/v1/proposals",
        {"action_type": the.action_type.name, "arguments": ARGUMENTS, **body},
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": key},
    )
    assert response.status_code == 201, response.content
    answer: dict[str, object] = response.json()
    return answer


def test_main_path_from_post_to_outcome(client: Client) -> None:
    the = desk()
    proposed = propose(client, the, summary="Customer got a broken lamp")
    assert proposed["status"] == "pending"
    assert proposed["arguments"] == ARGUMENTS
    assert proposed["tier"] == "in_the_loop"
    proposal = Proposal.objects.get(pk=str(proposed["id"]))

    the.decide(proposal, Verdict.APPROVE)

    read = client.get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers).json()
    assert read["status"] == "approved"
    assert read["decision"]["verdict"] == "approve"
    assert read["grant"]["token"].count(".") == 2
    redeemed = client.post(
        f"/api/v1/proposals/{proposal.pk}/redeem",
        {"digest": read["digest"], "grant": read["grant"]["token"]},
        content_type="application/json",
        headers=the.headers,
    )
    assert (redeemed.status_code, redeemed.json()["status"]) == (200, "executing")
    done = client.post(
        f"/api/v1/proposals/{proposal.pk}/outcome",
        {"status": "succeeded", "external_id": "re-1", "result": {"ok": True}},
        content_type="application/json",
        headers=the.headers,
    )
    assert (done.status_code, done.json()["status"]) == (200, "succeeded")

    kinds = AuditEvent.objects.filter(object_id=str(proposal.pk), object_version__isnull=False)
    assert list(kinds.order_by("id").values_list("kind", "object_version")) == [
        ("proposal.pending", 1),
        ("proposal.approved", 2),
        ("proposal.executing", 3),
        ("proposal.succeeded", 4),
    ]
    [evidence] = Evidence.objects.all()
    assert (evidence.verdict, evidence.loss, evidence.probability) == ("approve", Decimal(0), 1.0)
