"""Two at once: the last within a limit of a subject or an agent is one, and a stop and what begins agree."""

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from agents.autonomy import Tier
from agents.models import Mandate, Stop
from agents.services import budgets, mandates
from agents.services.budgets import Budget
from approvals.models import Grant, Proposal
from approvals.services import stop
from approvals.services.stop import Switch
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, action_type, admin, desk, earned
from tests.invariants.calls import AgentCalls, call, history, together

pytestmark = pytest.mark.django_db(transaction=True)
OUT = Tier.OUT_OF_THE_LOOP


def two_mandates(**terms: Any) -> tuple[Desk, str]:
    """An agent with two action types out of the loop; the second one's name."""
    the, kind = desk(OUT, **terms), action_type()
    amounts: dict[str, Any] = {name: Decimal(value) for name, value in terms.items()}
    wanted = mandates.Terms(ceiling=OUT, **amounts)
    second = mandates.save(agent_id=the.agent.pk, action_type=kind.name, terms=wanted, actor=admin())
    assert isinstance(second, Mandate)
    earned(second, OUT)
    return the, kind.name


def proposing(the: Desk, name: str, number: int, subject: str = "c-17") -> Callable[[], Any]:
    body = {
        "action_type": name,
        "arguments": ARGUMENTS,
        "subject": {"type": "customer", "id": subject},
    }
    return lambda: call("POST", "/api/v1/proposals", the.token, body, Idempotency_Key=f"{name}-{number}")


def begun(the: Desk, bodies: list[dict[str, Any]]) -> list[int]:
    calls = [lambda b=b: AgentCalls(the).do(b["id"], "redeem", digest=b["digest"]) for b in bodies]
    return sorted(answer.status for answer in together(*calls))


def test_a_budget_is_not_passed_by_two_mandates_at_once() -> None:
    the, other = two_mandates()
    budgets.save(
        agent_id=the.agent.pk, budget=Budget(amount=Decimal(90), currency="EUR"), actor=admin(), reason=""
    )
    calls = [
        proposing(the, name, number, f"c-{name}-{number}")
        for name in (the.action_type.name, other)
        for number in range(3)
    ]
    answers = together(*calls)
    assert sorted(answer.body["status"] for answer in answers) == ["approved"] * 2 + ["pending"] * 4


def test_a_large_action_is_not_split_over_two_mandates_at_once() -> None:
    the, other = two_mandates(max_amount="100")
    answers = together(*(proposing(the, name, n) for name in (the.action_type.name, other) for n in range(3)))
    assert sorted(answer.body["status"] for answer in answers) == ["approved"] * 2 + ["pending"] * 4


def test_two_redemptions_at_once_do_not_pass_a_lowered_budget_together() -> None:
    the, other = two_mandates()
    names = (the.action_type.name, other)
    bodies = [
        answer.body for answer in together(*(proposing(the, name, n) for name in names for n in range(2)))
    ]
    assert {body["status"] for body in bodies} == {"approved"}
    budgets.save(agent_id=the.agent.pk, budget=Budget(count=1), actor=admin(), reason="")
    assert begun(the, bodies) == [200, 409, 409, 409]


@pytest.mark.parametrize("scope", ["all", "agent", "action_type", "mandate"])
def test_a_redemption_and_a_stop_at_once_agree(scope: str) -> None:
    """Either it began before the stop's commit, or it did not begin; never does a grant outlive the stop."""
    the = desk(OUT)
    switches = {
        "all": Switch(),
        "agent": Switch(agent=the.agent),
        "action_type": Switch(action_type=the.action_type),
        "mandate": Switch(mandate=the.mandate),
    }
    for _ in range(4):
        bodies = [AgentCalls(the).propose().body for _ in range(3)]
        calls = [lambda b=b: AgentCalls(the).do(b["id"], "redeem", digest=b["digest"]) for b in bodies]
        *answers, pulled = together(
            *calls, lambda: stop.pull(switch=switches[scope], by=admin(), reason="odd")
        )
        stopped_at = Stop.objects.get(pk=pulled.stop.pk).stopped_at
        for body, answer in zip(bodies, answers, strict=True):
            grant = Grant.objects.get(proposal=body["id"])
            assert history(body["id"])[-1] == ("executing" if answer.status == 200 else "revoked")
            assert grant.redeemed_at is None or grant.redeemed_at <= stopped_at
        assert AgentCalls(the).propose().body["status"] == "denied"
        stop.lift(stop_id=pulled.stop.pk, by=admin(), reason="mended")


def test_proposals_and_a_stop_at_once_leave_no_grant_that_works() -> None:
    the = desk(OUT)
    *answers, pulled = together(
        *[lambda: AgentCalls(the).propose()] * 6,
        lambda: stop.pull(switch=Switch(agent=the.agent), by=admin(), reason="odd"),
    )
    for answer in answers:
        used = AgentCalls(the).do(answer.body["id"], "redeem", digest=answer.body["digest"])
        assert used.status == 409
    stop.lift(stop_id=pulled.stop.pk, by=admin(), reason="mended")
    for answer in answers:
        used = AgentCalls(the).do(answer.body["id"], "redeem", digest=answer.body["digest"])
        assert used.status == 409
    assert not Proposal.objects.filter(state="executing").exists()


def test_ten_pull_one_switch_and_one_event_is_written() -> None:
    the = desk()
    answers = together(*[lambda: stop.pull(switch=Switch(agent=the.agent), by=admin(), reason="odd")] * 10)
    assert sorted(answer.is_new for answer in answers) == [False] * 9 + [True]
    assert AuditEvent.objects.filter(kind="stop.pulled").count() == Stop.objects.count() == 1


def test_the_command_needs_no_redis() -> None:
    """In a process of its own, with nothing behind Redis's address."""
    the = desk(OUT)
    granted = AgentCalls(the).propose().body
    name = connection.settings_dict["NAME"]
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    done = subprocess.run(
        [sys.executable, "manage.py", "stop", "--agent", the.agent.slug, "--reason", "odd"],
        cwd=Path(__file__).resolve().parent.parent.parent,
        env={
            **os.environ,
            "DATABASE_URL": database,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, "Taken back: 1." in done.stdout) == (0, True), done.stderr
    assert history(granted["id"])[-1] == "revoked"
    assert AgentCalls(the).propose().body["status"] == "denied"
