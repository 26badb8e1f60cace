"""A47: while the sealer says that it cannot write the log, nothing is decided or redeemed; silence stops nothing."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from agents.autonomy import Tier
from approvals import tasks
from approvals.models import Decision, HeldBallot, Proposal, Verdict
from approvals.services import stop
from approvals.states import State
from approvals.stopping import Switch
from audit.sealer_database import Database
from tests.database import connected
from tests.factories import Desk, admin, desk

pytestmark = pytest.mark.django_db(transaction=True)
FULL = "The log cannot be written: No space left on device (tile/0/000)"


def sealer_says(problem: str) -> None:
    """As its process does, as its role."""
    with connected("sealer") as session:
        Database(session).say(size=0, problem=problem)


def approve(the: Desk, proposal: Proposal) -> Any:
    client = Client()
    client.force_login(the.reviewer)
    return client.post(
        f"/proposals/{proposal.pk}/approve/",
        {"revision": proposal.revision, "version": proposal.version, "seen": "on"},
    )


def redeem(the: Desk, proposal: Proposal) -> Any:
    return Client().post(
        f"/api/v1/proposals/{proposal.pk}/redeem",
        msgspec.json.encode({"digest": proposal.digest}),
        content_type="application/json",
        headers=the.headers,
    )


def now(proposal: Proposal) -> Proposal:
    return Proposal.objects.get(pk=proposal.pk)


def test_a47_a_decision_is_refused_with_a_sentence_and_can_be_made_afterwards() -> None:
    the = desk()
    proposal = the.propose()
    sealer_says(FULL)
    refused = approve(the, proposal)
    assert refused.status_code == 503
    text = refused.content.decode()
    assert "Nothing was decided: the audit log cannot be written right now" in text and 'id="refusal"' in text
    assert "No space" not in text
    assert not Decision.objects.exists() and now(proposal).state == State.PENDING
    sealer_says("")
    assert approve(the, proposal).status_code == 302
    assert now(proposal).state == State.APPROVED


def test_a_decision_made_before_is_still_answered_when_sent_again() -> None:
    """A24 holds meanwhile: the reviewer has to learn that it counted."""
    the = desk()
    proposal = the.propose()
    assert approve(the, proposal).status_code == 302
    sealer_says(FULL)
    assert approve(the, proposal).status_code == 302


def test_a_grant_is_redeemed_afterwards_and_not_meanwhile() -> None:
    the = desk()
    proposal = the.approved()
    sealer_says(FULL)
    refused = redeem(the, proposal)
    problem = msgspec.json.decode(refused.content)
    assert (refused.status_code, problem["code"]) == (503, "log_unavailable")
    assert refused.headers["Retry-After"] == "10"
    assert "Nothing was redeemed" in problem["detail"]
    assert now(proposal).state == State.APPROVED
    sealer_says("")
    assert redeem(the, proposal).status_code == 200
    assert now(proposal).state == State.EXECUTING


def test_what_time_would_decide_waits_and_can_still_be_vetoed() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=60)
    proposal = the.propose()
    Proposal.objects.filter(pk=proposal.pk).update(effective_at=timezone.now() - timedelta(seconds=1))
    sealer_says(FULL)
    assert "windows" not in tasks.tick()
    assert now(proposal).state == State.SCHEDULED
    sealer_says("")
    the.decide(proposal, Verdict.VETO)
    assert now(proposal).state == State.REJECTED


def test_a_verdict_that_is_held_back_waits_too() -> None:
    the = desk(at={"undo_seconds": 5})
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    HeldBallot.objects.update(settles_at=timezone.now() - timedelta(seconds=1))
    sealer_says(FULL)
    tasks.tick()
    assert HeldBallot.objects.exists() and now(proposal).state == State.PENDING
    sealer_says("")
    tasks.tick()
    assert now(proposal).state == State.APPROVED


def test_a_sealer_that_merely_does_not_run_stops_nothing() -> None:
    the = desk()
    with connected("sealer") as session:
        Database(session).say(size=0, problem="")
        session.execute("UPDATE audit_sealerstate SET beat_at = now() - interval '1 day'")
    proposal = the.propose()
    assert approve(the, proposal).status_code == 302
    assert redeem(the, now(proposal)).status_code == 200


def test_agents_may_propose_meanwhile_and_anybody_may_pull_a_stop() -> None:
    the = desk()
    sealer_says(FULL)
    assert the.propose().state == State.PENDING
    pulled = stop.pull(switch=Switch(), by=admin(), reason="to be sure")
    assert pulled.stop.lifted_at is None
