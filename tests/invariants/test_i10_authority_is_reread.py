"""I10 over HTTP, and from another process: what was taken away is gone at the very next request."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection

from agents.autonomy import Tier
from agents.models import Mandate
from agents.services import credentials, mandates
from approvals.models import Proposal
from approvals.services import suspend
from tests.factories import ARGUMENTS, Desk, admin, desk, policy
from tests.invariants.calls import AgentCalls, history, together

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def another_process() -> Iterator[str]:
    """The application in a process of its own, on the tests' database; its caches know nothing of ours."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--no-access-log"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 100
        while True:
            try:
                if httpx.get(f"{address}/healthz", timeout=20).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, "the other process ended"
            assert time.monotonic() < deadline, "the other process did not start"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def test_another_process_learns_of_every_change_at_its_next_request() -> None:
    with another_process() as url:
        the = desk(Tier.OUT_OF_THE_LOOP)
        client = httpx.Client(base_url=url, headers=the.headers, timeout=20)

        def propose(key: str) -> httpx.Response:
            body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}
            return client.post("/api/v1/proposals", json=body, headers={"Idempotency-Key": key})

        first = propose("1")
        assert (first.status_code, first.json()["status"]) == (201, "approved")
        policy([{"name": "look", "when": "true", "review": {}}], the.queue)
        assert propose("2").json()["route"]["reasons"][0]["rule"] == "look"
        policy([], the.queue)
        granted = propose("3").json()
        terms = mandates.as_terms(Mandate.objects.get(pk=the.mandate.pk))
        mandates.save(
            agent_id=the.agent.pk,
            action_type=the.action_type.name,
            terms=mandates.Terms(**{**terms.__dict__, "tier": Tier.IN_THE_LOOP}),
            actor=admin(),
        )
        assert propose("4").json()["status"] == "pending"
        used = client.post(f"/api/v1/proposals/{granted['id']}/redeem", json={"digest": granted["digest"]})
        assert (used.status_code, used.json()["code"]) == (409, "grant_refused")
        suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
        assert propose("5").json()["route"]["reasons"][0]["code"] == "agent_not_live"
        credentials.revoke(credential_id=the.credential.pk, actor=admin())
        for answer in (
            propose("6"),
            client.get("/api/v1/me"),
            client.get(f"/api/v1/proposals/{granted['id']}"),
            client.get(f"/api/v1/proposals/{granted['id']}?wait=5&after_version=9"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "bad_credential")
            assert answer.headers["content-type"] == "application/problem+json"
        assert Proposal.objects.filter(idempotency_key="6").count() == 0


def lowered(the: Desk, **changed: object) -> None:
    terms = mandates.as_terms(Mandate.objects.get(pk=the.mandate.pk)).__dict__
    mandates.save(
        agent_id=the.agent.pk,
        action_type=the.action_type.name,
        terms=mandates.Terms(**{**terms, **changed}),
        actor=admin(),
    )


@pytest.mark.parametrize(
    "limit", [{"window_count": 2}, {"window_amount": Decimal(85)}], ids=["count", "amount"]
)
def test_two_redemptions_at_once_do_not_pass_a_window_together(limit: dict[str, object]) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    found = [the.propose() for _ in range(5)]
    lowered(the, **limit)
    answers = together(*[lambda p=p: AgentCalls(the).do(p.pk, "redeem", digest=p.digest) for p in found])
    assert sorted(answer.status for answer in answers) == [200, 200, 409, 409, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"limit_reached"}


@pytest.mark.parametrize(
    "limit", [{"window_count": 2}, {"window_amount": Decimal(85)}], ids=["count", "amount"]
)
def test_two_autonomous_proposals_at_the_limit_do_not_pass_together(limit: dict[str, object]) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    lowered(the, **limit)
    answers = together(*[lambda: AgentCalls(the).propose()] * 6)
    assert sorted(answer.body["status"] for answer in answers) == ["approved"] * 2 + ["pending"] * 4
    for answer in answers:
        assert history(answer.body["id"]) == [answer.body["status"]]


def test_a_redemption_and_a_suspension_at_once_agree() -> None:
    for _ in range(3):
        the = desk(Tier.OUT_OF_THE_LOOP)
        proposal = the.propose()
        answer, _ = together(
            lambda: AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest),  # noqa: B023 - run at once
            lambda: suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd"),  # noqa: B023
        )
        kinds = history(proposal.pk)
        assert kinds[-1] == ("executing" if answer.status == 200 else "revoked")


def test_a_redemption_and_a_revocation_of_the_credential_at_once_agree() -> None:
    for _ in range(3):
        the = desk(Tier.OUT_OF_THE_LOOP)
        proposal = the.propose()
        answer, _ = together(
            lambda: AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest),  # noqa: B023 - run at once
            lambda: credentials.revoke(credential_id=the.credential.pk, actor=admin()),  # noqa: B023
        )
        assert (answer.status, answer.code) in {(200, ""), (401, "bad_credential")}
        assert history(proposal.pk)[-1] == ("executing" if answer.status == 200 else "approved")
