"""The client against the real server: what an engineer does in the first ten minutes, and what happens in the worst."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from both import Caller, beside
from countersign import AlreadyRedeemed, CountersignError, Draft, NotApproved, stable_key
from countersign.grants import verify_proposal
from django.conf import settings

from agents.autonomy import Tier
from approvals.models import Proposal, Verdict
from approvals.services import expire
from config import waiting
from tests.factories import ARGUMENTS, Desk, desk
from tests.live import serving
from tests.sdk.processes import PATIENCE, ROOT, answers, process, until

pytestmark = pytest.mark.django_db(transaction=True)


def row(of: Any) -> Proposal:
    return Proposal.objects.get(pk=of.id)


@pytest.fixture(scope="module", params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def calling(kind: str, the: Desk) -> Iterator[Caller]:
    with serving() as url, Caller(kind, url, the.token) as client:
        yield client


def test_the_whole_way(kind: str) -> None:
    """Approved, edited, rejected, returned and revised, withdrawn; grants verified offline; everything listed."""
    the = desk()
    with calling(kind, the) as client:
        name = the.action_type.name
        assert client.me().mandate(name).tier == "in_the_loop"

        approved = client.propose(
            name, ARGUMENTS, summary="as promised", context=[{"role": "user", "content": "Hi"}]
        )
        waiting_for = beside(lambda: client.wait(approved, timeout=PATIENCE))
        until(lambda: bool(waiting.hub._waiting))
        the.decide(row(approved), Verdict.APPROVE)
        approved = waiting_for()
        assert (approved.is_approved, approved.was_edited) == (True, False)
        claims = verify_proposal(approved, client.keys(), f"executor:{name}", issuer=settings.PUBLIC_URL)
        assert (claims.agent, claims.digest) == (the.agent.slug, approved.digest)
        ended = client.report(
            client.redeem(approved), "succeeded", result={"n": 1.5}, external_id="re_1", cost=0.25
        )
        assert (ended.status, ended.outcome.result) == ("succeeded", {"n": 1.5})

        edited = client.propose(name, ARGUMENTS)
        the.decide(row(edited), Verdict.EDIT, arguments=ARGUMENTS | {"amount": 40}, comment="Less.")
        edited = client.wait(edited)
        assert (edited.was_edited, edited.arguments["amount"], edited.decision.comment) == (True, 40, "Less.")
        verify_proposal(edited, client.keys(), f"executor:{name}", issuer=settings.PUBLIC_URL)
        assert client.redeem(edited).status == "executing"

        rejected = client.propose(name, ARGUMENTS)
        the.decide(row(rejected), Verdict.REJECT, comment="No.")
        assert client.wait(rejected).words == (
            "Rejected by Rita Reviewer; nothing was done. Reason: not_allowed. Comment: “No.”"
        )

        returned = client.propose(name, ARGUMENTS)
        the.decide(row(returned), Verdict.RETURN)
        returned = client.wait(returned)
        assert returned.status == "returned"
        revised = client.revise(returned, ARGUMENTS | {"order_id": "A-2"}, "This one.")
        the.decide(row(revised), Verdict.APPROVE)
        assert client.redeem(client.wait(revised)).arguments["order_id"] == "A-2"

        assert client.withdraw(client.propose(name, ARGUMENTS), "no longer wanted").status == "withdrawn"
        listed = [one.status for one in client.done(client.client.proposals())]
        assert listed == ["withdrawn", "executing", "rejected", "executing", "succeeded"]

        with pytest.raises(CountersignError) as caught:
            client.propose(name, {"amount": -1})
        assert caught.value.code == "arguments_invalid"
        assert {error["field"] for error in caught.value.errors} == {"/arguments", "/arguments/amount"}


def test_batches_and_events(kind: str) -> None:
    the = desk()
    with calling(kind, the) as client:
        events = client.done(client.client.events())
        first = beside(lambda: next(events))
        with Caller("sync", client.client.settings.base_url(), the.token) as other:
            until(lambda: bool(waiting.hub._waiting))
            drafts = [
                Draft(the.action_type.name, ARGUMENTS | {"order_id": f"A-{n}"}, key=f"b-{n}")
                for n in range(3)
            ]
            found = other.propose_many([*drafts, Draft(the.action_type.name, {})])
            assert [one.arguments["order_id"] for one in found[:3]] == ["A-0", "A-1", "A-2"]
            assert found[3].code == "arguments_invalid"
            seen = [first(), next(events), next(events)]
            # Of one batch, accepted together: which of them comes first is not promised.
            assert sorted((one.type, one.proposal.id) for one in seen) == sorted(
                ("proposal.pending", one.id) for one in found[:3]
            )
            events.close()
            the.decide(row(found[1]), Verdict.REJECT)
            assert [one.id for one in other.propose_many(drafts)] == [one.id for one in found[:3]]
        resumed = client.done(client.client.events(after=seen[2].id))
        told = next(resumed)
        assert (told.type, told.proposal.id) == ("proposal.rejected", found[1].id)
        resumed.close()


def test_the_decorator_runs_what_was_approved_once(kind: str) -> None:
    the = desk()
    ran: list[tuple[str, float]] = []

    def refund(order_id: str, amount: float, reason: str = "damaged") -> dict[str, Any]:
        ran.append((order_id, amount))
        if order_id == "A-lost":
            raise TimeoutError("the provider does not answer")
        if order_id == "A-wrong":
            raise LookupError("no such order")
        return {"refund": f"re_{order_id}"}

    with calling(kind, the) as client:
        guarded = client.approving(
            refund, the.action_type.name, key=lambda order_id, amount: f"refund-{order_id}"
        )

        def call(order_id: str, verdict: Verdict, **more: Any) -> Any:
            """The agent calls, and a reviewer decides what has come by then."""
            arguments = {"order_id": order_id, "amount": 10.0, "reason": "damaged"}
            proposed = client.propose(the.action_type.name, arguments, key=f"refund-{order_id}")
            if row(proposed).state == "pending":
                the.decide(row(proposed), verdict, **more)
            return guarded(order_id, 10.0)

        less = {"order_id": "A-1", "amount": 7, "reason": "late"}
        assert call("A-1", Verdict.EDIT, arguments=less) == {"refund": "re_A-1"}
        with pytest.raises(LookupError):
            call("A-wrong", Verdict.APPROVE)
        with pytest.raises(NotApproved, match="Not this one"):
            call("A-2", Verdict.REJECT, comment="Not this one.")
        with pytest.raises(TimeoutError):
            call("A-lost", Verdict.APPROVE)
        for again in ("A-1", "A-lost", "A-wrong"):
            with pytest.raises(AlreadyRedeemed) as caught:
                call(again, Verdict.APPROVE)
            assert caught.value.is_known is (again != "A-lost")
    assert ran == [("A-1", 7.0), ("A-wrong", 10.0), ("A-lost", 10.0)]
    states = {one.current_revision.arguments["order_id"]: one.state for one in Proposal.objects.all()}
    assert states == {"A-1": "succeeded", "A-wrong": "failed", "A-2": "rejected", "A-lost": "unknown"}
    failed = Proposal.objects.get(state="failed")
    assert failed.outcome.result == {"error": "LookupError", "message": "no such order"}


def test_what_time_has_taken_back_is_not_run(kind: str) -> None:
    """The agent proposed, was away, and comes back when its grant has lapsed."""
    the = desk(Tier.OUT_OF_THE_LOOP)
    ran: list[str] = []

    def refund(order_id: str, amount: float) -> None:
        ran.append(order_id)

    with calling(kind, the) as client:
        proposal = client.propose(the.action_type.name, {"order_id": "A-1", "amount": 1}, key="k")
        assert proposal.is_approved
        expire.lapse_grants(now=row(proposal).grant.expires_at)
        guarded = client.approving(refund, the.action_type.name, key=lambda *_: "k")
        with pytest.raises(NotApproved) as caught:
            guarded("A-1", 1)
    assert (ran, caught.value.proposal.status) == ([], "lapsed")


WAITER = """
import sys
from countersign import Countersign
with Countersign() as client:
    proposal = client.propose(sys.argv[1], {"order_id": "A-1", "amount": 1}, key=sys.argv[2])
    print(proposal.id, flush=True)
    print(client.wait(proposal, timeout=200).status, flush=True)
