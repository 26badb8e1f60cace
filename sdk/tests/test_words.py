"""What a model is told: each state says whether something was done, and the reviewer's words are in it."""

import dataclasses

import pytest

from countersign import Decision, Proposal
from countersign.testing import FakeServer

NOTHING = ["pending", "scheduled", "expired", "withdrawn", "lapsed", "revoked"]
DONE = ["executing", "succeeded", "failed", "unknown", "rolled_back"]


@pytest.fixture
def proposal(countersign_server: FakeServer) -> Proposal:
    with countersign_server.client() as client:
        return client.propose("refund", {"amount": 1})


@pytest.mark.parametrize("status", NOTHING)
def test_it_is_said_that_nothing_was_done(proposal: Proposal, status: str) -> None:
    assert "nothing was done" in dataclasses.replace(proposal, status=status).words


@pytest.mark.parametrize("status", DONE)
def test_it_is_never_said_of_what_may_have_been_done(proposal: Proposal, status: str) -> None:
    assert "nothing was done" not in dataclasses.replace(proposal, status=status).words


def test_a_veto_and_an_advice_are_named(countersign_server: FakeServer) -> None:
    countersign_server.tier("pay", "on_the_loop")
    countersign_server.tier("advise", "advisory")
    with countersign_server.client() as client:
        scheduled, advice = client.propose("pay", {}), client.propose("advise", {})
        countersign_server.reject(scheduled, "Stop.", reason="fraud")
        countersign_server.approve(advice)
        vetoed, advised = client.get(scheduled), client.get(advice)
    assert vetoed.words == "Vetoed by Rita Reviewer; nothing was done. Reason: fraud. Comment: “Stop.”"
    assert advised.words == "Approved by Rita Reviewer as advice: a person carries it out, you must not."
    assert advised.is_approved is False


def test_what_ran_with_other_arguments_is_told_with_them(proposal: Proposal) -> None:
    edited = dataclasses.replace(proposal, status="succeeded", arguments={"amount": 2})
    assert edited.words == (
        'It was approved and carried out. The reviewer changed the arguments to {"amount": 2}.'
    )


def test_without_what_was_sent_the_verdict_tells_of_an_edit(proposal: Proposal) -> None:
    decision = Decision("edit", "", "", "Rita", "human", None)
    assert dataclasses.replace(proposal, sent=None, decision=decision).was_edited is True
    assert dataclasses.replace(proposal, decision=decision).was_edited is False


def test_a_state_of_a_newer_server_is_told_by_its_name(proposal: Proposal) -> None:
    newer = dataclasses.replace(proposal, status="parked")
    assert (newer.words, newer.is_decided, newer.is_approved) == ("Its state is parked.", True, False)
