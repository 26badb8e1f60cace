"""Both clients against the fake server, over real connections."""

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from both import KINDS, Caller, beside

from countersign import Countersign, CountersignError, Draft, Event, Unreachable, stable_key
from countersign.settings import Settings
from countersign.testing import FakeServer, wait_until

ARGUMENTS = {"order_id": "A-1", "amount": 42.5}


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, countersign_server: FakeServer) -> Iterator[Caller]:
    with Caller(request.param, countersign_server.url, countersign_server.token) as caller:
        yield caller


def test_from_proposal_to_outcome(client: Caller, countersign_server: FakeServer) -> None:
    proposal = client.propose(
        "refund", ARGUMENTS, summary="as promised", subject={"type": "customer", "id": "c-1"}
    )
    assert (proposal.status, proposal.is_decided, proposal.arguments) == ("pending", False, ARGUMENTS)
    assert countersign_server.request(proposal)["subject"] == {"type": "customer", "id": "c-1"}
    waiting = beside(lambda: client.wait(proposal, timeout=90))
    countersign_server.approve(countersign_server.next(), comment="Fine.")
    approved = waiting()
    assert (approved.is_approved, approved.was_edited) == (True, False)
    assert approved.words == "Approved by Rita Reviewer. Comment: “Fine.”"
    assert client.redeem(approved).status == "executing"
    at = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
    ended = client.report(
        approved, "succeeded", result={"refund": 7}, external_id="re_1", cost=0.25, occurred_at=at
    )
    assert ended.status == "succeeded"
    assert (ended.outcome.result, ended.outcome.external_id, ended.outcome.cost) == (
        {"refund": 7},
        "re_1",
        0.25,
    )
    assert ended.outcome.occurred_at == at


def test_edited_arguments_arrive(client: Caller, countersign_server: FakeServer) -> None:
    proposal = client.propose("refund", ARGUMENTS)
    countersign_server.approve(proposal, edit=ARGUMENTS | {"amount": 40})
    approved = client.wait(proposal)
    assert (approved.arguments["amount"], approved.revision, approved.was_edited) == (40, 2, True)
    assert "changed the arguments" in approved.words
    assert client.redeem(approved).status == "executing"


def test_arguments_changed_on_the_way_are_not_redeemed(
    client: Caller, countersign_server: FakeServer
) -> None:
    proposal = client.propose("refund", ARGUMENTS)
    countersign_server.approve(proposal)
    approved = client.wait(proposal)
    approved.arguments["amount"] = 4250
    with pytest.raises(CountersignError) as caught:
        client.redeem(approved)
    assert caught.value.code == "digest_mismatch"
    assert client.get(proposal).status == "approved"


def test_a_returned_proposal_is_revised(client: Caller, countersign_server: FakeServer) -> None:
    proposal = client.propose("refund", ARGUMENTS)
    countersign_server.return_(proposal, "Which order?")
    returned = client.wait(proposal)
    assert (returned.status, returned.is_decided, returned.is_approved) == ("returned", True, False)
    assert returned.words == (
        "Returned by Rita Reviewer with a question; nothing was done. Answer it. Comment: “Which order?”"
    )
    revised = client.revise(returned, ARGUMENTS | {"order_id": "A-2"}, "The second one.")
    assert (revised.status, revised.revision, revised.was_edited) == ("pending", 2, False)
    countersign_server.approve(revised)
    assert client.wait(revised).arguments["order_id"] == "A-2"


def test_rejected_denied_withdrawn(client: Caller, countersign_server: FakeServer) -> None:
    rejected = client.propose("refund", ARGUMENTS)
    countersign_server.reject(rejected, "Not this customer.", reason="fraud")
    assert client.wait(rejected).words == (
        "Rejected by Rita Reviewer; nothing was done. Reason: fraud. Comment: “Not this customer.”"
    )
    countersign_server.deny("wipe", "Nobody wipes.")
    assert (
        client.wait(client.propose("wipe", {})).words
        == "Denied by policy; nothing was done. Why: Nobody wipes."
    )
    taken = client.propose("refund", ARGUMENTS)
    assert client.withdraw(taken, "No longer wanted.").status == "withdrawn"
    assert client.withdraw(taken).status == "withdrawn"