"""


def agent(address: str, the: Desk, key: str) -> subprocess.Popen[str]:
    """An agent's process: it proposes, says what, waits, and says what was decided."""
    return subprocess.Popen(
        [sys.executable, "-c", WAITER, the.action_type.name, key],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "sdk" / "src"),
            "COUNTERSIGN_URL": address,
            "COUNTERSIGN_TOKEN": the.token,
        },
    )


@pytest.mark.timeout(300)
def test_both_ends_are_killed_and_the_decision_arrives() -> None:
    """The server dies while an agent waits; the agent dies too, and its successor makes the same call."""
    the, key = desk(), stable_key("thread-1", "call-1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with process(port) as server:
        until(lambda: answers(address))
        waiting_on, doomed = agent(address, the, key), agent(address, the, key)
        assert waiting_on.stdout is not None
        assert doomed.stdout is not None
        proposal_id = waiting_on.stdout.readline().strip()
        assert doomed.stdout.readline().strip() == proposal_id
        server.send_signal(signal.SIGKILL)
        server.wait(20)
    doomed.kill()
    doomed.wait(20)
    the.decide(Proposal.objects.get(pk=proposal_id), Verdict.APPROVE)
    with process(port):
        assert waiting_on.stdout.readline().strip() == "approved"
        successor = agent(address, the, key)
        told, _ = successor.communicate(timeout=200)
        assert told.split() == [proposal_id, "approved"]
        assert waiting_on.wait(20) == 0
    assert Proposal.objects.count() == 1
    doomed.stdout.close()
    waiting_on.stdout.close()
