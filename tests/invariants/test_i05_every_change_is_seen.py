"""I5 for what exists: a waiting agent sees every change, also one that nobody announced."""

import threading
import time
from typing import Any

import httpx
import pytest

from approvals import transitions
from approvals.models import Proposal, Verdict
from approvals.services import amend
from tests.factories import ARGUMENTS, desk
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_waiting_agent_follows_every_version_and_misses_no_lost_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as url:
        the = desk()
        proposal = the.propose()
        path = f"{url}/api/v1/proposals/{proposal.pk}"
        seen: list[tuple[int, str]] = []

        def follow() -> None:
            version, status = 1, "pending"
            with httpx.Client(headers=the.headers, timeout=30) as client:
                while status not in ("succeeded", "rejected"):
                    told: dict[str, Any] = client.get(
                        path, params={"wait": "3", "after_version": str(version)}
                    ).json()
                    if told["version"] > version:
                        version, status = told["version"], told["status"]
                        seen.append((version, status))

        agent = threading.Thread(target=follow, daemon=True)
        agent.start()
        time.sleep(0.3)
        the.decide(proposal, Verdict.RETURN)
        _until(lambda: seen == [(2, "returned")])
        amend.revise(proposal_id=proposal.pk, agent=the.agent, arguments={**ARGUMENTS, "amount": 1}, reply="")
        _until(lambda: seen[-1] == (3, "pending"))
        monkeypatch.setattr(transitions, "_announce", lambda proposal: None)
        began = time.monotonic()
        the.decide(proposal, Verdict.REJECT)
        agent.join(60)
        assert seen == [(2, "returned"), (3, "pending"), (4, "rejected")]
        assert time.monotonic() - began < 30
        assert Proposal.objects.get().version == 4


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the waiting agent was not told"
        time.sleep(0.05)