def test_the_same_key_is_the_same_proposal_in_any_process(
    client: Caller, countersign_server: FakeServer
) -> None:
    key = stable_key("thread-1", "call-1")
    first = client.propose("refund", ARGUMENTS, key=key)
    with countersign_server.client() as later:
        second = later.propose("refund", dict(reversed(ARGUMENTS.items())), key=key)
        assert second.id == first.id
        with pytest.raises(CountersignError) as caught:
            later.propose("refund", ARGUMENTS | {"amount": 1}, key=key)
    assert (caught.value.code, caught.value.proposal_id) == ("idempotency_key_reused", first.id)
    assert len(countersign_server.proposals) == 1


def test_a_lost_answer_proposes_nothing_twice(client: Caller, countersign_server: FakeServer) -> None:
    countersign_server.lose(path="/proposals", times=2)
    client.propose("refund", ARGUMENTS)
    assert len(countersign_server.proposals) == 1


def test_a_report_whose_answer_was_lost_is_the_same_report(
    client: Caller, countersign_server: FakeServer
) -> None:
    proposal = client.propose("refund", ARGUMENTS)
    countersign_server.approve(proposal)
    redeemed = client.redeem(client.wait(proposal))
    countersign_server.lose(path="/outcome")
    countersign_server.fail(503, path="/outcome", retry_after=0)
    assert client.report(redeemed, "failed", result={"why": 1.0}).status == "failed"


@pytest.mark.parametrize("hard", [False, True], ids=["stopped", "killed"])
def test_waiting_survives_a_restart_of_the_server(
    client: Caller, countersign_server: FakeServer, hard: bool
) -> None:
    proposal = client.propose("refund", ARGUMENTS)
    waiting = beside(lambda: client.wait(proposal, timeout=90))
    countersign_server.next()
    countersign_server.stop(hard=hard)
    with pytest.raises(httpx.ConnectError):
        httpx.get(countersign_server.url)
    countersign_server.approve(proposal)
    countersign_server.start()
    assert waiting().status == "approved"


def test_an_absent_server_is_said_so(client: Caller, countersign_server: FakeServer) -> None:
    countersign_server.stop()
    with Caller("sync", countersign_server.url, "t", patience=0.5) as hasty, pytest.raises(Unreachable):
        hasty.propose("refund", ARGUMENTS)


def test_many_at_once(client: Caller, countersign_server: FakeServer) -> None:
    drafts = [Draft("refund", {"n": n}, key=f"key-{n}") for n in range(3)]
    found = client.propose_many([*drafts, {"action_type": "", "arguments": {}}])
    assert [one.arguments["n"] for one in found[:3]] == [0, 1, 2]
    assert isinstance(found[3], CountersignError)
    assert found[3].errors[0]["field"] == "/action_type"
    again = client.propose_many(drafts)
    assert [one.id for one in again] == [one.id for one in found[:3]]


def test_all_pages_are_listed(client: Caller, countersign_server: FakeServer) -> None:
    client.propose_many([Draft("refund", {"n": n}) for n in range(230)])
    countersign_server.reject(countersign_server.proposals[3])
    listed = list(client.done(client.client.proposals()))
    assert [one.arguments["n"] for one in listed] == list(reversed(range(230)))
    assert [one.arguments["n"] for one in client.done(client.client.proposals("rejected"))] == [3]


def test_who_am_i(client: Caller, countersign_server: FakeServer) -> None:
    countersign_server.tier("refund", "on_the_loop")
    me = client.me()
    assert (me.agent, me.state, me.mandate("wipe")) == ("fake-agent", "live", None)
    assert me.mandate("refund").tier == "on_the_loop"


