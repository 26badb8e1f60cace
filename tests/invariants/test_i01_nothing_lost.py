"""I1: what is answered is stored, and what fails in the middle leaves nothing half-done.

A fault is put behind the last write of each use case; the database must then be as before, and the same request,
sent again, must succeed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from agents.autonomy import Tier
from agents.exceptions import AgentNotLive
from agents.models import Agent
from approvals import transitions
from approvals.models import Proposal, Verdict
from approvals.services import claim, expire, redeem, report, stop, suspend
from audit import recording
from tests.factories import ARGUMENTS, Desk, admin, desk
from tests.invariants.calls import AgentCalls, call, history

pytestmark = pytest.mark.django_db(transaction=True)

WATCHED = ["approvals", "agents", "audit"]


def everything() -> dict[str, list[Any]]:
    """All rows of our own tables, and of the rights on objects; not when and from where a credential was last used, a
    mere note."""
    tables = {
        model._meta.db_table for name in WATCHED for model in apps.get_app_config(name).get_models()
    } | {"guardian_userobjectpermission", "guardian_groupobjectpermission"}
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(tables):
            if table == "approvals_signingkey":
                continue
            cursor.execute(
                f"SELECT (to_jsonb(t) - 'last_used_at' - 'last_used_from')::text FROM {table} t ORDER BY 1"
            )
            found[table] = [row[0] for row in cursor.fetchall()]
    return found


class Injected(RuntimeError):
    """The fault of the test."""


def fail(*args: Any, **kwargs: Any) -> None:
    raise Injected("put here by the test")


def pending(the: Desk) -> Proposal:
    return the.propose()


def returned(the: Desk) -> Proposal:
    return the.decide(the.propose(), Verdict.RETURN).proposal


def approved(the: Desk) -> Proposal:
    return the.approved()


def running(the: Desk) -> Proposal:
    proposal = the.approved()
    return redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def unknown(the: Desk) -> Proposal:
    proposal = running(the)
    expire.mark_unknown(now=timezone.now() + timedelta(days=9))
    return proposal


LATER = timezone.now() + timedelta(days=30)
EDITED = {**ARGUMENTS, "amount": 1}
DEEDS: list[tuple[str, Callable[[Desk], Proposal], Callable[[Desk, Proposal], Any], str]] = [
    ("approve", pending, lambda the, p: the.decide(p, Verdict.APPROVE), "approved"),
    ("edit", pending, lambda the, p: the.decide(p, Verdict.EDIT, arguments=EDITED), "approved"),
    ("reject", pending, lambda the, p: the.decide(p, Verdict.REJECT), "rejected"),
    ("return", pending, lambda the, p: the.decide(p, Verdict.RETURN), "returned"),
    ("withdraw", pending, lambda the, p: AgentCalls(the).do(p.pk, "withdraw"), "withdrawn"),
    (
        "revise",
        returned,
        lambda the, p: AgentCalls(the).do(p.pk, "revise", arguments=EDITED),
        "pending",
    ),
    ("redeem", approved, lambda the, p: AgentCalls(the).do(p.pk, "redeem", digest=p.digest), "executing"),
    ("report", running, lambda the, p: AgentCalls(the).do(p.pk, "outcome", status="failed"), "failed"),
    (
        "settle",
        unknown,
        lambda the, p: report.settle(proposal_id=p.pk, person=the.reviewer, status="failed", note=""),
        "failed",
    ),
    ("expire", pending, lambda the, p: expire.expire_undecided(now=LATER), "expired"),
    ("lapse", approved, lambda the, p: expire.lapse_grants(now=LATER), "lapsed"),
    ("silence", running, lambda the, p: expire.mark_unknown(now=LATER), "unknown"),
    (
        "suspend",
        approved,
        lambda the, p: suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd"),
        "revoked",
    ),
]


def test_a_fault_in_taking_back_leaves_the_agent_suspended_and_the_rest_to_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Suspending is one transaction, what it takes back are others: nothing can run in between, and a tick ends it."""
    the = desk()
    proposal = approved(the)
    monkeypatch.setattr(transitions, "_announce", fail)
    with pytest.raises(Injected):
        suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd")
    monkeypatch.undo()
    assert Agent.objects.get(pk=the.agent.pk).state == "suspended"
    with pytest.raises(AgentNotLive):
        redeem.redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
    assert stop.finish(now=timezone.now()) == 1
    assert Proposal.objects.get(pk=proposal.pk).state == "revoked"


FAULTS = [
    pytest.param(*deed, where, id=f"{where}-{deed[0]}")
    for where in ("_announce", "record")
    for deed in DEEDS
    if (deed[0], where) != ("suspend", "_announce")  # two transactions: the test above
]


@pytest.mark.parametrize(("name", "reach", "deed", "after", "where"), FAULTS)
def test_a_fault_in_the_middle_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    reach: Callable[[Desk], Proposal],
    deed: Callable[[Desk, Proposal], Any],
    after: str,
    where: str,
) -> None:
    the = desk()
    proposal = reach(the)
    before = everything()
    if where == "_announce":
        monkeypatch.setattr(transitions, "_announce", fail)
    else:
        monkeypatch.setattr(recording, "record", fail)
    with pytest.raises(Injected):
        deed(the, proposal)
    assert everything() == before
    monkeypatch.undo()
    deed(the, proposal)
    assert Proposal.objects.get(pk=proposal.pk).state == after
    history(proposal.pk)


@pytest.mark.parametrize("tier", [Tier.IN_THE_LOOP, Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP])
@pytest.mark.parametrize("where", ["event", "grant"])
def test_a_submission_that_fails_stores_nothing_and_may_be_repeated(
    monkeypatch: pytest.MonkeyPatch, tier: Tier, where: str
) -> None:
    the = desk(tier)
    before = everything()
    prepare = recording.prepare
    if where == "event":

        def too_long(**values: Any) -> Any:
            event = prepare(**values)
            event.kind = "x" * 100
            return event

        monkeypatch.setattr(recording, "prepare", too_long)
    else:
        monkeypatch.setattr("approvals.services.submit.approve_by_policy", fail)
    body = {"action_type": the.action_type.name, "arguments": ARGUMENTS}
    answer = call("POST", "/api/v1/proposals", the.token, body, faults_are_answers=True, Idempotency_Key="k")
    if where == "grant" and tier != Tier.OUT_OF_THE_LOOP:
        assert answer.status == 201
        return
    assert (answer.status, answer.code) == (500, "server_error")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert everything() == before
    monkeypatch.undo()
    again = call("POST", "/api/v1/proposals", the.token, body, Idempotency_Key="k")
    assert again.status == 201
    history(again.body["id"])


def test_what_was_acknowledged_is_there() -> None:
    the = desk()
    agent = AgentCalls(the)
    ids = [agent.propose().body["id"] for _ in range(10)]
    found = call("GET", "/api/v1/proposals?limit=10", the.token).body["items"]
    assert [item["id"] for item in found] == ids[::-1] or sorted(i["id"] for i in found) == sorted(ids)
    for proposal_id in ids:
        assert history(proposal_id) == ["pending"]


def test_a_claim_that_fails_is_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    proposal = the.propose()
    before = everything()
    monkeypatch.setattr(recording, "record", fail)
    with pytest.raises(Injected):
        claim.claim_next(reviewer=the.reviewer)
    assert everything() == before
    monkeypatch.undo()
    assert claim.claim_next(reviewer=the.reviewer).pk == proposal.pk
