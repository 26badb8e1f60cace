"""Advisory: a person acts and says what he did; the agent is measured by it, told of it, and granted nothing."""

from typing import Any

import pytest
from django.test import Client

from agents.autonomy import Tier
from agents.models import Evidence
from approvals.models import Grant, Proposal, Verdict
from approvals.states import State
from tests.factories import ARGUMENTS, Desk, desk, earned
from tests.invariants.calls import AgentCalls, history

pytestmark = pytest.mark.django_db


def signed_in(the: Desk) -> Client:
    client = Client()
    client.force_login(the.reviewer)
    return client


def page(the: Desk, proposal: Proposal, path: str = "") -> str:
    response = signed_in(the).get(f"/proposals/{proposal.pk}/{path}")
    assert response.status_code == 200
    return str(response.content.decode())


def say(the: Desk, proposal: Proposal, verdict: str, **data: Any) -> str:
    now = Proposal.objects.get(pk=proposal.pk)
    sent = {"revision": now.revision, "version": now.version, "seen": "on", **data}
    response = signed_in(the).post(f"/proposals/{proposal.pk}/{verdict}/", sent, follow=True)
    assert response.status_code == 200, response.content.decode()
    return str(response.content.decode())


def told(the: Desk, proposal: Proposal) -> dict[str, Any]:
    return AgentCalls(the).read(proposal.pk).body


def loss(proposal: Proposal) -> float:
    return float(Evidence.judgements().get(proposal_id=proposal.pk).loss)


def test_the_decision_part_asks_what_was_done() -> None:
    the = desk(Tier.ADVISORY)
    html = page(the, the.propose())
    for words in (
        "What did you do?",
        "I did exactly this",
        "I did it differently",
        "I did nothing of the kind",
    ):
        assert words in html, words
    for words in ("Approve what is shown", "Reject<", "> Edit<"):
        assert words not in html, words
    other = desk()
    html = page(other, other.propose())
    assert "Approve what is shown" in html and "I did exactly this" not in html


def test_exactly_this() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.propose()
    html = say(the, proposal, "approve")
    assert "Noted: what you did." in html and "Done exactly so" in html and "A person acted" in html
    assert "a person acted" in html and "waiting for the agent" not in html
    assert ">approved<" not in html and "Signed: approved" not in html
    assert "said: done exactly so" in html
    agent = told(the, proposal)
    assert (agent["status"], agent["tier"], agent["grant"]) == ("approved", "advisory", None)
    assert agent["decision"]["verdict"] == "approve"
    assert not Grant.objects.exists() and loss(proposal) == 0
    answer = AgentCalls(the).do(proposal.pk, "redeem", digest=agent["digest"])
    assert (answer.status, answer.code) == (409, "grant_refused")
    assert "person acts" in answer.body["detail"]


def test_differently() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.propose()
    html = page(the, proposal, "edit/")
    assert "What did you do instead?" in html and "That is what I did" in html
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 40})
    html = page(the, proposal)
    assert "Done differently" in html and "A person acted" in html
    agent = told(the, proposal)
    assert (agent["decision"]["verdict"], agent["arguments"]["amount"], agent["grant"]) == ("edit", 40, None)
    assert not Grant.objects.exists()
    assert loss(proposal) == 1  # the amount is material


def test_nothing_of_the_kind() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.propose()
    html = say(the, proposal, "reject", reason="not_allowed", comment="The order was never paid.")
    assert "Noted: nothing of the kind was done." in html and "Not done" in html
    assert ">rejected<" not in html
    agent = told(the, proposal)
    assert (agent["status"], agent["decision"]["comment"]) == ("rejected", "The order was never paid.")
    assert loss(proposal) == 1
    assert history(proposal.pk)[-1] == "rejected"


def test_what_a_person_did_gets_no_grant_because_the_mandate_was_raised_meanwhile() -> None:
    the = desk(Tier.ADVISORY)
    proposal = the.propose()
    earned(the.mandate, Tier.IN_THE_LOOP)
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 40})
    now = Proposal.objects.get(pk=proposal.pk)
    assert (now.state, now.tier) == (State.APPROVED, "advisory")
    assert not Grant.objects.exists()


def test_what_is_held_back_to_be_undone_is_said_in_the_same_words() -> None:
    the = desk(Tier.ADVISORY, at={"undo_seconds": 30})
    proposal = the.propose()
    html = say(the, proposal, "approve")
    assert "Done exactly so" in html and "Decided, not sent yet" in html
    assert told(the, proposal)["status"] == "pending"


def test_it_is_not_in_the_monitor() -> None:
    the = desk(Tier.ADVISORY)
    the.approved()
    html = signed_in(the).get("/monitor/").content.decode()
    assert "Nothing has run in the last hour" in html and 'id="row-' not in html