def test_events_go_on_where_they_were_cut(client: Caller, countersign_server: FakeServer) -> None:
    events = client.done(client.client.events())
    first = beside(lambda: next(events))
    wait_until(lambda: countersign_server.streams == 1)
    with countersign_server.client() as other:
        one = other.propose("refund", {"text": "line one\n\u2028\r\x85", "n": 1})
        told: Event = first()
        assert (told.type, told.proposal.id) == ("proposal.pending", one.id)
        assert told.proposal.arguments == one.arguments
        countersign_server.stop(hard=True)
        countersign_server.start()
        two = other.propose("refund", {"n": 2})
    countersign_server.reject(one)
    seen = [next(events), next(events)]
    assert [(event.type, event.proposal.id) for event in seen] == [
        ("proposal.pending", two.id),
        ("proposal.rejected", one.id),
    ]
    events.close()
    after = client.done(client.client.events(after=told.id))
    assert next(after).id == seen[0].id
    after.close()


def test_a_wrong_token_is_said_so(countersign_server: FakeServer) -> None:
    with Countersign(countersign_server.url, "another") as client, pytest.raises(CountersignError) as caught:
        client.me()
    assert (caught.value.status, caught.value.code) == (401, "bad_credential")


def test_where_and_who_come_from_the_environment(
    countersign_server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Countersign() as client:
        assert client.me().agent == "fake-agent"
        monkeypatch.setenv("COUNTERSIGN_TOKEN", "rotated")
        with pytest.raises(CountersignError, match="bad_credential"):
            client.me()
        file = tmp_path / "token"
        file.write_text(countersign_server.token + "\n")
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(file))
        assert client.me().agent == "fake-agent"
        monkeypatch.delenv("COUNTERSIGN_TOKEN_FILE")
        monkeypatch.delenv("COUNTERSIGN_TOKEN")
        with pytest.raises(CountersignError, match="no_token"):
            client.me()
    with Countersign(token=lambda: countersign_server.token) as client:
        assert client.me().agent == "fake-agent"


def test_secrets_are_in_no_repr(countersign_server: FakeServer) -> None:
    with countersign_server.client() as client:
        proposal = client.propose("refund", ARGUMENTS)
        countersign_server.approve(proposal)
        approved = client.wait(proposal)
        assert approved.grant is not None
        assert approved.grant.token not in repr(approved)
    assert "my-token" not in repr(Settings(token="my-token"))


def test_a_redirect_takes_no_token_elsewhere(countersign_server: FakeServer) -> None:
    with FakeServer() as elsewhere, httpx.Client(follow_redirects=True) as careless:
        countersign_server.fail(307, path="/me", headers={"Location": f"{elsewhere.url}/api/v1/me"})
        client = Countersign(countersign_server.url, countersign_server.token, http=careless)
        with pytest.raises(CountersignError) as caught:
            client.me()
    assert caught.value.status == 307


def test_threads_share_a_client(countersign_server: FakeServer) -> None:
    countersign_server.answer(countersign_server.approve)
    with countersign_server.client() as client:
        ids: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda n=n: ids.append(client.wait(client.propose("refund", {"n": n})).id)
            )
            for n in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert len(set(ids)) == 30


@pytest.mark.parametrize(
    "key", ["", "x" * 201, "schlüssel", "a\nb", " a"], ids=["none", "long", "umlaut", "line", "space"]
)
def test_a_key_that_no_header_carries_is_refused_here(countersign_server: FakeServer, key: str) -> None:
    with countersign_server.client() as client, pytest.raises(ValueError, match="stable_key"):
        client.propose("refund", ARGUMENTS, key=key)


def test_stable_keys_tell_their_parts_apart() -> None:
    assert stable_key("ab", "c") == stable_key("ab", "c")
    assert (
        len({stable_key("ab", "c"), stable_key("a", "bc"), stable_key("abc"), stable_key("ab", "c", "")}) == 4
    )
