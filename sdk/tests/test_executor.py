"""What Countersign carries out itself: no client runs it, every one waits for the outcome and tells of it."""

from collections.abc import Callable
from typing import Any

import pytest
from both import beside

from countersign import Countersign, NotApproved, NotCarriedOut, Proposal, Undecided, requires_approval
from countersign.adapters import calls
from countersign.proposals import proposal_from
from countersign.testing import FakeServer


@pytest.fixture
def server(countersign_server: FakeServer) -> FakeServer:
    countersign_server.executor("refund")
    return countersign_server


@pytest.fixture
def refund(server: FakeServer) -> Callable[[str], Any]:
    @requires_approval("refund", client=server.client(), key=lambda order_id: order_id)
    def pays(order_id: str) -> str:
        raise AssertionError("it must not run here")

    return pays


def approve(server: FakeServer) -> Proposal:
    return server.approve(server.next())


def test_waiting_goes_on_until_the_outcome(server: FakeServer) -> None:
    with server.client() as client:
        proposal = client.propose("refund", {"order_id": "A-1"})
        approved = server.approve(proposal)
        assert (approved.grant, approved.is_approved, approved.carried_out_by) == (None, False, "countersign")
        assert approved.words == "Approved by Rita Reviewer. Countersign carries it out itself, you must not."
        with pytest.raises(Undecided, match="outcome did not come in time"):
            client.wait(proposal, timeout=0)
        waiting = beside(lambda: client.wait(proposal))
        server.carry_out(proposal, result={"id": "re_1"})
        ended = waiting()
    assert (ended.status, ended.outcome.result) == ("succeeded", {"id": "re_1"})


def test_the_decorator_returns_the_result_without_running(
    server: FakeServer, refund: Callable[[str], Any]
) -> None:
    running = beside(lambda: refund("A-1"))
    proposal = approve(server)
    server.become(proposal, "executing")
    server.carry_out(proposal, result={"id": "re_1"})
    assert running() == {"id": "re_1"}
    assert refund("A-1") == {"id": "re_1"}
    assert len(server.proposals) == 1


@pytest.mark.parametrize(("status", "is_known"), [("failed", True), ("unknown", False)])
def test_the_decorator_raises_what_went_wrong(
    server: FakeServer, refund: Callable[[str], Any], status: str, is_known: bool
) -> None:
    running = beside(lambda: refund("A-1"))
    server.carry_out(approve(server), status, {"error": "no such order"})
    with pytest.raises(NotCarriedOut) as caught:
        running()
    assert (caught.value.is_known, caught.value.code) == (is_known, f"carried_out_{status}")
    assert ("Do not repeat it" in caught.value.detail) is not is_known
    assert "nothing was done" not in caught.value.detail


@pytest.mark.parametrize("status", ["rejected", "lapsed"])
def test_what_was_not_carried_out_is_not_approved(
    server: FakeServer, refund: Callable[[str], Any], status: str
) -> None:
    running = beside(lambda: refund("A-1"))
    proposal = server.next()
    server.reject(proposal, "No.") if status == "rejected" else server.become(proposal, status)
    with pytest.raises(NotApproved):
        running()


def test_the_time_is_up_while_it_is_carried_out(server: FakeServer) -> None:
    """Nothing is withdrawn and nobody is told that it was not approved."""
    server.answer(server.approve)

    @requires_approval("refund", client=server.client(), timeout=0)
    def pays(order_id: str) -> None:
        raise AssertionError("it must not run here")

    with pytest.raises(Undecided, match="Do not repeat it"):
        pays("A-1")
    assert server.proposals[0].status == "approved"


TOLD = [
    ("succeeded", "re_1", True),
    ("failed", "carrying it out failed. {", False),
    ("unknown", "Do not repeat", False),
]


@pytest.mark.parametrize(("status", "words", "ok"), TOLD, ids=[one[0] for one in TOLD])
def test_an_adapter_tells_the_model_the_outcome(
    server: FakeServer, status: str, words: str, ok: bool
) -> None:
    call = calls.Call(("t", "1"), "refund", {"order_id": "A-1"})

    def gate(client: Countersign) -> Any:
        return client.run(calls.admitted(call, client.settings))

    with server.client() as client:
        running = beside(lambda: gate(client))
        server.carry_out(approve(server), status, {"id": "re_1"})
        told = running()
    assert isinstance(told, calls.Told)
    assert told.ok is ok and words in told.words


def test_an_older_server_says_it_by_the_tier(countersign_server: FakeServer) -> None:
    with countersign_server.client() as client:
        raw = client.propose("refund", {}).raw
    old = {name: value for name, value in raw.items() if name != "carried_out_by"}
    assert proposal_from(old).carried_out_by == "agent"
    assert proposal_from(old | {"tier": "advisory"}).carried_out_by == "person"
    odd = proposal_from(old | {"status": "approved"})
    assert odd.words == "Approved, but there is no grant to use: do not act."
